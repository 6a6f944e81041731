//! User names in the audit log. Pure.

use credence_cluster::operator;
use credence_model::config::ClusterSecretStore;

/// The user name of External Secrets Operator.
pub(super) fn operator() -> String {
    user_name(operator::NAMESPACE, operator::SERVICE_ACCOUNT)
}

/// The user name that a store reads as, if it has a ServiceAccount of its own.
pub(super) fn reader(store: &ClusterSecretStore) -> Option<String> {
    let account = store.kubernetes.as_ref()?.service_account()?;
    Some(user_name(account.namespace.as_deref()?, &account.name))
}

fn user_name(namespace: &str, account: &str) -> String {
    format!("system:serviceaccount:{namespace}:{account}")
}
