//! The fields of ClusterExternalSecrets and ExternalSecrets that decide distribution.
//!
//! Source: External Secrets Operator `apis/externalsecrets/v1`, with the defaults of its CRDs.

use std::time::Duration;

use credence_core::labels::Labels;
use serde::Deserialize;
use serde_json::Value;

use super::go_duration;
use crate::selector::{LabelSelector, NamespaceSelection};

mod data;
mod template;

pub use data::{
    ConflictPolicy, ConversionStrategy, DataEntry, DataFrom, DecodingStrategy, Find, FindName, MergeStrategy,
    MetadataPolicy, PriorityPolicy, RemoteRef, Rewrite, RewriteMerge, RewriteRegexp, RewriteTransform,
};
pub(crate) use data::{EntrySource, GeneratorRef};
pub use template::{
    Composition, DataTemplate, MergePolicy, SecretTemplate, TemplateFrom, TemplateItem, TemplateObject, TemplateScope,
    TemplateTarget,
};

/// Contents and recipients of a ClusterExternalSecret.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterExternalSecretSpec {
    /// The ExternalSecret that each target namespace gets.
    pub external_secret_spec: ExternalSecretSpec,
    /// The ExternalSecret's name; the ClusterExternalSecret's own if there is none.
    pub external_secret_name: Option<String>,
    #[serde(default)]
    external_secret_metadata: Metadata,
    namespace_selector: Option<LabelSelector>,
    #[serde(default)]
    namespace_selectors: Vec<LabelSelector>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default, deserialize_with = "go_duration::deserialize")]
    #[expect(
        dead_code,
        reason = "read to refuse what the operator cannot: it then reads no ClusterExternalSecret at all"
    )]
    refresh_time: Option<Duration>,
}

impl ClusterExternalSecretSpec {
    /// The target namespaces, by the current and by the deprecated fields.
    pub fn selection(&self) -> NamespaceSelection {
        let selectors = self.namespace_selector.iter().chain(&self.namespace_selectors);
        NamespaceSelection { selectors: selectors.cloned().collect(), names: self.namespaces.clone() }
    }

    /// The labels of each ExternalSecret.
    pub(crate) fn external_secret_labels(&self) -> &Labels {
        &self.external_secret_metadata.labels
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    labels: Labels,
}

/// Reads and writes of an ExternalSecret.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalSecretSpec {
    /// The store of the entries that name none.
    pub secret_store_ref: Option<StoreRef>,
    /// The Secret that is written.
    #[serde(default)]
    pub target: SecretTarget,
    /// Times at which it reads its sources again, `Periodic` by default.
    #[serde(default)]
    pub refresh_policy: RefreshPolicy,
    #[serde(default, deserialize_with = "go_duration::deserialize")]
    refresh_interval: Option<Duration>,
    /// Values that each get a key of their own.
    #[serde(default)]
    pub data: Vec<DataEntry>,
    /// Sources and searches of which each value gets a key.
    #[serde(default)]
    pub data_from: Vec<DataFrom>,
}

impl ExternalSecretSpec {
    /// True if everything that it reads is made by generators, so that there is no source whose updates a copy could follow.
    pub(crate) fn reads_only_generators(&self) -> bool {
        self.data.is_empty() && !self.data_from.is_empty() && self.generators().count() == self.data_from.len()
    }

    /// The generators that it reads, by kind and name.
    pub fn generator_names(&self) -> Vec<String> {
        self.generators().map(|GeneratorRef { kind, name }| format!("{kind} {name}")).collect()
    }

    /// The generators that it reads.
    pub(crate) fn generators(&self) -> impl Iterator<Item = &GeneratorRef> {
        self.data_from.iter().filter_map(|entry| entry.source_ref.as_ref()?.generator_ref.as_ref())
    }

    /// The CRD's default for `refreshInterval`.
    pub(crate) const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_hours(1);

    /// The time between two reads of the source; zero means that there is only one.
    pub fn refresh_interval(&self) -> Duration {
        self.refresh_interval.unwrap_or(Self::DEFAULT_REFRESH_INTERVAL)
    }

    /// The same for an ExternalSecret in `namespace`, where every SecretStore that it names is.
    pub(super) fn in_namespace(mut self, namespace: &str) -> Self {
        let entries = self.data.iter_mut().map(|entry| &mut entry.source_ref);
        let entries = entries.chain(self.data_from.iter_mut().map(|entry| &mut entry.source_ref));
        let own = entries.filter_map(|source| source.as_mut()?.store_ref.as_mut());
        for store in own.chain(&mut self.secret_store_ref).filter(|store| !store.is_central()) {
            store.name = name_in(namespace, &store.name);
        }
        self
    }

