//! ClusterExternalSecrets that no namespace can be selected by.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};
use crate::selector::opt_ins;

pub(super) const RULE: Rule = Rule {
    id: "selects-nobody",
    requirement: Requirement::new(2, 2),
    severity: Severity::Warning,
    summary: "no namespace can ever be selected",
    help: "Write whom it is for into namespaceSelectors or namespaces: without them, and with selectors that contradict themselves, no copy is made, and nothing reports it.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let nobody = context.config.declared_distributions().filter(|declared| opt_ins(&declared.selection).is_empty());
    nobody
        .map(|declared| {
            let message = if declared.selection.selectors.is_empty() {
                "it has neither selectors nor namespaces, so that nobody gets a copy"
            } else {
                "its selectors contradict themselves, so that nobody gets a copy"
            };
            RULE.at(declared.place, message)
        })
        .collect()
}
