//! One run from start to report: sweep, obtain, start, deploy, test, write.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::cluster::{ClusterError, ControlPlaneFilesError};
use credence_cluster::faults::proxy::GateError;
use credence_cluster::kind::KindError;
use credence_cluster::reference;
use credence_consumers::forge::ForgeError;
use credence_consumers::kargo::KargoError;
use credence_core::id::PropertyId;
use credence_core::manifest::{Manifest, ManifestError};
use credence_model::config::BundleError;
use credence_model::overlay::Time;
use credence_programs::dirs::DirsError;
use credence_programs::engine::EngineError;
use credence_programs::node_image::NodeImageError;
use credence_programs::pod_image::GivenImage;
use credence_programs::run_dir::RunDirError;
use credence_programs::supply::{self, ComponentError};
use credence_report::report::{Report, ReportError, Written};
use credence_watch::observer::ObserveError;

use crate::driver::Registered;
use crate::events::Events;
use crate::registry;
use crate::session::Session;
use crate::stop::Stop;
use crate::testbed::deploy::DeployError;
use crate::testbed::leftovers::LeftoverError;
use crate::testbed::namespaces::NamespaceError;
use crate::testbed::sources::SourceError;

/// Name of the run directory of the cluster that `credence up` keeps.
pub const UP: &str = "up";

/// Lanes for a machine with two processors: cases mostly wait for the operator, which has a pace of its own.
pub const LANES: NonZero<usize> = NonZero::new(48).expect("a constant above zero");

/// What to run, on what.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration directory; the reference configuration if none.
    pub config: Option<PathBuf>,
    /// Manifests of what uses the credentials; those of the reference configuration if neither they nor a configuration
    /// are given.
    pub consumers: Option<PathBuf>,
    /// Directory of the audit policy and the encryption configuration; `control-plane` in the configuration if not given.
    pub control_plane: Option<PathBuf>,
    /// The kind of cluster to start.
    pub cluster: ClusterKind,
    /// The command of the container engine for a cluster of kind; docker or podman from the `PATH` if not given.
    pub engine: Option<PathBuf>,
    /// Properties to run; all if empty.
    pub properties: Vec<PropertyId>,
    /// Cases of each property.
    pub cases: u32,
    /// Slots of cases that run at the same time, of all properties together; one runs everything one after the other.
    pub lanes: NonZero<usize>,
    /// This case alone, if given.
    pub only: Option<u32>,
    /// What all cases follow from.
    pub seed: u64,
    /// Where the reports go.
    pub out: PathBuf,
    /// How time in the configuration is treated.
    pub time: Time,
    /// When the run directory, with the logs of all programs, is left in place.
    pub keep: Keep,
    /// Whether documented upstream bugs count as failures.
    pub strict: bool,
    /// How long a failing case may be made smaller.
    pub shrink: Duration,
    /// Images for pods on a cluster of kind, instead of those that are made.
    pub images: Vec<GivenImage>,
    /// How programs are obtained.
    pub components: supply::Options,
}

impl Options {
    /// Whether a property is to run.
    pub fn wants(&self, property: PropertyId) -> bool {
        self.properties.is_empty() || self.properties.contains(&property)
    }
}

/// Where the configuration is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ClusterKind {
    /// The embedded cluster, saying what kind would add.
    Auto,
    /// Real control plane and operator as local processes; with root also a node. Needs no container engine.
    Embedded,
    /// A cluster of kind: nodes are containers, and the operator with its webhook runs in pods. Needs Docker or Podman.
    Kind,
}

/// When the run directory is left in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Keep {
    /// Never.
    Never,
    /// When something was violated or could not be told.
    OnFailure,
    /// Always.
    Always,
}

