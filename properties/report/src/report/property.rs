//! What the report says about one property, made from the records of its cases.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use credence_core::id::{CaseId, PropertyId, Requirement};
use serde::{Deserialize, Serialize};

use super::check::CheckReport;
use super::claim::ClaimReport;
use super::coverage::{self, CoverageRow};
use super::known_bug::{KnownBug, known_bugs};
use super::latency::Latency;
use super::missed::Missed;
use super::text::{printable, seconds};
use crate::claim::{Claim, SkippedCheck};
use crate::copy::{CopyName, Declared};
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
    /// What it proves of which requirement; one claim on each.
    pub claims: &'static [Claim],
}

/// What the driver knows about a property beside its cases.
#[derive(Debug, Clone)]
pub struct Execution {
    /// How many cases were to run.
    pub planned: u32,
    /// Wall time, all lanes together, without the time in which it only waited until nothing else ran.
    pub took: Duration,
    /// What kept it from running to its end, if something did; makes it at best unknown.
    pub trouble: Option<String>,
    /// What was tried once, beside the cases.
    pub checks: Vec<CheckRecord>,
    /// Requirements it traces to but could not exercise on this cluster, each with the reason.
    pub not_covered: BTreeMap<Requirement, String>,
    /// Checks of it that could not run here.
    pub skipped_checks: Vec<SkippedCheck>,
    /// What it has to do with each copy of the configuration.
    pub declared: Vec<Declared>,
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
    /// What this run says of each of its claims on them.
    #[serde(default)]
    pub claims: Vec<ClaimReport>,
    /// The merge over its cases.
    pub verdict: Verdict,
    /// Why it is anything but held.
    pub reason: Option<String>,
    /// The documented upstream bugs that were met.
    pub known: Vec<KnownBug>,
    /// How many cases ended how.
    pub cases: CaseCounts,
    /// How much evidence of each kind all cases had.
    pub operations: BTreeMap<String, u64>,
    /// What else they did or looked at, of each kind, which by itself tells nothing about the claim.
    #[serde(default)]
    pub context: BTreeMap<String, u64>,
    /// How likely rare faults are to have been missed by so many cases.
    #[serde(default)]
    pub missed: Vec<Missed>,
    /// The copies of the configuration, and which of them it judged.
    #[serde(default)]
    pub coverage: Vec<CoverageRow>,
    /// Measured latency against the bound; none if nothing was measured.
    pub latency_ms: Option<Latency>,
    /// The command that repeats the first finding.
    pub replay: Option<String>,
    /// Wall time in seconds, without the time in which it only waited until nothing else ran. Others ran beside it.
    pub seconds: f64,
    /// Requirements it traces to but could not exercise on this cluster, each with the reason.
    pub not_covered: BTreeMap<Requirement, String>,
    /// Checks of it that could not run here, by what they do, each with the reason and what would enable it.
    pub skipped_checks: BTreeMap<String, String>,
    /// What was tried once, beside the cases.
    #[serde(default)]
    pub checks: Vec<CheckReport>,
    /// Every case that did not hold: heaviest verdict first, shrunk ones before others, then by case.
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

/// One case that did not hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which case.
    pub case: CaseId,
    /// The command that repeats it.
    pub replay: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was expected and what was seen instead, or why nothing can be said.
    pub reason: String,
    /// The documented upstream bug that this is, by its short name.
    pub known: Option<String>,
    /// The smallest case found that fails in the same way.
    pub smallest: Option<String>,
    /// Wall time in seconds.
    pub seconds: f64,
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
        let cases = CaseCounts::of(execution.planned, records);
        let findings = findings(records, &execution.replay_flags);
        Self {
            verdict,
            reason: reason(verdict, execution, &cases, &findings, &checks),
            known: known_bugs(records, &execution.checks),
            cases,
            operations: sum(records.iter().map(|record| &record.operations)),
            context: sum(records.iter().map(|record| &record.context)),
            missed: Missed::after(cases.held + cases.violated),
            coverage: coverage::rows(&execution.declared, records),
            claims: ClaimReport::tried(meta.claims, verdict, &execution.not_covered, &execution.skipped_checks),
            latency_ms: Latency::of(records),
            replay: findings.first().map(|finding| finding.replay.clone()),
            seconds: seconds(execution.took),
            not_covered: execution.not_covered.iter().map(|(id, why)| (*id, printable(why))).collect(),
            skipped_checks: execution
                .skipped_checks
                .iter()
                .map(|check| (check.what.clone(), printable(&check.why)))
                .collect(),
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
            requirements: meta.claims.iter().map(|claim| claim.requirement).collect(),
            claims: ClaimReport::skipped(meta.claims, reason),
            verdict: Verdict::Skipped,
            reason: Some(printable(reason)),
            known: Vec::new(),
            cases: CaseCounts::default(),
            operations: BTreeMap::new(),
            context: BTreeMap::new(),
            missed: Vec::new(),
            coverage: Vec::new(),
            latency_ms: None,
            replay: None,
            seconds: 0.0,
            not_covered: BTreeMap::new(),
            skipped_checks: BTreeMap::new(),
            checks: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Adds a violation that was seen outside the property's own cases, when they were cleaned up after.
    pub fn add_violation(&mut self, violation: &Violation) {
        let verdict = if violation.known.is_some() { Verdict::KnownViolated } else { Verdict::Violated };
        if let Some(known) = violation.known {
            match self.known.iter_mut().find(|bug| bug.id == known.id) {
                Some(bug) => bug.cases += 1,
                None => self.known.push(KnownBug { cases: 1, ..KnownBug::new(known) }),
            }
        }
        self.weigh(verdict, &violation.reason);
    }

    /// Adds that something outside the property's own cases could not be told.
    pub fn add_doubt(&mut self, why: &str) {
        self.weigh(Verdict::Unknown, why);
    }

    fn weigh(&mut self, verdict: Verdict, reason: &str) {
        if self.verdict.merge(verdict) != self.verdict {
            self.verdict = verdict;
            self.reason = Some(printable(reason));
            self.claims.iter_mut().for_each(|claim| claim.weigh(verdict));
        }
    }

    /// Says of the `copies` of the configuration that a property which did not run judged none of them.
    pub(super) fn leave_out(&mut self, copies: &[CopyName]) {
        if self.verdict == Verdict::Skipped {
            let reason = format!("skipped: {}", self.reason.as_deref().unwrap_or_default());
            self.coverage = coverage::skipped_rows(copies, &reason);
        }
    }

    /// Cases done of cases planned, with what did not hold: `100/100, 3 violated`; a dash if it was skipped.
    pub fn cases_text(&self) -> String {
        if self.verdict == Verdict::Skipped {
            return "-".into();
        }
        let CaseCounts { planned, run, violated, unknown, .. } = self.cases;
        let known = self.known.iter().map(|bug| bug.cases).sum();
        let mut text = format!("{run}/{planned}");
        for (count, what) in
            [(violated.saturating_sub(known), "violated"), (known, "violated (known)"), (unknown, "unknown")]
        {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        if !self.checks.is_empty() {
            text.push_str(&format!(", and {} checks", self.checks.len()));
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

/// Counts of the same kind added up.
fn sum<'a>(counts: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for (kind, count) in counts.flatten() {
        *sum.entry(kind.clone()).or_default() += count;
    }
    sum
}

fn findings(records: &[CaseRecord], replay_flags: &str) -> Vec<Finding> {
    let mut findings: Vec<_> = records
        .iter()
        .filter_map(|record| {
            let (reason, known) = match &record.outcome {
                Outcome::Held => return None,
                Outcome::Violated(violation) => (&violation.reason, violation.known),
                Outcome::Unknown(reason) => (reason, None),
            };
            Some(Finding {
                case: record.id,
                replay: format!("credence replay {}{replay_flags}", record.id),
                verdict: Verdict::from(&record.outcome),
                reason: printable(reason),
                known: known.map(|known| known.id.into()),
                smallest: record.smallest.as_deref().map(printable),
                seconds: seconds(record.took),
            })
        })
        .collect();
    findings.sort_by_key(|finding| (Reverse(finding.verdict), finding.smallest.is_none(), finding.case));
    findings
}

fn reason(
    verdict: Verdict,
    execution: &Execution,
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
    let cause = execution.trouble.as_deref().map(printable).or(first);
    let count = format!("{} of {} cases ran", cases.run, cases.planned);
    Some(match cause {
        Some(cause) if cases.run > 0 && cases.run >= cases.planned => cause,
        Some(cause) => format!("{count}: {cause}"),
        None => count,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::report::testing::{KNOWN, META, execution, known, record, unknown, violated};
    use crate::report::{Execution, Millis, PropertyReport};
    use crate::verdict::{CheckRecord, Outcome, Verdict, Violation};

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
        let left = |known| Violation { reason: "a copy stayed".into(), known };
        report.add_violation(&left(Some(KNOWN)));
        assert_eq!((report.verdict, report.known[0].cases), (Verdict::KnownViolated, 1));
        report.add_doubt("no answer");
        assert_eq!((report.verdict, report.reason.as_deref()), (Verdict::Unknown, Some("no answer")));
        report.add_violation(&left(None));
        assert_eq!((report.verdict, report.reason.as_deref()), (Verdict::Violated, Some("a copy stayed")));
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
