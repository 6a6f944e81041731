//! Ends of a case and a property, how results merge, and what the process exits with.
//!
//! Nothing here does I/O or can fail, and no text here ever holds a credential's value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use credence_core::id::CaseId;
use serde::{Deserialize, Serialize};

use crate::copy::Reached;
use crate::route::RouteEnd;
use crate::share::Share;
use crate::unknown::{Cause, Unknown};

/// Outcome of one case, or of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The claim was seen to be true.
    Held,
    /// The claim was seen to be false.
    Violated(Violation),
    /// There is no evidence either way.
    Unknown(Unknown),
}

impl Outcome {
    /// The sort of obstacle that kept it from telling, if one did.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Held | Self::Violated(_) => None,
            Self::Unknown(unknown) => Some(unknown.cause),
        }
    }

    /// The heavier of two ends of the same case, and the first of two that weigh the same.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if Verdict::from(&other) > Verdict::from(&self) { other } else { self }
    }
}

/// A claim that was seen to be false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Expected and observed state, without credential values.
    pub reason: String,
    /// The documented upstream bug that this is, if it is one.
    pub known: Option<Known>,
}

/// A documented upstream bug, and how many cases it may explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Short name, such as `eso#6677`.
    pub id: &'static str,
    /// URL of its documentation.
    pub link: &'static str,
    /// Effect of the bug, in a few words.
    pub title: &'static str,
    /// The share of a property's cases that it explains at most: what is met more often has another cause.
    pub at_most: Share,
}

/// The result of a case, a property, a requirement, or a run.
///
/// Ordered by weight: [`merge`](Self::merge) keeps the heavier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not tried, for a stated reason; says nothing about the claim.
    Skipped,
    /// Every planned case ran and held.
    Held,
    /// Violated only by documented upstream bugs.
    KnownViolated,
    /// No or too little evidence; never green.
    Unknown,
    /// At least one violation that no documented bug explains.
    Violated,
}

impl Verdict {
    /// The verdict of a property whose cases ended like this, out of `planned` cases.
    ///
    /// Fewer cases than planned, and no case at all, are at best [`Unknown`](Self::Unknown): a run that was cut
    /// short must not report its part as the whole.
    pub(crate) fn of_cases<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>, planned: u32) -> Self {
        let mut run = 0;
        let mut merged = Self::Held;
        for outcome in outcomes {
            run += 1;
            merged = merged.merge(Self::from(outcome));
        }
        if run == 0 || run < planned { merged.merge(Self::Unknown) } else { merged }
    }

    /// The heavier of two verdicts: violated, then unknown, then known violated, then held, then skipped.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.max(other)
    }

    /// The stable machine name, as in `report.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Held => "held",
            Self::KnownViolated => "known_violated",
            Self::Unknown => "unknown",
            Self::Violated => "violated",
        }
    }
}

impl From<&Outcome> for Verdict {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Held => Self::Held,
            Outcome::Violated(Violation { known: Some(_), .. }) => Self::KnownViolated,
            Outcome::Violated(Violation { known: None, .. }) => Self::Violated,
            Outcome::Unknown(_) => Self::Unknown,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::KnownViolated => "violated (known)",
            other => other.name(),
        })
    }
}

/// Exit code of the process .
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything that was tried held, documented upstream bugs aside.
    Held = 0,
    /// At least one property was violated.
    Violated = 1,
    /// No violation, but at least one property without enough evidence.
    Unknown = 2,
    /// The command line or the configuration is wrong.
    Usage = 3,
    /// No property was tried at all.
    NothingRan = 4,
}

impl ExitCode {
    /// The code for a run whose properties ended like this.
    ///
    /// A known violation counts as held; a strict run hands it in as [`Verdict::Violated`].
    pub fn of(verdicts: impl IntoIterator<Item = Verdict>) -> Self {
        match verdicts.into_iter().max() {
            None | Some(Verdict::Skipped) => Self::NothingRan,
            Some(Verdict::Held | Verdict::KnownViolated) => Self::Held,
            Some(Verdict::Unknown) => Self::Unknown,
            Some(Verdict::Violated) => Self::Violated,
        }
    }

    /// The number, 0 to 4.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

/// Facts that the driver recorded of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseRecord {
    /// The case; enough to generate it again.
    pub id: CaseId,
    /// Outcome; a case that came to no evidence is [`Outcome::Unknown`].
    pub outcome: Outcome,
    /// Number of times that it had each kind of evidence.
    pub operations: BTreeMap<String, u64>,
    /// Other operations and observations, of each kind; none of them tells anything about the claim by itself.
    pub context: BTreeMap<String, u64>,
    /// The copies that it had before it.
    pub reached: BTreeSet<Reached>,
    /// Number of times that a route that it tried came to which end.
    pub routes: BTreeMap<(String, RouteEnd), u64>,
    /// Time that the cluster took to do each thing that was awaited.
    pub latencies: Vec<Duration>,
    /// Wall time of the case.
    pub took: Duration,
    /// Time that the configuration allows for what was awaited, if the property has a bound.
    pub bound: Option<Duration>,
    /// The smallest case found that fails in the same way, without credential values.
    pub smallest: Option<String>,
}

