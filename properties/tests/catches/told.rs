//! The faults of `fixtures/broken` that reading tells, and what must be said of each.

/// Each fault that no cluster shows, because nobody uses the copy: the rule of lint of the same name must find it, and p07 must
/// list the copy, which has this name, among those that it does not judge.
pub(crate) const UNUSED: &[(&str, &str)] = &[
    // Argo CD looks at labels alone.
    ("argo-cd-label-lost", "argocd-git-credentials"),
    // The kubelet looks at the type alone.
    ("type-of-other-keys", "application-docker-registry"),
];

/// Each fault that reading tells, which the rule of lint of the same name must find, and nothing else. No cluster of ours shows those
/// that are no row above: of two values with one key chance has one, who has Kubernetes' own roles or an account of some name is
/// known at home, and an annotation is no part of a format.
pub(crate) const READ: &[&str] = &[
    "conditions-wider-than-selectors",
    "rewrite-merges-keys",
    "secrets-for-viewers",
    "store-account-without-namespace",
    "value-in-metadata",
    "vault-policy-wildcard",
    "vault-role-admits-everyone",
    "vault-root-token",
];

/// Each fault of the values of a chart, which the rule of lint of this name must find, and in which template.
pub(crate) const VALUES: &[(&str, &str, &str)] = &[
    // The chart that it needs has the template.
    ("values-without-conditions", "store-without-conditions", "right/chart-with-values/templates/stores.yaml"),
];
