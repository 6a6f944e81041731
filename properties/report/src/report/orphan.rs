//! Leftovers of the cases of a property.

use serde::{Deserialize, Serialize};

use super::text::printable;
use crate::verdict::{Verdict, Violation};

/// Something that was seen when all cases had been cleaned up after. It belongs to no case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// Violated, by a documented upstream bug or not, or unknown.
    pub verdict: Verdict,
    /// Object that stayed, or why that cannot be told.
    pub reason: String,
    /// The documented upstream bug that this is, by its short name.
    pub known: Option<String>,
}

impl Orphan {
    pub(super) fn of(violation: &Violation) -> Self {
        let (verdict, known) = match violation.known {
            Some(known) => (Verdict::KnownViolated, Some(known.id.to_owned())),
            None => (Verdict::Violated, None),
        };
        Self { verdict, reason: printable(&violation.reason), known }
    }

    /// Something that may have stayed.
    pub(super) fn inconclusive(why: &str) -> Self {
        Self { verdict: Verdict::Unknown, reason: printable(why), known: None }
    }
}