    /// The stores that its entries read through, each as often as one does.
    pub(crate) fn stores(&self) -> impl Iterator<Item = &StoreRef> {
        let single = self.data.iter().map(|entry| entry.source_ref.as_ref());
        let whole = self.data_from.iter().map(|entry| entry.source_ref.as_ref());
        single.chain(whole).filter_map(|own| self.store_of(own))
    }

    /// The store of an entry: its own, else that of the spec; a generator has none.
    pub(crate) fn store_of<'a>(&'a self, entry: Option<&'a EntrySource>) -> Option<&'a StoreRef> {
        match entry {
            Some(source) => source.store_ref.as_ref(),
            None => self.secret_store_ref.as_ref(),
        }
    }
}

/// The spec of the ExternalSecret that an object is, or that it makes in its namespaces: the one place that knows where that is.
pub fn spec_in(object: &Value) -> &Value {
    let spec = &object["spec"];
    spec.get("externalSecretSpec").unwrap_or(spec)
}

/// The field of an object that has the spec of the ExternalSecret.
pub(crate) fn spec_field(object: &Value) -> &'static str {
    match object["spec"].get("externalSecretSpec") {
        Some(_) => "spec.externalSecretSpec",
        None => "spec",
    }
}

/// The name by which something of a namespace is known, which no object of a whole cluster can have.
pub(crate) fn name_in(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// The name of a store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StoreRef {
    /// The name; in a plain ExternalSecret, that of a SecretStore begins with its namespace (see [`name_in`]).
    #[serde(default)]
    pub name: String,
    /// `SecretStore`, the default, or `ClusterSecretStore`.
    #[serde(default = "secret_store")]
    pub kind: String,
}

impl StoreRef {
    /// True if it is of the whole cluster.
    pub(crate) fn is_central(&self) -> bool {
        self.kind == "ClusterSecretStore"
    }
}

/// The controller's default kind of store.
fn secret_store() -> String {
    "SecretStore".to_owned()
}

/// The Secret that an ExternalSecret writes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretTarget {
    /// Its name; the ExternalSecret's own if there is none.
    pub name: Option<String>,
    /// Maker and owner of the Secret.
    #[serde(default)]
    pub creation_policy: CreationPolicy,
    /// Policy for the Secret when its sources are gone.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// The Secret's shape; without one the values are written as they are read.
    pub template: Option<SecretTemplate>,
    /// The kind that is written instead of a Secret, from 1.0 on.
    pub(crate) manifest: Option<TargetManifest>,
    /// True if the Secret is made immutable.
    #[serde(default)]
    pub immutable: bool,
}

/// The kind that an ExternalSecret writes instead of a Secret.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TargetManifest {
    #[serde(default)]
    pub(crate) kind: String,
}

/// Maker and owner of the Secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum CreationPolicy {
    /// The ExternalSecret makes and owns it.
    #[default]
    Owner,
    /// The ExternalSecret makes it, and leaves it behind.
    Orphan,
    /// Somebody else makes it; the ExternalSecret adds its keys.
    Merge,
    /// Whoever is first makes it; the ExternalSecret adds its keys, and leaves it behind. From 2.8.0 on.
    CreateOrMerge,
    /// No Secret is made.
    None,
}

impl CreationPolicy {
    /// True if the keys of a Secret that is there already stay.
    pub fn keeps_keys(self) -> bool {
        matches!(self, Self::Merge | Self::CreateOrMerge)
    }

    /// True if all of the Secret comes from the ExternalSecret: nobody else writes keys into it.
    pub(crate) fn makes_all(self) -> bool {
        matches!(self, Self::Owner | Self::Orphan)
    }

    /// True if the ExternalSecret makes the Secret where it is missing and does not own it, so that it stays behind.
    pub(crate) fn leaves_behind(self) -> bool {
        matches!(self, Self::Orphan | Self::CreateOrMerge)
    }
}

/// Policy for the Secret when its sources are gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum DeletionPolicy {
    /// It stays, with the last values.
    #[default]
    Retain,
    /// It is deleted.
    Delete,
    /// It loses the keys of the ExternalSecret, and stays.
    Merge,
}

/// Times at which an ExternalSecret reads its sources again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum RefreshPolicy {
    /// After each refresh interval, and at each change of the ExternalSecret.
    #[default]
    Periodic,
    /// At each change of the ExternalSecret itself.
    OnChange,
    /// Never again once the Secret has been made.
    CreatedOnce,
}
