//! Users whose names resemble those that policies let pass. Pure.

use std::collections::BTreeSet;

use credence_cluster::operator;

/// The user who resembles nobody.
const STRANGER: &str = "credence:stranger";
/// Longest text that can be the name of a user or a group.
const LONGEST: usize = 60;

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

    /// All that resemble the operator, or what policies quote.
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

/// True for a text that can be the name of a user or a group, or a part of one.
fn can_be_a_name(text: &str) -> bool {
    let is_of_names = |c: char| c.is_ascii_alphanumeric() || "-_:.@".contains(c);
    (3..=LONGEST).contains(&text.len()) && text.chars().all(is_of_names) && text.chars().any(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_member_of_several_groups_is_told_by_the_one_that_matters() {
        let all = Namesake::all(&["a-group".to_owned()].into());
        let names: Vec<String> = all.iter().flat_map(Namesake::singly).map(|one| one.name()).collect();
        assert_eq!(names.len(), 7);
        assert!(names.contains(&"group a-group-credence".to_owned()), "{names:?}");
        assert!(names.contains(&"system:serviceaccount:credence:external-secrets".to_owned()), "{names:?}");
    }
}
