//! Logins of stores at Vault that end by themselves.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "vault-login-ends",
    requirement: Requirement::new(1, 5),
    severity: Severity::Note,
    summary: "what a store logs in with at Vault ends, and External Secrets Operator does not renew it",
    help: "See that something puts a new one into the Secret in time: from then on no copy follows its source, and once five logins were refused, Vault locks an AppRole for a quarter of an hour (user_lockout). A role of the Kubernetes auth method has no such end.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (store, login) in context.vault_secret_logins() {
        for end in &login.ends {
            let message = format!("logs in at Vault with {}, which is refused {end} ({})", login.name(), login.at);
            findings.push(RULE.at(&store.place, message));
        }
    }
    findings
}
