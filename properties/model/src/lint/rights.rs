//! The sources that the ServiceAccount of a store may read, by the roles of the configuration.

use std::collections::BTreeSet;

use credence_core::manifest::Manifest;
use serde_json::Value;

use super::Context;
use crate::config::{ClusterSecretStore, ServiceAccountRef, SourceRef};
use crate::model::Input;

const RBAC: &str = "rbac.authorization.k8s.io";

/// A role that lets the ServiceAccount of a store get Secrets in the namespace of its sources.
pub(super) struct Right<'a> {
    pub(super) role: &'a Manifest,
    /// The Secrets by name; `None` for all of them.
    pub(super) names: Option<BTreeSet<&'a str>>,
}

/// The rights of a store's ServiceAccount in the namespace of its sources; none if it has no account of its own.
pub(super) fn of<'a>(context: &Context<'a>, store: &ClusterSecretStore) -> Vec<Right<'a>> {
    let Some(provider) = &store.kubernetes else { return Vec::new() };
    let Some(account) = provider.service_account().filter(|account| account.namespace.is_some()) else {
        return Vec::new();
    };
    let mut rights = Vec::new();
    for role in roles(context, account, &provider.remote_namespace) {
        let rules = role.object.get("rules").and_then(Value::as_array);
        for rule in rules.into_iter().flatten().filter(|rule| allows(rule, "get")) {
            let names = rule.get("resourceNames").and_then(Value::as_array).filter(|names| !names.is_empty());
            let names = names.map(|names| names.iter().filter_map(Value::as_str).collect());
            rights.push(Right { role, names });
        }
    }
    rights
}

/// The sources in the namespace of a store that nothing distributes through it.
pub(super) fn foreign_sources(context: &Context<'_>, store: &ClusterSecretStore) -> BTreeSet<SourceRef> {
    let Some(provider) = &store.kubernetes else { return BTreeSet::new() };
    let own = sources_read(context, store);
    let sources = context.model.sources.keys().filter(|source| source.namespace == provider.remote_namespace);
    sources.filter(|source| !own.contains(source)).cloned().collect()
}

/// The sources that something is distributed of through a store, also those of which no key is known.
pub(super) fn sources_read(context: &Context<'_>, store: &ClusterSecretStore) -> BTreeSet<SourceRef> {
    let mut read = BTreeSet::new();
    for distribution in &context.model.distributions {
        let declared = context.declared(distribution);
        let through = declared.inputs(context.config).into_iter().filter(|(_, through)| *through == store.name);
        read.extend(through.filter_map(|(input, _)| match input {
            Input::Source(source) => Some(source),
            Input::Generator(_) => None,
        }));
    }
    read
}

/// True for a store in which a distribution searches, for which no names can be given.
pub(super) fn is_searched(context: &Context<'_>, store: &ClusterSecretStore) -> bool {
    context.config.declared_distributions().any(|distributed| {
        let spec = distributed.spec;
        spec.data_from.iter().any(|entry| {
            entry.find.is_some()
                && spec.store_of(entry.source_ref.as_ref()).is_some_and(|reference| reference.name == store.name)
        })
    })
}

/// True if the ServiceAccount of a store may list the Secrets in the namespace of its sources, false if it may not; none if the
/// configuration does not have all of its roles, or none.
pub(super) fn lists(context: &Context<'_>, store: &ClusterSecretStore) -> Option<bool> {
    let provider = store.kubernetes.as_ref()?;
    let account = provider.service_account().filter(|account| account.namespace.is_some())?;
    let roles: Vec<&Manifest> = bound(context, account, &provider.remote_namespace).collect::<Option<_>>()?;
    // Names in a rule are never those of a list, which is of all.
    let is_of_all = |rule: &&Value| rule["resourceNames"].as_array().is_none_or(Vec::is_empty);
    let mut rules = roles.iter().flat_map(|role| role.object["rules"].as_array().into_iter().flatten());
    (!roles.is_empty()).then(|| rules.any(|rule| is_of_all(&rule) && allows(rule, "list")))
}

