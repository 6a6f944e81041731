//! A step of a case that did not come to what the claim says.

use credence_core::text::Reason;
use credence_report::unknown::Unknown;
use credence_report::verdict::{Outcome, violated};

/// The ways in which a step does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotHeld {
    /// Something else was seen than the claim says.
    Violated(Reason),
    /// It cannot be told.
    Unknown(Unknown),
}

impl NotHeld {
    pub(super) fn violated(reason: impl Into<Reason>) -> Self {
        Self::Violated(reason.into())
    }

    /// The outcome of a case with such a step.
    pub(super) fn into_outcome(self) -> Outcome {
        match self {
            Self::Violated(reason) => violated(reason),
            Self::Unknown(unknown) => Outcome::Unknown(unknown),
        }
    }
}

impl From<Unknown> for NotHeld {
    fn from(unknown: Unknown) -> Self {
        Self::Unknown(unknown)
    }
}
