//! The suite is tested by broken worlds: each directory in `fixtures/broken` has one fault, and the property named
//! here must be violated by it, with a smaller case and a line that repeats it. What holds on the reference
//! configuration is shown by the conformance test of the same `cargo test`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use credence::console::Console;
use credence::copies::chain;
use credence::registry;
use credence::report::{PropertyReport, Report};
use credence::run::{self, Options};
use credence::verdict::{CaseId, Verdict};
use libtest_mimic::{Arguments, Failed, Trial};

mod support;

/// Each fault, and the properties that must find it.
const FAULTS: &[(&str, &[&str])] = &[
    ("refresh-interval-zero", &["p01"]),
    ("creation-policy-merge", &["p02"]),
    ("creation-policy-orphan", &["p03"]),
    ("selector-exists", &["p03", "p04"]),
    ("raw-values-in-json", &["p05"]),
    ("format-reads-other-key", &["p06"]),
];

/// Enough cases that some case meets the fault, whatever the seed.
const CASES: u32 = 100;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each trial brings up a cluster; two at a time would take turns on the processors.
    arguments.test_threads = Some(1);
    let mut trials = vec![Trial::test("every_broken_configuration_has_a_property_that_must_find_it", all_are_listed)];
    for (fault, properties) in FAULTS {
        for property in *properties {
            let name = format!("{property}_is_violated_by_{}", fault.replace('-', "_"));
            trials.push(Trial::test(name, move || finds(fault, property)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn broken() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/broken")
}

fn all_are_listed() -> Result<(), Failed> {
    let mut there = Vec::new();
    for entry in std::fs::read_dir(broken())? {
        there.push(entry?.file_name().to_string_lossy().into_owned());
    }
    there.sort();
    let mut listed: Vec<&str> = FAULTS.iter().map(|(fault, _)| *fault).collect();
    listed.sort_unstable();
    if there == listed { Ok(()) } else { Err(Failed::from(format!("there are {there:?}, listed are {listed:?}"))) }
}

fn finds(fault: &str, property: &str) -> Result<(), Failed> {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("catches").join(fault);
    let base = support::options(&out);
    let options = Options {
        config: Some(broken().join(fault)),
        properties: vec![registry::find(property)?],
        cases: CASES,
        ..base
    };
    let report = execute(&options)?;
    let found = violated(&report)?;
    let Some(finding) = found.findings.iter().find(|finding| finding.smallest.is_some()) else {
        return Err(Failed::from(format!("no smaller case in {:?}", found.findings)));
    };
    if report.exit_code().code() != 1 {
        return Err(Failed::from(format!("exit code {:?} and not 1", report.exit_code())));
    }
    replays(&options, finding.case)
}

/// The line in the report reproduces the verdict.
fn replays(options: &Options, case: CaseId) -> Result<(), Failed> {
    let options =
        Options { seed: case.seed, only: Some(case.index), shrink: std::time::Duration::ZERO, ..options.clone() };
    violated(&execute(&options)?).map(drop)
}

fn execute(options: &Options) -> Result<Report, Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    let console = Console::stderr();
    let stop = AtomicBool::new(false);
    let outcome = runtime.block_on(run::run(options, &console, &stop));
    outcome.map(|(report, _)| report).map_err(|error| Failed::from(chain(&error)))
}

fn violated(report: &Report) -> Result<&PropertyReport, Failed> {
    let executed = report.properties.iter().find(|property| property.verdict != Verdict::Skipped);
    match executed {
        Some(property) if property.verdict == Verdict::Violated => Ok(property),
        Some(property) => Err(Failed::from(format!("{} is {}: {:?}", property.id, property.verdict, property.reason))),
        None => Err(Failed::from("no property was executed")),
    }
}
