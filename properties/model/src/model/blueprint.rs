//! A credential of the configuration with all that lets it be read and distributed: the pattern for one more.

use serde_json::Value;

use crate::config::{ClusterExternalSecret, Config, ServiceAccountRef, SourceRef};
use crate::selector::{LabelSelector, NamespaceSelection, opt_ins};

/// The API group of roles and their bindings.
const RBAC: &str = "rbac.authorization.k8s.io";

/// The objects that make one credential, as they are written.
#[derive(Debug, Clone)]
pub struct Blueprint {
    /// The object that distributes it, to namespaces that ask by one label.
    pub distribution: Value,
    /// Selector of that object which matches by the label.
    pub selector: LabelSelector,
    /// The key of the label.
    pub label: String,
    /// The store that the object reads through.
    pub store: Value,
    /// The ServiceAccount that the store reads as.
    pub account: Value,
    /// Its rights: each binding, with its Role unless it is bound to a ClusterRole.
    pub rights: Vec<(Value, Option<Value>)>,
    /// The Secret that the store reads.
    pub source: SourceRef,
}

/// Every credential that can be a blueprint: distributed by one label, from one source, through one store, as a
/// ServiceAccount whose rights are part of the configuration.
pub(super) fn blueprints(config: &Config) -> Vec<Blueprint> {
    config.cluster_external_secrets.iter().filter_map(|distributed| blueprint(config, distributed)).collect()
}

fn blueprint(config: &Config, distributed: &ClusterExternalSecret) -> Option<Blueprint> {
    let selectors = distributed.spec.selection().selectors;
    let (label, selector) = selectors.into_iter().find_map(|selector| Some((one_label(&selector)?, selector)))?;
    let spec = &distributed.spec.external_secret_spec;
    let reference = spec.secret_store_ref.as_ref()?;
    let single = spec.data.iter().map(|entry| (entry.source_ref.is_none(), &entry.remote_ref.key));
    let mut keys: Vec<(bool, &String)> = single.collect();
    keys.dedup();
    let [(true, source)] = keys[..] else { return None };
    let store = config.stores.get(&reference.name)?;
    let provider = store.kubernetes.as_ref()?;
    let account = provider.service_account()?;
    let namespace = account.namespace.as_ref()?;
    let mut accounts = config.of_kind("", "ServiceAccount");
    let written = accounts.find(|one| one.name() == account.name && one.namespace() == Some(namespace))?;
    let rights = rights(config, account);
    (!rights.is_empty()).then(|| Blueprint {
        distribution: distributed.object.clone(),
        selector,
        label,
        store: store.object.clone(),
        account: written.object.clone(),
        rights,
        source: SourceRef::secret(&provider.remote_namespace, source),
    })
}

/// The label by which a namespace of any name asks, if it takes no more than one.
fn one_label(selector: &LabelSelector) -> Option<String> {
    let selection = NamespaceSelection { selectors: vec![selector.clone()], names: Vec::new() };
    let way = opt_ins(&selection).into_iter().find(|way| way.names.is_none())?;
    let mut keys = way.labels.into_keys();
    keys.next().filter(|_| keys.next().is_none())
}

fn rights(config: &Config, account: &ServiceAccountRef) -> Vec<(Value, Option<Value>)> {
    let is_account = |subject: &Value| {
        subject["kind"] == "ServiceAccount"
            && subject["name"] == account.name.as_str()
            && subject["namespace"].as_str() == account.namespace.as_deref()
    };
    let bindings = config.of_kind(RBAC, "RoleBinding");
    let bindings = bindings.filter(|one| one.object["subjects"].as_array().into_iter().flatten().any(is_account));
    bindings
        .filter_map(|binding| {
            let role = &binding.object["roleRef"];
            if role["kind"] == "ClusterRole" {
                return Some((binding.object.clone(), None));
            }
            let mut roles = config.of_kind(RBAC, "Role");
            let role = roles.find(|one| role["name"] == one.name() && one.namespace() == binding.namespace())?;
            Some((binding.object.clone(), Some(role.object.clone())))
        })
        .collect()
}
