//! Settings of Argo CD's programs wherever they run, so that a login happens when a case asks for it and at no other
//! time.

/// Applications that are compared at the same time.
const COMPARISONS: &str = "10";
/// Applications that are deployed at the same time. More are no faster on two cores and take more memory.
const DEPLOYMENTS: &str = "4";

pub(super) const CONTROLLER_FLAGS: [(&str, &str); 7] = [
    ("--app-resync", "0"),
    ("--app-hard-resync", "0"),
    ("--app-resync-jitter", "0"),
    ("--repo-error-grace-period-seconds", "0"),
    ("--status-processors", COMPARISONS),
    ("--operation-processors", DEPLOYMENTS),
    ("--enable-k8s-event", "none"),
];

/// Environment variables of the application-controller.
pub(super) const CONTROLLER_VARIABLES: [(&str, &str); 4] = [
    // Go's collector lets the heap grow to half a gigabyte otherwise.
    ("GOMEMLIMIT", "300MiB"),
    ("ARGOCD_GPG_ENABLED", "false"),
    ("ARGOCD_K8S_CLIENT_QPS", "200"),
    ("ARGOCD_K8S_CLIENT_BURST", "400"),
];

pub(super) const REPO_SERVER_VARIABLES: [(&str, &str); 5] = [
    // A credential helper of the machine could log in instead of the Secret.
    ("GIT_CONFIG_NOSYSTEM", "1"),
    // Its errors are read here.
    ("LC_ALL", "C"),
    // Otherwise it runs gpg at once.
    ("ARGOCD_GPG_ENABLED", "false"),
    ("ARGOCD_GIT_ATTEMPTS_COUNT", "1"),
    // After three failures it would answer from memory for an hour.
    ("ARGOCD_PAUSE_GEN_AFTER_FAILED_ATTEMPTS", "0"),
];
