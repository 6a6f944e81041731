//! `junit.xml`: one suite a property, in which each thing is told by one test.
//!
//! The first test of a suite is the claim: its result is that of all cases, and it tells of those that ended so. Cases that
//! ended less badly have a test of their own for each kind of end, and so has each check, each leftover kind and each part
//! that was skipped. No name holds a seed, an index or a reason, so a test is the same one in every run. The last suite has a
//! test for each requirement, and one for the copies that were judged.
//!
//! Violated is a failure, unknown an error, skipped is skipped with its cause. So is a known violation, with the bug as its
//! cause: viewers fold away what a test that passed has to say. In a strict run it is a failure.

use std::collections::BTreeMap;
use std::fmt::Write;

use junit_report::{OffsetDateTime, ReportBuilder, TestSuiteBuilder};

use super::text::printable;
use super::{CheckReport, EncodeError, Finding, Orphan, PropertyReport, Report, State, Unfinished, Writer};
use crate::verdict::Verdict;

mod requirements;
mod test_case;
#[cfg(test)]
mod tests;
mod xml;

use test_case::Test;
use xml::{Properties, Suite};

pub(super) struct Junit;

impl Writer for Junit {
    fn name(&self) -> &'static str {
        "junit"
    }

    fn file_name(&self) -> &'static str {
        "junit.xml"
    }

    fn report(&self, report: &Report) -> Result<String, EncodeError> {
        let mut suites: Vec<Suite> = report.properties.iter().map(|property| suite(report, property)).collect();
        if !suites.is_empty() {
            suites.push(requirements::suite(report));
        }
        self.document(&suites)
    }

    fn unfinished(&self, run: &Unfinished) -> Result<String, EncodeError> {
        let (name, kind) = match run.state {
            State::Failed => ("set-up", "failed"),
            State::Unfinished | State::Finished => ("run did not finish", "unfinished"),
        };
        let test = Test { kind, message: run.reason.clone(), ..Test::new(name, Verdict::Unknown) };
        let mut properties = Properties::default();
        properties.add("credence", &run.credence_version);
        properties.add("seed", run.seed);
        properties.add("strict", run.strict);
        properties.add("config", &run.config.path);
        let head = Head { name: "credence", class: "credence.run", started: run.started, strict: run.strict };
        self.document(&[complete(&head, properties, &[test])])
    }
}

impl Junit {
    fn document(&self, suites: &[Suite]) -> Result<String, EncodeError> {
        let mut xml = Vec::new();
        let written = suites.iter().map(|suite| suite.written.clone());
        ReportBuilder::new()
            .add_testsuites(written)
            .build()
            .write_xml(&mut xml)
            .map_err(EncodeError::of(self.name()))?;
        let xml = xml::complete(&String::from_utf8_lossy(&xml), suites).map_err(EncodeError::of(self.name()))?;
        // XML 1.0 has no way to write most control characters, escaped or not.
        Ok(printable(&xml))
    }
}

fn suite(report: &Report, property: &PropertyReport) -> Suite {
    let mut tests = vec![claim(property)];
    for (verdict, kind) in [(Verdict::Unknown, "unknown cases"), (Verdict::KnownViolated, "known upstream bugs")] {
        tests.extend(lighter(property, verdict, kind));
    }
    tests.extend(property.checks.iter().map(|check| check_test(property, check)));
    for verdict in [Verdict::Violated, Verdict::KnownViolated, Verdict::Unknown] {
        tests.extend(left_behind(property, verdict));
    }
    for (requirement, why) in &property.not_covered {
        let name = format!("{} requirement {requirement}", property.id);
        let mut test = Test { message: why.clone(), ..Test::new(&name, Verdict::Skipped) };
        test.properties.add("requirement", requirement);
        tests.push(test);
    }
    for (what, why) in &property.skipped_checks {
        tests.push(Test { message: why.clone(), ..of(property, what, Verdict::Skipped) });
    }
    let class = format!("credence.{}", property.id);
    let started = property.started.unwrap_or(report.started);
    let head = Head { name: &name(property), class: &class, started, strict: report.strict };
    complete(&head, suite_properties(report, property), &tests)
}

/// Facts about a suite that do not follow from its tests.
struct Head<'a> {
    name: &'a str,
    /// Name of the class of its tests, by which viewers group them.
    class: &'a str,
    started: jiff::Timestamp,
    /// True if documented upstream bugs are failures.
    strict: bool,
}

