//! A creation policy that waits for somebody else to make the copy.

use credence_core::id::Requirement;

use crate::config::CreationPolicy;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "creation-policy-merge",
    requirement: Requirement::new(2, 1),
    severity: Severity::Warning,
    summary: "nothing makes the copy",
    help: "Set creationPolicy to Owner where nobody else makes the Secret: Merge only writes into one that is there, and stays Ready \
           without it. Leave Merge where a controller makes it, as Argo CD makes argocd-secret.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let distributions =
        context.model.distributions.iter().filter(|distribution| distribution.creation_policy == CreationPolicy::Merge);
    // Where the configuration makes the Secret itself, the copy joins it.
    let distributions = distributions.filter(|distribution| distribution.kept.is_empty());
    distributions
        .map(|distribution| RULE.at(context.place(distribution), "creationPolicy Merge makes no copy"))
        .collect()
}
