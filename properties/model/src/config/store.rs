//! ClusterSecretStores: where values come from, and which namespaces may ask.

use credence_core::labels::Labels;
use credence_core::manifest::Manifest;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::{BundleError, Place, read_spec};
use crate::selector::{LabelSelector, NAME_LABEL};

/// A ClusterSecretStore.
#[derive(Debug, Clone)]
pub struct ClusterSecretStore {
    /// The name.
    pub name: String,
    /// Where it is written.
    pub place: Place,
    /// The object as it is written.
    pub object: Value,
    /// How it reads Secrets; `None` if it reads something else.
    pub kubernetes: Option<KubernetesProvider>,
    /// Which namespaces may use it; one match is enough, and an empty list lets everyone.
    pub conditions: Vec<StoreCondition>,
}

impl ClusterSecretStore {
    /// Whether External Secrets Operator lets a namespace with these [`effective_labels`] use the store.
    ///
    /// Source: `Manager.shouldProcessSecret` (pkg/controllers/secretstore/client_manager.go), where expressions are
    /// not anchored.
    ///
    /// [`effective_labels`]: crate::selector::effective_labels
    pub fn admits(&self, labels: &Labels) -> bool {
        self.conditions.is_empty() || self.conditions.iter().any(|condition| condition.admits(labels))
    }
}

/// How a store reads Kubernetes Secrets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesProvider {
    /// The namespace of the sources.
    #[serde(default = "default_namespace")]
    pub remote_namespace: String,
    /// How the store authenticates.
    #[serde(default)]
    auth: Auth,
}

impl KubernetesProvider {
    /// The ServiceAccount that the store reads as, if it authenticates as one.
    pub fn service_account(&self) -> Option<&ServiceAccountRef> {
        self.auth.service_account.as_ref()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Auth {
    service_account: Option<ServiceAccountRef>,
}

/// The ServiceAccount of a store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServiceAccountRef {
    /// Its name.
    pub name: String,
    /// Its namespace; without one, the store takes the account of this name in each target namespace.
    pub namespace: Option<String>,
}

/// The CRD's default for `remoteNamespace`.
fn default_namespace() -> String {
    "default".to_owned()
}

/// One of the conditions of a store; any of its parts admits a namespace.
#[derive(Debug, Clone)]
pub struct StoreCondition {
    /// Admits by label; an absent selector admits nobody.
    pub namespace_selector: Option<LabelSelector>,
    /// Admits by name.
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

pub(super) fn read(manifest: &Manifest) -> Result<ClusterSecretStore, BundleError> {
    let spec: StoreSpec = read_spec(manifest)?;
    let conditions = spec.conditions.into_iter().enumerate();
    let conditions = conditions.map(|(index, fields)| fields.compile(manifest, index)).collect::<Result<_, _>>()?;
    Ok(ClusterSecretStore {
        name: manifest.name().to_owned(),
        place: Place::of(manifest),
        object: manifest.object.clone(),
        kubernetes: spec.provider.kubernetes,
        conditions,
    })
}

/// The part of a store's spec that is read.
#[derive(Deserialize)]
struct StoreSpec {
    provider: Provider,
    #[serde(default)]
    conditions: Vec<ConditionFields>,
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
    fn compile(self, manifest: &Manifest, index: usize) -> Result<StoreCondition, BundleError> {
        let compile = |(number, expression): (usize, String)| {
            let pointer = format!("/spec/conditions/{index}/namespaceRegexes/{number}");
            Regex::new(&expression).map_err(|source| BundleError::InvalidExpression {
                place: Box::new(Place::field(manifest, &pointer)),
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
