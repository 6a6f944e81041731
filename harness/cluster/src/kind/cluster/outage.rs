//! The outages that are made of a cluster of kind: its programs are processes in the node, and pods.

use std::process::Command;
use std::time::Duration;

use credence_programs::engine::limited;
use credence_programs::process::Paused;
use credence_watch::wait::{self, Progress};

use super::{KindCluster, POLL_INTERVAL};
use crate::error::ClusterError;
use crate::kind::KindError;
use crate::kind::operator::{self, CONTROLLER, WEBHOOK};
use crate::node::PodNode;
use crate::provisioned::Component;
use crate::start_up::wait_until_ready;

/// Directory of the control plane's pods, where the kubelet looks, and the one in which the API server's is put away.
const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
const PUT_AWAY: &str = "/etc/kubernetes/kube-apiserver.yaml";
/// Time that a command inside the node may be repeated until it has its effect.
const EFFECT: Duration = Duration::from_secs(60);

impl KindCluster {
    /// Runs a shell script inside the node.
    async fn inside(&self, act: &'static str, script: &str) -> Result<(), KindError> {
        self.engine.output(act, &["exec", self.node.name(), "sh", "-ec", script]).await?;
        Ok(())
    }

    /// Repeats a script inside the node until it succeeds.
    async fn until(&self, what: &'static str, script: &str) -> Result<(), KindError> {
        let done = wait::poll(what, EFFECT, POLL_INTERVAL, || async {
            match self.inside(what, script).await {
                Ok(()) => Progress::Done(()),
                Err(error) => Progress::NotYet(error.to_string()),
            }
        });
        Ok(done.await?)
    }

    /// Stops a component where it is until the guard is dropped.
    pub(super) async fn hold(&self, component: Component) -> Result<Option<Paused>, KindError> {
        let pattern = pattern(component);
        if !self.runs(component).await? {
            return Ok(None);
        }
        let (stop, go_on) = (format!("pkill -STOP {pattern}"), format!("pkill -CONT {pattern}"));
        let stands = format!("for pid in $(pgrep {pattern}); do grep -q '^State:.T' /proc/$pid/status; done");
        let (engine, node) = (self.engine.path().to_owned(), self.node.name().to_owned());
        let resume = move || {
            let mut command = Command::new(&engine);
            command.args(["exec", &node, "sh", "-ec", &go_on]);
            // Whoever waits for its work learns that it stands still for good.
            limited::output(&mut command, limited::ANSWER).ok();
        };
        // Made before the first signal, so that the program goes on whatever comes of this.
        let paused = Paused::new(|| true, resume);
        self.inside("stop a program where it is", &stop).await?;
        self.until("a program stands still", &stands).await?;
        Ok(Some(paused))
    }

    /// True if there is a process of a component.
    async fn runs(&self, component: Component) -> Result<bool, KindError> {
        let script = format!("pgrep {} || true", pattern(component));
        let found = self.engine.output("look for a program", &["exec", self.node.name(), "sh", "-ec", &script]).await?;
        Ok(!found.trim_ascii().is_empty())
    }

    /// Takes a component away until it is brought back.
    pub(super) async fn take_away(&self, component: Component) -> Result<(), KindError> {
        let pattern = pattern(component);
        let kill = format!("if pkill -KILL {pattern}; then exit 1; fi");
        let taken = async {
            match component {
                Component::ApiServer => {
                    let act = "take the API server away";
                    self.inside(act, &format!("mv {MANIFEST} {PUT_AWAY}")).await?;
                    self.until(act, &kill).await
                }
                Component::ExternalSecrets => {
                    let killed = self.until("kill External Secrets Operator", &kill);
                    operator::stop(&self.client, CONTROLLER, killed).await
                }
                Component::Webhook => {
                    operator::stop(&self.client, WEBHOOK, self.until("kill the webhook", &kill)).await?;
                    Ok(operator::until_webhook_is_away(&self.client).await?)
                }
            }
        };
        let outcome = taken.await;
        if outcome.is_err() {
            // Nobody else would bring back what went only halfway; the first error is the telling one.
            self.bring_back(component).await.ok();
        }
        outcome
    }

    /// Brings a component back, and waits until it is ready.
    pub(super) async fn bring_back(&self, component: Component) -> Result<(), ClusterError> {
        match component {
            Component::ApiServer => {
                let script = format!("if [ -e {PUT_AWAY} ]; then mv {PUT_AWAY} {MANIFEST}; fi");
                self.inside("bring the API server back", &script).await?;
                Ok(wait_until_ready(&self.client).await?)
            }
            Component::ExternalSecrets => Ok(operator::start_again(&self.client, CONTROLLER).await?),
            Component::Webhook => {
                operator::start_again(&self.client, WEBHOOK).await?;
                Ok(operator::until_webhook_answers(&self.client).await.map_err(KindError::from)?)
            }
        }
    }
}

/// Command line that tells a component's process from all others in the node. The controller of External Secrets Operator
/// has flags
/// alone for arguments, its webhook and certificate controller have a command before them.
fn pattern(component: Component) -> &'static str {
    match component {
        Component::ApiServer => "-x kube-apiserver",
        Component::ExternalSecrets => "-f '^/bin/external-secrets --'",
        Component::Webhook => "-f '^/bin/external-secrets webhook'",
    }
}
