//! The fields that the API servers take: of External Secrets Operator's kinds and of those of Kubernetes that a configuration
//! is understood by.
//!
//! ```text
//!  fields.txt ──▶ table ──▶ check ──▶ faults, each with file, line and column
//!  later.txt  ──▶ versions ──┘
//! ```
//!
//! An API server prunes a field that it does not know, so that a misspelt one is as good as not written, and nobody is told.

use std::fmt;

use credence_core::manifest::{Location, Manifest};

mod check;
mod names;
mod table;
#[cfg(test)]
mod tests;
mod unrendered;
mod versions;

/// A part of a manifest that the API server or the controller would refuse, or would not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The place.
    pub at: Location,
    /// Kind, namespace and name of the object.
    pub object: String,
    /// The fault and the way to mend it, without any value.
    pub message: String,
    /// True if another version of External Secrets Operator takes it.
    pub is_of_another_version: bool,
}

impl Fault {
    fn new(manifest: &Manifest, pointer: &str, message: String) -> Self {
        let (at, object) = (manifest.location(pointer), manifest.object_name());
        Self { at, object, message, is_of_another_version: false }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.at, self.object, self.message)
    }
}

/// The faults of a manifest's version, fields and names. A manifest of a kind that is not known here has none.
pub(super) fn faults_of(manifest: &Manifest) -> Vec<Fault> {
    let (mut faults, object) = versions::kind_of(manifest);
    faults.extend(object.into_iter().flat_map(|object| check::faults(manifest, object)));
    faults.extend(names::faults(manifest));
    faults
}
