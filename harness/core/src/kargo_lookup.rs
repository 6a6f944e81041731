//! Kargo's lookup of the login for a repository: its rules as a pure function, for where its controller does not run.
//!
//! Source: Kargo v1.11.2, pkg/credentials/kubernetes/database.go and pkg/credentials/basic/basic.go; the same since v1.9.
//! What Kargo takes from its own environment is left out, that is the identities that clouds give to pods.

use std::collections::BTreeMap;
use std::fmt;

use crate::credential::{Credential, SSH_KEY};
use crate::labels::{KARGO_LABEL, Labels};

mod go_url;
mod rule;
#[cfg(test)]
mod tests;
mod url;

pub use rule::Rule;
use url::normalise;

/// Purposes of a credential; the values of Kargo's label that it looks up by URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialKind {
    /// A Git repository, over HTTP or over SSH.
    Git,
    /// A repository of container images.
    Image,
    /// A repository of Helm charts.
    Helm,
}

impl CredentialKind {
    /// Value of [`KARGO_LABEL`] for it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Image => "image",
            Self::Helm => "helm",
        }
    }
}

/// A Secret as far as Kargo looks at it: neither its type nor its annotations count.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Name of the Secret, by which the first of several is chosen.
    pub name: &'a str,
    /// Labels of the Secret, one of which makes it a credential.
    pub labels: &'a Labels,
    /// Decoded data of the Secret, by key.
    pub data: &'a BTreeMap<String, Credential>,
}

/// The namespace of shared resources, by the default of its chart since v1.9.
pub const SHARED_NAMESPACE: &str = "kargo-shared-resources";

/// Namespaces in which Kargo looks, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LookupNamespace {
    /// The namespace of the project itself.
    Project,
    /// The namespace of shared resources, `SHARED_RESOURCES_NAMESPACE`.
    Shared,
}

/// The Secret that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Namespace in which it was found: the project's, or a shared one.
    pub place: LookupNamespace,
    /// Name of the Secret in that namespace.
    pub name: String,
}

/// Credential that Kargo logs in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login<'a> {
    /// The Secret that it comes from.
    pub chosen: Chosen,
    /// Username that Kargo offers, never empty.
    pub username: &'a Credential,
    /// Password that Kargo offers, never empty.
    pub password: &'a Credential,
}

/// Why Kargo has no username and password for a repository. It then goes there as nobody, which is no error to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum NoLogin {
    /// The repository would be reached without TLS.
    #[error("Kargo sends no credential over plain HTTP unless ALLOW_CREDENTIALS_OVER_HTTP is set")]
    PlainHttp,
    /// No Secret is for this repository.
    #[error("no Secret in either namespace has the label and a matching repoURL")]
    NoMatch,
    /// Both keys are there, but one holds nothing. No other Secret is tried.
    #[error("{chosen} is chosen, and its username or its password is empty")]
    Empty { chosen: Chosen },
    /// Kargo would get a token as a GitHub App.
    #[error("{chosen} is chosen, and it holds a GitHub App instead of username and password")]
    GitHubApp { chosen: Chosen },
    /// Kargo would use SSH.
    #[error("{chosen} is chosen, and it holds an SSH key instead of username and password")]
    SshKey { chosen: Chosen },
    /// Kargo would use a password, which no SSH server of a forge takes.
    #[error("{chosen} is chosen, and it holds username and password instead of an SSH key")]
    Password { chosen: Chosen },
    /// A key is missing. No other Secret is tried.
    #[error("{chosen} is chosen, and it lacks username or password")]
    Missing { chosen: Chosen },
}

