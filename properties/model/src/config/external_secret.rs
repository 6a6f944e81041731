//! The fields of ClusterExternalSecrets and ExternalSecrets that decide distribution.
//!
//! Source: External Secrets Operator `apis/externalsecrets/v1`, with the defaults of its CRDs.

use std::collections::BTreeMap;
use std::time::Duration;

use credence_core::labels::Labels;
use regex::Regex;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::go_duration;
use crate::selector::{LabelSelector, NamespaceSelection};

/// What a ClusterExternalSecret distributes, and where to.
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
}

impl ClusterExternalSecretSpec {
    /// The target namespaces, by the current and by the deprecated fields.
    pub fn selection(&self) -> NamespaceSelection {
        let selectors = self.namespace_selector.iter().chain(&self.namespace_selectors);
        NamespaceSelection { selectors: selectors.cloned().collect(), names: self.namespaces.clone() }
    }

    /// The labels of each ExternalSecret.
    pub fn external_secret_labels(&self) -> &Labels {
        &self.external_secret_metadata.labels
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    labels: Labels,
}

/// What an ExternalSecret reads and writes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalSecretSpec {
    /// The store of the entries that name none.
    pub secret_store_ref: Option<StoreRef>,
    /// The Secret that is written.
    #[serde(default)]
    pub target: SecretTarget,
    /// When it is written again.
    #[serde(default)]
    pub refresh_policy: RefreshPolicy,
    #[serde(default, deserialize_with = "go_duration::deserialize")]
    refresh_interval: Option<Duration>,
    /// Single values.
    #[serde(default)]
    pub data: Vec<DataEntry>,
    /// Whole sets of values.
    #[serde(default)]
    pub data_from: Vec<DataFrom>,
}

impl ExternalSecretSpec {
    /// The CRD's default for `refreshInterval`.
    pub const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_hours(1);

    /// The time between two reads of the source; zero means that there is only one.
    pub fn refresh_interval(&self) -> Duration {
        self.refresh_interval.unwrap_or(Self::DEFAULT_REFRESH_INTERVAL)
    }

    /// The store of an entry: its own, else that of the spec; a generator has none.
    pub(crate) fn store_of<'a>(&'a self, entry: Option<&'a EntrySource>) -> Option<&'a StoreRef> {
        match entry {
            Some(source) => source.store_ref.as_ref(),
            None => self.secret_store_ref.as_ref(),
        }
    }
}

/// The name of a store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StoreRef {
    /// The name.
    #[serde(default)]
    pub name: String,
    /// `SecretStore`, the default, or `ClusterSecretStore`.
    #[serde(default = "secret_store")]
    pub kind: String,
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
    /// Who makes the Secret and owns it.
    #[serde(default)]
    pub creation_policy: CreationPolicy,
    /// What becomes of the Secret when its sources are gone.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// The Secret's shape; without one the values are written as they are read.
    pub template: Option<SecretTemplate>,
    /// Whether the Secret is made immutable.
    #[serde(default)]
    pub immutable: bool,
}

/// Who makes the Secret and owns it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum CreationPolicy {
    /// The ExternalSecret makes and owns it.
    #[default]
    Owner,
    /// The ExternalSecret makes it, and leaves it behind.
    Orphan,
    /// Somebody else makes it; the ExternalSecret adds its keys.
    Merge,
    /// Nobody does.
    None,
}

/// What becomes of the Secret when its sources are gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum DeletionPolicy {
    /// It stays.
    #[default]
    Retain,
    /// It goes.
    Delete,
    /// Its keys go.
    Merge,
}

/// When an ExternalSecret reads its sources again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum RefreshPolicy {
    /// After each refresh interval.
    #[default]
    Periodic,
    /// When the ExternalSecret itself changes.
    OnChange,
    /// Never.
    CreatedOnce,
}

/// The shape of a Secret. The template texts stay in the manifest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretTemplate {
    /// The Secret's type.
    #[serde(rename = "type")]
    pub secret_type: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    /// Whether the values stay beside what the template makes of them.
    #[serde(default)]
    pub merge_policy: MergePolicy,
    /// What makes each key of `data`.
    #[serde(default, deserialize_with = "data_templates")]
    pub data: BTreeMap<String, DataTemplate>,
    /// Templates kept in other objects, or as one text.
    #[serde(default)]
    pub template_from: Vec<TemplateFrom>,
}

impl SecretTemplate {
    /// The Secret's labels; a value may itself be a template.
    pub fn labels(&self) -> &Labels {
        &self.metadata.labels
    }
}

/// What makes one key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataTemplate {
    /// One value that was read, as it is: `{{ .token }}` or `{{ index . "token" }}`.
    Value(String),
    /// Anything else.
    Composed,
}

