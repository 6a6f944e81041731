//! Errors of runs.

use std::io;
use std::path::{Path, PathBuf};

use credence_cluster::cluster::{ClusterError, ProviderError};
use credence_cluster::faults::proxy::FaultProxyError;
use credence_cluster::providers::PreparationError;
use credence_cluster::stand_in::StandInError;
use credence_consumers::kargo::KargoError;
use credence_core::file_error::FileError;
use credence_core::manifest::ManifestError;
use credence_model::config::ConfigError;
use credence_model::intent::IntentError;
use credence_programs::configuration::ConfigurationError;
use credence_programs::dirs::DirsError;
use credence_programs::external_secrets::OperatorError;
use credence_programs::run_dir::RunDirError;
use credence_programs::supply::ComponentError;
use credence_watch::observer::{FenceError, ObserveError};

use crate::fixture::FixtureError;
use crate::reports::ReportError;
use crate::session::VaultStoresError;
use crate::testbed::cleanup::CleanupError;
use crate::testbed::deploy::DeployError;
use crate::testbed::namespaces::NamespaceError;
use crate::testbed::sources::SourceError;
use crate::trail::TrailError;

/// A run could not take place. A run that took place ends in a report, whatever it found.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
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
    /// The program given as External Secrets Operator is something else, or of two versions.
    #[error("failed to use the given External Secrets Operator")]
    Operator(#[from] OperatorError),
    /// The program given as Kargo is something else.
    #[error("failed to use the given Kargo")]
    Kargo(#[from] KargoError),
    /// The configuration cannot be read or rendered.
    #[error("failed to read the configuration")]
    Configuration(#[from] ConfigurationError),
    /// The manifests of what uses the credentials cannot be read.
    #[error("failed to read the manifests")]
    Manifest(#[from] ManifestError),
    /// The configuration is not one that can be tested.
    #[error("failed to understand the configuration")]
    Config(#[from] ConfigError),
    /// The file that is given as the team's intent cannot be read.
    #[error(transparent)]
    IntentUnread(FileError),
    /// The team's intent cannot be taken.
    #[error(transparent)]
    Intent(#[from] IntentError),
    /// There is an intent where a first one was to be written.
    #[error("{} is there already; correct it by hand, or replace it by --force", file.display())]
    IntentExists { file: PathBuf },
    /// A first intent cannot be written.
    #[error(transparent)]
    IntentUnwritten(FileError),
    /// The built-in configuration cannot be unpacked.
    #[error(transparent)]
    Reference(FileError),
    /// The files for the API server cannot be read.
    #[error("failed to read the configuration's files for the API server")]
    ControlPlane(#[from] FileError),
    /// The directory of the trails cannot be used.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// A proxy cannot be opened.
    #[error("failed to start a fault-injecting proxy in front of the sources")]
    FaultProxy(#[from] FaultProxyError),
    /// Nothing can stand in for a provider.
    #[error("failed to stand in for a provider of the configuration's stores")]
    StandIn(#[from] StandInError),
    /// Vault cannot serve the stores that name it.
    #[error("failed to start Vault for the configuration's stores")]
    Vault(#[from] VaultStoresError),
    /// Images are given for pods that there are none of.
    #[error("failed to use the images given: only on a cluster of kind do programs run in pods; add --cluster kind")]
    Images,
    /// Something that only clusters of the wanted kind take cannot be had.
    #[error(transparent)]
    Unavailable(ProviderError),
    /// The cluster cannot be had.
    #[error("failed to bring up a cluster")]
    Cluster(#[from] ClusterError),
    /// The configuration could not be applied to the cluster, or its objects did not come to work there.
    #[error("failed to deploy")]
    Deploy(#[from] DeployError),
    /// The cluster cannot be watched.
    #[error("failed to watch the cluster")]
    Observe(#[from] ObserveError),
    /// Nothing can be written that shows that the watches see.
    #[error("failed to watch the cluster")]
    Fence(#[from] FenceError),
    /// Leftovers of an earlier run cannot be removed.
    #[error("failed to clean the cluster")]
    Leftovers(#[from] CleanupError),
    /// Namespaces cannot be made or removed.
    #[error("failed to prepare the namespaces")]
    Namespace(#[from] NamespaceError),
    /// The sources cannot be written.
    #[error("failed to prepare the sources")]
    Source(#[from] SourceError),
    /// It was asked to end before anything was tested.
    #[error("interrupted before anything was tested")]
    Interrupted,
    /// The record of a property could not be written down.
    #[error("failed to keep the evidence of a property")]
    Evidence(#[from] FixtureError),
    /// Nothing can be written where the reports go.
    #[error("failed to write to the directory of the reports; choose another with --out")]
    Out(#[source] ReportError),
    /// The reports cannot be written.
    #[error("failed to write the reports")]
    Report(#[from] ReportError),
}

impl RunError {
    /// Makes the error of unpacking the reference configuration into a directory.
    pub(crate) fn unpacking(directory: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let directory = directory.to_owned();
        move |source| Self::Reference(FileError::new("unpack the reference configuration into", &directory, source))
    }

    /// True if the user can mend it in the command line, the environment or the configuration.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Manifest(_)
                | Self::Config(_)
                | Self::Intent(_)
                | Self::IntentUnread(_)
                | Self::IntentExists { .. }
                | Self::IntentUnwritten(_)
                | Self::Deploy(_)
                | Self::Dirs(_)
                | Self::RunDir(_)
                | Self::Images
                | Self::Out(_)
                | Self::Kargo(_)
        ) || matches!(self, Self::Configuration(error) if !matches!(error, ConfigurationError::Component(_)))
            || matches!(self, Self::Operator(error) if error.is_usage())
            || matches!(self, Self::Components(error) if error.is_usage())
            || matches!(self, Self::Unavailable(error) | Self::Cluster(ClusterError::Provider(error)) if error.is_usage)
    }
}

impl From<PreparationError> for RunError {
    fn from(error: PreparationError) -> Self {
        match error {
            PreparationError::Unavailable(error) => Self::Unavailable(error),
            PreparationError::Cluster(error) => Self::Cluster(error),
        }
    }
}