/// The login that Kargo uses for the repository `url`, given all Secrets of the project's namespace and of the
/// namespace of shared resources. `over_http` is its setting `ALLOW_CREDENTIALS_OVER_HTTP`, off by default.
///
/// # Errors
/// When there is none, with the reason.
pub fn login<'a>(
    project: &[Candidate<'a>],
    shared: &[Candidate<'a>],
    kind: CredentialKind,
    url: &str,
    over_http: bool,
) -> Result<Login<'a>, NoLogin> {
    // The URLs of images have no scheme, so this never concerns them.
    if url.starts_with("http://") && !over_http {
        return Err(NoLogin::PlainHttp);
    }
    let (chosen, secret) = choose(project, shared, kind, url)?;
    // The first provider that takes the keys has the last word, and this one comes before those of apps and SSH keys.
    match (secret.data.get("username"), secret.data.get("password")) {
        (Some(username), Some(password)) if !is_empty(username) && !is_empty(password) => {
            Ok(Login { chosen, username, password })
        }
        (Some(_), Some(_)) => Err(NoLogin::Empty { chosen }),
        _ if is_git_hub_app(secret.data, kind, url) => Err(NoLogin::GitHubApp { chosen }),
        _ if secret.data.contains_key(SSH_KEY) => Err(NoLogin::SshKey { chosen }),
        _ => Err(NoLogin::Missing { chosen }),
    }
}

/// The SSH key that Kargo uses for the Git repository `url`, as it is in the Secret: Kargo writes it to a file as that is.
///
/// Source: pkg/credentials/ssh.
///
/// # Errors
/// When there is none, with the reason.
pub fn ssh_key<'a>(project: &[Candidate<'a>], shared: &[Candidate<'a>], url: &str) -> Result<&'a Credential, NoLogin> {
    match login(project, shared, CredentialKind::Git, url, false) {
        Err(NoLogin::SshKey { .. }) => {
            let (chosen, secret) = choose(project, shared, CredentialKind::Git, url)?;
            let key = secret.data.get(SSH_KEY).filter(|key| !is_empty(key));
            key.ok_or(NoLogin::Missing { chosen })
        }
        Err(none) => Err(none),
        Ok(Login { chosen, .. }) => Err(NoLogin::Password { chosen }),
    }
}

/// The Secret that Kargo takes for a repository, the project's before one that is shared.
fn choose<'a>(
    project: &[Candidate<'a>],
    shared: &[Candidate<'a>],
    kind: CredentialKind,
    url: &str,
) -> Result<(Chosen, Candidate<'a>), NoLogin> {
    let (place, secret) = [(LookupNamespace::Project, project), (LookupNamespace::Shared, shared)]
        .into_iter()
        .find_map(|(place, secrets)| Some((place, first_match(secrets, kind, url)?)))
        .ok_or(NoLogin::NoMatch)?;
    Ok((Chosen { place, name: secret.name.to_owned() }, secret))
}

/// The first Secret by name, in the order of bytes, that is for this repository.
fn first_match<'a>(secrets: &[Candidate<'a>], kind: CredentialKind, url: &str) -> Option<Candidate<'a>> {
    secrets
        .iter()
        .filter(|secret| secret.labels.get(KARGO_LABEL).is_some_and(|value| value == kind.label()))
        .filter(|secret| Rule::of(kind, secret.data).is_some_and(|rule| rule.accepts(url)))
        .min_by_key(|secret| secret.name)
        .copied()
}

/// Source: pkg/credentials/github/app.go.
fn is_git_hub_app(data: &BTreeMap<String, Credential>, kind: CredentialKind, url: &str) -> bool {
    let has = |key: &str| data.get(key).is_some_and(|value| !is_empty(value));
    let url = normalise(kind, url);
    kind == CredentialKind::Git
        && (url.starts_with("http://") || url.starts_with("https://"))
        && (has("githubAppClientID") || has("githubAppID"))
        && has("githubAppInstallationID")
        && has("githubAppPrivateKey")
}

fn is_empty(value: &Credential) -> bool {
    value.expose().is_empty()
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            LookupNamespace::Project => "the project's namespace",
            LookupNamespace::Shared => "the namespace of shared resources",
        };
        write!(f, "Secret {:?} of {place}", self.name)
    }
}
