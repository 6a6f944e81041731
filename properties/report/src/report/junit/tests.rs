use std::collections::{BTreeMap, BTreeSet};

use credence_core::id::Requirement;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use rstest::rstest;

use super::super::testing::{
    KNOWN, META, OTHER, execution, known, property, record, report, report_of_copies, unfinished, unknown, violated,
};
use super::super::{Execution, PropertyReport, Report, Reproduced, Writer};
use super::Junit;
use crate::claim::SkippedCheck;
use crate::copy::{CopyName, Declared, Reached, Scope};
use crate::unknown::{Cause, Unknown};
use crate::verdict::{CaseRecord, CheckRecord, Outcome, Violation};

/// An element as a reader of the file sees it.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    fn of(start: &BytesStart<'_>) -> Self {
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.expect("a name and a quoted value, no name twice");
            let name = String::from_utf8(attribute.key.as_ref().to_vec()).expect("UTF-8");
            (name, attribute.normalized_value(XmlVersion::Explicit1_0).expect("escaped").into_owned())
        });
        let name = String::from_utf8(start.name().as_ref().to_vec()).expect("UTF-8");
        Self { name, attributes: attributes.collect(), ..Self::default() }
    }

    fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Element> + use<'a> {
        let named = self.children.iter().filter(|child| child.name == name);
        named.collect::<Vec<_>>().into_iter()
    }

    fn child(&self, name: &str) -> &Element {
        self.named(name).next().unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// The values of its properties of this name.
    fn property(&self, name: &str) -> Vec<&str> {
        let properties = self.named("properties").flat_map(|properties| properties.named("property"));
        properties.filter(|property| property["name"] == *name).map(|property| &property["value"]).collect()
    }

    /// The test of this name.
    fn test(&self, name: &str) -> &Element {
        let cases = self.named("testsuite").flat_map(|suite| suite.named("testcase"));
        let mut found = cases.filter(|case| case["name"] == *name);
        found.next().unwrap_or_else(|| panic!("no test {name} in {self:?}"))
    }

    /// Outcome of each test, but of those of the requirements.
    fn ends(&self) -> Vec<(&str, &str)> {
        let suites = self.named("testsuite").filter(|suite| suite["name"] != *"requirements");
        let cases = suites.flat_map(|suite| suite.named("testcase"));
        cases.map(|case| (&case["name"], end(case))).collect()
    }
}

impl std::ops::Index<&str> for Element {
    type Output = str;

    fn index(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).unwrap_or_else(|| panic!("no {attribute} in {self:?}"))
    }
}

fn end(case: &Element) -> &str {
    let ends = ["skipped", "error", "failure"];
    case.children.iter().map(|child| child.name.as_str()).find(|name| ends.contains(name)).unwrap_or("passed")
}

/// Reads a document as any parser does, and holds it against what JUnit XML may be.
fn parse(xml: &str) -> Element {
    assert!(!xml.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "forbidden characters in {xml:?}");
    let mut reader = Reader::from_str(xml);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error} in {xml}")) {
            Event::Start(start) => open.push(Element::of(&start)),
            Event::Empty(start) => open.last_mut().expect("a root").children.push(Element::of(&start)),
            Event::End(_) => {
                let element = open.pop().expect("something is open");
                open.last_mut().expect("a root").children.push(element);
            }
            Event::CData(text) => {
                open.last_mut().expect("a root").text.push_str(&text.decode().expect("UTF-8"));
            }
            Event::Decl(_) => {}
            Event::Eof => break,
            other => panic!("{other:?} in {xml}"),
        }
    }
    let root = open.pop().and_then(|mut document| document.children.pop()).expect("one element");
    assert!(open.is_empty(), "{open:?} stay open");
    assert_structure(&root);
    root
}

/// Each element where the schema has it, and every total what is written below it.
fn assert_structure(root: &Element) {
    assert_eq!(root.name, "testsuites");
    let mut all = Vec::new();
    for suite in &root.children {
        assert_eq!(suite.name, "testsuite");
        assert_order(suite, &["properties", "testcase"]);
        let cases: Vec<&Element> = suite.named("testcase").collect();
        for case in &cases {
            assert_order(case, &["properties", "skipped", "error", "failure", "system-out"]);
            assert!(
                case.children.iter().filter(|child| ["skipped", "error", "failure"].contains(&&*child.name)).count()
                    <= 1
            );
        }
        let names: BTreeSet<&str> = cases.iter().map(|case| &case["name"]).collect();
        assert_eq!(names.len(), cases.len(), "two tests of one name in {suite:?}");
        assert_totals(suite, &cases);
        all.extend(cases);
    }
    assert_totals(root, &all);
}

