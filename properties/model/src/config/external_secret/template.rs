//! The shape of the Secret that an ExternalSecret writes.

use std::collections::BTreeMap;

use credence_core::credential::Credential;
use credence_core::labels::Labels;
use serde::{Deserialize, Deserializer};

use super::{DecodingStrategy, Metadata};
use crate::template;

/// The shape of a Secret. The texts of templates that compose stay in the manifest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretTemplate {
    /// Type of the Secret; `Opaque` if none.
    #[serde(rename = "type")]
    pub secret_type: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    /// Policy on values beside what the template makes of them.
    #[serde(default)]
    pub merge_policy: MergePolicy,
    /// Template of each key of `data`.
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

/// Template of one key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataTemplate {
    /// One value that was read, as it is: `{{ .token }}` or `{{ index . "token" }}`.
    Value(String),
    /// A text without any action.
    Text(Credential),
    /// Any other text with actions.
    Composed(Composition),
}

/// A text that a template composes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Composition {
    /// One value that was read, and white space beside it.
    Padded,
    /// The value of this name, without a part of it or with other characters in it.
    Cut(String),
    /// Several values, or words of its own.
    Other,
}

impl DataTemplate {
    /// The template of one key.
    pub(crate) fn of(text: &str) -> Self {
        if !text.contains("{{") {
            return Self::Text(Credential::new(text));
        }
        let padded = text.trim();
        if padded.len() < text.len() {
            return match Self::of(padded) {
                Self::Value(_) => Self::Composed(Composition::Padded),
                composed => composed,
            };
        }
        let inside = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let words: Vec<&str> = inside.into_iter().flat_map(str::split_whitespace).collect();
        let is_name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let quoted = |name: &'_ str| name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(str::to_owned);
        let value = match words.as_slice() {
            [field] => field.strip_prefix('.').filter(is_name).map(str::to_owned),
            ["index", ".", name] => quoted(name).filter(|name| !name.contains(['"', '\\'])),
            _ => None,
        };
        let composition = || template::cut(text).map_or(Composition::Other, Composition::Cut);
        value.map_or_else(|| Self::Composed(composition()), Self::Value)
    }
}

fn data_templates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, DataTemplate>, D::Error> {
    let data = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?;
    let template = |text: Option<String>| DataTemplate::of(&text.unwrap_or_default());
    Ok(data.unwrap_or_default().into_iter().map(|(key, text)| (key, template(text))).collect())
}

/// Policies on values beside what a template makes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum MergePolicy {
    /// Only the keys of the template are written.
    #[default]
    Replace,
    /// Values that were read are written as well, under what the template makes.
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
    /// One text that renders to keys and values.
    #[serde(default, deserialize_with = "hidden_text")]
    pub literal: Option<Credential>,
    /// Part of the Secret that the result goes to.
    #[serde(default)]
    pub target: TemplateTarget,
    /// Decoding of the values that were rendered, from 2.7.0 on.
    #[serde(default)]
    pub(crate) values_decoding_strategy: DecodingStrategy,
}

/// A text that may hold a credential, though it should not.
fn hidden_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Credential>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Credential::new))
}

/// Destinations of a template's result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TemplateTarget {
    /// Keys and values of the Secret.
    #[default]
    Data,
    /// Annotations of the Secret.
    Annotations,
    /// Labels of the Secret.
    Labels,
    /// To a path, which the operator refuses of a Secret. Definitions before 1.0 have no such text.
    Path,
}

impl<'de> Deserialize<'de> for TemplateTarget {
    /// Takes the names in any case.
    ///
    /// Source: External Secrets Operator, `applyToTarget` (runtime/template/v2/template.go) and `ValidateSecretTemplateFromTargets`
    /// (apis/externalsecrets/v1/externalsecret_validator.go).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        Ok(match named.to_ascii_lowercase().as_str() {
            "" | "data" => Self::Data,
            "annotations" => Self::Annotations,
            "labels" => Self::Labels,
            _ => Self::Path,
        })
    }
}

/// An object that holds templates.
#[derive(Debug, Clone, Deserialize)]
pub struct TemplateObject {
    /// Name of the ConfigMap or Secret.
    #[serde(default)]
    pub name: String,
    /// Its keys that are used.
    #[serde(default)]
    pub items: Vec<TemplateItem>,
}

/// A template in another object.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateItem {
    /// The key that holds the template, and that its result gets unless it makes its own keys.
    pub key: String,
    /// Reading of the result: one value, or keys and values.
    #[serde(default)]
    pub template_as: TemplateScope,
}

/// Ways to read the result of a template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum TemplateScope {
    /// The result is the value of one key.
    #[default]
    Values,
    /// Keys and values, as YAML.
    KeysAndValues,
}
