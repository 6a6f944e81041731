//! Errors of attacks.

use credence_cluster::cluster::ClusterError;
use credence_core::leak_scan::{LeakScanError, Unsearchable};
use credence_watch::wait::WaitError;

use super::call::RequestAnswer;
use super::reach::ReachError;
use crate::testbed::namespaces::NamespaceError;
use crate::testbed::sources::SourceError;
use crate::testbed::tenant::TenantError;

/// An attack could not take place.
#[derive(Debug, thiserror::Error)]
pub(super) enum AccessError {
    /// A namespace could not be used.
    #[error("failed to prepare the namespaces")]
    Namespace(#[from] NamespaceError),
    /// A source could not be given a value.
    #[error("failed to prepare the sources")]
    Source(#[from] SourceError),
    #[error("failed to make a tenant")]
    Tenant(#[from] TenantError),
    /// There was no answer, or not the one that is needed.
    #[error("failed to {act}")]
    Request {
        act: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
    /// Something that the case needs was refused.
    #[error("failed to {act}: {answer:?}")]
    Refused { act: &'static str, answer: RequestAnswer },
    /// Something that the case needs did not happen.
    #[error("failed to prepare the case")]
    Wait(#[from] WaitError),
    /// Rights of the tenant to read could not be told.
    #[error("failed to search what the tenant may read")]
    Reach(#[from] ReachError),
    /// There are too many values to search for.
    #[error("failed to prepare the search")]
    Scan(#[from] LeakScanError),
    /// A value cannot be searched for, so that finding nothing would prove nothing.
    #[error("failed to prepare the search: {0}")]
    Unsearchable(Unsearchable),
    /// The tenant has no server.
    #[error("failed to start a server of the tenant's own")]
    Receiver(#[source] std::io::Error),
    /// Nobody can act as the operator or a store.
    #[error("failed to act as a ServiceAccount")]
    Client(#[source] ClusterError),
}

pub(super) fn request(act: &'static str) -> impl FnOnce(kube::Error) -> AccessError {
    move |source| AccessError::Request { act, source: Box::new(source) }
}