/// The tests of a suite as junit-report writes them, and what it has no place for.
fn complete(head: &Head<'_>, properties: Properties, tests: &[Test]) -> Suite {
    let Head { name, class, started, strict } = *head;
    let mut suite = TestSuiteBuilder::new(name);
    // Every time that credence can run at is within the range of both types.
    let started = OffsetDateTime::from_unix_timestamp(started.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    suite.set_timestamp(started);
    suite.add_testcases(tests.iter().map(|test| test.case(class, strict)));
    let of_cases = tests.iter().map(|test| test.properties.clone()).collect();
    Suite { written: suite.build(), properties, of_cases }
}

fn suite_properties(report: &Report, property: &PropertyReport) -> Properties {
    let mut properties = Properties::default();
    properties.add("credence", &report.credence_version);
    properties.add("seed", report.seed);
    properties.add("strict", report.strict);
    properties.add("config", &report.config.path);
    properties.add("config.digest", &report.config.digest);
    properties.add("cluster", &report.cluster.provider);
    for (part, version) in &report.cluster.versions {
        properties.add(&format!("version.{part}"), version);
    }
    properties.add("claim", &property.claim);
    for requirement in &property.requirements {
        properties.add("requirement", requirement);
    }
    properties.add("verdict", property.verdict.name());
    properties.add("cases.planned", property.cases.planned);
    properties.add("cases.run", property.cases.run);
    properties
}

fn name(property: &PropertyReport) -> String {
    format!("{} {}", property.id, property.title)
}

/// A test of a property, with the requirements that it says something about.
fn of(property: &PropertyReport, what: &str, verdict: Verdict) -> Test {
    let mut test = Test::new(&format!("{} {what}", property.id), verdict);
    for requirement in property.requirements.iter().filter(|id| !property.not_covered.contains_key(id)) {
        test.properties.add("requirement", requirement);
    }
    test
}

/// The claim, by all of its cases.
fn claim(property: &PropertyReport) -> Test {
    let verdict = property.verdict_by_cases();
    let mut test = Test { seconds: property.seconds, ..of(property, &property.title, verdict) };
    match verdict {
        Verdict::Skipped => test.message = property.reason_by_cases().unwrap_or_default(),
        _ => {
            tell(&mut test, property, verdict);
            // A property that was cut short has a reason that no case has.
            if let Some(reason) = property.reason_by_cases().filter(|_| verdict != Verdict::KnownViolated) {
                test.message = format!("cases {}: {reason}", property.cases_text());
            }
            if let Some(trouble) = &property.trouble {
                line(&mut test.details, "trouble", trouble);
            }
            test.output = summary(property);
        }
    }
    test
}

/// The test for cases that ended so, where others ended worse.
fn lighter(property: &PropertyReport, verdict: Verdict, kind: &str) -> Option<Test> {
    let is_told_by_the_claim = property.verdict_by_cases() == verdict;
    let any = property.findings.iter().any(|finding| finding.verdict == verdict);
    (any && !is_told_by_the_claim).then(|| {
        let mut test = of(property, &format!("{}: {kind}", property.title), verdict);
        tell(&mut test, property, verdict);
        test
    })
}

/// Tells of all cases of a property that ended so.
fn tell(test: &mut Test, property: &PropertyReport, verdict: Verdict) {
    let findings: Vec<&Finding> = property.findings.iter().filter(|finding| finding.verdict == verdict).collect();
    for finding in &findings {
        test.properties.add("case", finding.case);
        test.properties.add("replay", &finding.replay);
        if let Some(cause) = finding.cause {
            test.properties.add("cause", cause.name());
        }
        if let Some(reproduced) = finding.reproduced {
            test.properties.add("reproduced", reproduced);
        }
        if let Some(trail) = &finding.trail {
            test.properties.add("trail", trail);
        }
        test.details.push_str(&finding_details(finding));
        counts(&mut test.output, &format!("evidence of {}", finding.case), &finding.operations);
        counts(&mut test.output, &format!("beside the evidence of {}", finding.case), &finding.context);
    }
    test.message = findings.first().map(|finding| finding.reason.clone()).unwrap_or_default();
    if verdict == Verdict::KnownViolated {
        test.message = known(property, findings.iter().filter_map(|finding| finding.known.as_deref()));
    }
}

fn check_test(property: &PropertyReport, check: &CheckReport) -> Test {
    let mut test = of(property, &check.what, check.verdict);
    (test.message, test.details) = (check.text(), format!("{}: {}\n", check.verdict, check.text()));
    if let Some(cause) = check.cause {
        test.properties.add("cause", cause.name());
    }
    if check.verdict == Verdict::Held {
        test.output = check.text();
    }
    if check.verdict == Verdict::KnownViolated {
        test.message = known(property, check.known.as_deref());
    }
    test
}

/// The test for what was left behind in this way.
fn left_behind(property: &PropertyReport, verdict: Verdict) -> Option<Test> {
    let left: Vec<&Orphan> = property.leftovers.iter().filter(|left| left.verdict == verdict).collect();
    let first = left.first()?;
    let kind = match verdict {
        Verdict::KnownViolated => "left behind by known upstream bugs",
        Verdict::Unknown => "perhaps left behind",
        _ => "left behind",
    };
    let mut test = of(property, &format!("{}: {kind}", property.title), verdict);
    test.message = match verdict {
        Verdict::KnownViolated => known(property, left.iter().filter_map(|left| left.known.as_deref())),
        _ => first.reason.clone(),
    };
    left.iter().for_each(|left| line(&mut test.details, "left behind", &left.reason));
    Some(test)
}

/// `known upstream bug LINK (ID TITLE, in 1 of 3 cases)`, for each bug of these short names once.
fn known<'a>(property: &PropertyReport, ids: impl IntoIterator<Item = &'a str>) -> String {
    let ids: Vec<&str> = ids.into_iter().collect();
    let bugs = property.known.iter().filter(|bug| ids.contains(&bug.id.as_str()));
    let texts = bugs.map(|bug| {
        format!("known upstream bug {} ({} {}, {})", bug.link, bug.id, bug.title, bug.met(property.cases.run))
    });
    texts.collect::<Vec<_>>().join("; ")
}

