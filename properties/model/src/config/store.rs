//! ClusterSecretStores and SecretStores: where values come from, and which namespaces may ask.

use std::time::Duration;

use credence_core::labels::Labels;
use credence_core::manifest::Manifest;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::external_secret::name_in;
use super::{ConfigError, RemoteRef, SourcePosition, SourceRef, parse_go_duration, read_spec};
use crate::selector::{LabelSelector, NAME_LABEL};

mod fake;
mod kubernetes;
mod login;
mod names;
mod searches;
mod stand_in;
mod vault;

pub use fake::WRITTEN;
pub(crate) use fake::written_keys;
pub use kubernetes::{KubernetesProvider, ServiceAccountRef};
pub(crate) use stand_in::found_key;
pub use stand_in::{STANDS_IN_FOR, StandIn, is_found, stood_in_provider};
pub(crate) use vault::DEFAULT_VAULT_MOUNT;
pub use vault::{VaultAuth, VaultLogin, VaultPlace, VaultSecretKey};

/// Semantics of a store's provider, for those who need not know which it is. A provider is a file in this folder.
pub trait StoreSemantics {
    /// Source of a value that is read through the store.
    fn locate(&self, remote: &RemoteRef) -> SourceRef;

    /// The ServiceAccount that the store reads as, if it reads as one.
    fn account(&self) -> Option<&ServiceAccountRef>;

    /// The field of the store that is not as it is written where it is tested, with what stands in and which claims that leaves
    /// unjudged; none if it reads what it reads at home.
    fn unjudged(&self) -> Option<(String, String)>;
}

/// A ClusterSecretStore, or a SecretStore, which serves its own namespace alone.
#[derive(Debug, Clone)]
pub struct ClusterSecretStore {
    /// The name; of a SecretStore namespace and name, with a slash between them.
    pub name: String,
    /// Its place in the files.
    pub place: SourcePosition,
    /// The object as it is written.
    pub object: Value,
    /// Its settings for reading Secrets; `None` if it reads something else.
    pub kubernetes: Option<KubernetesProvider>,
    /// Stand-in for its provider, if that is another one.
    pub stand_in: Option<StandIn>,
    /// Namespaces that may use it; one match is enough, and an empty list lets everyone. A SecretStore has none.
    pub conditions: Vec<StoreCondition>,
    /// The class of the controllers that process it; any does if it is empty.
    controller: String,
}

/// Time between two validations of a store that says nothing of it (`--store-requeue-interval`).
const VALIDATED_EVERY: Duration = Duration::from_mins(5);

/// The class of a controller that is given none (`--controller-class`).
const DEFAULT_CLASS: &str = "default";

impl ClusterSecretStore {
    /// The namespace of a SecretStore; none for a store of the whole cluster.
    pub fn namespace(&self) -> Option<&str> {
        self.name.split_once('/').map(|(namespace, _)| namespace)
    }

    /// The kind of the object.
    pub fn kind(&self) -> &'static str {
        if self.namespace().is_some() { "SecretStore" } else { "ClusterSecretStore" }
    }

    /// The name of the object.
    pub fn object_name(&self) -> &str {
        self.name.split_once('/').map_or(self.name.as_str(), |(_, name)| name)
    }

    /// Time between two validations of the store by External Secrets Operator (`reconcile` in
    /// pkg/controllers/secretstore/common.go).
    pub fn validated_every(&self) -> Duration {
        // A number of seconds; from 2.8.0 on also a duration.
        let interval = match self.object.pointer("/spec/refreshInterval") {
            Some(Value::String(text)) => parse_go_duration(text).ok(),
            Some(value) => value.as_u64().map(Duration::from_secs),
            None => None,
        };
        interval.filter(|interval| !interval.is_zero()).unwrap_or(VALIDATED_EVERY)
    }

    /// The name of the ServiceAccount that it takes in the namespace of each copy, if it does.
    pub fn referent_account(&self) -> Option<&str> {
        let account = self.kubernetes.as_ref()?.service_account()?;
        account.namespace.is_none().then_some(account.name.as_str())
    }

    /// The store as it serves one namespace: with the ServiceAccount there, if it takes that of each copy.
    pub(crate) fn serving(&self, namespace: &str) -> Self {
        let mut store = self.clone();
        let account = store.kubernetes.as_mut().and_then(KubernetesProvider::service_account_mut);
        if let Some(account) = account {
            account.namespace.get_or_insert_with(|| namespace.to_owned());
        }
        store
    }

    /// Semantics of its provider; none if it names none, which the API server refuses.
    pub fn semantics(&self) -> Option<&dyn StoreSemantics> {
        match (&self.kubernetes, &self.stand_in) {
            (Some(kubernetes), _) => Some(kubernetes),
            (None, stand_in) => stand_in.as_ref().map(|stand_in| stand_in as &dyn StoreSemantics),
        }
    }

    /// Why nothing can be read through it where it is tested, if nothing can be, for reasons that are no fault of it.
    ///
    /// Source: `ShouldProcessStore` (pkg/controllers/secretstore/common.go) for the class.
    pub fn unusable(&self) -> Option<String> {
        if ![DEFAULT_CLASS, ""].contains(&self.controller.as_str()) {
            return Some(format!(
                "it is for controllers of class {:?}, and the one that is tested is of none",
                self.controller
            ));
        }
        if let Some(stand_in) = &self.stand_in {
            return stand_in.unusable();
        }
        let foreign = self.kubernetes.as_ref()?.foreign_authentication()?;
        Some(format!("{foreign} is for another API server than that of the test"))
    }

    /// True if External Secrets Operator lets a namespace with these [`effective_labels`] use the store.
    ///
    /// Source: `Manager.shouldProcessSecret` (pkg/controllers/secretstore/client_manager.go), where expressions are
    /// not anchored.
    ///
    /// [`effective_labels`]: crate::selector::effective_labels
    pub fn admits(&self, labels: &Labels) -> bool {
        self.conditions.is_empty() || self.conditions.iter().any(|condition| condition.admits(labels))
    }
}

