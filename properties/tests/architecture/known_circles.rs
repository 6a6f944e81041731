//! The circles that there still are.

/// Directory of a crate, and the files below its `src` that are in a circle. Rows may only go or become shorter, but for a
/// consumer, whose files are in the circle of the registry that names it.
pub(crate) const KNOWN_CIRCLES: &[(&str, &[&str])] = &[
    (
        "harness/consumers",
        &[
            "argo_cd/login.rs",
            "backstage/login.rs",
            "by_rules.rs",
            "flux/login.rs",
            "flux/login_by_rules.rs",
            "git_ssh.rs",
            "kargo/login.rs",
            "kargo/login_by_rules.rs",
            "kubelet.rs",
            "kubelet/deployment.rs",
            "kubelet/pod.rs",
            "login.rs",
            "oauth.rs",
            "obtain.rs",
            "preparation.rs",
            "running.rs",
            "start.rs",
            "tls_server.rs",
        ],
    ),
    (
        "harness/core",
        &[
            "consumer.rs",
            "endpoints.rs",
            "formats.rs",
            "formats/argo_cd.rs",
            "formats/backstage.rs",
            "formats/docker_config.rs",
            "formats/flux.rs",
            "formats/git_ssh.rs",
            "formats/kargo.rs",
            "formats/kubelet.rs",
            "formats/oauth.rs",
            "formats/plain.rs",
            "formats/roles.rs",
            "formats/tls.rs",
        ],
    ),
];
