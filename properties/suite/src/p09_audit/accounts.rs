//! User names in the audit log. Pure.

use credence_model::config::ClusterSecretStore;

/// The user name that a store reads as, if it has a ServiceAccount of its own.
pub(super) fn reader(store: &ClusterSecretStore) -> Option<String> {
    let account = store.kubernetes.as_ref()?.service_account()?;
    Some(format!("system:serviceaccount:{}:{}", account.namespace.as_deref()?, account.name))
}
