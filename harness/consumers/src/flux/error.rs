//! Errors of Flux.

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::ApplyError;
use credence_cluster::cluster::ClusterError;
use credence_core::file_error::FileError;
use credence_core::manifest::ManifestError;
use credence_programs::process::{Death, ProcessError};
use credence_watch::wait::WaitError;

/// Flux's source-controller could not be started or used.
#[derive(Debug, thiserror::Error)]
pub enum FluxError {
    /// A file or directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A definition of the module is no manifest.
    #[error("failed to read Flux's definitions")]
    Definitions(#[from] ManifestError),
    /// An object that the controller needs was refused.
    #[error("failed to install Flux's source-controller")]
    Install(#[from] ApplyError),
    /// The controller can have no kubeconfig.
    #[error("failed to grant Flux's source-controller access to the cluster")]
    Kubeconfig(#[source] Box<ClusterError>),
    /// The controller could not be started.
    #[error("failed to start Flux")]
    Process(#[from] ProcessError),
    /// The controller does nothing.
    #[error("failed to bring Flux up")]
    NotReady(#[from] WaitError),
    /// The controller ended by itself.
    #[error(transparent)]
    Died(#[from] Death),
    /// A source that was made is not in the watch.
    #[error("failed to watch the sources of Flux")]
    Unseen(#[source] WaitError),
    /// A source did not go.
    #[error("failed to remove a source of Flux")]
    NotDeleted(#[source] WaitError),
    /// The API server refused a request about a source.
    #[error(transparent)]
    Request(#[from] ApiError),
}
