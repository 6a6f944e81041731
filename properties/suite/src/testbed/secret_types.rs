//! Types of Secrets that have keys of their own. Pure.

/// The type of pull secrets.
pub(crate) const PULL_SECRET: &str = "kubernetes.io/dockerconfigjson";
/// The older type of pull secrets, which the kubelet reads as well.
pub(crate) const OLD_PULL_SECRET: &str = "kubernetes.io/dockercfg";
/// A type with keys of its own that no consumer of a copy expects.
pub(crate) const BASIC_AUTH: &str = "kubernetes.io/basic-auth";

/// The keys that the API server wants of a Secret of this type (`pkg/apis/core/validation`, `ValidateSecret`).
pub(crate) fn required_keys(type_: &str) -> &'static [&'static str] {
    match type_ {
        PULL_SECRET => &[".dockerconfigjson"],
        OLD_PULL_SECRET => &[".dockercfg"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        // One of them would do, but consumers want both.
        BASIC_AUTH => &["username", "password"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    }
}
