//! A creation policy that makes no copy.

use credence_core::id::Requirement;

use crate::config::CreationPolicy;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "creation-policy-none",
    requirement: Requirement::new(2, 1),
    severity: Severity::Warning,
    summary: "no copy is made",
    help: "Set creationPolicy to Owner: with None no Secret is written, and the ExternalSecret stays Ready.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let distributions =
        context.model.distributions.iter().filter(|distribution| distribution.creation_policy == CreationPolicy::None);
    distributions
        .map(|distribution| RULE.at(context.place(distribution), "creationPolicy None makes no copy"))
        .collect()
}
