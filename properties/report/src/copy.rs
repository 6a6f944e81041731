//! Copies of a configuration as a report names them, and what a property has to do with each.

use credence_core::consumer::Consumer;
use serde::{Deserialize, Serialize};

/// A kind of copy: the object that makes it, and the name that it has in every namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CopyName {
    /// Kind and name of the object, such as `ClusterExternalSecret application-docker-registry`.
    pub object: String,
    /// The name of the Secret.
    pub secret: String,
}

/// A copy that a case had before it, whose state is a part of how the case ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    /// Distribution and Secret of the copy.
    pub copy: CopyName,
    /// Its user, where a case is about that.
    pub consumer: Option<Consumer>,
}

/// Statement of a property beforehand on a copy, or on one consumer's use of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Distribution and Secret of the copy.
    pub copy: CopyName,
    /// Its user, where the property is about that.
    pub consumer: Option<Consumer>,
    /// Reach of the property's cases: whether the copy is in it.
    pub scope: Scope,
}

/// Reach of a property's cases: whether a copy is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Its cases can be about the copy; those that are get counted.
    Within,
    /// Its cases cannot be about the copy here, for this reason.
    NotHere(String),
    /// The property has nothing to do with the copy, for this reason.
    NotApplicable(String),
}
