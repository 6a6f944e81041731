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
    let targets = context.model.targets.iter().filter(|target| target.immutable);
    let message = "updates of the source never arrive: target.immutable is true";
    targets.map(|target| RULE.at(context.place(target), message)).collect()
}
