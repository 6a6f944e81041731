//! Copies as their consumers read them, written down apart from the templates that make them.
//!
//! Decodes strictly: what a consumer would silently overlook, or read otherwise than a person would, is an error.
//! Pure. Errors tell what is wrong and never show a value, nor a name from inside a value, which may be injected.

use std::collections::{BTreeMap, BTreeSet};

use crate::consumer::{Claim, Consumer, ConsumerMeta, CopyShape};
use crate::credential::Credential;
use crate::endpoints::Endpoint;
use crate::labels::Labels;
use crate::manifest::Manifest;
use crate::scope::{NotTried, Scope, WrittenCopy};

mod argo_cd;
mod backstage;
mod docker_config;
pub mod flux;
mod git_ssh;
mod kargo;
mod kubelet;
mod oauth;
mod plain;
mod roles;
mod strict_json;
#[cfg(test)]
mod tests;
mod tls;

pub use argo_cd::ARGO_CD;
pub use backstage::BACKSTAGE;
pub use flux::{FLUX_GIT, FLUX_GIT_RULES, FLUX_OCI, FLUX_OCI_RULES};
pub use git_ssh::{ARGO_CD_SSH_RULES, FLUX_SSH_RULES, KARGO_SSH_RULES, NoSshKey, argo_cd_key, flux_key};
pub use kargo::{KARGO_CHART_RULES, KARGO_GIT, KARGO_GIT_RULES, KARGO_IMAGE, KARGO_IMAGE_RULES};
pub use kubelet::KUBELET;
pub use oauth::OAUTH_CLIENT;
pub use roles::{Role, disagreement, source_roles, unambiguous_roles};
pub use tls::TLS_SERVER;

pub use crate::labels::{ARGO_CD_LABEL, KARGO_LABEL};

/// The registry: each consumer that is known. Of those with an equal claim to a copy, the first has it.
pub(crate) const FORMATS: &[Consumer] = &[
    KUBELET,
    ARGO_CD,
    KARGO_GIT,
    KARGO_IMAGE,
    KARGO_GIT_RULES,
    KARGO_IMAGE_RULES,
    KARGO_CHART_RULES,
    FLUX_GIT,
    FLUX_OCI,
    FLUX_GIT_RULES,
    FLUX_OCI_RULES,
    ARGO_CD_SSH_RULES,
    KARGO_SSH_RULES,
    FLUX_SSH_RULES,
    OAUTH_CLIENT,
    TLS_SERVER,
    BACKSTAGE,
];

/// The pure half of a consumer: which copies are for it, where it uses them, and how it reads them.
pub trait Format: Sync {
    /// Facts that are known of the consumer.
    fn meta(&self) -> &ConsumerMeta;

    /// By what copies of this shape are told to be for it; none if they are not, or only its manifests say so.
    fn claim(&self, _shape: &CopyShape<'_>) -> Option<Claim> {
        None
    }

    /// Places at which it uses credentials, by those of the manifests that are its own.
    fn endpoints(&self, _manifests: &[Manifest]) -> Vec<Endpoint> {
        Vec::new()
    }

    /// The one namespace in which it looks for credentials, if its manifests tell it.
    fn namespace(&self, _manifests: &[Manifest]) -> Option<String> {
        None
    }

    /// Uses that it has for a copy that is written like this.
    ///
    /// # Errors
    /// Why no login can be tried with it.
    fn scopes(&self, _copy: &WrittenCopy<'_>) -> Result<Vec<Scope>, NotTried> {
        Ok(vec![Scope::Everywhere])
    }

    /// The keys that it reads of copies of this shape, whether they are there or not; none if that is for each user to say.
    fn reads(&self, _shape: &CopyShape<'_>) -> Option<&'static [&'static str]> {
        None
    }

    /// Values that it gets out of a copy; none if it takes the copy as it is.
    fn decode(&self, _copy: &CopyView<'_>) -> Option<Result<Decoded, FormatError>> {
        None
    }
}

/// A copy as far as its consumer looks at it.
#[derive(Debug, Clone, Copy)]
pub struct CopyView<'a> {
    /// Type of the Secret, such as `kubernetes.io/tls`.
    pub secret_type: &'a str,
    /// Labels of the Secret, by which some consumers find it.
    pub labels: &'a Labels,
    /// Decoded data of the Secret, by key.
    pub data: &'a BTreeMap<String, Credential>,
}

