//! The place of consumers: a cluster, what is seen of it, and the run that they belong to.

use std::path::Path;
use std::sync::Arc;

use credence_cluster::cluster::{Cluster, ClusterError};
use credence_programs::process::Process;
use credence_programs::run_dir::RunDir;
use credence_watch::observer::Observer;

/// Place that consumers are started in: a cluster, its watches, and a directory.
#[derive(Clone)]
pub struct Site {
    /// The cluster with the copies.
    pub cluster: Arc<Cluster>,
    /// The watches of that cluster.
    pub observer: Arc<Observer>,
    /// The name of the run, which the objects that it makes carry in [`RUN_LABEL`](credence_cluster::apply::RUN_LABEL).
    pub run: String,
    /// The run's own directory where the cluster's belongs to another process.
    pub own_directory: Option<Arc<RunDir>>,
}

impl Site {
    /// Directory in which this run keeps what it starts beside the cluster.
    pub(crate) fn scratch(&self) -> &Path {
        self.own_directory.as_ref().map_or(self.cluster.directory(), |own| own.path())
    }

    /// Writes down a process of this run, so that a later sweep can end it.
    pub(crate) fn record(&self, process: &Process) -> Result<(), ClusterError> {
        match &self.own_directory {
            Some(own) => Ok(own.record(process)?),
            None => self.cluster.record(process),
        }
    }
}
