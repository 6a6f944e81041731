//! Vault as the intent has it: roles, with the paths of their policies.

use super::check::repeated;
use super::document::VaultRoleEntry;
use super::{Intent, IntentFault};
use crate::config::DEFAULT_VAULT_MOUNT;
use crate::model::{VaultPath, VaultRole};

/// The policy that Vault itself has, which reads no values.
const BUILT_IN: &str = "default";

/// Names that are there twice, and policies that are not there.
pub(super) fn contradictions(intent: &Intent) -> Vec<IntentFault> {
    let (vault, mut faults) = (&intent.document.vault, Vec::new());
    repeated(intent, "/vault/roles", "name", vault.roles.iter().map(|role| (mount(role), &role.name)), &mut faults);
    repeated(intent, "/vault/policies", "name", vault.policies.iter().map(|policy| &policy.name), &mut faults);
    for (index, role) in vault.roles.iter().enumerate() {
        for (place, name) in role.token_policies.iter().enumerate() {
            if name != BUILT_IN && !vault.policies.iter().any(|policy| policy.name == *name) {
                let shown = format!("vault.roles[{index}].tokenPolicies[{place}]");
                let pointer = format!("/vault/roles/{index}/tokenPolicies/{place}");
                let message = format!("{shown} names no policy of vault.policies; write down what it allows");
                faults.push(intent.fault(&pointer, message));
            }
        }
    }
    faults
}

fn mount(role: &VaultRoleEntry) -> &str {
    role.mount_path.as_deref().unwrap_or(DEFAULT_VAULT_MOUNT).trim_matches('/')
}

/// The roles, each with what its policies allow.
pub(super) fn roles(intent: &Intent) -> Vec<VaultRole> {
    let vault = &intent.document.vault;
    let role = |(index, role): (usize, &VaultRoleEntry)| VaultRole {
        at: intent.at(&format!("/vault/roles/{index}")),
        name: role.name.clone(),
        mount_path: mount(role).to_owned(),
        namespaces: role.bound_service_account_namespaces.clone(),
        service_accounts: role.bound_service_account_names.clone(),
        paths: role.token_policies.iter().flat_map(|name| paths(intent, name)).collect(),
    };
    vault.roles.iter().enumerate().map(role).collect()
}

fn paths(intent: &Intent, policy: &str) -> Vec<VaultPath> {
    let policies = intent.document.vault.policies.iter().enumerate();
    let named = policies.filter(|(_, one)| one.name == policy);
    let paths = named.flat_map(|(index, one)| {
        one.paths.iter().enumerate().map(move |(place, entry)| VaultPath {
            at: intent.at(&format!("/vault/policies/{index}/paths/{place}")),
            policy: one.name.clone(),
            path: entry.path.trim_start_matches('/').to_owned(),
            capabilities: entry.capabilities.clone(),
        })
    });
    paths.collect()
}