impl DataTemplate {
    fn of(text: &str) -> Self {
        let inside = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let words: Vec<&str> = inside.into_iter().flat_map(str::split_whitespace).collect();
        let is_name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let quoted = |name: &'_ str| name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(str::to_owned);
        let value = match words.as_slice() {
            [field] => field.strip_prefix('.').filter(is_name).map(str::to_owned),
            ["index", ".", name] => quoted(name).filter(|name| !name.contains(['"', '\\'])),
            _ => None,
        };
        value.map_or(Self::Composed, Self::Value)
    }
}

fn data_templates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, DataTemplate>, D::Error> {
    let data = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?;
    let template = |text: Option<String>| text.map_or(DataTemplate::Composed, |text| DataTemplate::of(&text));
    Ok(data.unwrap_or_default().into_iter().map(|(key, text)| (key, template(text))).collect())
}

/// Whether values stay beside what a template makes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum MergePolicy {
    /// They do not.
    #[default]
    Replace,
    /// They do.
    Merge,
}

/// Templates kept in other objects, or as one text.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateFrom {
    /// Templates in a ConfigMap of the target namespace.
    pub config_map: Option<TemplateObject>,
    /// Templates in a Secret of the target namespace.
    pub secret: Option<TemplateObject>,
    /// One text that renders to keys and values. The text itself stays in the manifest.
    pub literal: Option<IgnoredAny>,
    /// Where the result goes: `Data`, the default, or into the metadata.
    pub target: Option<String>,
}

/// An object that holds templates.
#[derive(Debug, Clone, Deserialize)]
pub struct TemplateObject {
    /// Its keys that are used.
    #[serde(default)]
    pub items: Vec<TemplateItem>,
}

/// A template in another object.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateItem {
    /// The key that holds the template, and that its result gets.
    pub key: String,
    /// `KeysAndValues` if the template makes its own keys.
    pub template_as: Option<String>,
}

/// One value that an ExternalSecret reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataEntry {
    /// The key it gets.
    pub secret_key: String,
    /// Where it is read.
    pub remote_ref: RemoteRef,
    pub(crate) source_ref: Option<EntrySource>,
}

/// Where a value is read.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteRef {
    /// The name of the source Secret.
    pub key: String,
    /// The key in the source; without one the value is the whole source as JSON.
    pub property: Option<String>,
    /// `Fetch` if labels and annotations are read and not values.
    pub metadata_policy: Option<String>,
    /// How keys are renamed.
    pub conversion_strategy: Option<String>,
    /// How values are decoded before anything else; absent means not at all.
    pub decoding_strategy: Option<String>,
}

impl RemoteRef {
    /// Whether values arrive as they are in the source.
    pub(crate) fn is_verbatim(&self) -> bool {
        self.decoding_strategy.as_deref().is_none_or(|strategy| strategy == "None")
    }

    /// Whether the reference is to values, under their own names.
    pub(crate) fn is_plain(&self) -> bool {
        let is = |field: &Option<String>, default: &str| field.as_deref().is_none_or(|value| value == default);
        is(&self.metadata_policy, "None") && is(&self.conversion_strategy, "Default")
    }
}

/// A set of values that an ExternalSecret reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataFrom {
    /// All values of one source.
    pub extract: Option<RemoteRef>,
    /// All sources that fit a search.
    pub find: Option<Find>,
    /// How keys are renamed; what they become is known only to the controller.
    #[serde(default)]
    pub rewrite: Vec<IgnoredAny>,
    pub(crate) source_ref: Option<EntrySource>,
}

/// A search for sources. Each one that is found becomes one value, the whole source as JSON, under the source's name.
///
/// Source: `Client.GetAllSecrets` (pkg/provider/kubernetes/client.go), which looks at tags first.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Find {
    /// Labels that a source must have.
    pub tags: Option<Labels>,
    /// What a source's name must be like.
    pub name: Option<FindName>,
}

/// What the name of a source must be like.
#[derive(Debug, Clone, Deserialize)]
pub struct FindName {
    /// An expression that matches anywhere in it.
    pub regexp: Option<String>,
}

impl Find {
    /// Whether it finds a Secret of this name with these labels. An expression that the controller would refuse finds
    /// nothing.
    pub fn finds(&self, name: &str, labels: &Labels) -> bool {
        match (&self.tags, &self.name) {
            (Some(tags), _) => tags.iter().all(|(key, value)| labels.get(key) == Some(value)),
            (None, Some(FindName { regexp: Some(regexp) })) => {
                Regex::new(regexp).is_ok_and(|regex| regex.is_match(name))
            }
            (None, _) => false,
        }
    }
}

/// The store, or something else, that one entry reads instead of the spec's store.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntrySource {
    /// Absent if the entry reads a generator.
    pub(crate) store_ref: Option<StoreRef>,
}
