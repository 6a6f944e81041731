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
    let targets = context.model.targets.iter();
    targets
        .filter(|target| target.refresh_policy == RefreshPolicy::Periodic && target.refresh_interval.is_zero())
        .map(|target| RULE.at(context.place(target), "updates of the source never arrive: refreshInterval is 0"))
        .collect()
}
