//! Repository credentials as Argo CD reads them.
//!
//! Source: argo-cd util/db/repository_secrets.go.

use std::collections::BTreeMap;

use super::{ARGO_CD_LABEL, CopyView, Decoded, Format, FormatError, FormatKind, Role, optional, required, text};
use crate::consumer::{Claim, Consumer, ConsumerMeta, CopyShape, Denial};
use crate::credential::Credential;
use crate::endpoints::{Endpoint, endpoint, items};
use crate::id::Requirement;
use crate::manifest::Manifest;

/// Argo CD, which syncs repositories with it.
pub const ARGO_CD: Consumer = Consumer::new(&ArgoCd {
    meta: ConsumerMeta {
        id: "ArgoCd",
        title: "Argo CD",
        operation: "sync by Argo CD",
        requirement: Requirement::new(4, 2),
        fallback: None,
        endpoint: Some("a repository that Argo CD syncs"),
        denials: &[Denial::AtLookAlikeOwner, Denial::AtLookAlikeHost],
        offers_to_whole_host: false,
    },
});

struct ArgoCd {
    meta: ConsumerMeta,
}

/// Keys that Argo CD parses as booleans, refusing the Secret if one does not parse.
const BOOLEANS: [&str; 6] =
    ["insecureIgnoreHostKey", "insecure", "enableLfs", "enableOCI", "forceHttpBasicAuth", "useAzureWorkloadIdentity"];

/// The keys that Argo CD reads of a repository's Secret, or of one for all repositories below a URL.
///
/// Source: argo-cd util/db/repository_secrets.go, `secretToRepository` and `secretToRepoCred`.
const KEYS: [&str; 25] = [
    "name",
    "url",
    "type",
    "project",
    "username",
    "password",
    "bearerToken",
    "sshPrivateKey",
    "tlsClientCertData",
    "tlsClientCertKey",
    "gcpServiceAccountKey",
    "githubAppPrivateKey",
    "githubAppID",
    "githubAppInstallationID",
    "githubAppEnterpriseBaseUrl",
    "proxy",
    "noProxy",
    "depth",
    "insecureIgnoreHostKey",
    "insecure",
    "enableLfs",
    "enableOCI",
    "insecureOCIForceHttp",
    "forceHttpBasicAuth",
    "useAzureWorkloadIdentity",
];

/// What Go's `strconv.ParseBool` takes.
const BOOLEAN_TEXTS: [&str; 12] = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];

impl Format for ArgoCd {
    fn meta(&self) -> &ConsumerMeta {
        &self.meta
    }

    fn claim(&self, shape: &CopyShape<'_>) -> Option<Claim> {
        shape.labels.contains_key(ARGO_CD_LABEL).then_some(Claim::Label)
    }

    /// The repositories of Applications.
    fn endpoints(&self, manifest: &Manifest) -> Vec<Endpoint> {
        if manifest.kind() != "Application" {
            return Vec::new();
        }
        let spec = &manifest.object["spec"];
        let sources = spec.get("source").into_iter().chain(items(&spec["sources"]));
        sources.filter_map(|source| endpoint(&source["repoURL"])).collect()
    }

    fn reads(&self, shape: &CopyShape<'_>) -> Option<&'static [&'static str]> {
        let value = shape.labels.get(ARGO_CD_LABEL)?;
        (value.starts_with("repo-") || value.starts_with("repository")).then_some(&KEYS[..])
    }

    fn decode(&self, copy: &CopyView<'_>) -> Option<Result<Decoded, FormatError>> {
        let kind = match copy.labels.get(ARGO_CD_LABEL)?.as_str() {
            "repo-creds" | "repo-write-creds" => FormatKind::ArgoCdRepoCreds,
            "repository" | "repository-write" => FormatKind::ArgoCdRepository,
            // A cluster's credential is another consumer's matter, and has no format here.
            "cluster" => return None,
            value => {
                return Some(Err(FormatError::Label { label: ARGO_CD_LABEL, value: value.to_owned() }));
            }
        };
        Some(decode_as(kind, copy.data))
    }
}

fn decode_as(kind: FormatKind, data: &BTreeMap<String, Credential>) -> Result<Decoded, FormatError> {
    let url = text("url", required(data, "url")?)?;
    if kind == FormatKind::ArgoCdRepoCreds && !url.ends_with('/') {
        // Argo CD compares prefixes, so that ".../org" would hand the credential to ".../org-evil" too.
        return Err(FormatError::Setting { key: "url", expected: "ended by \"/\"" });
    }
    setting(data, "type", &["git", "helm", "oci"], "git, helm or oci")?;
    for key in BOOLEANS {
        setting(data, key, &BOOLEAN_TEXTS, "a boolean")?;
    }
    let roles = [
        ("username", Role::Username),
        ("password", Role::Secret),
        ("sshPrivateKey", Role::PrivateKey),
        ("bearerToken", Role::Other("bearerToken".to_owned())),
        ("githubAppPrivateKey", Role::Other("githubAppPrivateKey".to_owned())),
    ];
    let parts: BTreeMap<Role, Credential> =
        roles.into_iter().filter_map(|(key, role)| Some((role, optional(data, key)?.clone()))).collect();
    if parts.contains_key(&Role::Username) != parts.contains_key(&Role::Secret) {
        return Err(FormatError::HalfACredential);
    }
    // A repository without any credential takes that of its prefix.
    if kind == FormatKind::ArgoCdRepoCreds && parts.is_empty() {
        return Err(FormatError::NoCredential);
    }
    Ok(Decoded { kind, parts, endpoints: vec![url.to_owned()] })
}

fn setting(
    data: &BTreeMap<String, Credential>,
    key: &'static str,
    known: &[&str],
    expected: &'static str,
) -> Result<(), FormatError> {
    match data.get(key) {
        Some(value) if !known.contains(&text(key, value)?) => Err(FormatError::Setting { key, expected }),
        _ => Ok(()),
    }
}
