//! Hints at a value in the type of its Secret and the name of its key.

use std::collections::BTreeSet;

use credence_core::formats::{DOCKER_CONFIG, DOCKER_CONFIG_KEY, Role, source_roles};

use super::value_kind::ValueKind;

const BASIC_AUTH: &str = "kubernetes.io/basic-auth";
const BOOTSTRAP_TOKEN: &str = "bootstrap.kubernetes.io/token";
const DOCKER_CFG: &str = "kubernetes.io/dockercfg";
const SSH_AUTH: &str = "kubernetes.io/ssh-auth";
const TLS: &str = "kubernetes.io/tls";

const DOCKER_CFG_KEY: &str = ".dockercfg";
const SSH_KEY: &str = "ssh-privatekey";

/// Names of private SSH keys, in lower case and without what parts words: those of Argo CD and Kargo, of Flux, of Secrets of type
/// `kubernetes.io/ssh-auth`, and of the files of OpenSSH.
const SSH_KEYS: [&str; 7] = ["sshprivatekey", "identity", "sshkey", "idrsa", "ided25519", "idecdsa", "deploykey"];

/// Demand of the API server on the value of `key` in a Secret of this type.
///
/// Source: Kubernetes, `ValidateSecret` (pkg/apis/core/validation/validation.go).
pub(super) fn required(secret_type: &str, key: &str) -> Option<ValueKind> {
    match (secret_type, key) {
        (DOCKER_CONFIG, DOCKER_CONFIG_KEY) => Some(ValueKind::DockerConfig { hosts: BTreeSet::new() }),
        (DOCKER_CFG, DOCKER_CFG_KEY) => Some(ValueKind::DockerCfg),
        (SSH_AUTH, SSH_KEY) => Some(ValueKind::SomeText),
        _ => None,
    }
}

/// The keys that a Secret of this type must have, or without which its readers have no use for it.
pub(super) fn keys_of(secret_type: &str) -> &'static [&'static str] {
    match secret_type {
        DOCKER_CONFIG => &[DOCKER_CONFIG_KEY],
        DOCKER_CFG => &[DOCKER_CFG_KEY],
        SSH_AUTH => &[SSH_KEY],
        TLS => &["tls.crt", "tls.key"],
        BASIC_AUTH => &["username", "password"],
        _ => &[],
    }
}

/// Likely value of `key` in a Secret of this type: nothing refuses anything else, but nobody else writes it.
pub(super) fn likely(secret_type: &str, key: &str) -> Vec<ValueKind> {
    let plain: String =
        key.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    let by_type = match (secret_type, key) {
        (_, DOCKER_CONFIG_KEY) => Some(ValueKind::DockerConfig { hosts: BTreeSet::new() }),
        (_, DOCKER_CFG_KEY) => Some(ValueKind::DockerCfg),
        (BOOTSTRAP_TOKEN, _) => Some(ValueKind::Label),
        (_, SSH_KEY) => Some(ValueKind::SshPrivateKey),
        _ if SSH_KEYS.contains(&plain.as_str()) => Some(ValueKind::SshPrivateKey),
        _ if plain == "githubappprivatekey" => Some(ValueKind::PrivateKey),
        _ => None,
    };
    let by_role = source_roles([key]).into_keys().next().and_then(|role| match role {
        Role::Username => Some(ValueKind::UserName),
        Role::Other(_) => None,
        _ => Some(ValueKind::SomeText),
    });
    by_type.into_iter().chain(by_role).collect()
}
