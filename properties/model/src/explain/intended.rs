//! The intent of the team, in words.

use super::line;
use crate::model::{
    Distribution, Example, Identities, Intended, Purpose, Slack, VaultPath, VaultRole, VaultSecretLogin,
};

/// Adds what it says of the copies of a distribution.
pub(super) fn of_target(text: &mut String, intended: &Intended, distribution: &Distribution) {
    let names = |example: &&Example| {
        let mut all = example.must_have.iter().chain(&example.must_not_have);
        all.any(|wanted| wanted.distributions.contains(&distribution.name))
    };
    for example in intended.examples.iter().filter(names) {
        let must = example.must_have.iter().any(|wanted| wanted.distributions.contains(&distribution.name));
        let verb = if must { "must have it" } else { "must not have it" };
        let reason = reason(example.reason.as_ref());
        line(text, "intent", &format!("{} {verb}{reason} ({})", example.namespace(), example.at));
    }
    for Purpose { user, keys, at, .. } in
        intended.purposes.iter().filter(|one| one.distributions.contains(&distribution.name))
    {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let keys = if keys.is_empty() { String::new() } else { format!(", which needs {}", keys.join(", ")) };
        line(text, "intent", &format!("for {user}{keys} ({at})"));
    }
    if let Some(Slack { at, time, reason: why }) = intended.slacks.get(&distribution.name) {
        let within = distribution.refresh_interval.saturating_add(*time);
        line(text, "intent", &format!("updates within {within:?}{} ({at})", reason(why.as_ref())));
    }
}

/// The intent beside copies; none if that is nothing.
pub(super) fn beside_targets(intended: &Intended) -> Option<String> {
    let mut text = "Intent\n".to_owned();
    let before = text.len();
    for name in &intended.protected {
        line(&mut text, "protects", &format!("namespace {name}"));
    }
    let Identities { operator, platform_groups, break_glass_users, break_glass_groups, .. } = &intended.identities;
    if let Some(operator) = operator {
        line(&mut text, "operator", &format!("user {operator}"));
    }
    for group in platform_groups {
        line(&mut text, "platform", &format!("group {group}"));
    }
    let users = break_glass_users.iter().map(|name| format!("user {name}"));
    for who in users.chain(break_glass_groups.iter().map(|name| format!("group {name}"))) {
        line(&mut text, "may", &format!("{who}, write copies by hand in an emergency"));
    }
    for VaultRole { name, mount_path, namespaces, service_accounts, paths, at } in &intended.vault {
        let (accounts, namespaces) = (service_accounts.join(", "), namespaces.join(", "));
        let who = format!("role {name} at {mount_path} admits {accounts} of namespaces {namespaces} ({at})");
        line(&mut text, "Vault", &who);
        allowed(&mut text, paths);
    }
    for login in &intended.vault_secret_logins {
        let VaultSecretLogin { at, store, is_root, paths, ends, .. } = login;
        let ends = ends.iter().map(|end| format!(", which is refused {end}")).collect::<String>();
        line(&mut text, "Vault", &format!("store {store} logs in with {}{ends} ({at})", login.name()));
        if *is_root {
            line(&mut text, "Vault", "policy root allows everything");
        }
        allowed(&mut text, paths);
    }
    for (property, why) in &intended.not_applicable {
        line(&mut text, "skips", &format!("{property}: {why}"));
    }
    (text.len() > before).then_some(text)
}

fn allowed(text: &mut String, paths: &[VaultPath]) {
    for VaultPath { policy, path, capabilities, .. } in paths {
        line(text, "Vault", &format!("policy {policy} allows {} of {path}", capabilities.join(", ")));
    }
}

fn reason(reason: Option<&String>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}
