//! Repositories over SSH, by the rules of Argo CD, Kargo and Flux: which key each of them takes for a repository, as pure functions.
//! Their own programs have no setting that leads `github.com` to another server over SSH, as a proxy does over HTTPS.
//!
//! Source: argo-cd util/db/repository_secrets.go, `getRepositoryCredentialIndex`, and util/git/creds.go; kargo pkg/credentials/ssh and
//! pkg/controller/git/base_repo.go; fluxcd/pkg git/options.go, `NewAuthOptions` and `Validate`.

use std::collections::BTreeMap;

use super::{ARGO_CD_LABEL, Format, argo_cd, flux, kargo, optional};
use crate::consumer::{Consumer, ConsumerMeta, DeniedLogin};
use crate::credential::{Credential, SSH_KEY};
use crate::endpoints::Endpoint;
use crate::id::Requirement;
use crate::kargo_lookup::CredentialKind;
use crate::labels::{KARGO_LABEL, Labels};
use crate::manifest::Manifest;
use crate::scope::{NotTried, Scope, WrittenCopy, argo_cd_normal};

/// The keys that Flux reads for SSH.
const FLUX_KEYS: [&str; 2] = ["identity", "known_hosts"];

/// Argo CD's rules for repositories over SSH.
pub const ARGO_CD_SSH_RULES: Consumer = Consumer::new(&GitOverSsh {
    of: Of::ArgoCd,
    meta: ConsumerMeta {
        id: "ArgoCdSshRules",
        title: "Argo CD's rules for SSH",
        operation: "Git login over SSH by Argo CD's rules, not by its repo-server",
        endpoint: Some("a repository that Argo CD syncs over SSH"),
        namespace: Some("argocd"),
        denied_logins: &[DeniedLogin::AtLookAlikeOwner, DeniedLogin::AtLookAlikeHost],
        ..META
    },
});

/// Kargo's rules for repositories over SSH.
pub const KARGO_SSH_RULES: Consumer = Consumer::new(&GitOverSsh {
    of: Of::Kargo,
    meta: ConsumerMeta {
        id: "KargoSshRules",
        title: "Kargo's rules for SSH",
        operation: "Git login over SSH by Kargo's rules, not by its controller",
        endpoint: Some("a repository that Kargo subscribes to over SSH"),
        denied_logins: &[DeniedLogin::FromOtherNamespace, DeniedLogin::AtLookAlikeOwner, DeniedLogin::AtLookAlikeHost],
        ..META
    },
});

/// Flux's rules for a GitRepository over SSH.
pub const FLUX_SSH_RULES: Consumer = Consumer::new(&GitOverSsh {
    of: Of::Flux,
    meta: ConsumerMeta {
        id: "FluxSshRules",
        title: "Flux's rules for SSH",
        operation: "Git login over SSH by Flux's rules, not by its controller",
        endpoint: Some("a GitRepository of Flux over SSH with a Secret"),
        // Whoever writes a GitRepository says where its Secret goes, so that no host is wrong to Flux.
        denied_logins: &[DeniedLogin::WithoutSecret, DeniedLogin::FromOtherNamespace, DeniedLogin::AtLookAlikeOwner],
        offers_to_whole_host: true,
        ..META
    },
});

/// Everything that all of them share.
const META: ConsumerMeta = ConsumerMeta {
    id: "",
    title: "",
    operation: "",
    requirement: Requirement::new(4, 2),
    fallback: None,
    endpoint: None,
    namespace: None,
    denied_logins: &[],
    offers_to_whole_host: false,
};

struct GitOverSsh {
    of: Of,
    meta: ConsumerMeta,
}

/// Consumer whose rules they are.
enum Of {
    ArgoCd,
    Kargo,
    Flux,
}

impl Format for GitOverSsh {
    fn meta(&self) -> &ConsumerMeta {
        &self.meta
    }

    fn endpoints(&self, manifests: &[Manifest]) -> Vec<Endpoint> {
        let over_ssh = |url: &serde_json::Value| Endpoint::over_ssh(url.as_str()?);
        match self.of {
            Of::ArgoCd => argo_cd::repositories(manifests).filter_map(over_ssh).collect(),
            Of::Kargo => kargo::subscriptions(manifests).filter_map(|each| over_ssh(&each["git"]["repoURL"])).collect(),
            Of::Flux => flux::sources(manifests, "GitRepository", Endpoint::over_ssh),
        }
    }

    fn namespace(&self, manifests: &[Manifest]) -> Option<String> {
        match self.of {
            Of::ArgoCd => argo_cd::namespace(manifests),
            Of::Kargo | Of::Flux => None,
        }
    }

