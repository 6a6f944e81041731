//! Roles of Vault that let ServiceAccounts of other namespaces than the store's log in.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "vault-role-admits-everyone",
    requirement: Requirement::new(5, 1),
    severity: Severity::Warning,
    summary: "a Vault role admits ServiceAccounts of any namespace",
    help: "Bind the role to the namespace of the store's ServiceAccount by its name: whoever may make a ServiceAccount in a namespace that it admits logs in as the store does.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (store, role) in context.vault_roles() {
        let Some(own) = store.vault_login().and_then(|login| login.namespace) else { continue };
        for pattern in role.wide_namespaces() {
            let message = format!(
                "logs in from namespace {own} with Vault role {}, which admits namespaces {pattern} ({})",
                role.name, role.at
            );
            findings.push(RULE.at(&store.place, message));
        }
    }
    findings
}
