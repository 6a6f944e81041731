//! Policies that do not reserve the names of all copies.

use credence_core::id::Requirement;

use crate::lint::admission::{self, Duty, Policy};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "policy-without-names",
    requirement: Requirement::new(1, 3),
    severity: Severity::Warning,
    summary: "a policy does not reserve the name of a copy",
    help: "Add the name to the policies that list the names of copies: a Secret of another type that stands where a copy is due stays there.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let distributions = &context.model.distributions;
    let policies = Policy::all(context.config, context.model);
    let listing: Vec<&Policy<'_>> =
        policies.iter().filter(|policy| matches!(policy.duty, Duty::Copies | Duty::Readers)).collect();
    // A configuration that reserves no name at all may guard its copies by other means.
    if admission::unnamed(distributions, &listing).len() == admission::unnamed(distributions, &[]).len() {
        return Vec::new();
    }
    let policies_that_deny: Vec<&Policy<'_>> = listing
        .into_iter()
        .filter(|policy| policy.duty == Duty::Copies && policy.denies())
        .filter(|policy| policy.operations("", "secrets").contains("CREATE"))
        .collect();
    let missing = admission::unnamed(distributions, &policies_that_deny);
    let guard = policies_that_deny.first().filter(|_| !missing.is_empty());
    let message = format!("does not reserve the names of all copies: {} is missing", missing.join(", "));
    guard.map(|policy| RULE.at(&policy.place(), message)).into_iter().collect()
}
