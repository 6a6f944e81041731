//! The labels by which a namespace opts in to a secret, and out of it although a selector matches it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use credence_core::labels::Labels;

use super::{LabelSelector, NAME_LABEL, NamespaceSelection, Operator};

/// The one value with which a boolean distribution label asks.
pub const OPT_IN_VALUE: &str = "true";

/// A label with which a namespace declines a secret that a selector would give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptOut {
    /// Key of the label that the selector wants to be there with any value.
    pub key: String,
    /// The value, anything but [`OPT_IN_VALUE`].
    pub value: String,
}

impl fmt::Display for OptOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value } = self;
        write!(f, "label {key} is {value:?}, and only {OPT_IN_VALUE:?} asks")
    }
}

/// The label with which a namespace declines although `selection` matches its [`effective_labels`], if it does.
///
/// Where labels are switches, `"false"`, `"TRUE"` and an empty value ask for nothing. A selector that fixes the
/// value (`matchLabels`, `In`) says so itself. One that only wants the label to exist gives the secret to a
/// namespace that says no; a model made of the selector alone would repeat that fault of the configuration
/// instead of finding it. So a key required by bare existence must have the [`OPT_IN_VALUE`] if it `is_switch`. [`NAME_LABEL`] is
/// never such a key. Selectors are alternatives: a namespace declines only if each one that matches it is declined.
///
/// [`effective_labels`]: super::effective_labels
pub(crate) fn opts_out(
    selection: &NamespaceSelection,
    labels: &Labels,
    is_switch: impl Fn(&str) -> bool,
) -> Option<OptOut> {
    if selection.names_match(labels) {
        return None;
    }
    let opt_outs: Option<Vec<OptOut>> = selection
        .selectors
        .iter()
        .filter(|selector| selector.matches(labels))
        .map(|selector| opt_out(selector, labels, &is_switch))
        .collect();
    opt_outs?.into_iter().next()
}

fn opt_out(selector: &LabelSelector, labels: &Labels, is_switch: &impl Fn(&str) -> bool) -> Option<OptOut> {
    key_rules(selector)
        .into_iter()
        .filter(|(key, rule)| *key != NAME_LABEL && rule.exists && rule.allowed.is_none() && is_switch(key))
        .find_map(|(key, _)| {
            let value = labels.get(key).filter(|value| *value != OPT_IN_VALUE)?;
            Some(OptOut { key: key.to_owned(), value: value.clone() })
        })
}

/// One way for a namespace to ask for a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptIn {
    /// The labels that are needed, and no more.
    pub labels: Labels,
    /// The names of which the namespace must have one; any name will do if this is `None`.
    pub names: Option<BTreeSet<String>>,
}

/// The ways to ask that a selection offers: one for each selector that a namespace can satisfy, then one for the names.
///
/// Where a label may have several values it gets the first one written; where it must only exist, [`OPT_IN_VALUE`].
pub fn opt_ins(selection: &NamespaceSelection) -> Vec<OptIn> {
    let named = (!selection.names.is_empty())
        .then(|| OptIn { labels: Labels::new(), names: Some(selection.names.iter().cloned().collect()) });
    selection.selectors.iter().filter_map(opt_in).chain(named).collect()
}

fn opt_in(selector: &LabelSelector) -> Option<OptIn> {
    let mut needed = OptIn { labels: Labels::new(), names: None };
    for (key, rule) in key_rules(selector) {
        let required = rule.exists || rule.allowed.is_some();
        if rule.absent && (required || key == NAME_LABEL) {
            return None;
        }
        let bare = [OPT_IN_VALUE];
        let mut possible = rule
            .allowed
            .as_deref()
            .unwrap_or(&bare)
            .iter()
            .filter(|value| !rule.excluded.contains(**value))
            .map(|value| (*value).to_owned());
        if key == NAME_LABEL {
            if rule.allowed.is_some() {
                needed.names = Some(possible.collect());
            }
        } else if required {
            needed.labels.insert(key.to_owned(), possible.next()?);
        }
    }
    let unnameable = needed.names.as_ref().is_some_and(BTreeSet::is_empty);
    (!unnameable).then_some(needed)
}

/// All that one selector says about one label.
#[derive(Default)]
struct KeyRule<'a> {
    exists: bool,
    absent: bool,
    /// The values that every `matchLabels` and `In` allows, in the order of the first; `None` if there is neither.
    allowed: Option<Vec<&'a str>>,
    excluded: BTreeSet<&'a str>,
}

impl<'a> KeyRule<'a> {
    fn allow(&mut self, values: Vec<&'a str>) {
        match &mut self.allowed {
            Some(allowed) => allowed.retain(|value| values.contains(value)),
            None => self.allowed = Some(values),
        }
    }
}

fn key_rules(selector: &LabelSelector) -> BTreeMap<&str, KeyRule<'_>> {
    let mut rules: BTreeMap<&str, KeyRule<'_>> = BTreeMap::new();
    for (key, value) in &selector.match_labels {
        rules.entry(key).or_default().allow(vec![value]);
    }
    for requirement in &selector.requirements {
        let rule = rules.entry(&requirement.key).or_default();
        let values = requirement.values.iter().map(String::as_str);
        match requirement.operator {
            Operator::In => rule.allow(values.collect()),
            Operator::NotIn => rule.excluded.extend(values),
            Operator::Exists => rule.exists = true,
            Operator::DoesNotExist => rule.absent = true,
        }
    }
    rules
}
