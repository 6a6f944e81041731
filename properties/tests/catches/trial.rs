//! A fault on a cluster: all properties that must find it at this time of day, one beside the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use credence_cluster::embedded::Embedded;
use credence_core::consumer::Consumer;
use credence_core::formats::{KARGO_GIT, KARGO_IMAGE};
use credence_core::id::CaseId;
use credence_report::report::{PropertyReport, Report};
use credence_report::verdict::Verdict;
use credence_suite::options::Options;
use credence_suite::registry;
use libtest_mimic::Failed;

use crate::execute::execute;
use crate::fault::{Fault, Found, Route, When};
use crate::kill_table::{self, Row};
use crate::support;

/// The variable that names another number of cases.
pub(crate) const CASES_VARIABLE: &str = "CREDENCE_CATCHES_CASES";

/// The consumers that run only where they are given.
const KARGO: [Consumer; 2] = [KARGO_GIT, KARGO_IMAGE];

/// The directory of all faulty configurations.
pub(crate) fn broken() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/broken")
}

/// Properties that must find a fault at this time of day.
pub(crate) fn finders(fault: &Fault, when: When) -> Vec<&'static Found> {
    fault.found_by.iter().filter(|found| found.when == when).collect()
}

/// True where a fault that is found otherwise than by its route is a failure: at night, and in a trial that was asked for by name.
/// By day it is said, and is in the table.
fn is_strict() -> bool {
    std::env::args().any(|argument| matches!(argument.as_str(), "--include-ignored" | "--ignored" | "--exact"))
}

/// Runs the properties that must find a fault. Each must find it by its route, and nothing else may be found.
pub(crate) fn run(fault: &Fault, when: When) -> Result<(), Failed> {
    let finders = finders(fault, when);
    let is_shrunk = fault.is_shrunk && when == When::Day;
    let beside = fault.beside.filter(|_| when == When::Night);
    let properties = finders.iter().map(|found| found.property).chain(beside);
    let options = options(fault, &properties.collect::<Vec<_>>(), is_shrunk)?;
    let report = execute(&options)?;
    let mut problems = Vec::new();
    for found in &finders {
        let ran = of(&report, found.property);
        let row = Row::of(kill_table::due_of(fault.name, found.property), ran, route(found.by, &options));
        match row.problem() {
            Some(problem) if row.was_found() && !is_strict() => eprintln!("catches: {problem}"),
            problem => problems.extend(problem),
        }
        kill_table::keep(row);
    }
    let others = report.properties.iter().filter(|one| one.verdict != Verdict::Skipped);
    for other in others.filter(|one| finders.iter().all(|found| one.id.to_string() != found.property)) {
        if !matches!(other.verdict, Verdict::Held | Verdict::KnownViolated) {
            problems.push(format!("{}, which it does not concern, is {}: {:?}", other.id, other.verdict, other.reason));
        }
    }
    if report.exit_code().code() != 1 {
        problems.push(format!("exit code {:?} and not 1", report.exit_code()));
    }
    if !problems.is_empty() {
        return Err(Failed::from(problems.join("\n")));
    }
    match is_shrunk {
        true => finders.iter().try_for_each(|found| is_made_smaller(&options, &report, found)),
        false => Ok(()),
    }
}

fn options(fault: &Fault, properties: &[&str], is_shrunk: bool) -> Result<Options, Failed> {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("catches");
    let defaults = support::options(&out.join(format!("{}-{}", properties.join("-"), fault.name)));
    let cases = std::env::var(CASES_VARIABLE).ok().map(|cases| cases.parse()).transpose()?;
    Ok(Options {
        config: Some(broken().join(fault.name)),
        consumers: Some(broken().join("../consumers").join(fault.consumers)),
        cluster: Some(&Embedded),
        properties: properties.iter().map(|id| registry::find(id)).collect::<Result<_, _>>()?,
        cases: cases.unwrap_or(fault.cases),
        shrink: if is_shrunk { defaults.shrink } else { Duration::ZERO },
        ..defaults
    })
}

/// Of Kargo's controller where it is not given, the route is that of what stands in for it.
fn route(route: Route, options: &Options) -> Route {
    let stands_in = |consumer: Consumer| match consumer.meta().fallback {
        Some(fallback) if KARGO.contains(&consumer) && options.components.kargo.is_none() => fallback,
        _ => consumer,
    };
    match route {
        Route::Consumer(consumer) => Route::Consumer(stands_in(consumer)),
        Route::Reason(_) => route,
    }
}

fn of<'a>(report: &'a Report, property: &str) -> Option<&'a PropertyReport> {
    let ran = |one: &&PropertyReport| one.verdict != Verdict::Skipped && one.id.to_string() == property;
    report.properties.iter().find(ran)
}

/// A smaller case was found, and the line in the report reproduces the verdict.
fn is_made_smaller(options: &Options, report: &Report, found: &Found) -> Result<(), Failed> {
    let findings = of(report, found.property).map(|property| &property.findings[..]).unwrap_or_default();
    let smaller = findings.iter().find(|finding| finding.smallest.is_some());
    let CaseId { seed, index, property } =
        smaller.ok_or_else(|| Failed::from(format!("no smaller case in {findings:?}")))?.case;
    let options =
        Options { seed, only: Some(index), properties: vec![property], shrink: Duration::ZERO, ..options.clone() };
    let again = execute(&options)?;
    match of(&again, found.property).map(|property| property.verdict) {
        Some(Verdict::Violated) => Ok(()),
        other => Err(Failed::from(format!("the replay of {} is {other:?}", found.property))),
    }
}
