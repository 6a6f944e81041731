use std::collections::BTreeMap;

use rstest::rstest;

use crate::report::testing::{KNOWN, META, execution, known, record, unknown, violated};
use crate::report::{Execution, Millis, PropertyReport, Reproduced};
use crate::unknown::{Cause, Unknown};
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
    let check = |outcome| CheckRecord {
        outcome,
        ..CheckRecord::unknown("namespace deleted", Unknown::new(Cause::TimedOut, ""))
    };
    let known = check(Outcome::Violated(Violation { reason: "it stayed".into(), known: Some(KNOWN) }));
    let held = Execution { checks: vec![check(Outcome::Held), known.clone()], ..execution(1) };
    let report = PropertyReport::from_records(&META, &held, &[record(0, Outcome::Held)]);
    assert_eq!((report.verdict, report.cases.violated), (Verdict::KnownViolated, 0));
    assert_eq!(report.reason.as_deref(), Some("namespace deleted: it stayed"));
    assert_eq!((report.known[0].met(1), report.cases_text()), ("in 1 check".into(), "1/1, and 2 checks".into()));
    let violated = check(Outcome::Violated(Violation { reason: "for ever".into(), known: None }));
    let violated = Execution { checks: vec![known, violated], ..execution(1) };
    let report = PropertyReport::from_records(&META, &violated, &[record(0, Outcome::Held)]);
    assert_eq!((report.verdict, report.reason.as_deref()), (Verdict::Violated, Some("namespace deleted: for ever")));
}

#[test]
fn what_is_left_behind_after_all_cases_held_is_a_violation() {
    let mut report = PropertyReport::from_records(&META, &execution(1), &[record(0, Outcome::Held)]);
    report.add_violation(&left(Some(KNOWN)));
    assert_eq!((report.verdict, report.known[0].met(1)), (Verdict::KnownViolated, "in 1 leftover".into()));
    report.add_inconclusive("no answer");
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
    let check = CheckRecord {
        outcome: violated(0, "check").outcome,
        ..CheckRecord::unknown("deleted", Unknown::new(Cause::TimedOut, ""))
    };
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

#[test]
fn a_bug_that_more_cases_meet_than_it_explains_violates_the_property() {
    let cases =
        |met: u32| -> Vec<_> { (0..100).map(|n| if n < met { known(n) } else { record(n, Outcome::Held) }).collect() };
    let report = PropertyReport::from_records(&META, &execution(100), &cases(34));
    assert_eq!((report.verdict, report.verdict_by_cases()), (Verdict::KnownViolated, Verdict::KnownViolated));
    let report = PropertyReport::from_records(&META, &execution(100), &cases(35));
    assert_eq!((report.verdict, report.verdict_by_cases()), (Verdict::Violated, Verdict::Violated));
    let expected = "35 of 100 cases look like eso#6677, which explains 34 at most: there is another cause";
    assert_eq!((report.reason.as_deref(), report.reason_by_cases().as_deref()), (Some(expected), Some(expected)));
}

#[test]
fn cases_that_could_not_tell_are_counted_by_cause() {
    let records = [record(0, Outcome::Held), unknown(1, "a"), unknown(2, "b")];
    let report = PropertyReport::from_records(&META, &execution(3), &records);
    assert_eq!(report.causes, BTreeMap::from([(Cause::RequestFailed, 2)]));
}

#[test]
fn what_no_case_has_told_is_unknown_by_its_cases() {
    let of = |planned, records: &[_]| PropertyReport::from_records(&META, &execution(planned), records);
    assert_eq!(of(0, &[]).verdict_by_cases(), Verdict::Unknown);
    assert_eq!(of(1, &[record(0, Outcome::Held)]).verdict_by_cases(), Verdict::Held);
    assert_eq!(of(0, &[]).reason.as_deref(), Some("0 of 0 cases ran"));
}
