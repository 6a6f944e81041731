//! Errors of clusters.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use credence_core::file_error::FileError;
use credence_programs::certificates::CertificateError;
use credence_programs::process::{Death, ProcessError};
use credence_programs::run_dir::RunDirError;
use credence_watch::wait::WaitError;

use crate::apply::ApplyError;
use crate::evidence::etcd::EtcdError;
use crate::operator;

/// A cluster could not be started or used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ClusterError {
    /// A program could not be started.
    #[error("failed to start the cluster")]
    Process(#[from] ProcessError),
    /// A program ended by itself.
    #[error(transparent)]
    Died(#[from] Death),
    /// A certificate could not be made or written.
    #[error("failed to make the cluster's certificates")]
    Certificate(#[from] CertificateError),
    /// Something did not become ready.
    #[error("failed to bring the cluster up")]
    NotReady(#[from] WaitError),
    /// An object that the cluster needs was refused.
    #[error("failed to install External Secrets Operator")]
    Install(#[from] ApplyError),
    /// The chart could not be rendered or read.
    #[error("failed to prepare External Secrets Operator")]
    Chart(#[from] operator::ReleaseError),
    /// Something of one kind of clusters alone could not be made or used.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The API server gives no token.
    #[error("failed to request a token of ServiceAccount {account}")]
    Token {
        /// The ServiceAccount, with its namespace.
        account: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// A kubeconfig cannot be used.
    #[error("failed to make a client from {path}")]
    Kubeconfig {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Only the process that started a cluster can do this.
    #[error("failed to {act}: the cluster belongs to another process")]
    NotOwned { act: &'static str },
    /// The cluster has no such component.
    #[error("failed to cause an outage: {why}")]
    Absent {
        /// Why not, and what would have it.
        why: &'static str,
    },
    /// No replacement of the operator was begun.
    #[error("failed to end the replacement of the operator: none was begun")]
    NoReplacement,
    #[error("failed to {act}")]
    Request {
        act: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
    /// Its etcd cannot be used.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// The run directory cannot be used.
    #[error("failed to use the run directory")]
    RunDir(#[from] RunDirError),
    /// A file or a port cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Something that only one kind of clusters has could not be made or used. The message is that of its cause.
#[derive(Debug)]
pub struct ProviderError {
    reason: Box<dyn Error + Send + Sync>,
    /// True if the user can mend it in the command line, the environment or on the machine, before anything is started.
    pub is_usage: bool,
}

impl ProviderError {
    pub(crate) fn new(reason: impl Error + Send + Sync + 'static, is_usage: bool) -> Self {
        Self { reason: Box::new(reason), is_usage }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl Error for ProviderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}