/// One of the conditions of a store; any of its parts admits a namespace.
#[derive(Debug, Clone)]
pub struct StoreCondition {
    /// Admits by label; an absent selector admits nobody.
    pub namespace_selector: Option<LabelSelector>,
    /// Admits namespaces of these names.
    pub namespaces: Vec<String>,
    /// Admits names in which an expression matches anywhere.
    pub namespace_regexes: Vec<Regex>,
}

impl StoreCondition {
    fn admits(&self, labels: &Labels) -> bool {
        let selected = self.namespace_selector.as_ref().is_some_and(|selector| selector.matches(labels));
        selected
            || labels.get(NAME_LABEL).is_some_and(|name| {
                self.namespaces.contains(name) || self.namespace_regexes.iter().any(|regex| regex.is_match(name))
            })
    }
}

/// True if an object is a store, of the whole cluster or of one namespace.
pub fn is_store(manifest: &Manifest) -> bool {
    matches!(manifest.kind(), "ClusterSecretStore" | "SecretStore")
}

/// The name of a store in [`Config::stores`](super::Config::stores).
pub fn store_key(manifest: &Manifest) -> String {
    match manifest.kind() {
        "SecretStore" => name_in(manifest.namespace().unwrap_or("default"), manifest.name()),
        _ => manifest.name().to_owned(),
    }
}

/// Reads a ClusterSecretStore or a SecretStore.
///
/// Sources: External Secrets Operator, `Manager.shouldProcessSecret` (pkg/controllers/secretstore/client_manager.go), which looks at
/// conditions of ClusterSecretStores alone, and `Client.serviceAccountToken` (pkg/provider/kubernetes/auth.go), which takes a
/// ServiceAccount of another namespace for these alone.
pub(super) fn read(manifest: &Manifest) -> Result<ClusterSecretStore, ConfigError> {
    let mut spec: StoreSpec = read_spec(manifest)?;
    let conditions = spec.conditions.into_iter().enumerate();
    let mut conditions: Vec<StoreCondition> =
        conditions.map(|(index, fields)| fields.compile(manifest, index)).collect::<Result<_, _>>()?;
    if manifest.kind() == "SecretStore" {
        let namespace = manifest.namespace().unwrap_or("default");
        conditions.clear();
        let account = spec.provider.kubernetes.as_mut().and_then(KubernetesProvider::service_account_mut);
        if let Some(account) = account {
            account.namespace = Some(namespace.to_owned());
        }
    }
    Ok(ClusterSecretStore {
        name: store_key(manifest),
        place: SourcePosition::of(manifest),
        object: manifest.object.clone(),
        stand_in: spec.provider.kubernetes.is_none().then(|| StandIn::of(manifest)).flatten(),
        kubernetes: spec.provider.kubernetes,
        conditions,
        controller: spec.controller,
    })
}

/// The part of a store's spec that is read.
#[derive(Deserialize)]
struct StoreSpec {
    provider: Provider,
    #[serde(default)]
    conditions: Vec<ConditionFields>,
    #[serde(default)]
    controller: String,
}

#[derive(Deserialize)]
struct Provider {
    kubernetes: Option<KubernetesProvider>,
}

/// A condition as manifests write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConditionFields {
    namespace_selector: Option<LabelSelector>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default)]
    namespace_regexes: Vec<String>,
}

impl ConditionFields {
    /// The condition; `index` is its number among those of the store.
    fn compile(self, manifest: &Manifest, index: usize) -> Result<StoreCondition, ConfigError> {
        let compile = |(number, expression): (usize, String)| {
            let pointer = format!("/spec/conditions/{index}/namespaceRegexes/{number}");
            Regex::new(&expression).map_err(|source| ConfigError::InvalidExpression {
                place: Box::new(SourcePosition::field(manifest, &pointer)),
                expression,
                source,
            })
        };
        Ok(StoreCondition {
            namespace_selector: self.namespace_selector,
            namespaces: self.namespaces,
            namespace_regexes: self.namespace_regexes.into_iter().enumerate().map(compile).collect::<Result<_, _>>()?,
        })
    }
}
