//! Secrets that are read by a name that none can have.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};
use crate::selector::is_subdomain;

pub(super) const RULE: Rule = Rule {
    id: "source-name-refused",
    requirement: Requirement::new(2, 1),
    severity: Severity::Error,
    summary: "a Secret is read by a name that none can have",
    help: "Write the name of the Secret alone into remoteRef.key: the store's remoteNamespace says where it is, and remoteRef.property which key is read.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distribution in &context.model.distributions {
        let secrets = distribution.fields.iter().map(|field| &field.source).filter(|source| source.is_secret());
        for source in secrets.filter(|source| !is_subdomain(&source.name)) {
            let message = format!("reads Secret {:?} in namespace {}", source.name, source.namespace);
            findings.push(RULE.at(context.place(distribution), message));
        }
    }
    findings
}
