//! A creation policy that leaves copies behind.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "creation-policy-orphan",
    requirement: Requirement::new(2, 5),
    severity: Severity::Warning,
    summary: "copies outlive the right to them",
    help: "Set creationPolicy to Owner: without an owner nothing removes the copy when the namespace no longer asks for it.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let distributions =
        context.model.distributions.iter().filter(|distribution| distribution.creation_policy.leaves_behind());
    distributions
        .map(|distribution| {
            let said = format!(
                "creationPolicy {:?} leaves the copy behind when the namespace no longer asks for it",
                distribution.creation_policy
            );
            RULE.at(context.place(distribution), said)
        })
        .collect()
}
