//! Policies about labels of namespaces that do not look at changes.

use credence_core::id::Requirement;

use crate::lint::admission::{Duty, Policy};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "labels-checked-on-create-only",
    requirement: Requirement::new(5, 1),
    severity: Severity::Warning,
    summary: "a policy looks at the labels of new namespaces only",
    help: "Judge UPDATE as well: the owner of a namespace labels it later and is given the credential.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let policies = Policy::all(context.config, context.model);
    let policies_that_deny: Vec<&Policy<'_>> =
        policies.iter().filter(|policy| policy.duty == Duty::Labels && policy.denies()).collect();
    let judges = |policy: &Policy<'_>, operation: &str| policy.operations("", "namespaces").contains(operation);
    // A policy of its own may look at changes.
    if policies_that_deny.iter().any(|policy| judges(policy, "UPDATE")) {
        return Vec::new();
    }
    let creating = policies_that_deny.iter().filter(|policy| judges(policy, "CREATE"));
    creating.map(|policy| RULE.at(&policy.place(), "looks at new namespaces only, and not at changed labels")).collect()
}
