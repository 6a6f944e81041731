//! Claim of a property on a requirement, and what becomes of that in a run.

use std::fmt;

use credence_core::id::Requirement;
use serde::{Deserialize, Serialize};

use crate::verdict::Verdict;

/// Claim of a property on a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Requirement that it proves, or a part of it.
    pub requirement: Requirement,
    /// Proof of it, in one sentence.
    pub proof: &'static str,
}

impl Claim {
    /// A claim on requirement `chapter.number`.
    ///
    /// # Panics
    /// If there is no such requirement; in a `const`, that is a compile error.
    pub const fn new(chapter: u8, number: u8, proof: &'static str) -> Self {
        Self { requirement: Requirement::new(chapter, number), proof }
    }
}

/// A part of a property that could not be tested in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedCheck {
    /// The check that would have been made.
    pub what: String,
    /// Why it was not, and what would enable it.
    pub why: String,
    /// The requirements of which less is proved without it.
    pub weakens: Vec<Requirement>,
}

impl SkippedCheck {
    /// A check that no requirement depends on.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), weakens: Vec::new() }
    }

    /// The same check, without which less of these claims is proved.
    #[must_use]
    pub fn weakens(mut self, claims: &[Claim]) -> Self {
        self.weakens.extend(claims.iter().map(|claim| claim.requirement));
        self
    }
}

/// Verdict of a run on a claim, or on a requirement.
///
/// Ordered by weight; [`merge`](Self::merge) is not the maximum alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimVerdict {
    /// Nothing that could have proved it was tried, for a stated reason.
    #[serde(alias = "skipped")]
    NotCovered,
    /// Everything that proves it was tried, and held.
    Held,
    /// Tried parts held, and a part of it was not tried, for a stated reason.
    HeldInPart,
    /// Violated only by documented upstream bugs.
    KnownViolated,
    /// No or too little evidence; never green.
    Unknown,
    /// At least one violation that no documented bug explains.
    Violated,
}

impl ClaimVerdict {
    /// Sum of two parts: the heavier, and held in part where one of them held and the other was not tried.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        match (self.min(other), self.max(other)) {
            (Self::NotCovered, Self::Held) => Self::HeldInPart,
            (_, heavier) => heavier,
        }
    }

    /// The stable machine name, as in `report.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotCovered => "not_covered",
            Self::Held => "held",
            Self::HeldInPart => "held_in_part",
            Self::KnownViolated => "known_violated",
            Self::Unknown => "unknown",
            Self::Violated => "violated",
        }
    }
}

impl From<Verdict> for ClaimVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Skipped => Self::NotCovered,
            Verdict::Held => Self::Held,
            Verdict::KnownViolated => Self::KnownViolated,
            Verdict::Unknown => Self::Unknown,
            Verdict::Violated => Self::Violated,
        }
    }
}

impl fmt::Display for ClaimVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotCovered => "not covered",
            Self::HeldInPart => "held in part",
            Self::KnownViolated => "violated (known)",
            other => other.name(),
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::ClaimVerdict::{self, Held, HeldInPart, KnownViolated, NotCovered, Unknown, Violated};

    #[rstest]
    #[case::all_of_it(Held, Held, Held)]
    #[case::half_of_it(Held, NotCovered, HeldInPart)]
    #[case::nothing_of_it(NotCovered, NotCovered, NotCovered)]
    #[case::a_part_stays_one(HeldInPart, Held, HeldInPart)]
    #[case::known_beside_a_part(HeldInPart, KnownViolated, KnownViolated)]
    #[case::unknown_is_never_green(Unknown, HeldInPart, Unknown)]
    #[case::violated_beside_nothing(Violated, NotCovered, Violated)]
    fn parts_that_were_not_tried_make_held_a_part(
        #[case] one: ClaimVerdict,
        #[case] other: ClaimVerdict,
        #[case] expected: ClaimVerdict,
    ) {
        assert_eq!((one.merge(other), other.merge(one)), (expected, expected));
    }
}
