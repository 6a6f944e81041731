//! Tokens of stores with Vault's own policy `root`.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "vault-root-token",
    requirement: Requirement::new(5, 2),
    severity: Severity::Warning,
    summary: "a store logs in at Vault with a token that may do everything",
    help: "Give the store a role, or a token, with a policy that lists the paths that the copies name: who reads the Secret with a root token has all of Vault.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let logins = context.vault_secret_logins().filter(|(_, login)| login.is_root);
    let found = logins.map(|(store, login)| {
        RULE.at(&store.place, format!("logs in at Vault with a token that has the policy root ({})", login.at))
    });
    found.collect()
}
