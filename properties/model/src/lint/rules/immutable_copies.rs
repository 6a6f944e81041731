//! Copies that cannot be changed.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "immutable-copies",
    requirement: Requirement::new(1, 2),
    severity: Severity::Warning,
    summary: "copies are immutable and never follow the source",
    help: "Remove target.immutable: External Secrets Operator says that an immutable copy is synced, and never changes it.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let distributions = context.model.distributions.iter();
    let distributions = distributions.filter(|one| one.immutable && context.has_source(one));
    let message = "updates of the source never arrive: target.immutable is true";
    distributions.map(|distribution| RULE.at(context.place(distribution), message)).collect()
}
