//! Generators: objects that make values where a store would read them.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::credential::Credential;
use credence_core::manifest::Manifest;
use credence_core::operator_api::GENERATORS_GROUP;
use serde_json::Value;

use super::Config;
use super::external_secret::GeneratorRef;

/// The kind that serves the whole cluster, and whose spec names a generator of another kind.
pub(crate) const CLUSTER_GENERATOR: &str = "ClusterGenerator";

/// Generators that make values of their own, in the operator.
///
/// Source: External Secrets Operator 0.20.4, pkg/generator; all others ask a service, or read a Secret to begin with.
pub(crate) const LOCAL_GENERATORS: [&str; 4] = ["Fake", "Password", "SSHKey", "UUID"];

/// A generator as a manifest has it.
pub(crate) struct Generator<'a> {
    /// Kind of the generator; of a ClusterGenerator the one inside.
    pub(crate) kind: &'a str,
    pub(crate) spec: &'a Value,
}

impl<'a> Generator<'a> {
    /// The generator that an object is, if it is one.
    pub(crate) fn of(manifest: &'a Manifest) -> Option<Self> {
        if manifest.group() != GENERATORS_GROUP {
            return None;
        }
        let spec = manifest.object.get("spec").unwrap_or(&Value::Null);
        if manifest.kind() != CLUSTER_GENERATOR {
            return Some(Self { kind: manifest.kind(), spec });
        }
        // It has exactly one, whatever the field is called.
        let inside = spec.get("generator").and_then(Value::as_object).and_then(|fields| fields.values().next());
        Some(Self { kind: spec.get("kind")?.as_str()?, spec: inside.unwrap_or(&Value::Null) })
    }

    /// The generator that an ExternalSecret in `namespace` reads by a reference, if it is in the configuration; in any namespace
    /// if none is said.
    pub(crate) fn named(config: &'a Config, reference: &GeneratorRef, namespace: Option<&str>) -> Option<Self> {
        let mut all = config.manifests.iter().filter(|one| one.group() == GENERATORS_GROUP);
        let found = all.find(|one| {
            let is_there = one.kind() == CLUSTER_GENERATOR
                || namespace.is_none_or(|name| one.namespace().unwrap_or("default") == name);
            one.kind() == reference.kind && one.name() == reference.name && is_there
        });
        Self::of(found?)
    }

    /// The keys of what it makes; none where only a service knows them.
    ///
    /// Source: External Secrets Operator 0.20.4, `Generate` of each in pkg/generator.
    pub(crate) fn keys(&self) -> Option<BTreeSet<String>> {
        let keys: &[&str] = match self.kind {
            "ACRAccessToken" => &["username", "password"],
            "CloudsmithAccessToken" => &["auth", "expiry"],
            "ECRAuthorizationToken" if self.spec["scope"] == "public" => &["username", "password", "expires_at"],
            "ECRAuthorizationToken" => &["username", "password", "proxy_endpoint", "expires_at"],
            "Fake" => return Some(self.spec.get("data")?.as_object()?.keys().cloned().collect()),
            "GCRAccessToken" => &["username", "password", "expiry"],
            "GithubAccessToken" => &["token"],
            "Grafana" => &["login", "token"],
            "MFA" => &["token", "timeLeft"],
            "Password" => &["password"],
            "QuayAccessToken" => &["registry", "auth", "expiry"],
            "SSHKey" => &["privateKey", "publicKey"],
            "STSSessionToken" => &["access_key_id", "expiration", "secret_access_key", "session_token"],
            "UUID" => &["uuid"],
            _ => return None,
        };
        Some(keys.iter().map(|key| (*key).to_owned()).collect())
    }

    /// Values that it makes, by key: those of a Fake are written down, all others are not known.
    pub(crate) fn made(&self) -> Option<BTreeMap<String, Option<Credential>>> {
        let written = |key: &str| match self.kind {
            "Fake" => self.spec["data"][key].as_str().map(Credential::new),
            _ => None,
        };
        let keys = self.keys()?.into_iter();
        Some(keys.map(|key| (key.clone(), written(&key))).collect())
    }
}

/// True if each value of a generator of this kind is a token, a name, an address or a time: letters, digits and signs that JSON
/// writes as they are.
///
/// Source: the answers of the services, of which External Secrets Operator 0.20.4, `Generate` in pkg/generator, takes base64,
/// JSON web tokens, fixed names and times. A Password may have quotes, and a Fake or a Webhook anything.
pub(crate) fn makes_tokens(kind: &str) -> bool {
    matches!(
        kind,
        "ACRAccessToken"
            | "CloudsmithAccessToken"
            | "ECRAuthorizationToken"
            | "GCRAccessToken"
            | "GithubAccessToken"
            | "QuayAccessToken"
            | "STSSessionToken"
            | "UUID"
    )
}

/// True if a generator of this kind has a stand-in: it would ask a service, and is one that the operator has.
pub(crate) fn asks_a_service(kind: &str) -> bool {
    let of_unknown_keys = ["VaultDynamicSecret", "Webhook"];
    !LOCAL_GENERATORS.contains(&kind)
        && (of_unknown_keys.contains(&kind) || Generator { kind, spec: &Value::Null }.keys().is_some())
}
