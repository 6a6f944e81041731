//! A creation policy that waits for somebody else to make the copy.

use credence_core::id::Requirement;

use crate::config::CreationPolicy;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "creation-policy-merge",
    requirement: Requirement::new(2, 1),
    severity: Severity::Warning,
    summary: "nothing makes the copy",
    help: "Set creationPolicy to Owner: Merge only writes into a Secret that somebody else made, and stays Ready without one.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let targets = context.model.targets.iter().filter(|target| target.creation_policy == CreationPolicy::Merge);
    // Where the configuration makes the Secret itself, the copy joins it.
    let targets = targets.filter(|target| target.kept.is_empty());
    targets.map(|target| RULE.at(context.place(target), "creationPolicy Merge makes no copy")).collect()
}
