//! Credentials as Kargo reads them.
//!
//! Source: kargo pkg/credentials/kubernetes/database.go and pkg/credentials/basic/basic.go.

use std::collections::BTreeMap;

use super::{CopyView, Decoded, Format, FormatError, FormatKind, KARGO_LABEL, Role, required, text};
use crate::consumer::{Claim, Consumer, ConsumerMeta, CopyShape, Denial};
use crate::credential::Credential;
use crate::endpoints::{Endpoint, endpoint, items};
use crate::id::Requirement;
use crate::labels::Labels;
use crate::manifest::Manifest;

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

/// What all of them share.
const META: ConsumerMeta = ConsumerMeta {
    id: "",
    title: "",
    operation: "",
    requirement: Requirement::new(4, 2),
    fallback: None,
    endpoint: Some("a repository that Kargo subscribes to"),
    denials: &[Denial::FromOtherNamespace, Denial::AtLookAlikeOwner, Denial::AtLookAlikeHost],
    offers_to_whole_host: false,
};
const IMAGE: Option<&str> = Some("an image that Kargo subscribes to");

/// The keys that Kargo reads of a credential of any of its kinds.
///
/// Source: kargo pkg/credentials, in the packages of each kind (`basic`, `ssh`, `github`, `ecr`, `gar`).
const KEYS: [&str; 13] = [
    "repoURL",
    "repoURLIsRegex",
    "username",
    "password",
    "sshPrivateKey",
    "githubAppID",
    "githubAppClientID",
    "githubAppPrivateKey",
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
}

impl Format for Kargo {
    fn meta(&self) -> &ConsumerMeta {
        &self.meta
    }

    /// A value of the label that Kargo overlooks was most likely meant for Git, where its controller finds nothing then.
    fn claim(&self, shape: &CopyShape<'_>) -> Option<Claim> {
        let is_for_images = shape.labels.get(KARGO_LABEL)? == "image";
        // The rules take copies only in the controller's place.
        let stands_in = self.meta.fallback.is_none();
        (is_for_images == (self.uses == Uses::Images) && !stands_in).then_some(Claim::Label)
    }

    /// What Warehouses subscribe to.
    fn endpoints(&self, manifest: &Manifest) -> Vec<Endpoint> {
        if manifest.kind() != "Warehouse" {
            return Vec::new();
        }
        let field = match self.uses {
            Uses::Commits => "git",
            Uses::Images => "image",
        };
        let subscriptions = items(&manifest.object["spec"]["subscriptions"]);
        subscriptions.filter_map(|subscription| endpoint(&subscription[field]["repoURL"])).collect()
    }

    fn reads(&self, shape: &CopyShape<'_>) -> Option<&'static [&'static str]> {
        ["git", "image", "helm"].contains(&shape.labels.get(KARGO_LABEL)?.as_str()).then_some(&KEYS[..])
    }

    fn decode(&self, copy: &CopyView<'_>) -> Option<Result<Decoded, FormatError>> {
        decode(copy.labels, copy.data)
    }
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
    Ok(Decoded {
        kind,
        parts: BTreeMap::from([
            (Role::Username, required(data, "username")?.clone()),
            (Role::Secret, required(data, "password")?.clone()),
        ]),
        endpoints: vec![url.to_owned()],
    })
}
