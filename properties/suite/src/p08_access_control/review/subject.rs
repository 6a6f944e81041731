//! Subjects of an access review. Pure.

use credence_cluster::operator;
use k8s_openapi::api::rbac::v1;

/// Those who run a cluster may do everything in it.
const ADMINISTRATORS: [&str; 3] = ["system:masters", "kubeadm:cluster-admins", "system:nodes"];

/// Beginning of the user name of a ServiceAccount.
const ACCOUNT: &str = "system:serviceaccount:";

/// Somebody who can be asked about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::p08_access_control) struct Subject {
    pub(super) name: String,
    pub(super) user: String,
    pub(super) groups: Vec<String>,
}

impl Subject {
    fn user(name: &str) -> Self {
        let groups = vec!["system:authenticated".to_owned()];
        Self { name: format!("user {name}"), user: name.to_owned(), groups }
    }

    pub(super) fn group(name: &str) -> Self {
        // Nobody has this name, so that what is allowed is allowed to the group.
        Self { name: format!("group {name}"), user: "credence:nobody".to_owned(), groups: vec![name.to_owned()] }
    }

    pub(super) fn anonymous() -> Self {
        let groups = vec!["system:unauthenticated".to_owned()];
        Self { name: "anonymous users".to_owned(), user: "system:anonymous".to_owned(), groups }
    }

    /// A ServiceAccount, with the groups that it is in.
    pub(in crate::p08_access_control) fn account(namespace: &str, name: &str) -> Self {
        let of_namespace = format!("system:serviceaccounts:{namespace}");
        let groups = ["system:authenticated", "system:serviceaccounts", &of_namespace].map(str::to_owned).to_vec();
        let user = format!("{ACCOUNT}{namespace}:{name}");
        Self { name: format!("ServiceAccount {namespace}/{name}"), user, groups }
    }

    /// A user that nobody has ever heard of.
    pub(in crate::p08_access_control) fn stranger(name: &str) -> Self {
        Self::user(name)
    }

    /// Subject that a binding names; none if it is of the cluster itself.
    pub(super) fn bound(subject: &v1::Subject, namespace: Option<&str>) -> Option<Self> {
        let of = subject.namespace.as_deref().or(namespace).unwrap_or_default();
        match subject.kind.as_str() {
            "ServiceAccount" => Self::of_account(of, &subject.name),
            "Group" if ADMINISTRATORS.contains(&subject.name.as_str()) => None,
            "Group" => Some(Self::group(&subject.name)),
            // A ServiceAccount can be named as the user that it is.
            _ => match subject.name.strip_prefix(ACCOUNT).and_then(|rest| rest.split_once(':')) {
                Some((namespace, name)) => Self::of_account(namespace, name),
                // The parts of a control plane.
                None if subject.name.starts_with("system:") => None,
                None => Some(Self::user(&subject.name)),
            },
        }
    }

    fn of_account(namespace: &str, name: &str) -> Option<Self> {
        // The operator and its helpers, as its chart names them. Other pods of its namespace are not it.
        let is_operator = namespace == operator::NAMESPACE && name.starts_with(operator::SERVICE_ACCOUNT);
        (!is_operator && namespace != "kube-system").then(|| Self::account(namespace, name))
    }

    /// Namespace and name, if it is a ServiceAccount.
    pub(super) fn as_account(&self) -> Option<(&str, &str)> {
        self.user.strip_prefix(ACCOUNT)?.split_once(':')
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn named(kind: &str, name: &str, namespace: Option<&str>) -> v1::Subject {
        v1::Subject {
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
            ..v1::Subject::default()
        }
    }

    #[rstest]
    #[case::group("Group", "developers", None, Some("group developers"))]
    #[case::user("User", "jane", None, Some("user jane"))]
    #[case::account("ServiceAccount", "ci", Some("build"), Some("ServiceAccount build/ci"))]
    #[case::account_of_the_binding("ServiceAccount", "ci", None, Some("ServiceAccount central/ci"))]
    #[case::account_as_a_user("User", "system:serviceaccount:build:ci", None, Some("ServiceAccount build/ci"))]
    #[case::beside_the_operator(
        "ServiceAccount",
        "default",
        Some("external-secrets"),
        Some("ServiceAccount external-secrets/default")
    )]
    #[case::administrators("Group", "system:masters", None, None)]
    #[case::control_plane("User", "system:kube-scheduler", None, None)]
    #[case::controller("ServiceAccount", "job-controller", Some("kube-system"), None)]
    #[case::operator("ServiceAccount", "external-secrets", Some("external-secrets"), None)]
    #[case::operator_as_a_user("User", "system:serviceaccount:external-secrets:external-secrets", None, None)]
    fn whoever_is_bound_and_is_not_of_the_cluster_itself_is_asked_for(
        #[case] kind: &str,
        #[case] name: &str,
        #[case] namespace: Option<&str>,
        #[case] expected: Option<&str>,
    ) {
        let subject = Subject::bound(&named(kind, name, namespace), Some("central"));
        assert_eq!(subject.as_ref().map(|subject| subject.name.as_str()), expected);
    }
}
