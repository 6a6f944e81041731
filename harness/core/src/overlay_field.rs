//! Changes of a configuration, so that it can be tested on a cluster of ours.

use serde::{Deserialize, Serialize};

/// One field that was changed to run the configuration here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayField {
    /// Kind and name of the object.
    pub object: String,
    /// Path of the field in it.
    pub field: String,
    /// The value that it was set to.
    pub value: String,
}
