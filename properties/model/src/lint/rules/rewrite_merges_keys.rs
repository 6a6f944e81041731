//! Rewrites that make one key of two.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::Distribution;

pub(super) const RULE: Rule = Rule {
    id: "rewrite-merges-keys",
    requirement: Requirement::new(3, 2),
    severity: Severity::Error,
    summary: "a rewrite makes one key of two, and which value it has is chance",
    help: "Let the expression keep what tells the keys apart, or read one of them by data: the controller goes through them in an order that differs each time, and the last one wins.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let distributions = context.model.distributions.iter().filter(|distribution| !distribution.merged.is_empty());
    let found = |distribution: &Distribution| {
        let keys: Vec<&str> = distribution.merged.iter().map(String::as_str).collect();
        RULE.at(context.place(distribution), format!("several values get the key {}", keys.join(", ")))
    };
    distributions.map(found).collect()
}
