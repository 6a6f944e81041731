//! Requests that were let through and are the operator's to answer. Pure.

use super::attempt::Seen;
use super::route::Route;

/// A request that was let through.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    /// The attempt, as the report names it.
    pub(super) title: String,
    pub(super) route: Route,
    pub(super) seen: Seen,
    /// The object that was made, by its path.
    pub(super) made: Option<String>,
}

/// A Secret that the operator must not make.
pub(super) struct Product {
    pub(super) namespace: String,
    pub(super) name: String,
    /// The attempt that would have made it, in words.
    pub(super) made_by: String,
}
