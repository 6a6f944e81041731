//! Pods of one container on the node's own network, which need no address, have no rights of their own, and end at once.

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::RUN_LABEL;
use credence_watch::observer::PodSeen;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::running::{Consumers, LoginAnswer};

/// A pod could not be made or removed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum PodError {
    #[error("failed to run {workload}: there is no node")]
    NoNode { workload: String },
    #[error(transparent)]
    Refused(#[from] ApiError),
}

/// A pod that proves by running that its image could be pulled.
pub struct PulledPod<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    /// The image, with its tag.
    pub(crate) image: &'a str,
    /// The Secret in `imagePullSecrets`, if any.
    pub(crate) secret: Option<&'a str>,
    /// Secrets whose keys are variables of these names.
    pub(crate) variables_from: &'a [String],
    /// Its other variables, each an `EnvVar`.
    pub(crate) variables: Vec<Value>,
}

impl PulledPod<'_> {
    fn refused(&self, act: &'static str) -> impl Fn(kube::Error) -> PodError + use<> {
        ApiError::of(act, &format!("pod {}/{}", self.namespace, self.name))
    }

    fn api(&self, client: &Client) -> Api<Pod> {
        Api::namespaced(client.clone(), self.namespace)
    }

    /// Its `PodSpec` on a node, but for what happens when its container ends.
    pub(crate) fn spec(&self, node: &str) -> Value {
        let secrets: Vec<Value> = self.secret.iter().map(|name| json!({ "name": name })).collect();
        let from: Vec<Value> =
            self.variables_from.iter().map(|name| json!({ "secretRef": { "name": name } })).collect();
        json!({
            "nodeName": node,
            "hostNetwork": true,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "imagePullSecrets": secrets,
            "containers": [{ "name": "main", "image": self.image, "imagePullPolicy": "Always",
                "envFrom": from, "env": self.variables }],
        })
    }

    /// Outcome of the pull, once the kubelet has said so.
    pub(crate) fn answer(seen: Option<&PodSeen>) -> Option<LoginAnswer> {
        match seen {
            Some(PodSeen::Ran { .. }) => Some(LoginAnswer::Admitted),
            Some(seen) if seen.cannot_pull() => Some(LoginAnswer::Refused("ErrImagePull".to_owned())),
            _ => None,
        }
    }

    /// Begins the removal of the pod.
    pub(crate) async fn delete(&self, client: &Client) -> Result<(), PodError> {
        let deleted = self.api(client).delete(self.name, &DeleteParams::default().grace_period(0)).await;
        deleted.map(drop).map_err(self.refused("delete"))
    }
}

impl Consumers {
    /// The name of the node that `workload` is to run on.
    pub(crate) fn pod_node(&self, workload: &str) -> Result<&str, PodError> {
        let node = self.node.as_ref().ok_or_else(|| PodError::NoNode { workload: workload.to_owned() })?;
        Ok(node.name())
    }

    /// Creates a pod on the node.
    pub(crate) async fn create_pod(&self, client: &Client, pod: &PulledPod<'_>) -> Result<(), PodError> {
        let mut spec = pod.spec(self.pod_node(pod.name)?);
        spec["restartPolicy"] = json!("Never");
        spec["terminationGracePeriodSeconds"] = json!(0);
        let object = json!({ "metadata": { "name": pod.name, "labels": { RUN_LABEL: self.site.run } }, "spec": spec });
        // An object of literals and of texts is a Pod.
        let object: Pod = serde_json::from_value(object).expect("a well-formed pod");
        let created = pod.api(client).create(&PostParams::default(), &object).await;
        created.map(drop).map_err(pod.refused("create"))
    }
}
