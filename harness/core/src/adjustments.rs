//! Adjustments of a configuration, so that it can be tested on a cluster of ours: fields that are changed, and objects left out.

use serde::{Deserialize, Serialize};

/// One field that was changed to run the configuration here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayField {
    /// Kind and name of the object.
    pub object: String,
    /// Path of the field in it.
    pub field: String,
    /// Value that the field was set to.
    pub value: String,
}

/// One object that was left out of what is tested.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// Kind, namespace and name of the object.
    pub object: String,
    /// Its file and the line where it starts.
    pub place: String,
    /// Effect that the object would have, or the thing that it lacks here.
    pub reason: String,
}