fn assert_order(element: &Element, order: &[&str]) {
    let place = |child: &Element| order.iter().position(|name| *name == child.name).expect("an element of the schema");
    assert!(element.children.iter().map(place).is_sorted(), "{element:?}");
}

fn assert_totals(element: &Element, cases: &[&Element]) {
    assert_eq!(element["tests"], cases.len().to_string());
    for (total, name) in [("errors", "error"), ("failures", "failure"), ("skipped", "skipped")] {
        let count = cases.iter().filter(|case| end(case) == name).count();
        assert_eq!(element[total], count.to_string(), "{total} of {element:?}");
    }
}

fn render(report: &Report) -> Element {
    parse(&Junit.report(report).expect("renders"))
}

const CLAIM: &str = "p03 label distribution";
const UNKNOWN: &str = "p03 label distribution: unknown cases";
const BUGS: &str = "p03 label distribution: known upstream bugs";

#[rstest]
#[case::held(vec![record(0, Outcome::Held)], false, &[(CLAIM, "passed")])]
#[case::violated(vec![record(0, Outcome::Held), violated(1, "w")], false, &[(CLAIM, "failure")])]
#[case::violated_twice(vec![violated(0, "w"), violated(1, "v")], false, &[(CLAIM, "failure")])]
#[case::unknown(vec![record(0, Outcome::Held), unknown(1, "w")], false, &[(CLAIM, "error")])]
#[case::known(vec![record(0, Outcome::Held), known(1)], false, &[(CLAIM, "skipped")])]
#[case::known_when_strict(vec![known(0)], true, &[(CLAIM, "failure")])]
#[case::violated_and_unknown(vec![unknown(0, "w"), violated(1, "w")], false, &[(CLAIM, "failure"), (UNKNOWN, "error")])]
#[case::unknown_and_known(vec![unknown(0, "w"), known(1)], false, &[(CLAIM, "error"), (BUGS, "skipped")])]
#[case::the_same_when_strict(vec![unknown(0, "w"), known(1)], true, &[(CLAIM, "error"), (BUGS, "failure")])]
fn each_kind_of_end_is_one_test_of_a_stable_name(
    #[case] records: Vec<CaseRecord>,
    #[case] strict: bool,
    #[case] expected: &[(&str, &str)],
) {
    assert_eq!(render(&report(strict, vec![property(&records)])).ends(), expected);
}

#[test]
fn a_suite_says_what_was_tested_where_and_when() {
    let skipped = PropertyReport::skipped(&OTHER, "needs <root>");
    let root = render(&report(false, vec![property(&[record(0, Outcome::Held)]), skipped]));
    let suites: Vec<&Element> = root.named("testsuite").collect();
    for (name, values) in [
        ("seed", &["42"][..]),
        ("config.digest", &["blake3:0123"]),
        ("cluster", &["embedded"]),
        ("version.external-secrets", &["v0.20.4"]),
        ("requirement", &["2.3", "2.5"]),
        ("cases.run", &["1"]),
        ("verdict", &["held"]),
    ] {
        assert_eq!(suites[0].property(name), values, "{name}");
    }
    assert_eq!((&suites[0]["timestamp"], &suites[0]["time"]), ("2026-01-02T03:04:35Z", "30"));
    assert_eq!((&suites[1]["timestamp"], &suites[1]["time"]), ("2026-01-02T03:04:05Z", "0"));
    let skipped = suites[1].child("testcase").child("skipped");
    assert_eq!((&skipped["type"], &skipped["message"]), ("skipped", "needs <root>"));
}

#[test]
fn a_claim_that_held_says_what_was_tried_and_for_which_requirements() {
    let root = render(&report(false, vec![property(&[record(0, Outcome::Held), record(1, Outcome::Held)])]));
    let test = root.test(CLAIM);
    assert_eq!((&test["classname"], test.property("requirement")), ("credence.p03", vec!["2.3", "2.5"]));
    let output = &test.child("system-out").text;
    assert!(output.contains("cases: 2/2\n") && output.contains("  4 × relabel\n"), "{output}");
}

#[test]
fn a_known_bug_is_seen_without_opening_anything() {
    let root = render(&report(false, vec![property(&[known(0)])]));
    let skipped = root.test(CLAIM).child("skipped");
    let expected = format!("known upstream bug {} (eso#6677 finalizer stays, in 1 of 1 cases)", KNOWN.link);
    assert_eq!((&skipped["type"], &skipped["message"]), ("known_violated", &*expected));
    assert!(skipped.text.contains("stays Terminating\nknown: eso#6677\n"), "{skipped:?}");
}

