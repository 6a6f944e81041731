//! What the report says about one property, made from the records of its cases.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use credence_core::id::{CaseId, PropertyId, Requirement};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::check::CheckReport;
use super::finding::Finding;
use super::known_bug::{KnownBug, known_bugs};
use super::latency::Latency;
use super::leftover::Leftover;
use super::reproduced::Reproduced;
use super::text::{printable, seconds};
use crate::verdict::{CaseRecord, CheckRecord, Outcome, Verdict, Violation};

/// What the registry says about a property.
#[derive(Debug, Clone, Copy)]
pub struct PropertyMeta {
    /// Its stable number.
    pub id: PropertyId,
    /// Its name, a few words.
    pub title: &'static str,
    /// What it claims of all generated worlds.
    pub claim: &'static str,
    /// The requirements it is evidence for.
    pub requirements: &'static [Requirement],
}

/// What the driver knows about a property beside its cases.
#[derive(Debug, Clone)]
pub struct Execution {
    /// How many cases were to run.
    pub planned: u32,
    /// When its first case could begin.
    pub started: Timestamp,
    /// Wall time, all lanes together, without the time in which it only waited until nothing else ran.
    pub took: Duration,
    /// What kept it from running to its end, if something did; makes it at best unknown.
    pub trouble: Option<String>,
    /// What was tried once, beside the cases.
    pub checks: Vec<CheckRecord>,
    /// Cases that had failed and were run again, alone.
    pub reproduced: BTreeMap<CaseId, Reproduced>,
    /// Requirements it traces to but could not exercise on this cluster, each with the reason.
    pub not_covered: BTreeMap<Requirement, String>,
    /// Checks of it that could not run here, by what they do, each with the reason and what would enable it.
    pub skipped_checks: BTreeMap<String, String>,
    /// What `credence replay` needs beside the case to test the same configuration; empty, or with a leading space.
    pub replay_flags: String,
}

/// Everything about one property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PropertyReport {
    /// Its stable number.
    pub id: PropertyId,
    /// Its name, a few words.
    pub title: String,
    /// What it claims of all generated worlds.
    pub claim: String,
    /// The requirements it traces to.
    pub requirements: Vec<Requirement>,
    /// The merge over its cases.
    pub verdict: Verdict,
    /// Why it is anything but held.
    pub reason: Option<String>,
    /// What kept it from running to its end, if something did.
    #[serde(default)]
    pub trouble: Option<String>,
    /// The documented upstream bugs that were met.
    pub known: Vec<KnownBug>,
    /// How many cases ended how.
    pub cases: CaseCounts,
    /// How many operations of each kind all cases carried out.
    pub operations: BTreeMap<String, u64>,
    /// Measured latency against the bound; none if nothing was measured.
    pub latency_ms: Option<Latency>,
    /// The command that repeats the first finding.
    pub replay: Option<String>,
    /// When its first case could begin; none if it was skipped.
    #[serde(default, with = "super::rfc3339::optional")]
    pub started: Option<Timestamp>,
    /// Wall time in seconds, without the time in which it only waited until nothing else ran. Others ran beside it.
    pub seconds: f64,
    /// Requirements it traces to but could not exercise on this cluster, each with the reason.
    pub not_covered: BTreeMap<Requirement, String>,
    /// Checks of it that could not run here, by what they do, each with the reason and what would enable it.
    pub skipped_checks: BTreeMap<String, String>,
    /// What was tried once, beside the cases.
    #[serde(default)]
    pub checks: Vec<CheckReport>,
    /// What was seen when its cases had been cleaned up after; no case counts it.
    #[serde(default)]
    pub leftovers: Vec<Leftover>,
    /// Every case that did not hold: heaviest verdict first, those tried again before others, then by case.
    pub findings: Vec<Finding>,
}

/// How many cases ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseCounts {
    /// Were to run.
    pub planned: u64,
    /// Ran, whatever came of it.
    pub run: u64,
    /// Held.
    pub held: u64,
    /// Violated, by documented upstream bugs or not.
    pub violated: u64,
    /// Could not tell.
    pub unknown: u64,
}