/// Why a run could not take place. A run that took place ends in a report, whatever it found.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A directory of ours cannot be found.
    #[error("failed to find credence's directories")]
    Dirs(#[from] DirsError),
    /// The state directory cannot be used.
    #[error("failed to use the state directory")]
    RunDir(#[from] RunDirError),
    /// A program cannot be obtained.
    #[error("failed to obtain the programs")]
    Components(#[from] ComponentError),
    /// What was given as Kargo is something else.
    #[error("failed to use the given Kargo")]
    Kargo(#[from] KargoError),
    /// The configuration cannot be read.
    #[error("failed to read the configuration")]
    Manifest(#[from] ManifestError),
    /// The configuration is not one that can be tested.
    #[error("failed to understand the configuration")]
    Bundle(#[from] BundleError),
    /// The built-in configuration cannot be unpacked.
    #[error("failed to unpack the reference configuration into {path}")]
    Reference {
        /// Where to.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The files for the API server cannot be read.
    #[error("failed to read the configuration's files for the API server")]
    ControlPlane(#[from] ControlPlaneFilesError),
    /// A gate cannot be opened.
    #[error("failed to put a gate in front of the sources")]
    Gate(#[from] GateError),
    /// Images are given for pods that there are none of.
    #[error("failed to use the images given: only on a cluster of kind do programs run in pods; add --cluster kind")]
    Images,
    /// An image that was given for pods cannot be had.
    #[error("failed to obtain the images given; see whether the engine can pull them by hand, or leave --image out")]
    PodImages(#[source] NodeImageError),
    /// There is no engine for a cluster of kind.
    #[error("failed to find a container engine for a cluster of kind")]
    Engine(#[from] EngineError),
    /// The image of a node of kind cannot be had.
    #[error("failed to obtain the image of a node of kind")]
    NodeImage(#[from] NodeImageError),
    /// The cluster cannot be had.
    #[error("failed to bring up a cluster")]
    Cluster(#[from] ClusterError),
    /// The configuration was refused.
    #[error("failed to deploy")]
    Deploy(#[from] DeployError),
    /// The cluster cannot be watched.
    #[error("failed to watch the cluster")]
    Observe(#[from] ObserveError),
    /// What an earlier run left cannot be removed.
    #[error("failed to clean the cluster")]
    Leftovers(#[from] LeftoverError),
    /// Namespaces cannot be made or removed.
    #[error("failed to prepare the namespaces")]
    Namespace(#[from] NamespaceError),
    /// The sources cannot be written.
    #[error("failed to prepare the sources")]
    Source(#[from] SourceError),
    /// It was asked to end before anything was tested.
    #[error("interrupted before anything was tested")]
    Interrupted,
    /// What came to the forge could not be written down.
    #[error("failed to keep the evidence of the forge")]
    Evidence(#[from] ForgeError),
    /// The reports cannot be written.
    #[error("failed to write the reports")]
    Report(#[from] ReportError),
}

impl RunError {
    /// Whether the user can mend it in the command line, the environment or the configuration.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Manifest(_)
                | Self::Bundle(_)
                | Self::Deploy(_)
                | Self::Dirs(_)
                | Self::RunDir(_)
                | Self::Engine(_)
                | Self::Images
                | Self::PodImages(_)
                | Self::NodeImage(NodeImageError::NotRoot | NodeImageError::Missing { .. } | NodeImageError::Engine(_))
                | Self::Cluster(ClusterError::Kind(
                    KindError::Foreign { .. } | KindError::Unmountable { .. } | KindError::Apart { .. }
                ))
                | Self::Kargo(_)
        )
    }
}

/// Runs and writes the reports. `stop` ends it early, with a report of what ran until then.
///
/// # Errors
/// When the run cannot take place or its reports cannot be written.
pub async fn run(options: &Options, events: &Arc<dyn Events>, stop: &Stop) -> Result<(Report, Written), RunError> {
    let mut session = tokio::select! {
        biased;
        // There is nothing to report yet; what was started ends as the set-up is dropped.
        () = stop.requested() => return Err(RunError::Interrupted),
        session = Session::start(options.clone(), events) => session?,
    };
    session.obtain_consumers();
    let (wanted, others): (Vec<&dyn Registered>, Vec<&dyn Registered>) =
        registry::PROPERTIES.iter().partition(|property| options.wants(property.meta().id));
    for property in others {
        session.skip(events.as_ref(), &property.meta(), "not selected by --property");
    }
    session.test(events.as_ref(), &wanted, stop).await;
    session.finish(events.as_ref()).await
}

/// Reads a configuration, or the reference one. Gives its path for the report.
///
/// # Errors
/// When it cannot be read.
pub async fn load(
    config: Option<&Path>,
    scratch: &Path,
    kustomize: Option<&Path>,
) -> Result<(String, Vec<Manifest>), RunError> {
    match config {
        Some(path) => {
            Ok((path.display().to_string(), credence_programs::kustomize::load_directory(path, kustomize).await?))
        }
        None => {
            let path =
                reference::write(scratch).map_err(|source| RunError::Reference { path: scratch.to_owned(), source })?;
            let manifests = credence_programs::kustomize::load_directory(&path, kustomize).await?;
            Ok(("fixtures/central-secret-store (built in)".to_owned(), manifests))
        }
    }
}