/// Number of tries, whatever came of them.
fn summary(property: &PropertyReport) -> String {
    let mut text = String::new();
    line(&mut text, "claim", &property.claim);
    line(&mut text, "cases", &property.cases_text());
    if let Some(latency) = property.latency_ms {
        line(&mut text, "latency", &latency.to_string());
    }
    counts(&mut text, "evidence of all cases", &property.operations);
    counts(&mut text, "beside the evidence", &property.context);
    if !property.missed.is_empty() {
        let chances: Vec<String> = property.missed.iter().map(ToString::to_string).collect();
        line(&mut text, "chance that a fault was missed which shows in some of all cases", &chances.join(", "));
    }
    for claim in &property.claims {
        let reason = claim.reason.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        let told = format!("{}: {}{reason}", claim.verdict, claim.proof);
        line(&mut text, &format!("requirement {}", claim.requirement), &told);
    }
    for row in &property.coverage {
        let consumer = row.consumer.as_deref().map(|consumer| format!(" for {consumer}")).unwrap_or_default();
        line(&mut text, &format!("copy {} of {}{consumer}", row.copy.secret, row.copy.object), &row.state.to_string());
    }
    text
}

fn finding_details(finding: &Finding) -> String {
    let mut text = format!("case: {}\n{}: {}\n", finding.case, finding.verdict, finding.reason);
    if let Some(known) = &finding.known {
        line(&mut text, "known", known);
    }
    if let Some(cause) = finding.cause {
        line(&mut text, "cause", &format!("{cause}; {}", cause.next_step()));
    }
    if let Some(reproduced) = finding.reproduced {
        line(&mut text, "reproduced", &format!("{reproduced}, run alone"));
    }
    if let Some(smallest) = &finding.smallest {
        line(&mut text, "smallest", smallest);
    }
    line(&mut text, "replay", &finding.replay);
    if let Some(trail) = &finding.trail {
        line(&mut text, "trail", trail);
    }
    text
}

fn counts(text: &mut String, what: &str, counts: &BTreeMap<String, u64>) {
    if !counts.is_empty() {
        writeln!(text, "{what}:").expect("a String takes every write");
    }
    for (kind, count) in counts {
        writeln!(text, "  {count} × {kind}").expect("a String takes every write");
    }
}

fn line(text: &mut String, label: &str, value: &str) {
    writeln!(text, "{label}: {value}").expect("a String takes every write");
}
