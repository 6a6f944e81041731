//! A kind of clusters, and the way to a cluster of it: what must be there is found, what else it takes is obtained, and then it
//! is started.

use std::fmt;
use std::path::Path;

use credence_programs::pod_image::UserImage;
use credence_programs::run_dir::{ClearError, RunDir};
use credence_programs::supply::{self, Part, Programs, Progress};
use futures::future::BoxFuture;

use crate::capability::Lacks;
use crate::cluster::Cluster;
use crate::control_plane_files::ControlPlaneFiles;
use crate::error::{ClusterError, ProviderError};

/// A kind of clusters: what it needs of the machine, and how one is started.
pub trait Provider: Sync {
    /// Its name, as in `--cluster` and in reports.
    fn id(&self) -> &'static str;

    /// A line on it, for a person who chooses.
    fn help(&self) -> &'static str;

    /// Capabilities that its clusters lack, each with the reason.
    fn lacks(&self) -> Lacks;

    /// Programs that its clusters are started from beside those of every control plane.
    fn programs(&self) -> &'static [Part] {
        &[]
    }

    /// True if programs run in pods on its clusters, of images that the user may give.
    fn takes_images(&self) -> bool {
        false
    }

    /// Finds what has to be on the machine for a cluster: without it nothing else has to be obtained.
    fn find<'a>(
        &'a self,
        wanted: &'a Wanted<'a>,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Box<dyn Found>, PreparationError>>;

    /// Removes what a dead run may have made outside its directory.
    ///
    /// # Errors
    /// When something is left; it stays written down for the next time.
    fn clear(&self, run: &Path) -> Result<(), ClearError>;
}

impl fmt::Debug for dyn Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// Wishes of the user for a cluster.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The directory of its run.
    pub directory: &'a Path,
    /// The command of a container engine; one from the `PATH` if not given.
    pub engine: Option<&'a Path>,
    /// Images for pods, instead of those that are made.
    pub images: &'a [UserImage],
    /// Cache of programs, and sources of those that are missing.
    pub programs: &'a supply::Options,
}

/// A cluster whose needs of the machine are met.
pub trait Found: Send {
    /// Obtains what it is started from beside programs.
    fn obtain<'a>(
        self: Box<Self>,
        wanted: &'a Wanted<'a>,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Box<dyn Startable>, PreparationError>>;
}

/// A cluster that can be started.
pub trait Startable: Send + Sync {
    /// Starts the cluster, whose files go to `run`.
    fn start<'a>(
        &'a self,
        run: RunDir,
        inputs: &'a Inputs<'a>,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Cluster, ClusterError>>;
}

/// Inputs from which clusters of every kind are started.
pub struct Inputs<'a> {
    /// The programs of a control plane, and those that the kind of clusters names.
    pub programs: &'a Programs,
    /// A directory with External Secrets Operator's chart and definitions.
    pub assets: &'a Path,
    /// Audit policy and encryption at rest that its API server is started with.
    pub configured: &'a ControlPlaneFiles,
}

/// A cluster could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PreparationError {
    /// Something that only one kind of clusters takes cannot be had.
    #[error(transparent)]
    Unavailable(#[from] ProviderError),
    /// It could not be brought up as things are.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}