/// Outcome of something that is tried once in a run, beside the generated cases: on clusters that have what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRecord {
    /// Act that was tried, for a person.
    pub what: String,
    /// Outcome of the check, which counts for its property as a case's does.
    pub outcome: Outcome,
    /// Time that things took, and how long they may take, by what they are.
    pub times: BTreeMap<String, Duration>,
}

impl CheckRecord {
    /// One that could not tell.
    pub fn unknown(what: &str, why: Unknown) -> Self {
        Self { what: what.to_owned(), outcome: Outcome::Unknown(why), times: BTreeMap::new() }
    }
}

/// No evidence either way, for this reason.
pub fn unknown(cause: Cause, reason: impl Into<String>) -> Outcome {
    Outcome::Unknown(Unknown::new(cause, reason))
}

/// A violation that no documented bug explains.
pub fn violated(reason: impl Into<String>) -> Outcome {
    Outcome::Violated(Violation { reason: reason.into(), known: None })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{ExitCode, Known, Outcome, Verdict, Violation, unknown};
    use crate::share::Share;
    use crate::unknown::Cause;

    const KNOWN: Known = Known {
        id: "eso#6677",
        link: "https://example.com/6677",
        title: "finalizer stays",
        at_most: Share::percent(15),
    };

    fn violated(known: Option<Known>) -> Outcome {
        Outcome::Violated(Violation { reason: "wrong".into(), known })
    }

    #[rstest]
    #[case::all_held(vec![Outcome::Held, Outcome::Held], 2, Verdict::Held)]
    #[case::no_case(vec![], 0, Verdict::Unknown)]
    #[case::cut_short(vec![Outcome::Held], 2, Verdict::Unknown)]
    #[case::known_and_cut_short(vec![violated(Some(KNOWN))], 2, Verdict::Unknown)]
    #[case::violated_and_cut_short(vec![violated(None)], 2, Verdict::Violated)]
    #[case::known_beats_held(vec![Outcome::Held, violated(Some(KNOWN))], 2, Verdict::KnownViolated)]
    #[case::unknown_beats_known(vec![unknown(Cause::WatchStale, "why"), violated(Some(KNOWN))], 2, Verdict::Unknown)]
    #[case::violated_beats_unknown(vec![unknown(Cause::WatchStale, "why"), violated(None)], 2, Verdict::Violated)]
    fn the_heaviest_case_decides_and_missing_cases_are_unknown(
        #[case] outcomes: Vec<Outcome>,
        #[case] planned: u32,
        #[case] expected: Verdict,
    ) {
        assert_eq!(Verdict::of_cases(&outcomes, planned), expected);
    }

    #[test]
    fn of_two_ends_of_a_case_the_heavier_counts_and_the_first_of_two_alike() {
        let untold = |why: &str| unknown(Cause::WatchStale, why);
        let (held, known, wrong) = (Outcome::Held, violated(Some(KNOWN)), violated(None));
        for (light, heavy) in [(held, known.clone()), (known, untold("a")), (untold("a"), wrong)] {
            assert_eq!(light.clone().max(heavy.clone()), heavy);
            assert_eq!(heavy.clone().max(light), heavy);
        }
        assert_eq!(untold("first").max(untold("second")), untold("first"));
    }

    #[test]
    fn only_an_end_that_tells_nothing_has_a_cause() {
        assert_eq!(unknown(Cause::WatchStale, "why").cause(), Some(Cause::WatchStale));
        assert_eq!([Outcome::Held, violated(None)].map(|outcome| outcome.cause()), [None, None]);
    }

    #[test]
    fn a_process_ends_with_the_code_of_the_run() {
        let shown = |code| format!("{:?}", std::process::ExitCode::from(code));
        assert_eq!(shown(ExitCode::Held), format!("{:?}", std::process::ExitCode::SUCCESS));
        assert_eq!(shown(ExitCode::Violated), format!("{:?}", std::process::ExitCode::from(1)));
    }

    #[rstest]
    #[case::nothing_selected(&[], ExitCode::NothingRan, 4)]
    #[case::everything_skipped(&[Verdict::Skipped, Verdict::Skipped], ExitCode::NothingRan, 4)]
    #[case::held_beside_skipped(&[Verdict::Skipped, Verdict::Held], ExitCode::Held, 0)]
    #[case::known(&[Verdict::Held, Verdict::KnownViolated], ExitCode::Held, 0)]
    #[case::unknown(&[Verdict::KnownViolated, Verdict::Unknown], ExitCode::Unknown, 2)]
    #[case::violated(&[Verdict::Unknown, Verdict::Violated], ExitCode::Violated, 1)]
    fn exit_codes_are_as_documented(#[case] verdicts: &[Verdict], #[case] expected: ExitCode, #[case] number: u8) {
        let code = ExitCode::of(verdicts.iter().copied());
        assert_eq!((code, code.code()), (expected, number));
    }
}
