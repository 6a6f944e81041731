//! Credentials as Kargo reads them.
//!
//! Source: kargo pkg/credentials/kubernetes/database.go and pkg/credentials/basic/basic.go.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{CopyView, Decoded, Format, FormatError, FormatKind, KARGO_LABEL, Role, optional, required, text};
use crate::consumer::{Claim, Consumer, ConsumerMeta, CopyShape, DeniedLogin};
use crate::credential::{Credential, SSH_KEY};
use crate::endpoints::{Endpoint, endpoint, items};
use crate::id::Requirement;
use crate::kargo_lookup::CredentialKind;
use crate::labels::Labels;
use crate::manifest::Manifest;
use crate::scope::{NotTried, Scope, WrittenCopy};

/// Kargo's controller, which looks for commits with it.
pub const KARGO_GIT: Consumer = Consumer::new(&Kargo {
    uses: Uses::Commits,
    meta: ConsumerMeta {
        id: "KargoGit",
        title: "Kargo's controller for Git",
        operation: "Git discovery by Kargo's controller",
        fallback: Some(KARGO_GIT_RULES),
        ..META
    },
});

/// Kargo's controller, which looks for images with it.
pub const KARGO_IMAGE: Consumer = Consumer::new(&Kargo {
    uses: Uses::Images,
    meta: ConsumerMeta {
        id: "KargoImage",
        title: "Kargo's controller for images",
        operation: "image discovery by Kargo's controller",
        fallback: Some(KARGO_IMAGE_RULES),
        endpoint: IMAGE,
        ..META
    },
});

/// Kargo's lookup rules for Git, where its controller does not run.
pub const KARGO_GIT_RULES: Consumer = Consumer::new(&Kargo {
    uses: Uses::Commits,
    meta: ConsumerMeta {
        id: "KargoGitRules",
        title: "Kargo's rules for Git",
        operation: "Git login by Kargo's rules, controller not run",
        ..META
    },
});

/// Kargo's lookup rules for images, where its controller does not run.
pub const KARGO_IMAGE_RULES: Consumer = Consumer::new(&Kargo {
    uses: Uses::Images,
    meta: ConsumerMeta {
        id: "KargoImageRules",
        title: "Kargo's rules for images",
        operation: "registry login by Kargo's rules, controller not run",
        endpoint: IMAGE,
        ..META
    },
});

