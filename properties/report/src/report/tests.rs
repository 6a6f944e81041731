use std::collections::{BTreeMap, BTreeSet};

use credence_core::id::Requirement;
use rstest::rstest;

use super::testing::{
    META, OTHER, execution, known, property, record, report, report_of_copies, unfinished, unknown, violated,
};
use super::{Execution, PropertyMeta, PropertyReport, Report, WRITERS};
use crate::claim::{Claim, ClaimVerdict, SkippedCheck};
use crate::copy::{CopyName, Declared, Scope};
use crate::verdict::{CaseRecord, ExitCode, Outcome};

fn requirement(report: &Report, id: &str) -> (ClaimVerdict, Option<String>) {
    let found = report.requirements.iter().find(|requirement| requirement.id.to_string() == id);
    found.map(|found| (found.verdict, found.reason.clone())).expect("every requirement is listed")
}

#[rstest]
#[case::held(vec![record(0, Outcome::Held)], false, ExitCode::Held)]
#[case::known(vec![known(0)], false, ExitCode::Held)]
#[case::known_when_strict(vec![known(0)], true, ExitCode::Violated)]
#[case::known_behind_unknown_when_strict(vec![known(0), unknown(1, "why")], true, ExitCode::Violated)]
#[case::unknown(vec![unknown(0, "why")], true, ExitCode::Unknown)]
#[case::violated(vec![violated(0, "why")], false, ExitCode::Violated)]
fn only_a_strict_run_fails_on_known_bugs(
    #[case] records: Vec<CaseRecord>,
    #[case] strict: bool,
    #[case] expected: ExitCode,
) {
    let report = report(strict, vec![property(&records)]);
    assert_eq!(report.exit_code(), expected);
    assert_eq!(report.totals.exit_code, expected.code());
}

#[test]
fn a_run_of_skips_is_a_run_of_nothing() {
    let report = report(false, vec![PropertyReport::skipped(&META, "filtered out")]);
    assert_eq!(report.exit_code(), ExitCode::NothingRan);
}

#[test]
fn requirements_show_partial_and_missing_evidence() {
    let properties = vec![property(&[record(0, Outcome::Held)]), PropertyReport::skipped(&OTHER, "needs root")];
    let report = report(false, properties);
    assert_eq!(report.requirements.len(), 25);
    assert_eq!(requirement(&report, "2.3"), (ClaimVerdict::Held, None));
    assert_eq!(requirement(&report, "2.5"), (ClaimVerdict::HeldInPart, Some("p07: skipped: needs root".into())));
    assert_eq!(
        requirement(&report, "4.1"),
        (ClaimVerdict::NotCovered, Some("no executed property; p07: skipped: needs root".into()))
    );
    assert_eq!(requirement(&report, "1.1"), (ClaimVerdict::NotCovered, Some("no property claims it".into())));
    let totals = report.totals.requirements;
    assert_eq!((totals.held, totals.held_in_part, totals.not_covered), (1, 1, 23));
}

#[test]
fn a_requirement_that_a_property_could_not_exercise_is_not_held_by_it() {
    let mut execution = execution(1);
    execution.not_covered = BTreeMap::from([(Requirement::new(2, 5), "no kubelet here".into())]);
    let report = report(false, vec![PropertyReport::from_records(&META, &execution, &[record(0, Outcome::Held)])]);
    assert_eq!(requirement(&report, "2.3"), (ClaimVerdict::Held, None));
    assert_eq!(
        requirement(&report, "2.5"),
        (ClaimVerdict::NotCovered, Some("no executed property; p03: no kubelet here".into()))
    );
}

#[test]
fn a_requirement_of_which_a_check_was_skipped_is_held_in_part_and_a_violated_one_violated() {
    let check = SkippedCheck::new("capture of the traffic", "needs root").weakens(&META.claims[1..]);
    let execution = Execution { skipped_checks: vec![check], ..execution(1) };
    let held = report(false, vec![PropertyReport::from_records(&META, &execution, &[record(0, Outcome::Held)])]);
    assert_eq!(held.exit_code(), ExitCode::Held);
    assert_eq!(requirement(&held, "2.3"), (ClaimVerdict::Held, None));
    assert_eq!(
        requirement(&held, "2.5"),
        (ClaimVerdict::HeldInPart, Some("p03 held in part: without capture of the traffic".into()))
    );
    let violated = report(false, vec![PropertyReport::from_records(&META, &execution, &[violated(0, "stayed")])]);
    assert_eq!(requirement(&violated, "2.5"), (ClaimVerdict::Violated, Some("p03 violated".into())));
}

