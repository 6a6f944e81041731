//! Errors of intents. None shows a value of the file: only fields, and names that the manifests have.

use std::fmt;

use credence_core::manifest::{Location, ManifestError};

/// A part of an intent that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentFault {
    /// Place in the file of the intent.
    pub at: Location,
    /// The fault and the way to mend it, without any value.
    pub message: String,
}

impl fmt::Display for IntentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// Why a file is no intent that can be taken.
#[derive(Debug, thiserror::Error)]
pub enum IntentError {
    /// The file is no YAML, or no single document with fields.
    #[error("failed to read the intent")]
    Unreadable(#[from] ManifestError),
    /// The file does not hold one document.
    #[error(
        "failed to read the intent {at}: it must hold exactly one document; put all of it into one, with one kind: Intent"
    )]
    NotOne {
        /// The file, and where its second document begins; its first line if it has none.
        at: Box<Location>,
    },
    /// Fields are unknown or of another shape, or parts contradict each other or the manifests.
    #[error("failed to take the intent:{}", .0.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
    Refused(Vec<IntentFault>),
}
