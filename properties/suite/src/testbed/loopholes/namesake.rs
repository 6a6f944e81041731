//! Users whose names resemble those that policies let pass. Pure.

use std::collections::BTreeSet;

use credence_cluster::operator;
use credence_model::model::Identities;

/// The user who resembles nobody.
const STRANGER: &str = "credence:stranger";
/// Longest text that can be the name of a user or a group.
const LONGEST: usize = 60;

/// Identities of an intent that may make the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    /// The operator and the platform team.
    Platform,
    /// These, and whoever may write copies by hand in an emergency.
    Emergency,
}

impl May {
    fn includes(self, identities: &Identities, name: &str) -> bool {
        let is_of = |names: &[String]| names.iter().any(|own| own == name);
        let is_for_emergencies = is_of(&identities.break_glass_users) || is_of(&identities.break_glass_groups);
        name == operator::user()
            || identities.operator.as_deref() == Some(name)
            || is_of(&identities.platform_groups)
            || (self == Self::Emergency && is_for_emergencies)
    }
}

/// Somebody whose name resembles another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Namesake {
    pub(super) what: &'static str,
    pub(super) user: String,
    pub(super) groups: Vec<String>,
}

impl Namesake {
    fn user(what: &'static str, user: impl Into<String>) -> Self {
        Self { what, user: user.into(), groups: Vec::new() }
    }

    fn account(what: &'static str, namespace: &str, name: &str) -> Self {
        let groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        Self { what, user: format!("system:serviceaccount:{namespace}:{name}"), groups }
    }

    /// Somebody who resembles nobody.
    pub(super) fn stranger() -> Self {
        Self::user("a stranger", STRANGER)
    }

    /// All namesakes of the operator, and of names in policies.
    pub(super) fn all(quoted: &BTreeSet<String>) -> Vec<Self> {
        let (namespace, name) = (operator::NAMESPACE, operator::SERVICE_ACCOUNT);
        let groups = quoted.iter().filter(|text| can_be_a_name(text));
        let groups = groups.flat_map(|text| [format!("{text}-credence"), format!("credence-{text}")]);
        vec![
            Self::account("an account of the operator's name in another namespace", "credence", name),
            Self::account(
                "an account of a namespace whose name begins like the operator's",
                &format!("{namespace}-credence"),
                "credence",
            ),
            Self::account(
                "an account of a namespace whose name ends like the operator's",
                &format!("credence-{namespace}"),
                name,
            ),
            Self::user("a user whose name ends like the operator's", format!("credence:{}", operator::user())),
            Self::user("a user whose name is the operator's in capital letters", operator::user().to_uppercase()),
            Self { groups: groups.collect(), ..Self::user("a member of groups with similar names", STRANGER) },
        ]
    }

    /// All that policies quote and that the intent does not let do this, as users and as groups, and users whose names resemble
    /// those whom it names for emergencies. Nobody where there is no word on identities.
    pub(super) fn beyond(quoted: &BTreeSet<String>, identities: &Identities, may: May) -> Vec<Self> {
        const WHAT: &str = "somebody whom the intent does not let";
        if identities.at.is_none() {
            return Vec::new();
        }
        let is_beyond =
            |text: &&String| can_be_a_name(text) && !is_of_kubernetes(text) && !may.includes(identities, text);
        let names: Vec<&String> = quoted.iter().filter(is_beyond).collect();
        let mut all: Vec<Self> = names.iter().map(|name| Self::user(WHAT, name.as_str())).collect();
        all.push(Self { groups: names.into_iter().cloned().collect(), ..Self::user(WHAT, STRANGER) });
        let resembling = identities.break_glass_users.iter().flat_map(|user| {
            let begins =
                quoted.iter().filter(|text| user.starts_with(text.as_str())).map(|text| format!("{text}-credence"));
            let ends =
                quoted.iter().filter(|text| user.ends_with(text.as_str())).map(|text| format!("credence-{text}"));
            begins.chain(ends).collect::<Vec<_>>()
        });
        let resembling: BTreeSet<String> = resembling.filter(|name| can_be_a_name(name)).collect();
        let what = "a user whose name resembles one of the intent's for emergencies";
        all.extend(resembling.into_iter().map(|name| Self::user(what, name)));
        all
    }

