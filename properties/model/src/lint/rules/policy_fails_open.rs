//! Policies that let pass what they cannot judge.

use credence_core::id::Requirement;

use crate::lint::admission::Policy;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "policy-fails-open",
    requirement: Requirement::new(1, 3),
    severity: Severity::Warning,
    summary: "a policy lets pass what it cannot judge",
    help: "Set failurePolicy to Fail: with Ignore a request passes whose expression fails.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let policies = Policy::all(context.config, context.model);
    let open = policies.iter().filter(|policy| policy.manifest.object["spec"]["failurePolicy"] == "Ignore");
    open.map(|policy| {
        let title = policy.duty.title();
        RULE.at(&policy.place(), format!("failurePolicy of the policy about {title} is Ignore"))
    })
    .collect()
}
