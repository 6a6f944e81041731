//! Rights that open the sources of a namespace, at once or by a detour. Pure.

/// Something that opens the sources of a namespace, at once or by a detour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::p08_access_control) struct Power {
    pub(super) verb: &'static str,
    pub(super) group: &'static str,
    pub(super) resource: &'static str,
    pub(super) subresource: Option<&'static str>,
    /// Objects for which alone it may be given.
    pub(super) objects: Objects,
}

/// Objects that a rule with `resourceNames` can be about, and that matter: the API server says of such a rule only if it is asked
/// for one of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Objects {
    /// None by whose name it would open anything.
    All,
    /// Secrets that are sources or that stores log in with, to read them.
    Sources,
    /// Secrets that are sources or that stores log in with, to write them.
    WrittenSources,
    /// ServiceAccounts that read sources, of stores and of the operator.
    Accounts,
    /// Groups of administrators.
    Administrators,
    /// Roles of the configuration.
    Roles,
    /// RoleBindings of the configuration.
    Bindings,
    /// Admission policies of the configuration.
    Policies,
}

impl Power {
    /// A verb on a kind.
    pub(in crate::p08_access_control) const fn new(
        verb: &'static str,
        group: &'static str,
        resource: &'static str,
    ) -> Self {
        Self { verb, group, resource, subresource: None, objects: Objects::All }
    }

    const fn of(verb: &'static str, resource: &'static str, subresource: &'static str) -> Self {
        Self { subresource: Some(subresource), ..Self::new(verb, "", resource) }
    }

    const fn on(self, objects: Objects) -> Self {
        Self { objects, ..self }
    }

    /// The right in words, perhaps on one object alone.
    pub(super) fn text(self, name: Option<&str>) -> String {
        let subresource = self.subresource.map(|part| format!("/{part}")).unwrap_or_default();
        let name = name.map(|name| format!(" {name}")).unwrap_or_default();
        format!("{} {}{subresource}{name}", self.verb, self.resource)
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const POLICIES: &str = "validatingadmissionpolicies";
const POLICY_BINDINGS: &str = "validatingadmissionpolicybindings";

/// Rights that are asked for in each namespace.
pub(super) const POWERS: [Power; 50] = [
    Power::new("get", "", "secrets").on(Objects::Sources),
    Power::new("list", "", "secrets").on(Objects::Sources),
    Power::new("watch", "", "secrets").on(Objects::Sources),
    Power::new("create", "", "secrets"),
    Power::new("update", "", "secrets").on(Objects::WrittenSources),
    Power::new("patch", "", "secrets").on(Objects::WrittenSources),
    Power::new("delete", "", "secrets").on(Objects::WrittenSources),
    Power::new("deletecollection", "", "secrets"),
    Power::new("create", "", "pods"),
    Power::new("update", "", "pods"),
    Power::of("create", "pods", "exec"),
    // A web socket is opened by a read.
    Power::of("get", "pods", "exec"),
    Power::of("create", "pods", "attach"),
    Power::of("get", "pods", "attach"),
    Power::of("create", "pods", "portforward"),
    Power::of("patch", "pods", "ephemeralcontainers"),
    Power::of("update", "pods", "ephemeralcontainers"),
    Power::of("get", "pods", "log"),
    Power::new("create", "", "replicationcontrollers"),
    Power::new("create", "apps", "deployments"),
    Power::new("update", "apps", "deployments"),
    Power::new("patch", "apps", "deployments"),
    Power::new("create", "apps", "daemonsets"),
    Power::new("create", "apps", "replicasets"),
    Power::new("create", "apps", "statefulsets"),
    Power::new("create", "batch", "jobs"),
    Power::new("create", "batch", "cronjobs"),
    Power::of("create", "serviceaccounts", "token").on(Objects::Accounts),
    Power::new("impersonate", "", "serviceaccounts").on(Objects::Accounts),
    Power::new("impersonate", "", "users"),
    Power::new("impersonate", "", "groups").on(Objects::Administrators),
    Power::new("create", RBAC, "rolebindings"),
    Power::new("update", RBAC, "rolebindings").on(Objects::Bindings),
    Power::new("patch", RBAC, "rolebindings").on(Objects::Bindings),
    Power::new("bind", RBAC, "roles"),
    Power::new("escalate", RBAC, "roles").on(Objects::Roles),
    Power::new("bind", RBAC, "clusterroles"),
    Power::new("escalate", RBAC, "clusterroles"),
    Power::of("get", "nodes", "proxy"),
    Power::new("create", "certificates.k8s.io", "certificatesigningrequests"),
    Power::new("approve", "certificates.k8s.io", "signers"),
    Power::new("create", ADMISSION, "mutatingwebhookconfigurations"),
    Power::new("create", ADMISSION, "mutatingadmissionpolicies"),
    Power::new("create", ADMISSION, "mutatingadmissionpolicybindings"),
    Power::new("delete", ADMISSION, POLICIES).on(Objects::Policies),
    Power::new("update", ADMISSION, POLICIES).on(Objects::Policies),
    Power::new("patch", ADMISSION, POLICIES).on(Objects::Policies),
    Power::new("delete", ADMISSION, POLICY_BINDINGS),
    Power::new("update", ADMISSION, POLICY_BINDINGS),
    Power::new("patch", ADMISSION, POLICY_BINDINGS),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_right_is_asked_for_once_and_says_on_what() {
        let texts: BTreeSet<String> = POWERS.iter().map(|power| power.text(None)).collect();
        assert_eq!(texts.len(), POWERS.len());
        assert!(texts.contains("create serviceaccounts/token"), "{texts:?}");
        assert_eq!(Power::new("get", "", "secrets").text(Some("pat")), "get secrets pat");
    }
}
