//! `junit.xml`: one suite a property, one case for the property and one for each case that did not hold; and a suite for the
//! requirements.
//!
//! Violated is a failure, unknown an error, skipped is skipped with its cause. A known violation passes with the bug
//! named in its output, unless the run is strict.

use std::fmt::Write;

use junit_report::{
    Duration, Error, OffsetDateTime, ReportBuilder, TestCase, TestCaseBuilder, TestSuite, TestSuiteBuilder,
};

use super::text::printable;
use super::{Finding, PropertyReport, Report, RequirementReport, coverage};
use crate::claim::ClaimVerdict;
use crate::verdict::Verdict;

/// The report as JUnit XML.
pub(super) fn render(report: &Report) -> Result<String, Error> {
    let suites = report.properties.iter().map(|property| suite(report, property)).chain([requirements(report)]);
    let mut xml = Vec::new();
    ReportBuilder::new().add_testsuites(suites).build().write_xml(&mut xml)?;
    // XML 1.0 has no way to write most control characters, escaped or not.
    Ok(printable(&String::from_utf8_lossy(&xml)))
}

fn suite(report: &Report, property: &PropertyReport) -> TestSuite {
    let name = format!("{} {}", property.id, property.title);
    // Every time that credence can run at is within the range of both types.
    let started = OffsetDateTime::from_unix_timestamp(report.started.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut suite = TestSuiteBuilder::new(&name);
    suite.set_timestamp(started);

    let reason = property.reason.as_deref().unwrap_or_default();
    let summary = match property.verdict {
        Verdict::Skipped => reason.to_owned(),
        _ => format!("cases {}: {reason}", property.cases_text()),
    };
    suite.add_testcase(case(&name, property.seconds, property.verdict, report.strict, &summary, &details(property)));
    for (requirement, why) in &property.not_covered {
        let name = format!("{} requirement {requirement}", property.id);
        suite.add_testcase(case(&name, 0.0, Verdict::Skipped, report.strict, why, ""));
    }
    for (what, why) in &property.skipped_checks {
        let name = format!("{} {what}", property.id);
        suite.add_testcase(case(&name, 0.0, Verdict::Skipped, report.strict, why, ""));
    }
    for check in &property.checks {
        let name = format!("{} {}", property.id, check.what);
        suite.add_testcase(case(&name, 0.0, check.verdict, report.strict, &check.text(), &check.text()));
    }
    for finding in &property.findings {
        let details = finding_details(finding, property);
        let name = finding.case.to_string();
        suite.add_testcase(case(&name, finding.seconds, finding.verdict, report.strict, &finding.reason, &details));
    }
    let mut suite = suite.build();
    for case in &mut suite.testcases {
        case.set_classname(&format!("credence.{}", property.id));
    }
    suite
}

/// A suite with a case for each requirement. What is violated or unknown is counted as such where its property is, so that it
/// is not counted twice.
fn requirements(report: &Report) -> TestSuite {
    let mut suite = TestSuiteBuilder::new("requirements");
    suite.set_timestamp(
        OffsetDateTime::from_unix_timestamp(report.started.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH),
    );
    suite.add_testcases(report.requirements.iter().map(requirement));
    if !report.copies.is_empty() {
        let open = report.copies.iter().filter_map(|copy| Some((&copy.copy, copy.reason.as_ref()?)));
        let lines = open.map(|(copy, why)| format!("{} of {}: {why}\n", copy.secret, copy.object));
        let text = format!("{}\n{}", coverage::counted(&report.copies), lines.collect::<String>());
        suite.add_testcase(passed("copies", Duration::ZERO, &cdata(&text)));
    }
    let mut suite = suite.build();
    suite.testcases.iter_mut().for_each(|case| case.set_classname("credence.requirements"));
    suite
}

fn requirement(found: &RequirementReport) -> TestCase {
    let name = format!("requirement {} {}", found.id, found.title);
    let reason = found.reason.as_deref().unwrap_or_default();
    match found.verdict {
        ClaimVerdict::Held => passed(&name, Duration::ZERO, &cdata(&format!("held\n{reason}"))),
        verdict => TestCase::skipped_with_cause(&name, verdict.name(), &format!("{verdict}: {reason}")),
    }
}

fn case(name: &str, seconds: f64, verdict: Verdict, strict: bool, message: &str, details: &str) -> TestCase {
    let time = Duration::saturating_seconds_f64(seconds);
    // Parsers turn line breaks in an attribute into spaces; the details keep them.
    let message = message.lines().next().unwrap_or_default();
    let details = cdata(details);
    let kind = verdict.name();
    let mut case = match verdict {
        Verdict::Skipped => return TestCase::skipped_with_cause(name, kind, message),
        Verdict::Unknown => TestCaseBuilder::error(name, time, kind, message),
        Verdict::Violated => TestCaseBuilder::failure(name, time, kind, message),
        Verdict::KnownViolated if strict => TestCaseBuilder::failure(name, time, kind, message),
        Verdict::Held | Verdict::KnownViolated => return passed(name, time, &details),
    };
    case.set_trace(&details).build()
}

fn passed(name: &str, time: Duration, details: &str) -> TestCase {
    TestCaseBuilder::success(name, time).set_system_out(details).build()
}

fn details(property: &PropertyReport) -> String {
    let mut text = format!("{}: {}\n", property.verdict, property.claim);
    for (label, value) in [("reason", &property.reason), ("replay", &property.replay)] {
        if let Some(value) = value {
            line(&mut text, label, value);
        }
    }
    line(&mut text, "cases", &property.cases_text());
    for claim in &property.claims {
        let reason = claim.reason.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        line(&mut text, "claim", &format!("{} {}: {}{reason}", claim.requirement, claim.verdict, claim.proof));
    }
    if let Some(latency) = property.latency_ms {
        line(&mut text, "latency", &latency.to_string());
    }
    for bug in &property.known {
        let met = format!("{} {} {}, {}", bug.id, bug.title, bug.link, bug.met(property.cases.run));
        line(&mut text, "known", &met);
    }
    text
}

fn finding_details(finding: &Finding, property: &PropertyReport) -> String {
    let mut text = format!("{}: {}\n", finding.verdict, finding.reason);
    if let Some(smallest) = &finding.smallest {
        line(&mut text, "smallest", smallest);
    }
    line(&mut text, "replay", &finding.replay);
    for bug in property.known.iter().filter(|bug| finding.known.as_ref() == Some(&bug.id)) {
        line(&mut text, "known", &format!("{} {} {}", bug.id, bug.title, bug.link));
    }
    text
}

fn line(text: &mut String, label: &str, value: &str) {
    writeln!(text, "{label}: {value}").expect("a String takes every write");
}

/// junit-report writes CDATA as it is, so the one sequence that ends a section is split over two.
fn cdata(text: &str) -> String {
    text.replace("]]>", "]]]]><![CDATA[>")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::testing::{
        META, OTHER, execution, known, property, record, report, report_of_copies, unknown, violated,
    };
    use super::super::{Execution, PropertyReport, Report};
    use crate::copy::{CopyName, Declared, Scope};
    use crate::verdict::{CaseRecord, Outcome};

    fn render(report: &Report) -> String {
        let xml = super::render(report).expect("renders");
        assert_well_formed(&xml);
        xml
    }

    /// Enough XML to see that no text breaks out of its place: tags nest, attributes are quoted, CDATA ends.
    fn assert_well_formed(xml: &str) {
        let token = regex::Regex::new(
            r#"(?s)\A(?:<\?xml [^<>]*\?>|<!\[CDATA\[.*?\]\]>|<(/?)([a-z-]+)((?: [a-z]+="[^"<]*")*)(/?)>)"#,
        )
        .expect("valid");
        let mut rest = xml;
        let mut open = Vec::new();
        while !rest.is_empty() {
            let found = token.captures(rest).unwrap_or_else(|| panic!("no XML from here: {rest}"));
            match (found.get(2), &found.get(1).map(|m| m.as_str()), found.get(4).map(|m| m.as_str())) {
                (Some(tag), Some("/"), _) => assert_eq!(open.pop(), Some(tag.as_str())),
                (Some(tag), _, Some("")) => open.push(tag.as_str()),
                _ => {}
            }
            rest = &rest[found[0].len()..];
        }
        assert!(open.is_empty(), "{open:?} stay open");
        assert!(!xml.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "forbidden characters in {xml:?}");
    }

    #[rstest]
    #[case::held(vec![record(0, Outcome::Held)], false, r#"tests="1" errors="0" failures="0""#)]
    #[case::violated(vec![record(0, Outcome::Held), violated(1, "w")], false, r#"tests="2" errors="0" failures="2""#)]
    #[case::unknown(vec![record(0, Outcome::Held), unknown(1, "w")], false, r#"tests="2" errors="2" failures="0""#)]
    #[case::known(vec![known(0)], false, r#"tests="2" errors="0" failures="0""#)]
    #[case::known_when_strict(vec![known(0)], true, r#"tests="2" errors="0" failures="2""#)]
    #[case::both(vec![unknown(0, "w"), violated(1, "w")], false, r#"tests="3" errors="1" failures="2""#)]
    fn violated_fails_and_unknown_errs(#[case] records: Vec<CaseRecord>, #[case] strict: bool, #[case] counts: &str) {
        let xml = render(&report(strict, vec![property(&records)]));
        assert!(xml.contains(counts), "{xml}");
    }

    #[test]
    fn a_skip_carries_its_cause() {
        let xml = render(&report(false, vec![PropertyReport::skipped(&META, "needs <root>")]));
        assert!(xml.contains(r#"<skipped type="skipped" message="needs &lt;root&gt;"/>"#), "{xml}");
    }

    #[test]
    fn a_requirement_that_is_held_in_part_is_no_pass_and_says_what_is_missing() {
        let properties = vec![property(&[record(0, Outcome::Held)]), PropertyReport::skipped(&OTHER, "needs root")];
        let xml = render(&report(false, properties));
        let part = r#"<skipped type="held_in_part" message="held in part: p07: skipped: needs root"/>"#;
        assert!(xml.contains(part), "{xml}");
        assert!(xml.contains(r#"<testcase name="requirement 2.3 follow label changes, both ways""#), "{xml}");
        assert!(xml.contains("claim: 2.3 held: copies follow the labels"), "{xml}");
    }

    #[test]
    fn a_copy_that_nothing_judged_is_named() {
        let copy = CopyName { object: "ClusterExternalSecret a".into(), secret: "a".into() };
        let declared = Declared { copy: copy.clone(), consumer: None, scope: Scope::NotHere("<no label>".into()) };
        let execution = Execution { declared: vec![declared], ..execution(1) };
        let property = PropertyReport::from_records(&META, &execution, &[record(0, Outcome::Held)]);
        let xml = render(&report_of_copies(vec![copy], false, vec![property]));
        assert!(xml.contains("0 of 1 judged\na of ClusterExternalSecret a: <no label>"), "{xml}");
    }

    #[test]
    fn a_known_violation_passes_and_names_the_bug() {
        let xml = render(&report(false, vec![property(&[known(0)])]));
        assert!(xml.contains("<system-out>") && xml.contains("known: eso#6677 finalizer stays https://"), "{xml}");
    }

    #[test]
    fn a_finding_carries_case_reason_smallest_and_replay() {
        let mut record = violated(5, "expected two keys\nfound one");
        record.smallest = Some("one namespace".into());
        let xml = render(&report(false, vec![property(&[record])]));
        for part in [
            r#"<testcase name="p03:42:5" time="1.5" classname="credence.p03">"#,
            r#"<failure type="violated" message="expected two keys">"#,
            "violated: expected two keys\nfound one\n",
            "smallest: one namespace\n",
            "replay: credence replay p03:42:5\n",
        ] {
            assert!(xml.contains(part), "no {part} in {xml}");
        }
    }

    #[rstest]
    fn hostile_text_stays_text(
        #[values("a]]>b", "</failure>", "\" x=\"", "\u{0}\u{1b}[31m\u{ffff}\r", "<![CDATA[", "&amp;")] text: &str,
    ) {
        let mut record = violated(0, text);
        record.smallest = Some(text.into());
        render(&report(false, vec![property(&[record, unknown(1, text)])]));
    }
}
