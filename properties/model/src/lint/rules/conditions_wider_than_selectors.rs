//! Conditions of a store that admit namespaces which ask for what is read through another.
//!
//! Namespaces that ask for nothing may be admitted on purpose, for what people order themselves.

use credence_core::id::Requirement;
use credence_core::labels::Labels;

use crate::config::ClusterSecretStore;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::Distribution;
use crate::selector::{NamespaceSelection, effective_labels, opt_ins};

pub(super) const RULE: Rule = Rule {
    id: "conditions-wider-than-selectors",
    requirement: Requirement::new(5, 1),
    severity: Severity::Warning,
    summary: "a store admits namespaces that ask for another credential",
    help: "Make the conditions of the store say what the selectors of its own ClusterExternalSecrets say.",
    check,
};

/// A name that matters to nobody.
const ANY_NAME: &str = "somewhere";

fn check(context: &Context<'_>) -> Vec<Finding> {
    let is_judged = |name: &str| context.model.distributions.iter().any(|distribution| distribution.name == name);
    // One that is not understood can be for any of the namespaces.
    if context.config.declared_distributions().any(|distributed| !is_judged(distributed.name)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for store in context.model.stores.values().filter(|store| store.namespace().is_none()) {
        let reads = |distribution: &&Distribution| distribution.stores.iter().any(|one| one.name == store.name);
        let (own, others): (Vec<&Distribution>, Vec<&Distribution>) =
            context.model.distributions.iter().partition(reads);
        // What people write themselves need not be in the configuration.
        if own.is_empty() || own.iter().any(|distribution| distribution.namespace().is_some()) {
            continue;
        }
        findings.extend(wider(store, &own, &others).map(|message| RULE.at(&store.place, message)));
    }
    findings
}

fn wider(store: &ClusterSecretStore, own: &[&Distribution], others: &[&Distribution]) -> Option<String> {
    let conditions = store.conditions.iter();
    let selectors = conditions.filter_map(|condition| condition.namespace_selector.clone());
    for selector in selectors {
        for way in opt_ins(&NamespaceSelection { selectors: vec![selector], names: Vec::new() }) {
            let labels = effective_labels(ANY_NAME, &way.labels);
            let asks = |distributions: &[&Distribution]| {
                distributions.iter().any(|distribution| distribution.selection.matches(&labels))
            };
            if way.names.is_none() && !asks(own) && asks(others) {
                let labels = written(&way.labels);
                return Some(format!(
                    "admits a namespace with {labels}, which asks for what is read through another store"
                ));
            }
        }
    }
    None
}

fn written(labels: &Labels) -> String {
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if labels.is_empty() { "any labels".to_owned() } else { labels.join(", ") }
}
