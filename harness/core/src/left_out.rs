//! Objects of a configuration that are not applied to a cluster.

use serde::{Deserialize, Serialize};

/// One object that was left out of what is tested.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// Kind, namespace and name of the object.
    pub object: String,
    /// Its file and the line where it starts.
    pub place: String,
    /// Consequence of applying it, or what is missing.
    pub reason: String,
}
