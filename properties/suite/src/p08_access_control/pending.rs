//! What was let through and is the operator's to answer. Pure.

use super::attempt::Seen;
use super::route::Route;

/// What was let through.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    /// Which attempt it was, in words.
    pub(super) title: String,
    pub(super) route: Route,
    pub(super) seen: Seen,
    /// The object that was made, by its path.
    pub(super) made: Option<String>,
}