#[test]
fn a_failure_carries_case_reason_replay_operations_and_how_often_it_came_again() {
    let mut first = violated(5, "expected two keys\nfound one");
    first.smallest = Some("one namespace".into());
    let records = [first, violated(6, "another")];
    let reproduced = BTreeMap::from([(records[0].id, Reproduced { failed: 1, runs: 2 })]);
    let execution = Execution { reproduced, replay_flags: " --config 'a \"b\"'".into(), ..execution(2) };
    let root = render(&report(false, vec![PropertyReport::from_records(&META, &execution, &records)]));
    let test = root.test(CLAIM);
    assert_eq!(test.property("case"), ["p03:42:5", "p03:42:6"]);
    assert_eq!(test.property("replay")[0], "credence replay p03:42:5 --config 'a \"b\"'");
    assert_eq!(test.property("reproduced"), ["1 of 2"]);
    let failure = test.child("failure");
    assert_eq!((&failure["type"], &failure["message"]), ("violated", "cases 2/2, 2 violated: expected two keys"));
    for part in [
        "case: p03:42:5\nviolated: expected two keys\nfound one\n",
        "reproduced: 1 of 2, run alone\n",
        "smallest: one namespace\n",
        "replay: credence replay p03:42:5 --config 'a \"b\"'\n",
        "case: p03:42:6\nviolated: another\n",
    ] {
        assert!(failure.text.contains(part), "no {part} in {failure:?}");
    }
    assert!(test.child("system-out").text.contains("4 × relabel\n"), "{test:?}");
}

#[test]
fn a_property_that_was_cut_short_is_an_error_that_says_why() {
    let execution = Execution { trouble: Some("etcd died".into()), ..execution(3) };
    let property = PropertyReport::from_records(&META, &execution, &[record(0, Outcome::Held), known(1)]);
    let root = render(&report(false, vec![property]));
    assert_eq!(root.ends(), [(CLAIM, "error"), (BUGS, "skipped")]);
    let error = root.test(CLAIM).child("error");
    let expected = "cases 2/3, 1 violated (known): 2 of 3 cases ran: etcd died";
    assert_eq!((&error["message"], &*error.text), (expected, "trouble: etcd died\n"));
}

#[test]
fn what_is_no_case_fails_by_itself_and_not_twice() {
    let check =
        |what: &str, outcome| CheckRecord { outcome, ..CheckRecord::unknown(what, Unknown::new(Cause::TimedOut, "")) };
    let violation = |known| Violation { reason: "it stayed".into(), known };
    let checks = vec![
        check("namespace deleted", Outcome::Violated(violation(None))),
        check("node lost", Outcome::Violated(violation(Some(KNOWN)))),
        check("restart", Outcome::Held),
    ];
    let not_covered = BTreeMap::from([(Requirement::new(2, 5), "no kubelet here".into())]);
    let skipped_checks = vec![SkippedCheck::new("mounts", "needs root")];
    let execution = Execution { checks, not_covered, skipped_checks, ..execution(1) };
    let mut property = PropertyReport::from_records(&META, &execution, &[record(0, Outcome::Held)]);
    property.add_violation(&violation(Some(KNOWN)));
    property.add_violation(&violation(None));
    property.add_inconclusive("no answer");
    let root = render(&report(false, vec![property]));
    assert_eq!(
        root.ends(),
        [
            (CLAIM, "passed"),
            ("p03 namespace deleted", "failure"),
            ("p03 node lost", "skipped"),
            ("p03 restart", "passed"),
            ("p03 label distribution: left behind", "failure"),
            ("p03 label distribution: left behind by known upstream bugs", "skipped"),
            ("p03 label distribution: perhaps left behind", "error"),
            ("p03 requirement 2.5", "skipped"),
            ("p03 mounts", "skipped"),
        ]
    );
    assert_eq!(root.test(CLAIM).property("requirement"), ["2.3"]);
    assert_eq!(root.test("p03 requirement 2.5").property("requirement"), ["2.5"]);
    let skipped = root.test("p03 node lost").child("skipped");
    assert!(skipped["message"].contains(KNOWN.link) && skipped["message"].contains("in 1 check and 1 leftover"));
}

