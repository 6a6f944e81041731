//! Conditions of a store that admit more than they seem to say.
//!
//! Source: External Secrets Operator, `shouldProcessStore` (pkg/controllers/secretstore/client_manager.go): any part of any condition
//! is enough, and `namespaceRegexes` are searched for anywhere in the name.

use credence_core::id::Requirement;

use crate::config::StoreCondition;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "conditions-match-widely",
    requirement: Requirement::new(5, 1),
    severity: Severity::Note,
    summary: "conditions of a store admit more than they seem to say",
    help: "All parts of a condition are alternatives, not only the conditions themselves, and a regular expression matches anywhere in a name unless it begins with ^ and ends with $.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let stores = context.model.stores.values().filter(|store| store.namespace().is_none());
    let loose = stores.filter_map(|store| {
        let message =
            store.conditions.iter().find_map(|condition| mixed(condition).or_else(|| unanchored(condition)))?;
        Some(RULE.at(&store.place, message))
    });
    loose.collect()
}

/// A condition whose parts look as if all of them had to be met.
fn mixed(condition: &StoreCondition) -> Option<String> {
    let by_name = !(condition.namespaces.is_empty() && condition.namespace_regexes.is_empty());
    (by_name && condition.namespace_selector.is_some())
        .then(|| "admits by name whatever the labels, and by labels whatever the name, in one condition".to_owned())
}

fn unanchored(condition: &StoreCondition) -> Option<String> {
    let patterns = condition.namespace_regexes.iter().map(regex::Regex::as_str);
    let mut open = patterns.filter(|pattern| !pattern.starts_with('^') || pattern.starts_with("^.*"));
    open.next().map(|pattern| format!("admits every namespace in whose name {pattern:?} matches anywhere"))
}
