//! Repository credentials as Argo CD reads them.
//!
//! Source: argo-cd util/db/repository_secrets.go.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{ARGO_CD_LABEL, CopyView, Decoded, Format, FormatError, FormatKind, Role, optional, required, text};
use crate::consumer::{Claim, Consumer, ConsumerMeta, CopyShape, DeniedLogin};
use crate::credential::{Credential, SSH_KEY};
use crate::endpoints::{Endpoint, endpoint, items};
use crate::id::Requirement;
use crate::manifest::Manifest;
use crate::scope::{NotTried, Scope, WrittenCopy};

/// Argo CD, which syncs repositories with it.
pub const ARGO_CD: Consumer = Consumer::new(&ArgoCd {
    meta: ConsumerMeta {
        id: "ArgoCd",
        title: "Argo CD",
        operation: "sync by Argo CD",
        requirement: Requirement::new(4, 2),
        fallback: None,
        endpoint: Some("a repository that Argo CD syncs"),
        namespace: Some("argocd"),
        denied_logins: &[DeniedLogin::AtLookAlikeOwner, DeniedLogin::AtLookAlikeHost],
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
    SSH_KEY,
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

/// Texts that Go's `strconv.ParseBool` takes.
const BOOLEAN_TEXTS: [&str; 12] = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];

impl Format for ArgoCd {
    fn meta(&self) -> &ConsumerMeta {
        &self.meta
    }

    fn claim(&self, shape: &CopyShape<'_>) -> Option<Claim> {
        shape.labels.contains_key(ARGO_CD_LABEL).then_some(Claim::Label)
    }

    /// The repositories of Applications, without those of charts, which are no Git.
    fn endpoints(&self, manifests: &[Manifest]) -> Vec<Endpoint> {
        repositories(manifests).filter_map(endpoint).collect()
    }

    fn namespace(&self, manifests: &[Manifest]) -> Option<String> {
        namespace(manifests)
    }

    fn scopes(&self, copy: &WrittenCopy<'_>) -> Result<Vec<Scope>, NotTried> {
        let is_prefix = is_for_a_prefix(copy)?;
        if holds_an_ssh_key(copy) {
            return Err(NotTried::SshKey { consumer: self.meta.title });
        }
        if let Some(what) = credential_of_another_kind(copy) {
            return Err(NotTried::Credential { what });
        }
        if let Some(kind) = copy.literal("type").filter(|kind| *kind != "git") {
            return Err(NotTried::OtherType { kind: kind.to_owned() });
        }
        scope(copy, is_prefix)
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

/// The URLs of the Git repositories of Applications.
pub(super) fn repositories(manifests: &[Manifest]) -> impl Iterator<Item = &Value> {
    let applications = manifests.iter().filter(|manifest| is_of_argo_cd(manifest, "Application"));
    applications.flat_map(|application| {
        let spec = &application.object["spec"];
        let sources = spec.get("source").into_iter().chain(items(&spec["sources"]));
        sources.filter(|source| source.get("chart").is_none()).map(|source| &source["repoURL"])
    })
}

/// The namespace of its settings and projects, or else the one that all Applications are in: those may be in others.
pub(super) fn namespace(manifests: &[Manifest]) -> Option<String> {
    let is_own = |manifest: &&Manifest| {
        let is_settings = manifest.kind() == "ConfigMap" && manifest.name() == "argocd-cm";
        is_settings || is_of_argo_cd(manifest, "AppProject")
    };
    let applications = manifests.iter().filter(|manifest| is_of_argo_cd(manifest, "Application"));
    let only = |namespaces: BTreeSet<&str>| match Vec::from_iter(namespaces)[..] {
        [namespace] => Some(namespace.to_owned()),
        _ => None,
    };
    let own = only(manifests.iter().filter(is_own).filter_map(Manifest::namespace).collect());
    own.or_else(|| only(applications.filter_map(Manifest::namespace).collect()))
}

/// True if a copy is for all repositories below a URL, and not for one.
pub(super) fn is_for_a_prefix(copy: &WrittenCopy<'_>) -> Result<bool, NotTried> {
    let value = copy.labels.get(ARGO_CD_LABEL).map(String::as_str).unwrap_or_default();
    match value {
        "repo-creds" => Ok(true),
        "repository" => Ok(false),
        "cluster" => Err(not_tried(value, "a login to a cluster, and there is no other one here")),
        "repo-write-creds" | "repository-write" => {
            Err(not_tried(value, "only its hydrator pushes with it, which does not run here"))
        }
        _ => Err(not_tried(value, "no value that Argo CD knows")),
    }
}

/// Scope of a copy of this form.
pub(super) fn scope(copy: &WrittenCopy<'_>, is_prefix: bool) -> Result<Vec<Scope>, NotTried> {
    let url = copy.place("url")?.to_owned();
    let project = copy.literal("project").filter(|project| !project.is_empty()).map(str::to_owned);
    Ok(vec![if is_prefix { Scope::ArgoCdPrefix(url) } else { Scope::ArgoCdRepository { url, project } }])
}

/// True if Argo CD logs in with the SSH key of a copy.
fn holds_an_ssh_key(copy: &WrittenCopy<'_>) -> bool {
    copy.has(SSH_KEY) && !copy.has("password") && !copy.has("bearerToken")
}

/// True if an object is one of Argo CD's own kinds: other projects have an Application as well.
fn is_of_argo_cd(manifest: &Manifest, kind: &str) -> bool {
    manifest.kind() == kind && manifest.group() == "argoproj.io"
}

fn not_tried(value: &str, what: &'static str) -> NotTried {
    NotTried::Label { label: ARGO_CD_LABEL, value: value.to_owned(), what }
}

/// Credential that Argo CD logs in with, if it is neither a password nor a token.
///
/// Source: argo-cd pkg/apis/application/v1alpha1/repository_types.go, `GetGitCreds`.
fn credential_of_another_kind(copy: &WrittenCopy<'_>) -> Option<&'static str> {
    if copy.has("password") {
        return None;
    }
    [
        ("bearerToken", "a bearer token, as Bitbucket takes it and the forge here does not"),
        ("githubAppPrivateKey", "the key of a GitHub App, of which the forge here has none"),
        ("gcpServiceAccountKey", "the key of an account at Google, which is not asked here"),
        ("tlsClientCertKey", "a client's certificate, for which the forge does not ask"),
        ("useAzureWorkloadIdentity", "an identity of Azure, which is not asked here"),
    ]
    .into_iter()
    .find_map(|(key, what)| copy.has(key).then_some(what))
    .or_else(|| (copy.keys.is_some() && !copy.has("username")).then_some("no login of its own"))
}

fn decode_as(kind: FormatKind, data: &BTreeMap<String, Credential>) -> Result<Decoded, FormatError> {
    let url = text("url", required(data, "url")?)?;
    // SSH has a colon between host and path.
    if kind == FormatKind::ArgoCdRepoCreds && !url.ends_with(['/', ':']) {
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
        (SSH_KEY, Role::PrivateKey),
        ("bearerToken", Role::Other("bearerToken".to_owned())),
        ("githubAppPrivateKey", Role::Other("githubAppPrivateKey".to_owned())),
        ("gcpServiceAccountKey", Role::Other("gcpServiceAccountKey".to_owned())),
        ("tlsClientCertKey", Role::Other("tlsClientCertKey".to_owned())),
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
