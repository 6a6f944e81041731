//! The documented upstream bugs that a property met.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::verdict::{CaseRecord, CheckRecord, Known, Outcome};

/// A documented upstream bug that was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownBug {
    /// Short name, such as `eso#6677`.
    pub id: String,
    /// URL of its documentation.
    pub link: String,
    /// Effect of the bug, in a few words.
    pub title: String,
    /// Number of cases that met it.
    pub cases: u64,
    /// Number of the cases that ran that it explains at most; none in reports of before.
    #[serde(default)]
    pub allowed: Option<u64>,
    /// Number of checks beside the cases that met it.
    #[serde(default)]
    pub checks: u64,
    /// Number of things that were left behind after the cases that are of it. They belong to no case.
    #[serde(default)]
    pub leftovers: u64,
}

impl KnownBug {
    /// A bug that nothing has met yet, of a property of which that many cases ran.
    pub(super) fn new(known: Known, run: u64) -> Self {
        let (id, link, title) = (known.id.into(), known.link.into(), known.title.into());
        Self { id, link, title, cases: 0, allowed: Some(known.at_most.of(run)), checks: 0, leftovers: 0 }
    }

    /// Remark that more of the cases that ran met it than it explains; none if they did not.
    pub(super) fn excess(&self, run: u64) -> Option<String> {
        let allowed = self.allowed.filter(|allowed| self.cases > *allowed)?;
        let (cases, id) = (self.cases, &self.id);
        Some(format!("{cases} of {run} cases look like {id}, which explains {allowed} at most: there is another cause"))
    }

    /// Occurrences of it, in a property of which that many cases ran: `in 1 of 3 cases, 1 check and 2 leftovers`.
    pub fn met(&self, run: u64) -> String {
        let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let mut places = Vec::new();
        if self.cases > 0 || self.checks + self.leftovers == 0 {
            places.push(format!("{} of {run} cases", self.cases));
        }
        for (count, what) in [(self.checks, "check"), (self.leftovers, "leftover")] {
            if count > 0 {
                places.push(counted(count, what));
            }
        }
        match places.split_last() {
            Some((last, before)) if !before.is_empty() => format!("in {} and {last}", before.join(", ")),
            _ => format!("in {}", places.concat()),
        }
    }
}

/// The bugs that cases and checks met.
pub(super) fn known_bugs(records: &[CaseRecord], checks: &[CheckRecord]) -> Vec<KnownBug> {
    let known = |outcome: &Outcome| match outcome {
        Outcome::Violated(violation) => violation.known,
        Outcome::Held | Outcome::Unknown(_) => None,
    };
    let run = records.len() as u64;
    let mut bugs = BTreeMap::new();
    for known in records.iter().filter_map(|record| known(&record.outcome)) {
        bugs.entry(known.id).or_insert_with(|| KnownBug::new(known, run)).cases += 1;
    }
    for known in checks.iter().filter_map(|check| known(&check.outcome)) {
        bugs.entry(known.id).or_insert_with(|| KnownBug::new(known, run)).checks += 1;
    }
    bugs.into_values().collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::testing::KNOWN;
    use super::KnownBug;

    #[rstest]
    #[case::one_case(1, 0, 0, "in 1 of 3 cases")]
    #[case::nothing(0, 0, 0, "in 0 of 3 cases")]
    #[case::leftovers_alone(0, 0, 2, "in 2 leftovers")]
    #[case::case_and_check(1, 1, 0, "in 1 of 3 cases and 1 check")]
    #[case::everywhere(2, 2, 1, "in 2 of 3 cases, 2 checks and 1 leftover")]
    fn a_bug_says_where_it_was_met(
        #[case] cases: u64,
        #[case] checks: u64,
        #[case] leftovers: u64,
        #[case] expected: &str,
    ) {
        assert_eq!(KnownBug { cases, checks, leftovers, ..KnownBug::new(KNOWN, 3) }.met(3), expected);
    }

    #[test]
    fn only_more_cases_than_a_bug_explains_have_another_cause() {
        let met = |cases| KnownBug { cases, ..KnownBug::new(KNOWN, 100) };
        assert_eq!(met(34).excess(100), None);
        let excess = met(35).excess(100);
        let expected = "35 of 100 cases look like eso#6677, which explains 34 at most: there is another cause";
        assert_eq!(excess.as_deref(), Some(expected));
        assert_eq!(KnownBug { allowed: None, ..met(100) }.excess(100), None);
    }
}
