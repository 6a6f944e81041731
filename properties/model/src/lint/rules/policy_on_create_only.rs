//! Policies about Secrets that do not look at changes.

use credence_core::id::Requirement;

use crate::lint::admission::{Duty, Policy};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "policy-on-create-only",
    requirement: Requirement::new(1, 3),
    severity: Severity::Warning,
    summary: "a policy looks at new Secrets only",
    help: "Judge UPDATE as well: an ordinary Secret can be labelled, and a copy changed, after it was made.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let policies = Policy::all(context.config, context.model);
    let policies_that_deny: Vec<&Policy<'_>> =
        policies.iter().filter(|policy| policy.duty == Duty::Copies && policy.denies()).collect();
    let judges = |policy: &Policy<'_>, operation: &str| policy.operations("", "secrets").contains(operation);
    // A policy of its own may look at changes.
    if policies_that_deny.iter().any(|policy| judges(policy, "UPDATE")) {
        return Vec::new();
    }
    let creating = policies_that_deny.iter().filter(|policy| judges(policy, "CREATE"));
    creating.map(|policy| RULE.at(&policy.place(), "looks at new Secrets only, and not at changed ones")).collect()
}
