//! Errors of Argo CD.

use std::path::PathBuf;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::ApplyError;
use credence_core::file_error::FileError;
use credence_core::manifest::ManifestError;
use credence_programs::engine::EngineError;
use credence_programs::process::{Death, ProcessError};
use credence_watch::wait::WaitError;

/// Argo CD could not be started or used.
#[derive(Debug, thiserror::Error)]
pub enum ArgoCdError {
    /// A file or directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The socket's path is longer than the kernel takes, see unix(7).
    #[error("failed to place a socket at {path}: it has more than {limit} bytes; choose a shorter state directory")]
    SocketPath {
        path: PathBuf,
        /// The most bytes that it may have.
        limit: usize,
    },
    /// No ports can be had.
    #[error("failed to choose Argo CD's ports")]
    Ports(#[source] std::io::Error),
    /// The manifests cannot be read or rendered.
    #[error("failed to read Argo CD's manifests")]
    Manifests(#[from] ManifestError),
    /// The node was not given the images.
    #[error("failed to give the node Argo CD's images")]
    Images(#[from] EngineError),
    /// An object that Argo CD needs was refused.
    #[error("failed to install Argo CD")]
    Install(#[from] ApplyError),
    /// A program could not be started.
    #[error("failed to start Argo CD")]
    Process(#[from] ProcessError),
    /// Something did not become ready.
    #[error("failed to bring Argo CD up")]
    NotReady(#[from] WaitError),
    /// A program ended by itself.
    #[error(transparent)]
    Died(#[from] Death),
    /// The API server refused a request about Applications.
    #[error(transparent)]
    Request(#[from] ApiError),
    /// An Application does not go.
    #[error("failed to delete an Application")]
    NotDeleted(#[source] WaitError),
}
