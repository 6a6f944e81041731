//! Audit policies that log values.

use credence_core::id::Requirement;

use crate::config::SourcePosition;
use crate::lint::audit::{self, Level, Request};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "audit-bodies-of-secrets",
    requirement: Requirement::new(5, 4),
    severity: Severity::Warning,
    summary: "the audit log has the values of Secrets, or tokens",
    help: "Log Secrets, tokens of ServiceAccounts and token reviews at level Metadata: Request and RequestResponse put the values into the log.",
    check,
};

/// Holders of values: the group, the resource, the verb, and the level from which on the values are logged.
const HOLDERS: [(&str, &str, &str, Level); 5] = [
    ("", "secrets", "create", Level::Request),
    ("", "secrets", "update", Level::Request),
    ("", "secrets", "get", Level::RequestResponse),
    ("", "serviceaccounts/token", "create", Level::RequestResponse),
    ("authentication.k8s.io", "tokenreviews", "create", Level::Request),
];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, policy) in audit::policies(context.control_plane) {
        let groups = ["system:authenticated"];
        let logged = HOLDERS.into_iter().filter(|(group, resource, verb, limit)| {
            let request = Request { user: "someone", groups: &groups, verb, namespace: "somewhere", group, resource };
            policy.level(&request) >= *limit
        });
        let mut names: Vec<&str> = logged.map(|(_, resource, _, _)| resource).collect();
        names.dedup();
        if !names.is_empty() {
            findings.push(RULE.at(&SourcePosition::of(file), format!("logs the bodies of {}", names.join(", "))));
        }
    }
    findings
}
