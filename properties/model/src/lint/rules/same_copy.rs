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
    let distributions = &context.model.distributions;
    let mut findings = Vec::new();
    for conflict in distributions.iter().flat_map(|distribution| worlds::conflicts(context, distribution)) {
        let Conflict::SameCopy { copy, first, second } = conflict else { continue };
        let message = format!("a namespace that asks for both gets {} from {first} and from {second}", copy.secret);
        let first = distributions.iter().find(|distribution| distribution.name == first);
        findings.extend(first.map(|distribution| RULE.at(context.place(distribution), message)));
    }
    findings
}
