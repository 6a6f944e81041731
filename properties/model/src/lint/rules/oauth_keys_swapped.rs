//! OAuth clients with the two values under each other's key.

use credence_core::id::Requirement;

use credence_core::formats::{Role, source_roles};

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "oauth-keys-swapped",
    requirement: Requirement::new(4, 3),
    severity: Severity::Warning,
    summary: "client id and client secret stand under the key of each other",
    help: "Swap the two: the forge does not know a client by its secret.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let role = |key: &str| source_roles([key]).into_keys().next();
    let mut findings = Vec::new();
    for distribution in &context.model.distributions {
        for (key, (source, property)) in &distribution.verbatim {
            let is_swapped = matches!(
                (role(key), role(property)),
                (Some(Role::ClientId), Some(Role::ClientSecret)) | (Some(Role::ClientSecret), Some(Role::ClientId))
            );
            if is_swapped {
                findings.push(RULE.at(context.place(distribution), format!("{key} holds key {property} of {source}")));
            }
        }
    }
    findings
}
