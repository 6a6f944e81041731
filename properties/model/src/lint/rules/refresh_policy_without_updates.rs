//! A refresh policy that does not follow the source.

use credence_core::id::Requirement;

use crate::config::RefreshPolicy;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "refresh-policy-without-updates",
    requirement: Requirement::new(1, 2),
    severity: Severity::Warning,
    summary: "the refresh policy does not look at the source again",
    help: "Leave refreshPolicy out, or set Periodic: CreatedOnce and OnChange do not follow the source.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let distributions = context.model.distributions.iter();
    distributions
        .filter(|one| one.refresh_policy != RefreshPolicy::Periodic && context.has_source(one))
        .map(|distribution| {
            let policy = distribution.refresh_policy;
            RULE.at(
                context.place(distribution),
                format!("updates of the source never arrive: refreshPolicy is {policy:?}"),
            )
        })
        .collect()
}
