//! The identities that expressions of admission policies compare a request's user with.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::config::Config;
use crate::lint::admission;

/// Kubernetes' controller that removes what an owner leaves behind, by the account that kube-controller-manager gives it with
/// `--use-service-account-credentials`.
pub const GARBAGE_COLLECTOR: &str = "system:serviceaccount:kube-system:generic-garbage-collector";

/// Kubernetes' controller that empties namespaces that are deleted, by its account of the same sort.
pub const NAMESPACE_CONTROLLER: &str = "system:serviceaccount:kube-system:namespace-controller";

/// A user or a group that an expression names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    User(String),
    Group(String),
}

impl Identity {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::User(name) | Self::Group(name) => name,
        }
    }

    /// True for those that every cluster has: its administrators, and what runs in its control plane.
    pub(crate) fn is_of_kubernetes(&self) -> bool {
        let name = self.name();
        let is_account = name.starts_with("system:serviceaccount:");
        let is_other = name.starts_with("system:serviceaccounts");
        name.starts_with("system:serviceaccount:kube-system:")
            || name == "kubeadm:cluster-admins"
            || (name.starts_with("system:") && !is_account && !is_other)
    }
}

/// The forms that are understood, each with the text that is compared: one, or a list.
static FORMS: LazyLock<[(bool, Regex); 4]> = LazyLock::new(|| {
    const LIST: &str = r#"\[(?P<names>[^\]]*)\]"#;
    const ONE: &str = r#"(?P<names>"[^"]*"|'[^']*')"#;
    [
        (true, format!(r"request\.userInfo\.username\s*[=!]=\s*{ONE}")),
        (true, format!(r"request\.userInfo\.username\s+in\s+{LIST}")),
        (
            false,
            format!(r"request\.userInfo\.groups\.exists\(\s*\w+\s*,\s*\w+\s*(?:==\s*{ONE}|in\s*\[(?P<more>[^\]]*)\])"),
        ),
        (false, format!(r"{ONE}\s+in\s+request\.userInfo\.groups")),
    ]
    // Constants, which a test compiles.
    .map(|(is_user, form)| (is_user, Regex::new(&form).expect("a constant expression")))
});

static QUOTED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""([^"]*)"|'([^']*)'"#).expect("a constant expression"));

/// The identities that policies of a configuration name, where their expressions are understood.
pub(crate) fn named_in(config: &Config) -> BTreeSet<Identity> {
    admission::policies(config).flat_map(|policy| named(&admission::expressions(&policy.object))).collect()
}

/// The identities that expressions name.
pub(super) fn named(expressions: &str) -> BTreeSet<Identity> {
    let mut found = BTreeSet::new();
    for (is_user, form) in FORMS.iter() {
        for compared in form.captures_iter(expressions) {
            let names = compared.name("names").or_else(|| compared.name("more")).map_or("", |names| names.as_str());
            for quoted in QUOTED.captures_iter(names) {
                let name = quoted.get(1).or_else(|| quoted.get(2)).map_or("", |name| name.as_str()).to_owned();
                found.insert(if *is_user { Identity::User(name) } else { Identity::Group(name) });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::user(r#"request.userInfo.username != "a""#, &["user a"])]
    #[case::users(r#"request.userInfo.username in ["a", 'b']"#, &["user a", "user b"])]
    #[case::group("request.userInfo.groups.exists(g, g == 'a')", &["group a"])]
    #[case::groups(r#"request.userInfo.groups.exists(g, g in ["a", "b"])"#, &["group a", "group b"])]
    #[case::in_groups("'a' in request.userInfo.groups", &["group a"])]
    #[case::something_else(r#"object.metadata.name in ["a"] && request.namespace != "b""#, &[])]
    fn identities_are_those_that_a_request_is_compared_with(#[case] expression: &str, #[case] expected: &[&str]) {
        let shown = |identity: Identity| match identity {
            Identity::User(name) => format!("user {name}"),
            Identity::Group(name) => format!("group {name}"),
        };
        assert_eq!(named(expression).into_iter().map(shown).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case("system:masters", true)]
    #[case("system:serviceaccount:kube-system:generic-garbage-collector", true)]
    #[case("system:serviceaccount:external-secrets:external-secrets", false)]
    #[case("system:serviceaccounts", false)]
    #[case("system:serviceaccounts:kube-system", false)]
    #[case("kubeadm:cluster-admins", true)]
    #[case("system:node:a", true)]
    #[case("platform-admins", false)]
    fn identities_of_kubernetes_are_told_by_their_prefix(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(Identity::User(name.to_owned()).is_of_kubernetes(), expected);
    }
}