/// Kargo's lookup rules for charts in registries.
pub const KARGO_CHART_RULES: Consumer = Consumer::new(&Kargo {
    uses: Uses::Charts,
    meta: ConsumerMeta {
        id: "KargoChartRules",
        title: "Kargo's rules for charts",
        operation: "registry login for charts by Kargo's rules, not by its controller",
        endpoint: Some("a chart in a registry that Kargo subscribes to"),
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
    endpoint: Some("a repository that Kargo subscribes to"),
    namespace: None,
    denied_logins: &[DeniedLogin::FromOtherNamespace, DeniedLogin::AtLookAlikeOwner, DeniedLogin::AtLookAlikeHost],
    offers_to_whole_host: false,
};
/// The key with the key of a GitHub App.
const GITHUB_APP_KEY: &str = "githubAppPrivateKey";
const IMAGE: Option<&str> = Some("an image that Kargo subscribes to");

/// The keys that Kargo reads of a credential of any of its kinds.
///
/// Source: kargo pkg/credentials, in the packages of each kind (`basic`, `ssh`, `github`, `ecr`, `gar`).
const KEYS: [&str; 13] = [
    "repoURL",
    "repoURLIsRegex",
    "username",
    "password",
    SSH_KEY,
    "githubAppID",
    "githubAppClientID",
    GITHUB_APP_KEY,
    "githubAppInstallationID",
    "awsRegion",
    "awsAccessKeyID",
    "awsSecretAccessKey",
    "gcpServiceAccountKey",
];

struct Kargo {
    uses: Uses,
    meta: ConsumerMeta,
}

#[derive(PartialEq, Eq)]
enum Uses {
    Commits,
    Images,
    Charts,
}

impl Uses {
    fn kind(&self) -> CredentialKind {
        match self {
            Self::Commits => CredentialKind::Git,
            Self::Images => CredentialKind::Image,
            Self::Charts => CredentialKind::Helm,
        }
    }
}

impl Format for Kargo {
    fn meta(&self) -> &ConsumerMeta {
        &self.meta
    }

    /// A value of the label that Kargo overlooks was most likely meant for Git, where its controller finds nothing then.
    fn claim(&self, shape: &CopyShape<'_>) -> Option<Claim> {
        let uses = match shape.labels.get(KARGO_LABEL)?.as_str() {
            "image" => Uses::Images,
            "helm" => Uses::Charts,
            _ => Uses::Commits,
        };
        // The rules take copies only in the controller's place, but for charts.
        let stands_in = self.meta.fallback.is_none() && self.uses != Uses::Charts;
        (uses == self.uses && !stands_in).then_some(Claim::Label)
    }

    /// Repositories that Warehouses subscribe to.
    fn endpoints(&self, manifests: &[Manifest]) -> Vec<Endpoint> {
        let of_field = |field: &str| {
            subscriptions(manifests).filter_map(|each| endpoint(&each[field]["repoURL"])).collect::<Vec<_>>()
        };
        match self.uses {
            Uses::Commits => of_field("git"),
            Uses::Images => of_field("image"),
            // Charts elsewhere are files of a web server.
            Uses::Charts => {
                let in_registry = |url: &str| Endpoint::of(url.strip_prefix("oci://")?);
                subscriptions(manifests).filter_map(|each| in_registry(each["chart"]["repoURL"].as_str()?)).collect()
            }
        }
    }

    /// Whatever its label says, a copy is asked for its rule as this consumer would read it.
    fn scopes(&self, copy: &WrittenCopy<'_>) -> Result<Vec<Scope>, NotTried> {
        let value = copy.labels.get(KARGO_LABEL).map(String::as_str).unwrap_or_default();
        let not_tried = |what| NotTried::Label { label: KARGO_LABEL, value: value.to_owned(), what };
        match value {
            "git" | "image" | "helm" => {}
            "generic" => return Err(not_tried("only a promotion step knows what it is for")),
            _ => return Err(not_tried("no value that Kargo knows")),
        }
        let has_login = copy.has("username") && copy.has("password");
        if !has_login && copy.has(GITHUB_APP_KEY) {
            let what = "the key of a GitHub App, of which the forge here has none";
            return Err(NotTried::Credential { what });
        }
        if !has_login && copy.has(SSH_KEY) {
            return Err(NotTried::SshKey { consumer: self.meta.title });
        }
        scope(copy, self.uses.kind())
    }

    fn reads(&self, shape: &CopyShape<'_>) -> Option<&'static [&'static str]> {
        ["git", "image", "helm"].contains(&shape.labels.get(KARGO_LABEL)?.as_str()).then_some(&KEYS[..])
    }

    fn decode(&self, copy: &CopyView<'_>) -> Option<Result<Decoded, FormatError>> {
        decode(copy.labels, copy.data)
    }
}

/// Repositories that Warehouses subscribe to.
pub(super) fn subscriptions(manifests: &[Manifest]) -> impl Iterator<Item = &Value> {
    let warehouses = manifests.iter().filter(|manifest| manifest.kind() == "Warehouse");
    warehouses.flat_map(|warehouse| items(&warehouse.object["spec"]["subscriptions"]))
}

/// The credential, if the labels make the copy one of Kargo's.
fn decode(labels: &Labels, data: &BTreeMap<String, Credential>) -> Option<Result<Decoded, FormatError>> {
    let kind = match labels.get(KARGO_LABEL)?.as_str() {
        "git" => FormatKind::KargoGit,
        "image" => FormatKind::KargoImage,
        "helm" => FormatKind::KargoHelm,
        // What is in a generic one, only a promotion step knows.
        "generic" => return None,
        value => {
            return Some(Err(FormatError::Label { label: KARGO_LABEL, value: value.to_owned() }));
        }
    };
    Some(decode_as(kind, data))
}

fn decode_as(kind: FormatKind, data: &BTreeMap<String, Credential>) -> Result<Decoded, FormatError> {
    let url = text("repoURL", required(data, "repoURL")?)?;
    // Kargo takes only this very text for yes, so that anything else is a regular expression compared as a URL.
    if let Some(value) = data.get("repoURLIsRegex")
        && !["true", "false"].contains(&text("repoURLIsRegex", value)?)
    {
        return Err(FormatError::Setting { key: "repoURLIsRegex", expected: "\"true\" or \"false\"" });
    }
    Ok(Decoded { kind, parts: parts(kind, data)?, endpoints: vec![url.to_owned()] })
}

/// Credential that Kargo logs in with: a username with a password before the key of a GitHub App, and that before an SSH key.
///
/// Source: kargo pkg/credentials/{basic,github,ssh}.
fn parts(kind: FormatKind, data: &BTreeMap<String, Credential>) -> Result<BTreeMap<Role, Credential>, FormatError> {
    let has_login = data.contains_key("username") && data.contains_key("password");
    if kind == FormatKind::KargoGit && !has_login {
        if let Some(key) = optional(data, GITHUB_APP_KEY) {
            required(data, "githubAppInstallationID")?;
            return Ok(BTreeMap::from([(Role::Other(GITHUB_APP_KEY.to_owned()), key.clone())]));
        }
        if let Some(key) = optional(data, SSH_KEY) {
            return Ok(BTreeMap::from([(Role::PrivateKey, key.clone())]));
        }
    }
    Ok(BTreeMap::from([
        (Role::Username, required(data, "username")?.clone()),
        (Role::Secret, required(data, "password")?.clone()),
    ]))
}

/// The rule of a copy.
pub(super) fn scope(copy: &WrittenCopy<'_>, kind: CredentialKind) -> Result<Vec<Scope>, NotTried> {
    let repo_url = copy.place("repoURL")?.to_owned();
    let is_regex = copy.literal("repoURLIsRegex") == Some("true");
    if copy.has("repoURLIsRegex") && copy.literal("repoURLIsRegex").is_none() {
        return Err(NotTried::PlaceUnknown { key: "repoURLIsRegex" });
    }
    Ok(vec![Scope::Kargo { kind, repo_url, is_regex }])
}
