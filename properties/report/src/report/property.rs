//! Part of the report about one property, made from the records of its cases.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use credence_core::id::{PropertyId, Requirement};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::check::CheckReport;
use super::claim::ClaimReport;
use super::coverage::{self, CoverageRow};
use super::finding::Finding;
use super::known_bug::{KnownBug, known_bugs};
use super::latency::Latency;
use super::missed::Missed;
use super::orphan::Orphan;
use super::routes::{self, RouteRow};
use super::text::{printable, seconds};
use crate::claim::Claim;
use crate::copy::CopyName;
use crate::unknown::Cause;
use crate::verdict::{CaseRecord, Outcome, Verdict, Violation};

mod execution;
#[cfg(test)]
mod tests;

pub use execution::Execution;

/// A property, as the registry has it.
#[derive(Debug, Clone, Copy)]
pub struct PropertyMeta {
    /// Its id, such as `p01`, which it keeps.
    pub id: PropertyId,
    /// Its name, a few words.
    pub title: &'static str,
    /// Its claims about all generated worlds.
    pub claim: &'static str,
    /// Its claims on requirements; one claim on each.
    pub claims: &'static [Claim],
}

/// One property in the report, executed or skipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PropertyReport {
    /// Its id, such as `p01`, which it keeps.
    pub id: PropertyId,
    /// Its name, a few words.
    pub title: String,
    /// Its claims about all generated worlds.
    pub claim: String,
    /// The requirements it traces to.
    pub requirements: Vec<Requirement>,
    /// This run's verdict on each of its claims on them.
    #[serde(default)]
    pub claims: Vec<ClaimReport>,
    /// The merge over its cases.
    pub verdict: Verdict,
    /// Why it is anything but held.
    pub reason: Option<String>,
    /// Obstacle that kept it from running to its end, if something did.
    #[serde(default)]
    pub trouble: Option<String>,
    /// The documented upstream bugs that were met.
    pub known: Vec<KnownBug>,
    /// Number of cases by their end.
    pub cases: CaseCounts,
    /// Number of cases that could not tell, by cause.
    #[serde(default)]
    pub causes: BTreeMap<Cause, u64>,
    /// Evidence of all cases, by kind.
    pub operations: BTreeMap<String, u64>,
    /// Other operations and observations, of each kind, which by themselves tell nothing about the claim.
    #[serde(default)]
    pub context: BTreeMap<String, u64>,
    /// Chance of rare faults to have been missed by so many cases.
    #[serde(default)]
    pub missed: Vec<Missed>,
    /// The copies of the configuration, and which of them it judged.
    #[serde(default)]
    pub coverage: Vec<CoverageRow>,
    /// The routes that it knows, and what came of each.
    #[serde(default)]
    pub routes: Vec<RouteRow>,
    /// Measured latency against the bound; none if nothing was measured.
    pub latency_ms: Option<Latency>,
    /// The command that repeats the first finding.
    pub replay: Option<String>,
    /// Time at which its first case could begin; none if it was skipped.
    #[serde(default, with = "super::rfc3339::optional")]
    pub started: Option<Timestamp>,
    /// Wall time in seconds, without the time in which it only waited until nothing else ran. Others ran beside it.
    pub seconds: f64,
    /// Requirements it traces to but could not exercise on this cluster, each with the reason.
    pub not_covered: BTreeMap<Requirement, String>,
    /// Checks of it that could not run here, by what they do, each with the reason and what would enable it.
    pub skipped_checks: BTreeMap<String, String>,
    /// Checks that were made once, beside the cases.
    #[serde(default)]
    pub checks: Vec<CheckReport>,
    /// Leftovers that were seen when its cases had been cleaned up after; no case counts them.
    #[serde(default)]
    pub leftovers: Vec<Orphan>,
    /// Every case that did not hold: heaviest verdict first, those tried again before others, then by case.
    pub findings: Vec<Finding>,
}

/// Number of cases by their end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseCounts {
    /// Cases that were to run.
    pub planned: u64,
    /// Ran, whatever came of it.
    pub run: u64,
    /// Cases whose claim was seen to be true.
    pub held: u64,
    /// Violated, by documented upstream bugs or not.
    pub violated: u64,
    /// Cases that ran and came to no evidence either way.
    pub unknown: u64,
}

