//! Policies on deletion that Kubernetes itself cannot pass.

use credence_core::id::Requirement;

use crate::lint::admission::{Duty, Policy};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "policy-hinders-collectors",
    requirement: Requirement::new(2, 5),
    severity: Severity::Warning,
    summary: "a policy on deletion stops the garbage collector",
    help: "Exempt system:serviceaccount:kube-system:generic-garbage-collector and system:serviceaccount:kube-system:namespace-controller, or leave deletion to RBAC.",
    check,
};

/// Words by which an expression may let the controllers of Kubernetes pass.
const EXEMPTIONS: [&str; 3] = ["kube-system", "system:serviceaccounts", "deletionTimestamp"];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let policies = Policy::all(context.config, context.model);
    let policies_that_deny = policies.iter().filter(|policy| policy.duty == Duty::Copies && policy.denies());
    let deleting = policies_that_deny.filter(|policy| policy.operations("", "secrets").contains("DELETE"));
    let message = "judges deletion and does not exempt the garbage collector and the namespace controller";
    deleting
        .filter(|policy| !EXEMPTIONS.iter().any(|word| policy.expressions.contains(word)))
        .map(|policy| RULE.at(&policy.place(), message))
        .collect()
}
