//! Copies that two ClusterExternalSecrets write.

use credence_core::id::Requirement;

use crate::lint::worlds;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::Conflict;

pub(super) const RULE: Rule = Rule {
    id: "same-copy",
    requirement: Requirement::new(2, 2),
    severity: Severity::Warning,
    summary: "two ClusterExternalSecrets write the same Secret",
    help: "Give each its own target.name, or selectors that never match the same namespace.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let targets = &context.model.targets;
    let mut findings = Vec::new();
    for conflict in targets.iter().flat_map(|target| worlds::conflicts(context, target)) {
        let Conflict::SameCopy { copy, first, second } = conflict else { continue };
        let message = format!("a namespace that asks for both gets {} from {first} and from {second}", copy.secret);
        let first = targets.iter().find(|target| target.name == first);
        findings.extend(first.map(|target| RULE.at(context.place(target), message)));
    }
    findings
}
