//! The documented upstream bugs that a property met.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::verdict::{CaseRecord, CheckRecord, Known, Outcome};

/// A documented upstream bug that was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownBug {
    /// Short name, such as `eso#6677`.
    pub id: String,
    /// Where it is documented.
    pub link: String,
    /// What goes wrong, in a few words.
    pub title: String,
    /// How many cases met it.
    pub cases: u64,
    /// How many checks beside the cases met it.
    #[serde(default)]
    pub checks: u64,
}

impl KnownBug {
    /// A bug that nothing has met yet.
    pub(super) fn new(known: Known) -> Self {
        Self { id: known.id.into(), link: known.link.into(), title: known.title.into(), cases: 0, checks: 0 }
    }

    /// Where it was met, in a property of which that many cases ran: `in 1 of 3 cases and 1 check`.
    pub fn met(&self, run: u64) -> String {
        let cases = format!("in {} of {run} cases", self.cases);
        let checks = format!("{} check{}", self.checks, if self.checks == 1 { "" } else { "s" });
        match (self.cases, self.checks) {
            (_, 0) => cases,
            (0, _) => format!("in {checks}"),
            _ => format!("{cases} and {checks}"),
        }
    }
}

/// The bugs that cases and checks met.
pub(super) fn known_bugs(records: &[CaseRecord], checks: &[CheckRecord]) -> Vec<KnownBug> {
    let known = |outcome: &Outcome| match outcome {
        Outcome::Violated(violation) => violation.known,
        Outcome::Held | Outcome::Unknown(_) => None,
    };
    let mut bugs = BTreeMap::new();
    for known in records.iter().filter_map(|record| known(&record.outcome)) {
        bugs.entry(known.id).or_insert_with(|| KnownBug::new(known)).cases += 1;
    }
    for known in checks.iter().filter_map(|check| known(&check.outcome)) {
        bugs.entry(known.id).or_insert_with(|| KnownBug::new(known)).checks += 1;
    }
    bugs.into_values().collect()
}
