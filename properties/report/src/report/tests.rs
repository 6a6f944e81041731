use std::collections::{BTreeMap, BTreeSet};

use credence_core::id::Requirement;
use rstest::rstest;

use super::testing::{META, OTHER, execution, known, property, record, report, unfinished, unknown, violated};
use super::{PropertyReport, Report, WRITERS};
use crate::verdict::{CaseRecord, ExitCode, Outcome, Verdict};

fn requirement(report: &Report, id: &str) -> (Verdict, Option<String>) {
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
    assert_eq!(requirement(&report, "2.3"), (Verdict::Held, None));
    assert_eq!(requirement(&report, "2.5"), (Verdict::Held, Some("p07 skipped: needs root".into())));
    assert_eq!(
        requirement(&report, "4.1"),
        (Verdict::Skipped, Some("no executed property; p07 skipped: needs root".into()))
    );
    assert_eq!(requirement(&report, "1.1"), (Verdict::Skipped, Some("no executed property".into())));
    assert_eq!((report.totals.requirements.held, report.totals.requirements.skipped), (2, 23));
}

#[test]
fn a_requirement_that_a_property_could_not_exercise_is_not_held_by_it() {
    let mut execution = execution(1);
    execution.not_covered = BTreeMap::from([(Requirement::new(2, 5), "no kubelet here".into())]);
    let report = report(false, vec![PropertyReport::from_records(&META, &execution, &[record(0, Outcome::Held)])]);
    assert_eq!(requirement(&report, "2.3"), (Verdict::Held, None));
    assert_eq!(
        requirement(&report, "2.5"),
        (Verdict::Skipped, Some("no executed property; p03 skipped: no kubelet here".into()))
    );
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