impl PropertyReport {
    /// Sums up the cases of a property that was tried.
    pub fn from_records(meta: &PropertyMeta, execution: &Execution, records: &[CaseRecord]) -> Self {
        let mut verdict = Verdict::of_cases(records.iter().map(|record| &record.outcome), execution.planned);
        if execution.trouble.is_some() {
            verdict = verdict.merge(Verdict::Unknown);
        }
        let known = known_bugs(records, &execution.checks);
        verdict = verdict.merge(verdict_of(&known, records.len() as u64));
        let checks: Vec<CheckReport> = execution.checks.iter().map(CheckReport::of).collect();
        verdict = checks.iter().fold(verdict, |verdict, check| verdict.merge(check.verdict));
        let cases = CaseCounts::of(execution.planned, records);
        let findings = findings(records, execution);
        let trouble = execution.trouble.as_deref().map(printable);
        Self {
            verdict,
            reason: reason(verdict, trouble.as_deref(), &cases, &findings, &known, &checks),
            trouble,
            known,
            cases,
            causes: causes(records),
            operations: sum(records.iter().map(|record| &record.operations)),
            context: sum(records.iter().map(|record| &record.context)),
            missed: Missed::after(cases.held + cases.violated),
            coverage: coverage::rows(&execution.declared, records),
            routes: routes::rows(&execution.routes, records),
            claims: ClaimReport::tried(meta.claims, verdict, &execution.not_covered, &execution.skipped_checks),
            latency_ms: Latency::of(records),
            replay: findings.first().map(|finding| finding.replay.clone()),
            started: Some(execution.started),
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
            trouble: None,
            known: Vec::new(),
            cases: CaseCounts::default(),
            causes: BTreeMap::new(),
            operations: BTreeMap::new(),
            context: BTreeMap::new(),
            missed: Vec::new(),
            coverage: Vec::new(),
            routes: Vec::new(),
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
                None => self.known.push(KnownBug { leftovers: 1, ..KnownBug::new(known, self.cases.run) }),
            }
        }
        self.push_orphan(Orphan::of(violation));
    }

    /// Adds that something outside the property's own cases could not be told.
    pub fn add_inconclusive(&mut self, why: &str) {
        self.push_orphan(Orphan::inconclusive(why));
    }

    fn push_orphan(&mut self, left: Orphan) {
        if self.verdict.merge(left.verdict) != self.verdict {
            self.verdict = left.verdict;
            self.reason = Some(left.reason.clone());
            self.claims.iter_mut().for_each(|claim| claim.weigh(left.verdict));
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
        let least = least.merge(verdict_of(&self.known, self.cases.run));
        self.findings.iter().fold(least, |verdict, finding| verdict.merge(finding.verdict))
    }

    /// Why its cases alone are anything but held.
    pub(super) fn reason_by_cases(&self) -> Option<String> {
        match self.verdict_by_cases() {
            Verdict::Skipped => self.reason.clone(),
            verdict => reason(verdict, self.trouble.as_deref(), &self.cases, &self.findings, &self.known, &[]),
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

/// Verdict by documented bugs: violated if one is met by more cases than it explains.
fn verdict_of(known: &[KnownBug], run: u64) -> Verdict {
    if known.iter().any(|bug| bug.excess(run).is_some()) { Verdict::Violated } else { Verdict::Skipped }
}

/// Counts of the same kind added up.
fn sum<'a>(counts: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for (kind, count) in counts.flatten() {
        *sum.entry(kind.clone()).or_default() += count;
    }
    sum
}

fn findings(records: &[CaseRecord], execution: &Execution) -> Vec<Finding> {
    let of = |record: &CaseRecord| {
        let reproduced = execution.reproduced.get(&record.id).copied();
        Finding::of(record, &execution.replay_flags, reproduced, execution.trail)
    };
    let mut findings: Vec<_> = records.iter().filter_map(of).collect();
    let is_as_found = |finding: &Finding| finding.smallest.is_none() && finding.reproduced.is_none();
    findings.sort_by_key(|finding| (Reverse(finding.verdict), is_as_found(finding), finding.case));
    findings
}

/// The causes of cases that could not tell, each with the number of cases.
fn causes(records: &[CaseRecord]) -> BTreeMap<Cause, u64> {
    let mut causes = BTreeMap::new();
    for cause in records.iter().filter_map(|record| record.outcome.cause()) {
        *causes.entry(cause).or_default() += 1;
    }
    causes
}

fn reason(
    verdict: Verdict,
    trouble: Option<&str>,
    cases: &CaseCounts,
    findings: &[Finding],
    known: &[KnownBug],
    checks: &[CheckReport],
) -> Option<String> {
    if verdict == Verdict::Held {
        return None;
    }
    let first = findings.first().filter(|finding| finding.verdict == verdict).map(|finding| finding.reason.clone());
    let excess = known.iter().find_map(|bug| bug.excess(cases.run)).filter(|_| verdict == Verdict::Violated);
    let first = first.or(excess).or_else(|| {
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
