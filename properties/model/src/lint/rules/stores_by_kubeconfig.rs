//! Policies that let a tenant's store bring a kubeconfig.

use credence_core::id::Requirement;
use credence_core::operator_api::EXTERNAL_SECRETS_GROUP;

use crate::lint::admission::Policy;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "stores-by-kubeconfig",
    requirement: Requirement::new(5, 2),
    severity: Severity::Warning,
    summary: "a store of a tenant may bring a kubeconfig",
    help: "Exempt a tenant's store only without authRef: a kubeconfig can name files of the operator's pod, such as its token.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    // A policy is not asked about stores of the kubernetes provider if one of its conditions is about them.
    let exempts = |expression: &str| expression.contains("\"SecretStore\"") && expression.contains("\"kubernetes\"");
    let policies = Policy::all(context.config, context.model);
    let exempting = policies.iter().filter(|policy| {
        policy.denies()
            && !policy.operations(EXTERNAL_SECRETS_GROUP, "secretstores").is_empty()
            && policy.match_conditions().any(exempts)
    });
    let message = "exempts every SecretStore of the kubernetes provider, also one with authRef, a kubeconfig";
    exempting
        .filter(|policy| !policy.expressions.contains("authRef"))
        .map(|policy| RULE.at(&policy.place(), message))
        .collect()
}
