//! Acts that each kind of clusters does in its own way.

use std::sync::Arc;

use credence_programs::certificates::Authority;
use credence_programs::process::Paused;
use credence_programs::run_dir::RunDir;
use credence_watch::paused_time::PausedTime;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::capability::Lacks;
use crate::containers::ContainerNetwork;
use crate::error::ClusterError;
use crate::evidence::capture::Traffic;
use crate::node::PodNode;

/// A program of the cluster whose outage can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// kube-apiserver.
    ApiServer,
    /// The controller of External Secrets Operator.
    ExternalSecrets,
    /// The webhook of External Secrets Operator, which judges its objects before the API server takes them.
    Webhook,
}

/// Why some outages are made of the embedded cluster alone.
pub(crate) const PROCESSES_ALONE: &str =
    "made of processes of this machine alone, not of pods; --cluster embedded has them";

/// Ways in which another process of External Secrets Operator takes the place of the one that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// It runs beside the other, which is then told to end, as in a rolling update of its Deployment.
    Rolled,
    /// Two processes elect a leader, which is then killed; the one that stood by takes over when its lease is over.
    Elected,
}

/// A cluster that this process started. Dropping it ends everything that was started for it.
pub(crate) trait Provisioned: Send + Sync {
    /// The directory of its run.
    fn run(&self) -> &RunDir;

    /// The same, to keep it.
    fn run_mut(&mut self) -> &mut RunDir;

    /// The authority behind its certificates.
    fn authority(&self) -> &Authority;

    /// Limits of clusters of its kind.
    fn lacks(&self) -> Lacks;

    /// Its node, if it has one of its own.
    fn node(&self) -> Option<Arc<dyn PodNode>> {
        None
    }

    /// The network of its node, if that is a container.
    fn containers(&self) -> Option<&ContainerNetwork> {
        None
    }

    /// The traffic between its parts.
    fn traffic(&self) -> Traffic {
        Traffic::Loopback
    }

    /// Resolves when a program of it ends by itself.
    fn died(&self) -> BoxFuture<'_, ClusterError>;

    /// Counts the time that External Secrets Operator stands still; none where that cannot be seen.
    fn paused_time(&self) -> Option<PausedTime>;

    /// Stops a component where it is until the guard is dropped; none while it is [stopped](Self::stop).
    fn pause(&self, component: Component) -> BoxFuture<'_, Result<Option<Paused>, ClusterError>>;

    /// Kills a component and waits until it is gone.
    fn stop(&self, component: Component) -> BoxFuture<'_, Result<(), ClusterError>>;

    /// Starts a component that was stopped, and waits until it is ready.
    fn start_again(&self, component: Component) -> BoxFuture<'_, Result<(), ClusterError>>;

    /// Begins to replace External Secrets Operator: both processes run, or the leader of both is dead.
    fn begin_replacement(&self, _how: Replacement) -> BoxFuture<'_, Result<(), ClusterError>> {
        absent()
    }

    /// Ends a replacement that has begun: the process that stood by works, as the only one.
    fn end_replacement(&self) -> BoxFuture<'_, Result<(), ClusterError>> {
        absent()
    }

    /// Kills etcd, kube-apiserver, kube-controller-manager and External Secrets Operator at once, as the loss of their
    /// machine would.
    fn lose_control_plane(&self) -> BoxFuture<'_, Result<(), ClusterError>> {
        absent()
    }

    /// Starts all of them again on what their disk holds, and waits until they are ready.
    fn bring_control_plane_back(&self) -> BoxFuture<'_, Result<(), ClusterError>> {
        absent()
    }
}

fn absent() -> BoxFuture<'static, Result<(), ClusterError>> {
    async { Err(ClusterError::Absent { why: PROCESSES_ALONE }) }.boxed()
}
