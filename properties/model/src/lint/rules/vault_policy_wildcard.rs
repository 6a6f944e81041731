//! Policies of Vault that let a store read more than its copies name.

use credence_core::id::Requirement;

use crate::lint::rights;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::VaultPath;

pub(super) const RULE: Rule = Rule {
    id: "vault-policy-wildcard",
    requirement: Requirement::new(5, 2),
    severity: Severity::Warning,
    summary: "a Vault policy lets a store read every path that a wildcard matches",
    help: "List the paths that the copies name, one by one: what else is stored where the wildcard matches is readable with the store's login.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Of what a search finds, no names can be given.
    for (store, login, paths) in context.vault_logins().filter(|(store, ..)| !rights::is_searched(context, store)) {
        let mount = store.vault_mount();
        let has_values = |path: &&VaultPath| mount.is_none_or(|mount| !path.is_metadata_of(mount));
        for path in paths.iter().filter(|path| path.reads_many()).filter(has_values) {
            let message =
                format!("logs in with {login}, whose policy {} lets it read {} ({})", path.policy, path.path, path.at);
            findings.push(RULE.at(&store.place, message));
        }
    }
    findings
}
