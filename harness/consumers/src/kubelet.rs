//! The kubelet as a consumer: it pulls an image with the copy that the pod names.

use std::time::Duration;

use credence_cluster::embedded::node::Node;
use credence_core::consumer::Consumer;
use credence_core::formats::KUBELET;
use credence_core::owner::Owner;
use credence_programs::oci::{Image, ImageError};
use credence_watch::observer::{PodSeen, View};
use credence_watch::wait::{self, Progress, WaitError};
use kube::Client;

use crate::forge::{Mark, Request};
use crate::kubelet::pod::{PodError, PulledPod};
use crate::login::{Expected, Login, LoginFuture, Runner};
use crate::obtain::{Facts, Nodes};
use crate::running::{Consumers, LoginAnswer, is_about, refuses_credential};

pub(crate) mod deployment;
pub(crate) mod pod;

/// Time that a pod may take to run or to be refused its image; measured at 1 to 3 s.
const PULLED: Duration = Duration::from_secs(60);

/// Time that the kubelet's second try may take after a first that failed: it comes after 10 s (`MaxContainerBackOff` and
/// its base in `pkg/kubelet/kubelet.go`).
const SECOND_TRY: Duration = Duration::from_secs(20);

/// A pull could not be tried, or did not end.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The image could not be put into the registry.
    #[error("failed to publish an image to pull")]
    Publish(#[from] ImageError),
    /// The pod could not be run.
    #[error("failed to run a pod that pulls an image")]
    Pod(#[from] PodError),
    /// The kubelet did not say.
    #[error("failed to learn of a pull")]
    NoAnswer(#[from] WaitError),
}

/// Image that a pod pulls, and its credential.
struct Pull<'a> {
    /// The namespace of the pod.
    namespace: &'a str,
    /// The pod's name, which no other has.
    pod: &'a str,
    /// The Secret in `imagePullSecrets`, if any.
    secret: Option<&'a str>,
    /// The image, with its tag.
    image: &'a str,
    /// Failures that the kubelet gets a second try for.
    second_try: SecondTry,
}

/// Failures of a first pull that do not count. The kubelet pulls without a Secret that it could not read in time (its
/// event `FailedToRetrieveImagePullSecret`), and tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SecondTry {
    None,
    UntilItRuns,
    /// Until the registry has refused a credential.
    UntilACredentialIsRefused,
}

/// The kubelet, which pulls an image for a pod.
pub(crate) struct KubeletPull;

impl Runner for KubeletPull {
    fn consumer(&self) -> Consumer {
        KUBELET
    }

    fn is_program(&self) -> bool {
        true
    }

    fn missing(&self, facts: &Facts) -> Option<String> {
        match facts.nodes {
            Nodes::None { why } => Some(why.to_owned()),
            Nodes::Started => Node::unsupported(),
            Nodes::OfCluster { .. } => None,
        }
    }

    fn log_in<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> LoginFuture<'a> {
        Box::pin(async move {
            let (owner, tag) = (login.owner()?, login.tag());
            consumers.publish(owner, &login.repository, &tag).await?;
            let pull = Pull {
                namespace: &login.namespace,
                pod: &format!("{}-step-{}", login.name, login.step),
                secret: login.secret.as_deref(),
                image: &format!("{}:{tag}", owner.image(&login.repository)),
                second_try: match login.expected {
                    Expected::Admitted => SecondTry::UntilItRuns,
                    Expected::Refused => SecondTry::UntilACredentialIsRefused,
                    Expected::Denied => SecondTry::None,
                },
            };
            Ok(consumers.pull(&login.client, &pull).await?)
        })
    }
}

impl Consumers {
    /// Publishes an image that nobody has pulled before, as `name:tag` of `owner`.
    ///
    /// # Errors
    /// When the forge refuses it.
    pub(crate) async fn publish(&self, owner: &Owner, name: &str, tag: &str) -> Result<(), PullError> {
        let (layer, settings) = &self.sleeper;
        let image = Image::new(std::slice::from_ref(layer), settings, &format!("{name}-{tag}"));
        self.pusher.push(&image, &format!("{}/{name}", owner.path), tag).await?;
        Ok(())
    }

    /// Runs a pod that pulls, and removes it again.
    ///
    /// # Errors
    /// When the pod is refused or the kubelet does not say how the pull went.
    async fn pull(&self, client: &Client, pull: &Pull<'_>) -> Result<LoginAnswer, PullError> {
        let Pull { namespace, pod: name, secret, image, .. } = *pull;
        let mark = self.forge.mark();
        let pod = PulledPod { namespace, name, image, secret, variables_from: &[], variables: Vec::new() };
        self.create_pod(client, &pod).await?;
        let what = format!("pull of {image} by pod {namespace}/{name}");
        let answer = wait::until(&self.site.observer, &what, PULLED, |view| {
            let seen = view.pod(namespace, name);
            PulledPod::answer(seen).map_or_else(|| Progress::NotYet(format!("{seen:?}")), Progress::Done)
        });
        let mut answer = answer.await;
        if matches!(answer, Ok(LoginAnswer::Refused(_))) {
            let what = format!("second try of the {what}");
            match self.second_try(&what, &mark, pull).await {
                Ok(None) => {}
                Ok(Some(second)) => answer = Ok(second),
                Err(blind) => answer = Err(blind),
            }
        }
        let deleted = pod.delete(client).await;
        let answer = answer?;
        deleted?;
        Ok(answer)
    }

    /// Outcome of the kubelet's second try, if it has one and this has another end than the first.
    async fn second_try(&self, what: &str, mark: &Mark, pull: &Pull<'_>) -> Result<Option<LoginAnswer>, WaitError> {
        let tried = match pull.second_try {
            SecondTry::None => return Ok(None),
            SecondTry::UntilItRuns => {
                let runs = wait::until(&self.site.observer, what, SECOND_TRY, |view| {
                    match view.pod(pull.namespace, pull.pod) {
                        Some(PodSeen::Ran { .. }) => Progress::Done(Some(LoginAnswer::Admitted)),
                        seen => Progress::NotYet(format!("{seen:?}")),
                    }
                });
                runs.await
            }
            SecondTry::UntilACredentialIsRefused => {
                let name = pull.image.rsplit('/').next().and_then(|name| name.split(':').next()).unwrap_or_default();
                let refused = |request: &Request| is_about(request, name) && refuses_credential(request);
                self.forge.wait_for(mark, what, SECOND_TRY, refused).await.map(|_| None)
            }
        };
        match tried {
            Err(WaitError::TimedOut { .. } | WaitError::Impossible { .. }) => {
                let runs = |view: &View<'_>| matches!(view.pod(pull.namespace, pull.pod), Some(PodSeen::Ran { .. }));
                Ok(self.site.observer.look(runs).then_some(LoginAnswer::Admitted))
            }
            other => other,
        }
    }
}
