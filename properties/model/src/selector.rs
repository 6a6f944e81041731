//! Namespace selection with the semantics that Kubernetes and External Secrets Operator publish.
//!
//! Sources: k8s.io/apimachinery `LabelSelectorAsSelector`, `labels.NewRequirement` and `Requirement.Matches`;
//! External Secrets Operator `esutils.GetTargetNamespaces`.

use std::fmt;

use credence_core::labels::Labels;
use serde::{Deserialize, Serialize};

mod opt_in;
mod syntax;
#[cfg(test)]
mod tests;

pub(crate) use opt_in::opts_out;
pub use opt_in::{OPT_IN_VALUE, OptIn, OptOut, opt_ins};
pub(crate) use syntax::{is_dns_label, is_subdomain};

/// The label that the API server gives every namespace, with the namespace's name as its value.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The labels that a selector sees on a namespace: its own, and its name under [`NAME_LABEL`].
///
/// The name wins over a written value, as in the API server (pkg/registry/core/namespace/strategy.go).
pub fn effective_labels(namespace: &str, labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    labels.insert(NAME_LABEL.to_owned(), namespace.to_owned());
    labels
}

/// Checks a label as Kubernetes does.
///
/// # Errors
/// When the key or the value is none.
pub(crate) fn check_label(key: &str, value: &str) -> Result<(), SelectorError> {
    syntax::check_key(key)?;
    syntax::check_value(key, value)
}

/// Faults that make a label selector invalid; the API server refuses it for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum SelectorError {
    /// The operator is not one of the four that label selectors have.
    #[error("operator {operator:?} on label {key:?} is not one of In, NotIn, Exists, DoesNotExist")]
    UnknownOperator { key: String, operator: String },
    /// `In` and `NotIn` compare with values, so they need at least one.
    #[error("operator {operator} on label {key:?} needs values")]
    ValuesMissing { key: String, operator: Operator },
    /// `Exists` and `DoesNotExist` compare with no value.
    #[error("operator {operator} on label {key:?} must not have values")]
    ValuesForbidden { key: String, operator: Operator },
    /// The key is not a qualified name.
    #[error("label key {key:?} is not valid: {reason}")]
    InvalidKey { key: String, reason: &'static str },
    /// The value is not a label value.
    #[error("value {value:?} of label {key:?} is not valid: {reason}")]
    InvalidValue { key: String, value: String, reason: &'static str },
}

/// Operator by which a requirement compares a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// The label is there and has one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is there, with any value.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

impl Operator {
    const ALL: [Self; 4] = [Self::In, Self::NotIn, Self::Exists, Self::DoesNotExist];

    /// The operator as manifests write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One entry of `matchExpressions`, valid by construction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RequirementFields", into = "RequirementFields")]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

impl Requirement {
    /// A requirement on `key`.
    ///
    /// # Errors
    /// Values that do not go with the operator, and a key or value that no label can have.
    pub fn new(key: impl Into<String>, operator: Operator, values: Vec<String>) -> Result<Self, SelectorError> {
        let key = key.into();
        syntax::check_key(&key)?;
        match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                return Err(SelectorError::ValuesMissing { key, operator });
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                return Err(SelectorError::ValuesForbidden { key, operator });
            }
            _ => {}
        }
        for value in &values {
            syntax::check_value(&key, value)?;
        }
        Ok(Self { key, operator, values })
    }

    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// A requirement as manifests write it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequirementFields {
    key: String,
    operator: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Vec<String>>,
}

impl TryFrom<RequirementFields> for Requirement {
    type Error = SelectorError;

    fn try_from(fields: RequirementFields) -> Result<Self, SelectorError> {
        let RequirementFields { key, operator, values } = fields;
        match Operator::ALL.into_iter().find(|known| known.as_str() == operator) {
            Some(operator) => Self::new(key, operator, values.unwrap_or_default()),
            None => Err(SelectorError::UnknownOperator { key, operator }),
        }
    }
}

impl From<Requirement> for RequirementFields {
    fn from(requirement: Requirement) -> Self {
        Self {
            key: requirement.key,
            operator: requirement.operator.to_string(),
            values: Some(requirement.values).filter(|values| !values.is_empty()),
        }
    }
}