    fn scopes(&self, copy: &WrittenCopy<'_>) -> Result<Vec<Scope>, NotTried> {
        match self.of {
            Of::ArgoCd => argo_cd::scope(copy, argo_cd::is_for_a_prefix(copy)?),
            Of::Kargo if copy.labels.get(KARGO_LABEL).is_some_and(|value| value == "git") => {
                kargo::scope(copy, CredentialKind::Git)
            }
            Of::Kargo => Err(NotTried::SshKey { consumer: self.meta.title }),
            Of::Flux => Ok(vec![Scope::Everywhere]),
        }
    }
}

/// Why there is no key to go with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum NoSshKey {
    /// The Secret that is named is not there.
    #[error("the Secret that it names is not in its namespace")]
    NoSecret,
    /// Nothing is for this repository.
    #[error("no Secret with the label and a matching URL has an SSH key")]
    NoMatch,
    /// Flux refuses a Secret without one of its keys.
    #[error("its Secret lacks {key}")]
    Missing { key: &'static str },
}

/// The key that Argo CD takes for the repository `url` from the Secrets of its namespace: that of the repository itself, or else
/// that of the longest URL which the repository's begins with. It writes the key to a file with a line feed behind it.
///
/// # Errors
/// When there is none.
pub fn argo_cd_key<'a>(
    secrets: impl Iterator<Item = (&'a Labels, &'a BTreeMap<String, Credential>)>,
    url: &str,
) -> Result<Credential, NoSshKey> {
    let url = argo_cd_normal(url);
    let rank = |labels: &Labels, data: &BTreeMap<String, Credential>| {
        let own = argo_cd_normal(data.get("url")?.expose_str()?);
        match labels.get(ARGO_CD_LABEL)?.as_str() {
            "repository" => (own == url).then_some(usize::MAX),
            "repo-creds" => url.starts_with(&own).then_some(own.len()),
            _ => None,
        }
    };
    let with_keys = secrets.filter_map(|(labels, data)| Some((rank(labels, data)?, optional(data, SSH_KEY)?)));
    let (_, key) = with_keys.max_by_key(|(rank, _)| *rank).ok_or(NoSshKey::NoMatch)?;
    Ok(Credential::new([key.expose(), b"\n"].concat()))
}

/// The key that Flux takes from the Secret that a GitRepository over SSH names. Its known hosts are those of the real server, and
/// must be there. A key without an end of its last line is one to Flux.
///
/// # Errors
/// When Flux refuses the Secret, and so does not ask the server.
pub fn flux_key(data: &BTreeMap<String, Credential>) -> Result<Credential, NoSshKey> {
    if let Some(key) = FLUX_KEYS.into_iter().find(|key| optional(data, key).is_none()) {
        return Err(NoSshKey::Missing { key });
    }
    let key = optional(data, FLUX_KEYS[0]).map(Credential::expose).unwrap_or_default();
    Ok(Credential::new([key, b"\n"].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(label: &str, url: &str, key: &str) -> (Labels, BTreeMap<String, Credential>) {
        let data = [("url", url), (SSH_KEY, key)].map(|(key, value)| (key.to_owned(), Credential::new(value)));
        (Labels::from([(ARGO_CD_LABEL.to_owned(), label.to_owned())]), data.into())
    }

    #[test]
    fn argo_cd_takes_the_key_of_the_repository_and_else_that_of_the_longest_prefix() {
        let secrets = [
            secret("repo-creds", "git@github.com:org/", "of the organisation"),
            secret("repo-creds", "ssh://git@github.com/org/app", "of a prefix"),
            secret("repository", "git@github.com:org/app.git", "of the repository"),
            secret("cluster", "git@github.com:org/other", "of a cluster"),
        ];
        let found = |url: &str, count: usize| {
            let key = argo_cd_key(secrets.iter().take(count).map(|(labels, data)| (labels, data)), url);
            key.map(|key| key.expose_str().unwrap().trim_end().to_owned())
        };
        let app = "ssh://git@github.com/org/app.git";
        assert_eq!(found(app, 4).unwrap(), "of the repository");
        assert_eq!(found(app, 2).unwrap(), "of a prefix");
        assert_eq!(found("git@github.com:org/other", 4).unwrap(), "of the organisation");
        assert_eq!(found("git@github.com:org-evil/app", 4), Err(NoSshKey::NoMatch));
    }

    #[test]
    fn flux_needs_a_key_and_known_hosts() {
        let all = FLUX_KEYS.map(|key| (key.to_owned(), Credential::new("x")));
        assert!(flux_key(&all.clone().into()).is_ok());
        for (at, key) in FLUX_KEYS.into_iter().enumerate() {
            let mut without = Vec::from(all.clone());
            without.remove(at);
            assert_eq!(flux_key(&without.into_iter().collect()), Err(NoSshKey::Missing { key }));
        }
    }
}
