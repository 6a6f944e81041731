//! A creation policy that leaves copies behind.

use credence_core::id::Requirement;

use crate::config::CreationPolicy;
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
    let distributions = context
        .model
        .distributions
        .iter()
        .filter(|distribution| distribution.creation_policy == CreationPolicy::Orphan);
    distributions
        .map(|distribution| {
            RULE.at(
                context.place(distribution),
                "creationPolicy Orphan leaves the copy behind when the namespace no longer asks for it",
            )
        })
        .collect()
}