/// The Secrets by name that the ServiceAccount of a store may get, `None` for all; none if the configuration does not have all of its
/// roles, or none.
pub(super) fn gets<'a>(context: &Context<'a>, store: &ClusterSecretStore) -> Option<Option<BTreeSet<&'a str>>> {
    let provider = store.kubernetes.as_ref()?;
    let account = provider.service_account().filter(|account| account.namespace.is_some())?;
    let roles: Vec<&Manifest> = bound(context, account, &provider.remote_namespace).collect::<Option<_>>()?;
    // The rules of a role that others are added to are not written in it, and whoever has a group has what it has.
    let is_written = |role: &&Manifest| role.object.get("aggregationRule").is_none();
    if roles.is_empty() || !roles.iter().all(is_written) || has_groups(context, &provider.remote_namespace) {
        return None;
    }
    let rights = of(context, store);
    let names: Option<Vec<&BTreeSet<&str>>> = rights.iter().map(|right| right.names.as_ref()).collect();
    Some(names.map(|names| names.into_iter().flatten().copied().collect()))
}

/// True if something in a namespace is allowed to a group that ServiceAccounts may be in.
fn has_groups(context: &Context<'_>, namespace: &str) -> bool {
    let local = context.config.of_kind(RBAC, "RoleBinding").filter(|one| one.namespace() == Some(namespace));
    let mut all = local.chain(context.config.of_kind(RBAC, "ClusterRoleBinding"));
    all.any(|binding| {
        let subjects = binding.object["subjects"].as_array().into_iter().flatten();
        let mut groups =
            subjects.filter(|subject| subject["kind"] == "Group").filter_map(|group| group["name"].as_str());
        groups.any(|group| group.starts_with("system:serviceaccounts") || group == "system:authenticated")
    })
}

fn roles<'a>(context: &Context<'a>, account: &ServiceAccountRef, namespace: &str) -> Vec<&'a Manifest> {
    bound(context, account, namespace).flatten().collect()
}

/// The roles that a ServiceAccount is bound to in a namespace; none for each that the configuration does not have.
fn bound<'a>(
    context: &Context<'a>,
    account: &ServiceAccountRef,
    namespace: &str,
) -> impl Iterator<Item = Option<&'a Manifest>> {
    let config = context.config;
    let local = config.of_kind(RBAC, "RoleBinding").filter(move |binding| binding.namespace() == Some(namespace));
    let global = config.of_kind(RBAC, "ClusterRoleBinding");
    let bindings = local.chain(global).filter(move |binding| binds(binding, account));
    bindings.map(move |binding| {
        let role = binding.object.get("roleRef")?;
        let (kind, name) = (role["kind"].as_str()?, role["name"].as_str()?);
        let home = (kind == "Role").then_some(namespace);
        config.of_kind(RBAC, kind).find(|role| role.name() == name && (home.is_none() || role.namespace() == home))
    })
}

fn binds(binding: &Manifest, account: &ServiceAccountRef) -> bool {
    binding.object["subjects"].as_array().into_iter().flatten().any(|subject| {
        subject["kind"] == "ServiceAccount"
            && subject["name"] == account.name.as_str()
            && subject["namespace"].as_str() == account.namespace.as_deref()
    })
}

/// True if a rule allows this with Secrets, whichever they are.
fn allows(rule: &Value, verb: &str) -> bool {
    let lists = |field: &str, words: [&str; 2]| {
        let listed = rule.get(field).and_then(Value::as_array);
        listed.into_iter().flatten().filter_map(Value::as_str).any(|word| words.contains(&word))
    };
    lists("apiGroups", ["", "*"]) && lists("resources", ["secrets", "*"]) && lists("verbs", [verb, "*"])
}
