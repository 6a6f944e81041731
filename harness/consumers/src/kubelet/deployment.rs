//! Deployments of one pod on the node's own network, where the next version starts once the one before is gone.

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::RUN_LABEL;
use credence_watch::observer::{PodSeen, View};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::pod::{PodError, PulledPod};
use crate::running::Consumers;

/// The label by which a Deployment knows its pods.
const NAME_LABEL: &str = "app.kubernetes.io/name";
/// The annotation of the pods that changes with each start: new ones are made of a template that is otherwise the same,
/// as `kubectl rollout restart` does it.
const START: &str = "credence.dev/start";

fn refused(act: &'static str, namespace: &str, name: &str) -> impl Fn(kube::Error) -> PodError + use<> {
    ApiError::of(act, &format!("Deployment {namespace}/{name}"))
}

impl Consumers {
    /// Applies a Deployment of `pod` in the name of `manager`; a `start` of another number replaces the pod that runs.
    pub async fn deploy(
        &self,
        client: &Client,
        manager: &str,
        pod: &PulledPod<'_>,
        start: u32,
    ) -> Result<(), PodError> {
        let PulledPod { namespace, name, .. } = *pod;
        let mut spec = pod.spec(self.pod_node(name)?);
        // The API's object is to be gone only when the container is: the next one listens on its port.
        spec["terminationGracePeriodSeconds"] = json!(1);
        let labels = json!({ NAME_LABEL: name, RUN_LABEL: self.site.run });
        let object = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": name, "labels": labels },
            "spec": {
                "replicas": 1,
                "strategy": { "type": "Recreate" },
                "selector": { "matchLabels": { NAME_LABEL: name } },
                "template": {
                    "metadata": { "labels": labels, "annotations": { START: start.to_string() } },
                    "spec": spec,
                },
            },
        });
        let api = Api::<Deployment>::namespaced(client.clone(), namespace);
        let applied = api.patch(name, &PatchParams::apply(manager).force(), &Patch::Apply(&object)).await;
        applied.map(drop).map_err(refused("apply", namespace, name))
    }
}

/// Has the pod of a Deployment removed, by the controller that made it: the garbage collector takes its time.
pub(crate) async fn scale_down(client: &Client, manager: &str, namespace: &str, name: &str) -> Result<(), PodError> {
    let api = Api::<Deployment>::namespaced(client.clone(), namespace);
    let none = Patch::Merge(json!({ "spec": { "replicas": 0 } }));
    let manager = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    let scaled = api.patch_scale(name, &manager, &none).await;
    scaled.map(drop).map_err(refused("scale down", namespace, name))
}

/// Removes a Deployment, and its pods after it.
pub(crate) async fn delete(client: &Client, namespace: &str, name: &str) -> Result<(), PodError> {
    let api = Api::<Deployment>::namespaced(client.clone(), namespace);
    let deleted = api.delete(name, &DeleteParams::background()).await;
    deleted.map(drop).map_err(refused("delete", namespace, name))
}

/// The pods of a Deployment, by name.
pub(crate) fn pods<'a>(
    view: &'a View<'_>,
    namespace: &str,
    deployment: &str,
) -> impl Iterator<Item = (&'a String, &'a PodSeen)> {
    let prefix = format!("{deployment}-");
    view.pods(namespace).filter(move |(name, _)| name.starts_with(&prefix))
}
