//! The account as which Vault asks the API server whose a token is.

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::{FIELD_MANAGER, RUN_LABEL};
use credence_cluster::cluster::Cluster;
use credence_core::credential::Credential;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::VaultStoresError;
use crate::testbed::deploy::wait_for_root_ca;
use crate::testbed::tenant::token;

/// Name of the ServiceAccount, and of the binding of its rights.
const REVIEWER: &str = "credence-vault";
const REVIEWER_NAMESPACE: &str = "kube-system";
/// The role that lets it ask (Kubernetes documentation, "Other component roles").
const REVIEWS: &str = "system:auth-delegator";

/// Makes the account as which Vault asks whose a token is, with the label of the `run`, so that a later run can remove it if this
/// one is killed. Gives the authority of the API server and the account's token.
pub(super) async fn reviewer(cluster: &Cluster, run: &str) -> Result<(String, Credential), VaultStoresError> {
    let client = &cluster.client;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), REVIEWER_NAMESPACE);
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let refused =
        |act| ApiError::of::<ApiError>(act, &format!("ServiceAccount {REVIEWER_NAMESPACE}/{REVIEWER} of Vault"));
    let [account, binding] = objects(run);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    accounts.patch(REVIEWER, &params, &Patch::Apply(&account)).await.map_err(refused("make"))?;
    bindings.patch(REVIEWER, &params, &Patch::Apply(&binding)).await.map_err(refused("bind"))?;
    wait_for_root_ca(client, REVIEWER_NAMESPACE).await.map_err(VaultStoresError::Authority)?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), REVIEWER_NAMESPACE);
    let authority = maps.get("kube-root-ca.crt").await.map_err(refused("find the authority for"))?;
    let authority = authority.data.unwrap_or_default().remove("ca.crt").unwrap_or_default();
    Ok((authority, token(&accounts, REVIEWER).await.map_err(refused("get a token of"))?))
}

/// The account, and the binding of its rights.
fn objects(run: &str) -> [Value; 2] {
    let metadata = json!({ "name": REVIEWER, "labels": { RUN_LABEL: run } });
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": REVIEWS },
        "subjects": [{ "kind": "ServiceAccount", "namespace": REVIEWER_NAMESPACE, "name": REVIEWER }],
    });
    [account, binding]
}

/// Takes away from a cluster that lives on what Vault had there.
///
/// # Errors
/// When the API server refuses.
pub(in crate::session) async fn leave(cluster: &Cluster) -> Result<(), ApiError> {
    let client = &cluster.client;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), REVIEWER_NAMESPACE);
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let params = DeleteParams::default();
    let deleted =
        [bindings.delete(REVIEWER, &params).await.map(drop), accounts.delete(REVIEWER, &params).await.map(drop)];
    deleted.into_iter().try_for_each(|outcome| match outcome {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        outcome => outcome.map_err(ApiError::of::<ApiError>("delete", "the account of Vault")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::cleanup;

    #[test]
    fn what_a_killed_run_leaves_of_the_account_is_of_kinds_that_are_swept_and_has_the_label_of_the_run() {
        for object in objects("a") {
            assert_eq!(object["metadata"]["labels"][RUN_LABEL], "a");
            let kind = object["kind"].as_str().unwrap_or_default();
            assert!(cleanup::sweeps(kind), "{kind}");
        }
    }
}
