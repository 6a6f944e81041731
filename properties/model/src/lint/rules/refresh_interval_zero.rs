//! A refresh interval of zero.

use credence_core::id::Requirement;

use crate::config::RefreshPolicy;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "refresh-interval-zero",
    requirement: Requirement::new(1, 2),
    severity: Severity::Warning,
    summary: "the source is read once and never again",
    help: "Set refreshInterval above zero, such as 5m: with zero a copy is made once, and its ExternalSecret stays Ready.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let distributions = context.model.distributions.iter();
    distributions
        .filter(|distribution| {
            distribution.refresh_policy == RefreshPolicy::Periodic
                && distribution.refresh_interval.is_zero()
                && context.has_source(distribution)
        })
        .map(|distribution| {
            RULE.at(context.place(distribution), "updates of the source never arrive: refreshInterval is 0")
        })
        .collect()
}