/// The type of the Secrets with which images are pulled.
pub const DOCKER_CONFIG: &str = "kubernetes.io/dockerconfigjson";
/// The key of the Docker configuration in them.
pub const DOCKER_CONFIG_KEY: &str = ".dockerconfigjson";

/// The type of the Secrets with a username and a password.
const BASIC_AUTH: &str = "kubernetes.io/basic-auth";

/// The reading of a copy by its consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FormatKind {
    /// `kubernetes.io/dockerconfigjson`, by the kubelet.
    DockerConfig,
    /// Credentials for every repository below a URL, by Argo CD.
    ArgoCdRepoCreds,
    /// One repository, by Argo CD.
    ArgoCdRepository,
    /// A Git credential, by Kargo.
    KargoGit,
    /// A registry credential, by Kargo.
    KargoImage,
    /// A chart repository's credential, by Kargo.
    KargoHelm,
    /// `kubernetes.io/basic-auth`.
    BasicAuth,
    /// `kubernetes.io/tls`.
    Tls,
    /// A client's id and secret, under whatever keys the application names.
    OAuth,
    /// Keys that a consumer takes as they are.
    Opaque,
}

/// Values that a consumer gets out of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Way in which it was read.
    pub kind: FormatKind,
    /// Each part of the credential.
    pub parts: BTreeMap<Role, Credential>,
    /// The hosts or URLs that the credential is offered to, sorted; empty where the copy does not say.
    pub endpoints: Vec<String>,
}

/// A consumer cannot use a copy, or would misread it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum FormatError {
    /// The consumer needs a key that is missing or empty.
    #[error("key {key:?} is missing or empty")]
    Missing { key: &'static str },
    /// A text that the consumer reads is no UTF-8.
    #[error("key {key:?} is no UTF-8")]
    NotText { key: String },
    /// A setting is none of those that the consumer knows.
    #[error("key {key:?} is not {expected}")]
    Setting {
        key: &'static str,
        /// Values that it may have.
        expected: &'static str,
    },
    /// The consumer's label has a value that it overlooks.
    #[error("label {label} has the value {value:?}, which its consumer overlooks")]
    Label { label: &'static str, value: String },
    /// A username comes without password, or the other way round.
    #[error("username or password is missing")]
    HalfACredential,
    /// There is no credential at all.
    #[error("it contains no credential")]
    NoCredential,
    /// A Docker configuration is not what the kubelet reads.
    #[error(".dockerconfigjson is malformed: {reason}")]
    DockerConfig { reason: String },
}

/// Reads a copy as the consumer does that its labels and type are for.
///
/// The labels of Argo CD and Kargo come first, since these look at no type: a Docker configuration with Kargo's
/// label is read by Kargo's keys. A type or label without a format of its own is read as plain keys.
///
/// # Errors
/// A copy that the consumer cannot use, or would read otherwise than a person would.
pub fn decode(secret_type: &str, labels: &Labels, data: &BTreeMap<String, Credential>) -> Result<Decoded, FormatError> {
    let keys: BTreeSet<String> = data.keys().cloned().collect();
    // Its name says something only together with the manifests of those who use it.
    let shape = CopyShape { name: "", labels, secret_type, keys: Some(&keys) };
    let copy = CopyView { secret_type, labels, data };
    let mut claimants = Consumer::claimants(&shape).into_iter();
    claimants.find_map(|consumer| consumer.format().decode(&copy)).unwrap_or_else(|| match secret_type {
        BASIC_AUTH => plain::basic_auth(data),
        _ => Ok(plain::by_key_names(data)),
    })
}

/// A value that must be there and not be empty.
fn required<'a>(data: &'a BTreeMap<String, Credential>, key: &'static str) -> Result<&'a Credential, FormatError> {
    optional(data, key).ok_or(FormatError::Missing { key })
}

/// A value that consumers take as absent when it is empty.
fn optional<'a>(data: &'a BTreeMap<String, Credential>, key: &str) -> Option<&'a Credential> {
    data.get(key).filter(|value| !value.expose().is_empty())
}

/// A text that is no credential: a URL or a setting.
fn text<'a>(key: &str, value: &'a Credential) -> Result<&'a str, FormatError> {
    value.expose_str().ok_or_else(|| FormatError::NotText { key: key.to_owned() })
}