impl PropertyReport {
    /// Sums up the cases of a property that was tried.
    pub fn from_records(meta: &PropertyMeta, execution: &Execution, records: &[CaseRecord]) -> Self {
        let mut verdict = Verdict::of_cases(records.iter().map(|record| &record.outcome), execution.planned);
        if execution.trouble.is_some() {
            verdict = verdict.merge(Verdict::Unknown);
        }
        let checks: Vec<CheckReport> = execution.checks.iter().map(CheckReport::of).collect();
        verdict = checks.iter().fold(verdict, |verdict, check| verdict.merge(check.verdict));
        let mut operations = BTreeMap::new();
        for (kind, count) in records.iter().flat_map(|record| &record.operations) {
            *operations.entry(kind.clone()).or_default() += count;
        }
        let cases = CaseCounts::of(execution.planned, records);
        let findings = findings(records, execution);
        let trouble = execution.trouble.as_deref().map(printable);
        Self {
            verdict,
            reason: reason(verdict, trouble.as_deref(), &cases, &findings, &checks),
            trouble,
            known: known_bugs(records, &execution.checks),
            cases,
            operations,
            latency_ms: Latency::of(records),
            replay: findings.first().map(|finding| finding.replay.clone()),
            started: Some(execution.started),
            seconds: seconds(execution.took),
            not_covered: execution.not_covered.iter().map(|(id, why)| (*id, printable(why))).collect(),
            skipped_checks: execution.skipped_checks.iter().map(|(what, why)| (what.clone(), printable(why))).collect(),
            checks,
            findings,
            ..Self::skipped(meta, "")
        }
    }

