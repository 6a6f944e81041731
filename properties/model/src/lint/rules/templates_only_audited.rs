//! Policies about templates that only write down what they should refuse.

use credence_core::id::Requirement;

use crate::config::SourcePosition;
use crate::lint::admission::{Duty, Policy};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "templates-only-audited",
    requirement: Requirement::new(5, 2),
    severity: Severity::Warning,
    summary: "dangerous templates are not refused",
    help: "Put Deny into validationActions: Audit and Warn let the request pass.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let policies = Policy::all(context.config, context.model);
    let mut findings = Vec::new();
    for policy in policies.iter().filter(|policy| policy.duty == Duty::Templates) {
        let title = policy.duty.title();
        for binding in policy.toothless() {
            let message = format!("validationActions has no Deny: the policy about {title} refuses nothing");
            findings.push(RULE.at(&SourcePosition::of(binding), message));
        }
    }
    findings
}
