//! Errors of Kargo.

use std::path::PathBuf;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::ApplyError;
use credence_cluster::cluster::ClusterError;
use credence_core::file_error::FileError;
use credence_programs::helm::ChartError;
use credence_programs::process::{Death, ProcessError};
use credence_watch::wait::WaitError;

/// Kargo's controller could not be started or used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum KargoError {
    /// The program that was given is not Kargo's.
    #[error("failed to use {path} as Kargo's program: {message}")]
    Program { path: PathBuf, message: String },
    /// The chart that was given is none.
    #[error("failed to use {path} as Kargo's chart: it is neither a package nor a directory with Chart.yaml")]
    NoChart { path: PathBuf },
    /// The chart cannot be rendered.
    #[error("failed to render Kargo's chart")]
    Chart(#[from] ChartError),
    /// The chart is of something else, or of another age.
    #[error("failed to find {what} in the rendered chart of Kargo")]
    Incomplete { what: &'static str },
    /// A file or directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// An object that Kargo needs was refused.
    #[error("failed to install Kargo")]
    Install(#[from] ApplyError),
    /// The controller can have no kubeconfig.
    #[error("failed to grant Kargo's controller access to the cluster")]
    Kubeconfig(#[source] Box<ClusterError>),
    /// The controller could not be started.
    #[error("failed to start Kargo")]
    Process(#[from] ProcessError),
    /// The controller runs, and did nothing about its first Warehouse in time.
    #[error("failed to bring Kargo up")]
    NotReady(#[from] WaitError),
    /// The controller ended by itself.
    #[error(transparent)]
    Died(#[from] Death),
    /// The API server refused a request about a Warehouse.
    #[error(transparent)]
    Request(#[from] ApiError),
}