#[test]
fn what_is_left_behind_weighs_on_requirements_too() {
    let mut property = property(&[record(0, Outcome::Held)]);
    property.add_inconclusive("no answer");
    assert_eq!(requirement(&report(false, vec![property]), "2.3").0, ClaimVerdict::Unknown);
}

#[test]
fn no_requirement_is_held_whole_of_which_a_part_is_not_proved_by_any_property() {
    const CLAIMS: &[Claim] = &[Claim::new(5, 3, "raw values in etcd are sealed")];
    let meta = PropertyMeta { claims: CLAIMS, ..META };
    let report = report(false, vec![PropertyReport::from_records(&meta, &execution(1), &[record(0, Outcome::Held)])]);
    let (verdict, reason) = requirement(&report, "5.3");
    assert_eq!(verdict, ClaimVerdict::HeldInPart);
    assert!(reason.is_some_and(|why| why.starts_with("not proved by any property: in transit")));
    assert_eq!(requirement(&report, "3.4").0, ClaimVerdict::NotCovered);
}

#[test]
fn the_table_of_copies_is_in_json_with_the_state_and_reason_of_each() {
    let copy = CopyName { object: "ClusterExternalSecret a".into(), secret: "a".into() };
    let declared = Declared { copy: copy.clone(), consumer: None, scope: Scope::NotHere("no label".into()) };
    let execution = Execution { declared: vec![declared], ..execution(1) };
    let property = PropertyReport::from_records(&META, &execution, &[record(0, Outcome::Held)]);
    let report = report_of_copies(vec![copy], false, vec![property]);
    let text = serde_json::to_string(&report).expect("encodes");
    assert_eq!(serde_json::from_str::<Report>(&text).expect("decodes"), report);
    let json: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    let object = "ClusterExternalSecret a";
    assert_eq!(
        json["properties"][0]["coverage"][0],
        serde_json::json!({"object": object, "secret": "a", "consumer": null, "state": "not_judged", "reason": "no label"})
    );
    assert_eq!(
        json["copies"][0],
        serde_json::json!({"object": object, "secret": "a", "state": "not_judged", "judged_by": [], "reason": "no label"})
    );
}

#[test]
fn a_report_of_the_former_schema_is_still_read() {
    let properties = vec![property(&[record(0, Outcome::Held)]), PropertyReport::skipped(&OTHER, "needs root")];
    let mut json = serde_json::to_value(report(false, properties)).expect("encodes");
    for property in json["properties"].as_array_mut().expect("a list") {
        let property = property.as_object_mut().expect("an object");
        ["claims", "context", "missed", "coverage"].iter().for_each(|field| drop(property.remove(*field)));
    }
    ["copies", "is_partial"].iter().for_each(|field| drop(json.as_object_mut().expect("an object").remove(*field)));
    json["totals"]["requirements"] =
        serde_json::json!({"held": 2, "violated": 0, "known_violated": 0, "unknown": 0, "skipped": 23});
    json["requirements"][0]["verdict"] = "skipped".into();
    let read: Report = serde_json::from_value(json).expect("decodes");
    assert_eq!((read.requirements[0].verdict, read.totals.requirements.not_covered), (ClaimVerdict::NotCovered, 23));
    assert_eq!(read.exit_code(), ExitCode::Held);
}

#[test]
fn every_format_has_a_name_and_a_file_of_its_own() {
    let names: BTreeSet<&str> = WRITERS.iter().map(|writer| writer.name()).collect();
    let files: BTreeSet<&str> = WRITERS.iter().map(|writer| writer.file_name()).collect();
    assert_eq!((names.len(), files.len()), (WRITERS.len(), WRITERS.len()));
}

#[test]
fn no_format_hands_on_what_a_terminal_obeys() {
    let mut record = violated(0, "red\u{1b}[31m\u{0}");
    record.smallest = Some("\u{1b}[2J".into());
    let properties = vec![property(&[record]), PropertyReport::skipped(&OTHER, "\u{7f}")];
    let (report, unfinished) = (report(false, properties), unfinished().failed("\u{1b}c"));
    for writer in WRITERS {
        for text in [writer.report(&report), writer.unfinished(&unfinished)] {
            let text = text.expect("encodes");
            assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{}: {text:?}", writer.name());
        }
    }
}