/// A label selector, valid by construction. An empty one matches everything.
///
/// Kubernetes tells an empty selector from an absent one, which matches nothing: absence is `Option::None` or an
/// empty list here. Unknown fields are refused, since a misspelt one would leave an empty selector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SelectorFields", into = "SelectorFields")]
pub struct LabelSelector {
    match_labels: Labels,
    requirements: Vec<Requirement>,
}

impl LabelSelector {
    /// A selector that matches where every label and every requirement does.
    ///
    /// # Errors
    /// A key or value in `match_labels` that no label can have.
    pub fn new(match_labels: Labels, requirements: Vec<Requirement>) -> Result<Self, SelectorError> {
        for (key, value) in &match_labels {
            syntax::check_key(key)?;
            syntax::check_value(key, value)?;
        }
        Ok(Self { match_labels, requirements })
    }

    /// True if the labels of an object satisfy every part of the selector.
    pub fn matches(&self, labels: &Labels) -> bool {
        let has = |(key, value)| labels.get(key) == Some(value);
        self.match_labels.iter().all(has) && self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// This selector with one more label that must have that value.
    ///
    /// # Errors
    /// A key or value that no label can have.
    pub fn and_label(mut self, key: &str, value: &str) -> Result<Self, SelectorError> {
        syntax::check_key(key)?;
        syntax::check_value(key, value)?;
        self.match_labels.insert(key.to_owned(), value.to_owned());
        Ok(self)
    }

    /// The values that a label must have, one of them, in the order in which they are written.
    pub(crate) fn wanted_values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let required = self.requirements.iter().filter(move |one| one.key == key && one.operator == Operator::In);
        let required = required.flat_map(|requirement| &requirement.values);
        self.match_labels.get(key).into_iter().chain(required).map(String::as_str)
    }

    /// The labels that a namespace must not have, each with the value that it must not have, or without one if any is too much.
    pub(crate) fn excluded(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.requirements.iter().flat_map(|Requirement { key, operator, values }| {
            let values: Vec<Option<&str>> = match operator {
                Operator::NotIn => values.iter().map(|value| Some(value.as_str())).collect(),
                Operator::DoesNotExist => vec![None],
                Operator::In | Operator::Exists => Vec::new(),
            };
            values.into_iter().map(move |value| (key.as_str(), value))
        })
    }

    /// The label keys that the selector looks at.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let required = self.requirements.iter().map(|requirement| &requirement.key);
        self.match_labels.keys().chain(required).map(String::as_str)
    }
}

/// A label selector as manifests write it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SelectorFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    match_labels: Option<Labels>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    match_expressions: Option<Vec<Requirement>>,
}

impl TryFrom<SelectorFields> for LabelSelector {
    type Error = SelectorError;

    fn try_from(fields: SelectorFields) -> Result<Self, SelectorError> {
        Self::new(fields.match_labels.unwrap_or_default(), fields.match_expressions.unwrap_or_default())
    }
}

impl From<LabelSelector> for SelectorFields {
    fn from(selector: LabelSelector) -> Self {
        Self {
            match_labels: Some(selector.match_labels).filter(|labels| !labels.is_empty()),
            match_expressions: Some(selector.requirements).filter(|list| !list.is_empty()),
        }
    }
}

/// Namespaces that a ClusterExternalSecret aims at: those that any selector matches, and those that are named.
///
/// Empty, it selects nothing. The deprecated `namespaceSelector` is one more of the selectors, and the deprecated
/// `namespaces` are the names (External Secrets Operator `esutils.GetTargetNamespaces`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceSelection {
    /// Selectors; one match is enough.
    pub selectors: Vec<LabelSelector>,
    /// Names, compared with [`NAME_LABEL`].
    pub names: Vec<String>,
}

impl NamespaceSelection {
    /// True if External Secrets Operator selects a namespace with these [`effective_labels`].
    pub fn matches(&self, labels: &Labels) -> bool {
        self.names_match(labels) || self.selectors.iter().any(|selector| selector.matches(labels))
    }

    /// The label keys that the selection looks at, [`NAME_LABEL`] among them only where a selector writes it.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.selectors.iter().flat_map(LabelSelector::keys)
    }

    fn names_match(&self, labels: &Labels) -> bool {
        labels.get(NAME_LABEL).is_some_and(|name| self.names.contains(name))
    }
}
