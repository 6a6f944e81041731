//! Audit policies that leave requests for Secrets out.

use credence_core::id::Requirement;

use crate::config::Place;
use crate::lint::audit::{self, Level, Request};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "audit-without-secrets",
    requirement: Requirement::new(1, 4),
    severity: Severity::Warning,
    summary: "requests for Secrets are not in the audit log",
    help: "Log Secrets at level Metadata for everybody, before any rule that leaves requests out.",
    check,
};

const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, policy) in audit::policies(context.control_plane) {
        let groups = ["system:authenticated"];
        let unlogged = VERBS.into_iter().filter(|verb| {
            let request = Request {
                user: "someone",
                groups: &groups,
                verb,
                namespace: "somewhere",
                group: "",
                resource: "secrets",
            };
            policy.level(&request) == Level::None
        });
        let verbs: Vec<&str> = unlogged.collect();
        if !verbs.is_empty() {
            findings.push(RULE.at(&Place::of(file), format!("does not log {} of Secrets", verbs.join(", "))));
        }
    }
    findings
}
