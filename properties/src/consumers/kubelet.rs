//! The kubelet as a consumer: it pulls an image with the copy that the pod names.

use std::time::Duration;

use credence_harness::image::{Image, ImageError};
use credence_harness::observe::PodSeen;
use credence_harness::wait::{self, Progress, WaitError};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use super::{Answer, Consumers};
use crate::environment::Environment;
use crate::namespaces::RUN_LABEL;

/// How long a pod may take to run or to be refused its image; measured at 1 to 3 s.
const PULLED: Duration = Duration::from_secs(60);

/// How long the kubelet's second try may take after a first that failed: it comes after 10 s (`MaxContainerBackOff` and
/// its base in `pkg/kubelet/kubelet.go`).
const SECOND_TRY: Duration = Duration::from_secs(20);

/// Why a pull could not be tried, or did not end.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// There is no node.
    #[error("failed to pull {image}: there is no node")]
    NoNode {
        /// The image.
        image: String,
    },
    /// The image could not be put into the registry.
    #[error("failed to publish an image to pull")]
    Publish(#[from] ImageError),
    /// The pod was refused.
    #[error("failed to {act} pod {pod}")]
    Pod {
        /// What was tried.
        act: &'static str,
        /// The pod.
        pod: String,
        /// The cause.
        #[source]
        source: Box<kube::Error>,
    },
    /// The kubelet did not say.
    #[error("failed to learn of a pull")]
    NoAnswer(#[from] WaitError),
}

/// What a pod pulls, and with what.
pub struct Pull<'a> {
    /// The namespace of the pod.
    pub namespace: &'a str,
    /// The pod's name, which no other has.
    pub pod: &'a str,
    /// The Secret in `imagePullSecrets`, if any.
    pub secret: Option<&'a str>,
    /// The image, with its tag.
    pub image: &'a str,
    /// Whether it ought to work. Then the kubelet gets its second try: it pulls without a Secret that it could not read in
    /// time (its event `FailedToRetrieveImagePullSecret`), and tries again.
    pub ought_to_work: bool,
}

impl Consumers {
    /// Publishes an image that nobody has pulled before, as `owner/name:tag`.
    ///
    /// # Errors
    /// When the forge refuses it.
    pub async fn publish(&self, owner: &str, name: &str, tag: &str) -> Result<(), PullError> {
        let (layer, settings) = &self.sleeper;
        let image = Image::new(std::slice::from_ref(layer), settings, &format!("{name}-{tag}"));
        self.pusher.push(&image, &format!("{owner}/{name}"), tag).await?;
        Ok(())
    }

    /// Runs a pod that pulls, and removes it again.
    ///
    /// # Errors
    /// When the pod is refused or the kubelet does not say how the pull went.
    pub async fn pull(&self, env: &Environment, client: &Client, pull: &Pull<'_>) -> Result<Answer, PullError> {
        let Some(node) = &self.node else { return Err(PullError::NoNode { image: pull.image.to_owned() }) };
        let Pull { namespace, pod: name, .. } = *pull;
        let failed =
            |act| move |source| PullError::Pod { act, pod: format!("{namespace}/{name}"), source: Box::new(source) };
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let pod = pod(env, node.name(), pull);
        pods.create(&PostParams::default(), &pod).await.map_err(failed("create"))?;
        let what = format!("pull of {} by pod {namespace}/{name}", pull.image);
        let answer = wait::until(&env.observer, &what, PULLED, |view| match view.pod(namespace, name) {
            Some(seen) if seen.cannot_pull() => Progress::Done(Answer::Refused("ErrImagePull".to_owned())),
            Some(PodSeen::Ran) => Progress::Done(Answer::Admitted),
            Some(seen) => Progress::NotYet(format!("{seen:?}")),
            None => Progress::NotYet("there is no pod".to_owned()),
        });
        let mut answer = answer.await;
        if pull.ought_to_work && matches!(answer, Ok(Answer::Refused(_))) {
            let what = format!("second try of the {what}");
            let again = wait::until(&env.observer, &what, SECOND_TRY, |view| match view.pod(namespace, name) {
                Some(PodSeen::Ran) => Progress::Done(()),
                seen => Progress::NotYet(format!("{seen:?}")),
            });
            match again.await {
                Ok(()) => answer = Ok(Answer::Admitted),
                Err(WaitError::TimedOut { .. } | WaitError::Impossible { .. }) => {}
                Err(blind) => answer = Err(blind),
            }
        }
        let deleted = pods.delete(name, &DeleteParams::default().grace_period(0)).await;
        let answer = answer?;
        deleted.map_err(failed("delete"))?;
        Ok(answer)
    }
}

/// A pod of the node's own network, which needs no address, without rights of its own.
fn pod(env: &Environment, node: &str, pull: &Pull<'_>) -> Pod {
    let secrets: Vec<_> = pull.secret.iter().map(|name| json!({ "name": name })).collect();
    let pod = json!({
        "metadata": { "name": pull.pod, "labels": { RUN_LABEL: env.namespaces.run() } },
        "spec": {
            "nodeName": node,
            "hostNetwork": true,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "imagePullSecrets": secrets,
            "containers": [{ "name": "main", "image": pull.image, "imagePullPolicy": "IfNotPresent" }],
        },
    });
    // An object of literals and of texts is a Pod.
    serde_json::from_value(pod).expect("a well-formed pod")
}
