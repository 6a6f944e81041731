//! Keys that two entries of an ExternalSecret give a value.

use std::collections::BTreeSet;

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "secret-key-twice",
    requirement: Requirement::new(3, 2),
    severity: Severity::Warning,
    summary: "two entries of data give one key a value",
    help: "Remove one of them, or give it a key of its own: the last one wins, and the other is read for nothing.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for declared in context.config.declared_distributions() {
        let mut seen = BTreeSet::new();
        let again = declared.spec.data.iter().filter(|entry| !seen.insert(&entry.secret_key));
        let message = |key: &String| format!("data gives {key} a value twice");
        findings.extend(again.map(|entry| RULE.at(declared.place, message(&entry.secret_key))));
    }
    findings
}
