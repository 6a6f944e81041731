//! Logins that hold a whole source.

use credence_core::formats::{Role, source_roles};
use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::Origin;

pub(super) const RULE: Rule = Rule {
    id: "login-from-whole-source",
    requirement: Requirement::new(3, 2),
    severity: Severity::Warning,
    summary: "a part of a login is a whole source, as JSON",
    help: "Name the key of the source in remoteRef.property: without it the value is all of the Secret as one JSON document, which no server takes for a password and which has every other value of the source.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let logs_in = |key: &str| {
        let parts = [Role::Username, Role::Secret, Role::ClientId, Role::ClientSecret];
        source_roles([key]).into_keys().any(|role| parts.contains(&role))
    };
    let mut findings = Vec::new();
    for distribution in &context.model.distributions {
        let whole = |origin: &Origin| matches!(origin, Origin::Document { .. });
        let keys = distribution.origins.iter().filter(|(key, origin)| logs_in(key) && whole(origin));
        let keys: Vec<&str> = keys.map(|(key, _)| key.as_str()).collect();
        if !keys.is_empty() {
            let message = format!("{} is all of a source, as JSON", keys.join(" and "));
            findings.push(RULE.at(context.place(distribution), message));
        }
    }
    findings
}
