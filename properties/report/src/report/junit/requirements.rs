//! The last suite: what the claims of all properties come to, one test a requirement, and which copies were judged.
//!
//! A requirement that is violated or unknown fails where its property does. Here it is skipped, with what it is as its type, so
//! that nothing counts twice.

use credence_core::id::PropertyId;

use super::super::coverage::{self, CopyState};
use super::super::{CopyReport, Report, RequirementReport};
use super::test_case::Test;
use super::xml::{Properties, Suite};
use super::{Head, complete, line};
use crate::claim::ClaimVerdict;
use crate::verdict::Verdict;

/// The suite of a report.
pub(super) fn suite(report: &Report) -> Suite {
    let tests: Vec<Test> = report.requirements.iter().map(requirement).chain(copies(report)).collect();
    let head =
        Head { name: "requirements", class: "credence.requirements", started: report.started, strict: report.strict };
    complete(&head, Properties::default(), &tests)
}

fn requirement(found: &RequirementReport) -> Test {
    let verdict = match found.verdict {
        ClaimVerdict::Held => Verdict::Held,
        _ => Verdict::Skipped,
    };
    let reason = found.reason.as_deref().unwrap_or_default();
    let mut test = Test {
        kind: found.verdict.name(),
        message: format!("{}: {reason}", found.verdict),
        ..Test::new(&format!("requirement {} {}", found.id, found.title), verdict)
    };
    test.properties.add("requirement", found.id);
    found.properties.iter().for_each(|property| test.properties.add("property", property));
    test
}

/// The test for the copies of the configuration; an error where they keep the run from being green, which no other test says.
fn copies(report: &Report) -> Option<Test> {
    let copies = &report.copies;
    let first = copies.iter().find_map(|copy| copy.reason.as_deref());
    let (verdict, kind) = match first {
        None => (Verdict::Held, CopyState::Judged),
        Some(_) if report.has_open_copies() => (Verdict::Unknown, CopyState::NotReached),
        Some(_) => (Verdict::Skipped, CopyState::NotJudged),
    };
    let message = format!("{}: {}", coverage::counted(copies), first.unwrap_or_default());
    let mut test = Test { kind: kind.name(), message, ..Test::new("copies", verdict) };
    for CopyReport { copy, judged_by, reason, .. } in copies {
        let name = format!("{} of {}", copy.secret, copy.object);
        match reason {
            Some(why) => line(&mut test.details, &name, why),
            None => line(&mut test.output, &name, &format!("judged by {}", join(judged_by))),
        }
    }
    (!copies.is_empty()).then_some(test)
}

fn join(ids: &[PropertyId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
