//! Policies that nothing binds.

use credence_core::id::Requirement;

use crate::lint::admission::Policy;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "policy-without-binding",
    requirement: Requirement::new(1, 3),
    severity: Severity::Warning,
    summary: "nothing binds a policy, so it is never asked",
    help: "Add a ValidatingAdmissionPolicyBinding with validationActions: [Deny].",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let policies = Policy::all(context.config, context.model);
    let unbound = policies.iter().filter(|policy| policy.is_unbound());
    unbound
        .map(|policy| {
            let title = policy.duty.title();
            RULE.at(&policy.place(), format!("no binding names this policy about {title}, so it is never asked"))
        })
        .collect()
}