#[test]
fn a_requirement_that_is_held_in_part_is_no_pass_and_says_what_is_missing() {
    let properties = vec![property(&[record(0, Outcome::Held)]), PropertyReport::skipped(&OTHER, "needs root")];
    let root = render(&report(false, properties));
    assert_eq!(end(root.test("requirement 2.3 follow label changes, both ways")), "passed");
    let in_part = root.named("testsuite").flat_map(|suite| suite.named("testcase"));
    let in_part: Vec<&Element> =
        in_part.filter(|case| case.named("skipped").any(|skipped| skipped["type"] == *"held_in_part")).collect();
    assert_eq!((in_part.len(), in_part[0].property("requirement")), (1, vec!["2.5"]));
    assert_eq!(in_part[0].property("property"), ["p03", "p07"]);
    assert_eq!(&in_part[0].child("skipped")["message"], "held in part: p07: skipped: needs root");
    let output = &root.test(CLAIM).child("system-out").text;
    assert!(output.contains("requirement 2.3: held: copies follow the labels\n"), "{output}");
}

#[test]
fn a_violated_requirement_counts_once_where_its_property_does() {
    let root = render(&report(true, vec![property(&[violated(0, "stayed"), known(1)])]));
    let requirement = root.test("requirement 2.3 follow label changes, both ways").child("skipped");
    assert_eq!((&requirement["type"], &root["failures"]), ("violated", "2"));
}

#[rstest]
#[case::judged("a", Scope::Within, false, "passed")]
#[case::not_reached("b", Scope::Within, false, "error")]
#[case::not_reached_in_a_part("b", Scope::Within, true, "skipped")]
#[case::not_judged("b", Scope::NotHere("<no label>".into()), false, "skipped")]
fn copies_are_one_test_that_is_as_green_as_they_leave_the_run(
    #[case] name: &str,
    #[case] scope: Scope,
    #[case] is_partial: bool,
    #[case] expected: &str,
) {
    let copy = |name: &str| CopyName { object: format!("ClusterExternalSecret {name}"), secret: name.into() };
    let declared = vec![Declared { copy: copy(name), consumer: None, scope }];
    let mut held = record(0, Outcome::Held);
    held.reached.insert(Reached { copy: copy("a"), consumer: None });
    let property = PropertyReport::from_records(&META, &Execution { declared, ..execution(1) }, &[held]);
    let report = report_of_copies(vec![copy(name)], is_partial, vec![property]);
    let root = render(&report);
    let test = root.test("copies");
    assert_eq!((end(test), end(test) == "error"), (expected, report.exit_code().code() == 2));
    let told = test.children.iter().map(|child| child.text.as_str()).collect::<String>();
    assert!(told.contains(&format!("{name} of ClusterExternalSecret {name}: ")), "{test:?}");
    let output = &root.test(CLAIM).child("system-out").text;
    assert!(output.contains(&format!("copy {name} of ClusterExternalSecret {name}: ")), "{output}");
}

#[test]
fn no_name_changes_with_the_seed_or_the_place_of_a_case() {
    let names = |shift: u32, seed| {
        let mut records = vec![violated(shift, "w"), unknown(shift + 1, "no answer"), known(shift + 2)];
        records.iter_mut().for_each(|record| record.id.seed = seed);
        let root = render(&report(false, vec![property(&records)]));
        root.ends().iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(0, 42), names(17, 1234));
}

#[test]
fn a_run_without_a_report_is_one_error() {
    let read = |run: &super::Unfinished| parse(&Junit.unfinished(run).expect("renders"));
    let begun = read(&unfinished());
    assert_eq!(begun.ends(), [("run did not finish", "error")]);
    let failed = read(&unfinished().failed("failed to deploy\nsecond line"));
    assert_eq!(failed.ends(), [("set-up", "error")]);
    let error = failed.test("set-up").child("error");
    assert_eq!((&error["type"], &error["message"]), ("failed", "failed to deploy"));
    assert_eq!(failed.child("testsuite").property("seed"), ["42"]);
}

#[test]
fn a_report_of_no_property_has_no_test() {
    let root = render(&report(false, vec![]));
    assert_eq!((&root["tests"], root.children.len()), ("0", 0));
}

#[rstest]
fn hostile_text_stays_text(
    #[values("a]]>b", "</failure>", "\" x=\"", "\u{0}\u{1b}[31m\u{ffff}\r", "<![CDATA[", "&amp;", "'<x y='z'/>")]
    text: &str,
) {
    let mut record = violated(0, text);
    record.smallest = Some(text.into());
    record.operations = BTreeMap::from([(text.to_owned(), 1)]);
    let root = render(&report(false, vec![property(&[record, unknown(1, text)])]));
    let test = root.test(CLAIM);
    let expected = super::printable(text);
    assert!(test.child("failure")["message"].ends_with(&expected), "{test:?}");
    assert!(test.child("failure").text.contains(&format!("smallest: {expected}\n")), "{test:?}");
    assert!(test.child("system-out").text.contains(&format!("1 × {expected}\n")), "{test:?}");
}