    /// A property that was not tried, and why.
    pub fn skipped(meta: &PropertyMeta, reason: &str) -> Self {
        Self {
            id: meta.id,
            title: meta.title.into(),
            claim: meta.claim.into(),
            requirements: meta.requirements.to_vec(),
            verdict: Verdict::Skipped,
            reason: Some(printable(reason)),
            trouble: None,
            known: Vec::new(),
            cases: CaseCounts::default(),
            operations: BTreeMap::new(),
            latency_ms: None,
            replay: None,
            started: None,
            seconds: 0.0,
            not_covered: BTreeMap::new(),
            skipped_checks: BTreeMap::new(),
            checks: Vec::new(),
            leftovers: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Adds a violation that was seen outside the property's own cases, when they were cleaned up after.
    pub fn add_violation(&mut self, violation: &Violation) {
        if let Some(known) = violation.known {
            match self.known.iter_mut().find(|bug| bug.id == known.id) {
                Some(bug) => bug.leftovers += 1,
                None => self.known.push(KnownBug { leftovers: 1, ..KnownBug::new(known) }),
            }
        }
        self.add_leftover(Leftover::of(violation));
    }

    /// Adds that something outside the property's own cases could not be told.
    pub fn add_doubt(&mut self, why: &str) {
        self.add_leftover(Leftover::doubt(why));
    }

    fn add_leftover(&mut self, left: Leftover) {
        if self.verdict.merge(left.verdict) != self.verdict {
            self.verdict = left.verdict;
            self.reason = Some(left.reason.clone());
        }
        self.leftovers.push(left);
    }

    /// The verdict by its cases alone, without the checks beside them and what was left behind.
    pub(super) fn verdict_by_cases(&self) -> Verdict {
        if self.verdict == Verdict::Skipped {
            return Verdict::Skipped;
        }
        let is_whole = self.trouble.is_none() && self.cases.run > 0 && self.cases.run >= self.cases.planned;
        let least = if is_whole { Verdict::Held } else { Verdict::Unknown };
        self.findings.iter().fold(least, |verdict, finding| verdict.merge(finding.verdict))
    }

    /// Why its cases alone are anything but held.
    pub(super) fn reason_by_cases(&self) -> Option<String> {
        match self.verdict_by_cases() {
            Verdict::Skipped => self.reason.clone(),
            verdict => reason(verdict, self.trouble.as_deref(), &self.cases, &self.findings, &[]),
        }
    }

    /// What this property says about one of its requirements, and why.
    pub(super) fn evidence_for(&self, requirement: Requirement) -> (Verdict, Option<&str>) {
        match self.not_covered.get(&requirement) {
            Some(why) => (Verdict::Skipped, Some(why)),
            None => (self.verdict, self.reason.as_deref()),
        }
    }

    /// Cases done of cases planned, with what did not hold: `100/100, 3 violated`; a dash if it was skipped.
    pub fn cases_text(&self) -> String {
        if self.verdict == Verdict::Skipped {
            return "-".into();
        }
        let CaseCounts { planned, run, violated, unknown, .. } = self.cases;
        // A bug may also have been met by what is no case.
        let known = self.findings.iter().filter(|finding| finding.known.is_some()).count() as u64;
        let mut text = format!("{run}/{planned}");
        for (count, what) in
            [(violated.saturating_sub(known), "violated"), (known, "violated (known)"), (unknown, "unknown")]
        {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        for (count, what) in [(self.checks.len(), "check"), (self.leftovers.len(), "leftover")] {
            if count > 0 {
                text.push_str(&format!(", and {count} {what}{}", if count == 1 { "" } else { "s" }));
            }
        }
        text
    }
}

impl CaseCounts {
    fn of(planned: u32, records: &[CaseRecord]) -> Self {
        let mut counts = Self { planned: planned.into(), ..Self::default() };
        for record in records {
            counts.run += 1;
            match record.outcome {
                Outcome::Held => counts.held += 1,
                Outcome::Violated(_) => counts.violated += 1,
                Outcome::Unknown(_) => counts.unknown += 1,
            }
        }
        counts
    }
}

fn findings(records: &[CaseRecord], execution: &Execution) -> Vec<Finding> {
    let of = |record| Finding::of(record, &execution.replay_flags, execution.reproduced.get(&record.id).copied());
    let mut findings: Vec<_> = records.iter().filter_map(of).collect();
    let is_as_found = |finding: &Finding| finding.smallest.is_none() && finding.reproduced.is_none();
    findings.sort_by_key(|finding| (Reverse(finding.verdict), is_as_found(finding), finding.case));
    findings
}

fn reason(
    verdict: Verdict,
    trouble: Option<&str>,
    cases: &CaseCounts,
    findings: &[Finding],
    checks: &[CheckReport],
) -> Option<String> {
    if verdict == Verdict::Held {
        return None;
    }
    let first = findings.first().filter(|finding| finding.verdict == verdict).map(|finding| finding.reason.clone());
    let first = first.or_else(|| {
        let check = checks.iter().find(|check| check.verdict == verdict)?;
        Some(format!("{}: {}", check.what, check.reason.as_deref().unwrap_or_default()))
    });
    if verdict != Verdict::Unknown {
        return first;
    }
    let cause = trouble.map(str::to_owned).or(first);
    let count = format!("{} of {} cases ran", cases.run, cases.planned);
    Some(match cause {
        Some(cause) if cases.run > 0 && cases.run >= cases.planned => cause,
        Some(cause) => format!("{count}: {cause}"),
        None => count,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use crate::report::testing::{KNOWN, META, execution, known, record, unknown, violated};
    use crate::report::{Execution, Millis, PropertyReport, Reproduced};
    use crate::verdict::{CheckRecord, Known, Outcome, Verdict, Violation};

    #[test]
    fn cases_add_up_and_the_heaviest_shrunk_case_explains() {
        let mut shrunk = violated(3, "copy stayed");
        shrunk.smallest = Some("one namespace".into());
        let records = [record(0, Outcome::Held), violated(1, "other"), unknown(2, "no answer"), shrunk, known(4)];
        let report = PropertyReport::from_records(&META, &execution(5), &records);
        assert_eq!(report.verdict, Verdict::Violated);
        assert_eq!(report.reason.as_deref(), Some("copy stayed"));
        assert_eq!(report.replay.as_deref(), Some("credence replay p03:42:3"));
        assert_eq!(report.cases_text(), "5/5, 2 violated, 1 violated (known), 1 unknown");
        assert_eq!((report.known[0].id.as_str(), report.known[0].cases), (KNOWN.id, 1));
        assert_eq!(report.operations["relabel"], 10);
        let latency = report.latency_ms.expect("each record has latencies");
        assert_eq!((latency.p50, latency.max, latency.bound), (Millis(100), Millis(400), Some(Millis(20_000))));
    }

    #[test]
    fn a_check_counts_as_a_case_does_but_not_as_one() {
        let check = |outcome| CheckRecord { outcome, ..CheckRecord::unknown("namespace deleted", "") };
        let known = check(Outcome::Violated(Violation { reason: "it stayed".into(), known: Some(KNOWN) }));
        let held = Execution { checks: vec![check(Outcome::Held), known.clone()], ..execution(1) };
        let report = PropertyReport::from_records(&META, &held, &[record(0, Outcome::Held)]);
        assert_eq!((report.verdict, report.cases.violated), (Verdict::KnownViolated, 0));
        assert_eq!(report.reason.as_deref(), Some("namespace deleted: it stayed"));
        assert_eq!((report.known[0].met(1), report.cases_text()), ("in 1 check".into(), "1/1, and 2 checks".into()));
        let violated = check(Outcome::Violated(Violation { reason: "for ever".into(), known: None }));
        let violated = Execution { checks: vec![known, violated], ..execution(1) };
        let report = PropertyReport::from_records(&META, &violated, &[record(0, Outcome::Held)]);
        assert_eq!(
            (report.verdict, report.reason.as_deref()),
            (Verdict::Violated, Some("namespace deleted: for ever"))
        );
    }

    #[test]
    fn what_is_left_behind_after_all_cases_held_is_a_violation() {
        let mut report = PropertyReport::from_records(&META, &execution(1), &[record(0, Outcome::Held)]);
        report.add_violation(&left(Some(KNOWN)));
        assert_eq!((report.verdict, report.known[0].met(1)), (Verdict::KnownViolated, "in 1 leftover".into()));
        report.add_doubt("no answer");
        assert_eq!((report.verdict, report.reason.as_deref()), (Verdict::Unknown, Some("no answer")));
        report.add_violation(&left(None));
        assert_eq!((report.verdict, report.reason.as_deref()), (Verdict::Violated, Some("a copy stayed")));
        assert_eq!((report.verdict_by_cases(), report.leftovers.len()), (Verdict::Held, 3));
    }

    fn left(known: Option<Known>) -> Violation {
        Violation { reason: "a copy stayed".into(), known }
    }

    #[test]
    fn a_leftover_of_a_known_bug_hides_no_violated_case() {
        let mut report = PropertyReport::from_records(&META, &execution(1), &[violated(0, "copy stayed")]);
        report.add_violation(&left(Some(KNOWN)));
        assert_eq!(report.cases_text(), "1/1, 1 violated, and 1 leftover");
        assert_eq!((report.known[0].cases, report.known[0].leftovers), (0, 1));
        assert_eq!(report.reason.as_deref(), Some("copy stayed"));
    }

    #[test]
    fn a_failure_that_was_tried_again_says_how_often_it_came_and_goes_before_others() {
        let records = [violated(0, "once"), violated(1, "tried again")];
        let reproduced = Reproduced { failed: 0, runs: 3 };
        let execution = Execution { reproduced: BTreeMap::from([(records[1].id, reproduced)]), ..execution(2) };
        let report = PropertyReport::from_records(&META, &execution, &records);
        assert_eq!(report.reason.as_deref(), Some("tried again"));
        let found: Vec<_> = report.findings.iter().map(|finding| finding.reproduced).collect();
        assert_eq!(found, [Some(reproduced), None]);
    }

    #[test]
    fn checks_and_leftovers_do_not_weigh_in_the_verdict_by_cases() {
        let check = CheckRecord { outcome: violated(0, "check").outcome, ..CheckRecord::unknown("deleted", "") };
        let execution = Execution { checks: vec![check], ..execution(2) };
        let report = PropertyReport::from_records(&META, &execution, &[record(0, Outcome::Held)]);
        assert_eq!((report.verdict, report.verdict_by_cases()), (Verdict::Violated, Verdict::Unknown));
        assert_eq!(report.reason_by_cases().as_deref(), Some("1 of 2 cases ran"));
        let skipped = PropertyReport::skipped(&META, "needs root");
        assert_eq!(skipped.verdict_by_cases(), Verdict::Skipped);
        assert_eq!(skipped.reason_by_cases().as_deref(), Some("needs root"));
    }

    #[rstest]
    #[case::no_case(vec![], None, "0 of 2 cases ran")]
    #[case::cut_short(vec![record(0, Outcome::Held)], None, "1 of 2 cases ran")]
    #[case::trouble(vec![], Some("etcd died"), "0 of 2 cases ran: etcd died")]
    #[case::trouble_at_the_end(vec![record(0, Outcome::Held), record(1, Outcome::Held)], Some("etcd died"), "etcd died")]
    #[case::one_case(vec![record(0, Outcome::Held), unknown(1, "no\u{1b}answer")], None, "no\u{fffd}answer")]
    fn lack_of_evidence_is_unknown_and_says_why(
        #[case] records: Vec<crate::verdict::CaseRecord>,
        #[case] trouble: Option<&str>,
        #[case] expected: &str,
    ) {
        let mut execution = execution(2);
        execution.trouble = trouble.map(String::from);
        let report = PropertyReport::from_records(&META, &execution, &records);
        assert_eq!((report.verdict, report.reason.as_deref()), (Verdict::Unknown, Some(expected)));
    }
}
