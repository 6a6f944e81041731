//! Labels by which namespaces ask and that no policy keeps for the platform.

use credence_core::id::Requirement;

use crate::lint::admission::{Duty, Policy};
use crate::lint::{Context, Finding, Rule, Severity};
use crate::selector::NAME_LABEL;

pub(super) const RULE: Rule = Rule {
    id: "selector-label-unguarded",
    requirement: Requirement::new(5, 1),
    severity: Severity::Warning,
    summary: "a namespace asks by a label that the policy about labels does not name",
    help: "Select by a label that the policy names, or name this one there: the owner of a namespace sets any other.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let policies = Policy::all(context.config, context.model);
    let guards: Vec<&Policy<'_>> =
        policies.iter().filter(|policy| policy.duty == Duty::Labels && policy.denies()).collect();
    // Where nothing of the configuration guards labels, something else may.
    if guards.is_empty() {
        return Vec::new();
    }
    // By its prefix a policy guards all labels of a domain.
    let is_guarded = |key: &str| {
        let beginning = key.split_inclusive('/').next().unwrap_or(key);
        guards.iter().any(|policy| policy.expressions.contains(beginning))
    };
    let mut findings = Vec::new();
    for distribution in &context.model.distributions {
        // One guarded label among several keeps the others from granting anything.
        let unguarded = distribution.opt_in_labels().into_iter().find(|labels| {
            let mut keys = labels.keys().filter(|key| *key != NAME_LABEL).peekable();
            keys.peek().is_some() && !keys.any(|key| is_guarded(key))
        });
        if let Some(labels) = unguarded {
            let keys: Vec<&str> = labels.keys().map(String::as_str).filter(|key| *key != NAME_LABEL).collect();
            let message = format!("a namespace asks by {}, which no policy about labels names", keys.join(" and "));
            findings.push(RULE.at(context.place(distribution), message));
        }
    }
    findings
}
