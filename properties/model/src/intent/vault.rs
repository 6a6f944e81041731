//! Vault as the intent has it: roles, AppRoles and tokens, each with the paths of its policies.

use super::check::repeated;
use super::document::{VaultAppRoleEntry, VaultRoleEntry, VaultTokenEntry};
use super::{Intent, IntentFault};
use crate::config::{DEFAULT_VAULT_MOUNT, parse_go_duration};
use crate::model::{VaultPath, VaultRole, VaultSecretLogin};

/// The policy that Vault itself has, which reads no values.
const BUILT_IN: &str = "default";
/// The one that may do everything, which only tokens can have.
const ROOT: &str = "root";

/// Names that are there twice, and policies that are not there.
pub(super) fn contradictions(intent: &Intent) -> Vec<IntentFault> {
    let (vault, mut faults) = (&intent.document.vault, Vec::new());
    repeated(intent, "/vault/roles", "name", vault.roles.iter().map(|role| (mount(role), &role.name)), &mut faults);
    repeated(intent, "/vault/appRoles", "store", vault.app_roles.iter().map(|role| &role.store), &mut faults);
    repeated(intent, "/vault/tokens", "store", vault.tokens.iter().map(|token| &token.store), &mut faults);
    repeated(intent, "/vault/policies", "name", vault.policies.iter().map(|policy| &policy.name), &mut faults);
    let of_roles = vault.roles.iter().map(|role| &role.token_policies).enumerate();
    let of_app_roles = vault.app_roles.iter().map(|role| &role.token_policies).enumerate();
    let of_tokens = vault.tokens.iter().map(|token| &token.policies).enumerate();
    let all = of_roles.map(|(index, names)| (format!("roles/{index}/tokenPolicies"), names, false));
    let all = all.chain(of_app_roles.map(|(index, names)| (format!("appRoles/{index}/tokenPolicies"), names, false)));
    let all = all.chain(of_tokens.map(|(index, names)| (format!("tokens/{index}/policies"), names, true)));
    for (list, names, may_be_root) in all {
        faults.extend(unknown_policies(intent, &list, names, may_be_root));
    }
    for (index, role) in vault.app_roles.iter().enumerate() {
        faults.extend(no_duration(intent, &format!("appRoles/{index}/secretIdTtl"), role.secret_id_ttl.as_deref()));
    }
    for (index, token) in vault.tokens.iter().enumerate() {
        faults.extend(no_duration(intent, &format!("tokens/{index}/ttl"), token.ttl.as_deref()));
    }
    faults
}

fn unknown_policies(intent: &Intent, list: &str, names: &[String], may_be_root: bool) -> Vec<IntentFault> {
    let policies = &intent.document.vault.policies;
    let is_known = |name: &str| {
        name == BUILT_IN || (may_be_root && name == ROOT) || policies.iter().any(|policy| policy.name == name)
    };
    let unknown = names.iter().enumerate().filter(|(_, name)| !is_known(name));
    let fault = |(place, name): (usize, &String)| {
        let shown = shown(&format!("{list}/{place}"));
        let message = match name.as_str() {
            ROOT => format!("{shown} is root, which Vault gives to tokens alone; name the policies of the role"),
            _ => format!("{shown} names no policy of vault.policies; write down what it allows"),
        };
        intent.fault(&format!("/vault/{list}/{place}"), message)
    };
    unknown.map(fault).collect()
}

fn no_duration(intent: &Intent, field: &str, text: Option<&str>) -> Option<IntentFault> {
    text.filter(|text| parse_go_duration(text).is_err())?;
    let message = format!("{} is no duration; write one such as 720h", shown(field));
    Some(intent.fault(&format!("/vault/{field}"), message))
}

/// A field of Vault as people write it.
fn shown(field: &str) -> String {
    field.split('/').fold("vault".to_owned(), |shown, step| match step.parse::<usize>() {
        Ok(index) => format!("{shown}[{index}]"),
        Err(_) => format!("{shown}.{step}"),
    })
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
        paths: paths(intent, &role.token_policies),
    };
    vault.roles.iter().enumerate().map(role).collect()
}

/// The logins with a Secret, each with what its policies allow and when it ends.
pub(super) fn secret_logins(intent: &Intent) -> Vec<VaultSecretLogin> {
    let vault = &intent.document.vault;
    let app_role = |(index, role): (usize, &VaultAppRoleEntry)| VaultSecretLogin {
        at: intent.at(&format!("/vault/appRoles/{index}")),
        store: role.store.clone(),
        app_role: Some(role.name.clone()),
        is_root: false,
        paths: paths(intent, &role.token_policies),
        ends: refused_after(role.secret_id_ttl.as_deref()).into_iter().chain(uses(role.secret_id_num_uses)).collect(),
    };
    let token = |(index, token): (usize, &VaultTokenEntry)| VaultSecretLogin {
        at: intent.at(&format!("/vault/tokens/{index}")),
        store: token.store.clone(),
        app_role: None,
        is_root: token.policies.iter().any(|policy| policy == ROOT),
        paths: paths(intent, &token.policies),
        ends: refused_after(token.ttl.as_deref()).into_iter().collect(),
    };
    let app_roles = vault.app_roles.iter().enumerate().map(app_role);
    app_roles.chain(vault.tokens.iter().enumerate().map(token)).collect()
}

fn refused_after(text: Option<&str>) -> Option<String> {
    let text = text.filter(|text| parse_go_duration(text).is_ok_and(|time| !time.is_zero()))?;
    Some(format!("after {text}"))
}

/// External Secrets Operator logs in anew for each refresh (`Provider.newClient`, pkg/provider/vault/provider.go).
fn uses(number: u64) -> Option<String> {
    (number > 0).then(|| format!("after {number} logins, of which each refresh is one"))
}

fn paths(intent: &Intent, policies: &[String]) -> Vec<VaultPath> {
    policies.iter().flat_map(|name| paths_of(intent, name)).collect()
}

fn paths_of(intent: &Intent, policy: &str) -> Vec<VaultPath> {
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
