//! Stores that admit every namespace.

use credence_core::id::Requirement;

use std::collections::BTreeMap;

use crate::config::ClusterSecretStore;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "store-without-conditions",
    requirement: Requirement::new(5, 1),
    severity: Severity::Warning,
    summary: "a store admits every namespace",
    help: "Give the store conditions that say what the selectors say: without them an ExternalSecret in any namespace may read through it.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let used = context.model.distributions.iter().flat_map(|distribution| &distribution.stores);
    let used: BTreeMap<&str, &ClusterSecretStore> = used.map(|store| (store.name.as_str(), store)).collect();
    // A distribution knows a store as it serves it, so that the store itself is asked.
    let stores = used.into_keys().filter_map(|name| context.model.stores.get(name));
    let open = stores.filter(|store| store.namespace().is_none() && store.conditions.is_empty());
    open.map(|store| RULE.at(&store.place, "has no conditions: any namespace may read it")).collect()
}