    /// The same in one of its groups alone, each if it has several that are of nobody's making but its own.
    pub(super) fn singly(&self) -> Vec<Self> {
        if self.user != STRANGER {
            return vec![self.clone()];
        }
        let one = |group: &String| Self { groups: vec![group.clone()], ..self.clone() };
        self.groups.iter().map(one).collect()
    }

    /// The name that resembles another.
    pub(super) fn name(&self) -> String {
        match &self.groups[..] {
            [group] if self.user == STRANGER => format!("group {group}"),
            _ => self.user.clone(),
        }
    }
}

/// True for the administrators that every cluster has, and for what runs in its control plane.
fn is_of_kubernetes(name: &str) -> bool {
    let is_of_accounts = name.starts_with("system:serviceaccount");
    name == "kubeadm:cluster-admins"
        || name.starts_with("system:serviceaccount:kube-system:")
        || (name.starts_with("system:") && !is_of_accounts)
}

/// True for a text that can be the name of a user or a group, or a part of one.
fn can_be_a_name(text: &str) -> bool {
    let is_of_names = |c: char| c.is_ascii_alphanumeric() || "-_:.@".contains(c);
    (3..=LONGEST).contains(&text.len()) && text.chars().all(is_of_names) && text.chars().any(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use credence_core::manifest::Location;

    use super::*;

    #[test]
    fn namesakes_resemble_the_operator_and_what_policies_quote_and_are_neither() {
        let quoted: BTreeSet<String> =
            ["platform-admins", "secrets/", "true && !(object", "UPDATE"].map(str::to_owned).into();
        let all = Namesake::all(&quoted);
        let names: BTreeSet<&str> = all.iter().map(|one| one.user.as_str()).collect();
        assert_eq!(names.len(), all.len());
        assert!(!names.contains(operator::user().as_str()), "{names:?}");
        let groups: Vec<&str> =
            all.iter().filter(|one| one.user == STRANGER).flat_map(|one| &one.groups).map(String::as_str).collect();
        assert_eq!(
            groups,
            ["UPDATE-credence", "credence-UPDATE", "platform-admins-credence", "credence-platform-admins"]
        );
    }

    /// Users and groups that are tried because of what an intent says.
    fn beyond(quoted: &[&str], identities: &Identities, may: May) -> Vec<String> {
        let quoted = quoted.iter().map(|text| (*text).to_owned()).collect();
        let all = Namesake::beyond(&quoted, identities, may);
        all.iter().flat_map(Namesake::singly).map(|one| one.name()).collect()
    }

    #[test]
    fn whom_policies_quote_and_the_intent_does_not_name_is_tried_and_nobody_whom_it_names() {
        let identities = Identities {
            at: Some(Location { file: "credence.yaml".into(), line: 1, column: 1 }),
            platform_groups: vec!["platform-admins".to_owned()],
            break_glass_users: vec!["alice@example.org".to_owned()],
            ..Identities::default()
        };
        let quoted = ["platform-admins", "alice@example.org", "bob@example.org", "system:masters", "secrets/"];
        let resembling = ["alice@example.org-credence", "credence-alice@example.org"];
        let expected = [&["bob@example.org", "group bob@example.org"], &resembling[..]].concat();
        assert_eq!(beyond(&quoted, &identities, May::Emergency), expected);
        assert!(beyond(&quoted, &identities, May::Platform).contains(&"alice@example.org".to_owned()));
        assert!(beyond(&["@example.org"], &identities, May::Emergency).contains(&"credence-@example.org".to_owned()));
        assert_eq!(beyond(&quoted, &Identities::default(), May::Emergency), [""; 0], "nobody said who is who");
    }

    #[test]
    fn a_member_of_several_groups_is_told_by_the_one_that_matters() {
        let all = Namesake::all(&["a-group".to_owned()].into());
        let names: Vec<String> = all.iter().flat_map(Namesake::singly).map(|one| one.name()).collect();
        assert_eq!(names.len(), 7);
        assert!(names.contains(&"group a-group-credence".to_owned()), "{names:?}");
        assert!(names.contains(&"system:serviceaccount:credence:external-secrets".to_owned()), "{names:?}");
    }
}
