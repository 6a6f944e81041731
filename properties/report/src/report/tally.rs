//! Numbers of properties and requirements by their end.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::claim::ClaimVerdict;
use crate::verdict::Verdict;

/// Number of properties by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// [`Verdict::Held`].
    pub held: u64,
    /// [`Verdict::Violated`].
    pub violated: u64,
    /// [`Verdict::KnownViolated`].
    pub known_violated: u64,
    /// [`Verdict::Unknown`].
    pub unknown: u64,
    /// [`Verdict::Skipped`].
    pub skipped: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, violated, known_violated, unknown, skipped } = self;
        write!(f, "{held} held, {violated} violated, {known_violated} violated (known), ")?;
        write!(f, "{unknown} unknown, {skipped} skipped")
    }
}

impl Tally {
    pub(super) fn of(verdicts: impl Iterator<Item = Verdict>) -> Self {
        let mut tally = Self::default();
        for verdict in verdicts {
            *match verdict {
                Verdict::Held => &mut tally.held,
                Verdict::Violated => &mut tally.violated,
                Verdict::KnownViolated => &mut tally.known_violated,
                Verdict::Unknown => &mut tally.unknown,
                Verdict::Skipped => &mut tally.skipped,
            } += 1;
        }
        tally
    }
}

/// Number of requirements by their end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimTally {
    /// [`ClaimVerdict::Held`].
    pub held: u64,
    /// [`ClaimVerdict::HeldInPart`].
    #[serde(default)]
    pub held_in_part: u64,
    /// [`ClaimVerdict::Violated`].
    pub violated: u64,
    /// [`ClaimVerdict::KnownViolated`].
    pub known_violated: u64,
    /// [`ClaimVerdict::Unknown`].
    pub unknown: u64,
    /// [`ClaimVerdict::NotCovered`].
    #[serde(alias = "skipped")]
    pub not_covered: u64,
}

impl fmt::Display for ClaimTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, held_in_part, violated, known_violated, unknown, not_covered } = self;
        write!(
            f,
            "{held} held, {held_in_part} held in part, {violated} violated, {known_violated} violated (known), "
        )?;
        write!(f, "{unknown} unknown, {not_covered} not covered")
    }
}

impl ClaimTally {
    pub(super) fn of(verdicts: impl Iterator<Item = ClaimVerdict>) -> Self {
        let mut tally = Self::default();
        for verdict in verdicts {
            *match verdict {
                ClaimVerdict::Held => &mut tally.held,
                ClaimVerdict::HeldInPart => &mut tally.held_in_part,
                ClaimVerdict::Violated => &mut tally.violated,
                ClaimVerdict::KnownViolated => &mut tally.known_violated,
                ClaimVerdict::Unknown => &mut tally.unknown,
                ClaimVerdict::NotCovered => &mut tally.not_covered,
            } += 1;
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_counted_by_itself_and_named() {
        let ends = [Verdict::Held, Verdict::Violated, Verdict::KnownViolated, Verdict::Unknown, Verdict::Skipped];
        let verdicts = ends.into_iter().zip(1..).flat_map(|(verdict, times)| std::iter::repeat_n(verdict, times));
        let said = Tally::of(verdicts).to_string();
        assert_eq!(said, "1 held, 2 violated, 3 violated (known), 4 unknown, 5 skipped");
    }
}
