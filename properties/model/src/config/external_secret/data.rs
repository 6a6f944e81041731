//! The values that an ExternalSecret reads.

use credence_core::labels::Labels;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::StoreRef;

/// One value that an ExternalSecret reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataEntry {
    /// Key of the Secret that the value gets, or its name in templates.
    pub secret_key: String,
    /// The value that is read.
    pub remote_ref: RemoteRef,
    pub(crate) source_ref: Option<EntrySource>,
}

/// Reference to a value, or to a whole source.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteRef {
    /// The name of the source Secret, or the key at the provider.
    pub key: String,
    /// The key in the source, or a path that begins with one; without it the value is the whole source: of a Secret, all of it
    /// as JSON.
    pub property: Option<String>,
    /// The version at the provider. Secrets of Kubernetes have none, and their provider passes over it.
    pub version: Option<String>,
    /// Replacement of characters of keys that no key of a Secret has.
    #[serde(default)]
    pub conversion_strategy: ConversionStrategy,
    /// Policy on metadata in place of values.
    #[serde(default)]
    pub metadata_policy: MetadataPolicy,
    /// Decoding of values before any template.
    #[serde(default)]
    pub decoding_strategy: DecodingStrategy,
}

/// Replacement of characters of keys that no key of a Secret has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum ConversionStrategy {
    /// Each is replaced by an underscore.
    #[default]
    Default,
    /// Each is replaced by its code point in hexadecimal: `_U002f_`.
    Unicode,
}

impl ConversionStrategy {
    /// The key after conversion.
    ///
    /// Source: External Secrets Operator, `convert` (pkg/esutils/utils.go).
    pub(crate) fn convert(self, key: &str) -> String {
        let mut converted = String::with_capacity(key.len());
        for letter in key.chars() {
            match self {
                _ if letter.is_alphabetic() || letter.is_numeric() || "-._".contains(letter) => converted.push(letter),
                Self::Default => converted.push('_'),
                Self::Unicode => converted.push_str(&format!("_U{:04x}_", u32::from(letter))),
            }
        }
        converted
    }
}

/// Parts that are read of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum MetadataPolicy {
    /// Its values, and no metadata.
    #[default]
    None,
    /// Its labels and annotations, in place of its values.
    Fetch,
}

/// Decoding of values before any template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum DecodingStrategy {
    /// Values are taken as they are.
    #[default]
    None,
    /// As base64 with the standard alphabet.
    Base64,
    /// As base64 with the alphabet for URLs.
    #[serde(rename = "Base64URL")]
    Base64Url,
    /// As either, if they are that.
    Auto,
}

/// A set of values that an ExternalSecret reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataFrom {
    /// All values of one source.
    pub extract: Option<RemoteRef>,
    /// All sources that fit a search.
    pub find: Option<Find>,
    /// Renaming of keys, step by step.
    #[serde(default)]
    pub rewrite: Vec<Rewrite>,
    pub(crate) source_ref: Option<EntrySource>,
}

/// A step in which keys are renamed or merged. Of several fields, the controller heeds the first of this order.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Rewrite {
    /// Values that are JSON objects become one.
    pub merge: Option<RewriteMerge>,
    /// Each key is changed by an expression.
    pub regexp: Option<RewriteRegexp>,
    /// Each key is changed by a template.
    pub transform: Option<RewriteTransform>,
}

/// The way in which values that are JSON objects become one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RewriteMerge {
    /// The key of the merged document.
    #[serde(default)]
    pub into: String,
    /// The keys that are merged last, so that theirs count.
    #[serde(default)]
    pub priority: Vec<String>,
    /// Result if one of those is absent.
    #[serde(default)]
    pub priority_policy: PriorityPolicy,
    /// Result if two have the same member.
    #[serde(default)]
    pub conflict_policy: ConflictPolicy,
    /// Strategy for the merged members.
    #[serde(default)]
    pub strategy: MergeStrategy,
}

/// Result if a key with priority is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum PriorityPolicy {
    /// The ExternalSecret fails, and nothing is written.
    #[default]
    Strict,
    /// The key is passed over.
    IgnoreNotFound,
}

/// Result if two documents have the same member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum ConflictPolicy {
    /// The ExternalSecret fails, and nothing is written.
    #[default]
    Error,
    /// The member of the document that is merged last counts.
    Ignore,
}

/// Form of the merged members in the Secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum MergeStrategy {
    /// Each member gets a key of its own.
    #[default]
    Extract,
    /// One document, beside the values that it is made of.
    #[serde(rename = "JSON")]
    Json,
}

/// A change of keys by an expression.
#[derive(Debug, Clone, Deserialize)]
pub struct RewriteRegexp {
    /// Regular expression in Go's syntax, which is searched in each key.
    pub source: String,
    /// Replacement of each match, in which `$1` stands for a group.
    pub target: String,
}

/// A change of keys by a template.
#[derive(Debug, Clone, Deserialize)]
pub struct RewriteTransform {
    /// The template, which has the key as `.value`.
    pub template: String,
}

/// A search for sources. Each one that is found becomes one value, the whole source, under the source's name: a Secret as JSON.
///
/// Source: `Client.GetAllSecrets` (pkg/provider/kubernetes/client.go), which looks at tags first, and passes over `path`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Find {
    /// Labels that a source must have, or tags at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Labels>,
    /// Pattern for a source's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<FindName>,
    /// Path at which the provider looks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Replacement of characters of names that no key of a Secret has.
    #[serde(default, skip_serializing)]
    pub conversion_strategy: ConversionStrategy,
    /// Decoding of what was found.
    #[serde(default, skip_serializing)]
    pub decoding_strategy: DecodingStrategy,
}

/// Pattern for the name of a source.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct FindName {
    /// An expression that matches anywhere in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regexp: Option<String>,
}

impl Find {
    /// True if it finds a Secret of this name with these labels.
    pub fn finds(&self, name: &str, labels: &Labels) -> bool {
        match (&self.tags, &self.name) {
            (Some(tags), _) => tags.iter().all(|(key, value)| labels.get(key) == Some(value)),
            (None, _) => self.is_named(name),
        }
    }

    /// True if its expression matches a name. One that the controller would refuse matches none.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let regexp = self.name.as_ref().and_then(|own| own.regexp.as_deref());
        regexp.is_some_and(|regexp| Regex::new(regexp).is_ok_and(|regex| regex.is_match(name)))
    }
}

/// The store, or something else, that one entry reads instead of the spec's store.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntrySource {
    /// Absent if the entry reads a generator.
    pub(crate) store_ref: Option<StoreRef>,
    pub(crate) generator_ref: Option<GeneratorRef>,
}

/// The generator of values in a store's place.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct GeneratorRef {
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) name: String,
}
