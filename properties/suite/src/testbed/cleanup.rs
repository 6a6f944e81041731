//! Cleanup after a run that was killed in a cluster that lives on.
//!
//! A run that ends removes what it made, and a cluster that belongs to a run ends with it. Only a run that is killed while
//! it is attached to a cluster of `credence up` leaves something: all of it carries [`RUN_LABEL`].

use std::time::Duration;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::RUN_LABEL;
use credence_core::operator_api::{EXTERNAL_SECRETS_GROUP, EXTERNAL_SECRETS_VERSION, GENERATORS_GROUP};
use credence_watch::wait::{self, Progress, WaitError};
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};

use crate::testbed::namespaces::{self, NamespaceError};

/// Time that all of it may take to go.
const GONE: Duration = Duration::from_secs(120);
/// Time between two polls: nothing is watched yet when a run begins.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The kinds that runs make in the cluster, in the order in which they are removed: what makes copies goes first.
const KINDS: [(&str, &str, &str); 14] = [
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
    (EXTERNAL_SECRETS_GROUP, EXTERNAL_SECRETS_VERSION, "ClusterExternalSecret"),
    (EXTERNAL_SECRETS_GROUP, "v1alpha1", "ClusterPushSecret"),
    (EXTERNAL_SECRETS_GROUP, EXTERNAL_SECRETS_VERSION, "ClusterSecretStore"),
    (GENERATORS_GROUP, "v1alpha1", "ClusterGenerator"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("", "v1", "ServiceAccount"),
    ("", "v1", "Pod"),
    ("", "v1", "Secret"),
    ("", "v1", "Namespace"),
];

/// Leftovers could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    /// They could not be listed or deleted.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// A namespace could not be removed.
    #[error("failed to remove a namespace of an earlier run")]
    Namespace(#[from] NamespaceError),
    /// Objects were deleted and were still there when the time for it had passed.
    #[error("failed to remove the leftovers of an earlier run")]
    Stayed(#[source] WaitError),
}

/// Removes the objects that any run made, and gives their number. No run may be using the cluster.
///
/// # Errors
/// When the API server refuses, or something stays.
pub async fn sweep(client: &Client) -> Result<usize, CleanupError> {
    let mut swept = 0;
    for (group, version, kind) in KINDS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api = Api::all_with(client.clone(), &resource);
        let refused = |act| ApiError::of::<ApiError>(act, &format!("what an earlier run left of {kind}"));
        let found = list(&api).await.map_err(refused("list"))?;
        swept += found.len();
        for Found { namespace, name } in &found {
            let api: Api<DynamicObject> = match namespace {
                Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
                None => api.clone(),
            };
            if kind == "Namespace" {
                namespaces::delete(client, name).await?;
                namespaces::remove_finalizers(client, name).await?;
            } else {
                // The node of a pod may have ended with its run.
                match api.delete(name, &DeleteParams::default().grace_period(0)).await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => {}
                    outcome => drop(outcome.map_err(refused("delete"))?),
                }
            }
        }
        let what = format!("every {kind} of earlier runs gone");
        let gone = wait::poll(&what, GONE, POLL_INTERVAL, || async {
            match list(&api).await {
                Ok(left) if left.is_empty() => Progress::Done(()),
                Ok(left) => Progress::NotYet(left.into_iter().map(|one| one.name).collect::<Vec<_>>().join(", ")),
                Err(error) => Progress::NotYet(error.to_string()),
            }
        });
        gone.await.map_err(CleanupError::Stayed)?;
    }
    Ok(swept)
}

/// True if [`sweep`] looks for objects of this kind.
#[cfg(test)]
pub(crate) fn sweeps(kind: &str) -> bool {
    KINDS.iter().any(|(_, _, swept)| *swept == kind)
}

struct Found {
    namespace: Option<String>,
    name: String,
}

async fn list(api: &Api<DynamicObject>) -> Result<Vec<Found>, kube::Error> {
    let found = match api.list_metadata(&ListParams::default().labels(RUN_LABEL)).await {
        // A kind that the cluster does not serve has left nothing.
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(Vec::new()),
        found => found?,
    };
    Ok(found.items.iter().map(|one| Found { namespace: one.namespace(), name: one.name_any() }).collect())
}
