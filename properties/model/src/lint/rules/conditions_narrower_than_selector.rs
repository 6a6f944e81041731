//! Conditions of a store that do not admit what is selected.

use credence_core::id::Requirement;

use crate::lint::worlds;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::Conflict;
use crate::selector::effective_labels;

pub(super) const RULE: Rule = Rule {
    id: "conditions-narrower-than-selector",
    requirement: Requirement::new(5, 5),
    severity: Severity::Warning,
    summary: "a namespace is selected that the store does not admit",
    help: "Make the conditions of the store say what the selectors say: tightened conditions leave copies where they are, and access is taken by the label.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = worlds::findings(context, &RULE, |conflict| matches!(conflict, Conflict::NotAdmitted { .. }));
    let (config, model) = (context.config, context.model);
    for declared in config.declared_distributions() {
        let Some(namespace) = declared.namespace else { continue };
        // Those of a namespace that no manifest makes are the ones that its stores want.
        let labels = config.namespaces.get(namespace).or_else(|| model.assumed.get(namespace));
        let labels = effective_labels(namespace, &labels.cloned().unwrap_or_default());
        let stores = declared.spec.stores().filter_map(|store| config.stores.get(&store.name));
        for store in stores.filter(|store| !store.admits(&labels)) {
            let message = format!("is in namespace {namespace}, which store {} does not admit", store.name);
            findings.push(RULE.at(declared.place, message));
        }
    }
    findings
}
