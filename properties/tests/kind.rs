//! The same cases on the embedded cluster and on one of kind: where the cluster is, is no part of a verdict.
//!
//! Needs a container engine; without one both tests are ignored, with the reason. `CREDENCE_KIND_CASES` is the number of
//! cases of each property, by default 3, and `CREDENCE_SEED` what they follow from.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use credence_cluster::embedded::Embedded;
use credence_cluster::kind::Kind;
use credence_cluster::providers::Provider;
use credence_core::consumer::Consumer;
use credence_core::formats::{ARGO_CD, BACKSTAGE, KUBELET};
use credence_core::id::{CaseId, PropertyId};
use credence_core::text::chain;
use credence_programs::engine::Engine;
use credence_report::report::{PropertyReport, Report};
use credence_report::verdict::Verdict;
use credence_suite::options::Options;
use credence_suite::registry;
use libtest_mimic::{Arguments, Failed};

#[path = "support/execute.rs"]
mod execute;
mod support;
#[path = "support/took.rs"]
mod took;

use execute::execute;

/// p07, credential types.
const CREDENTIAL_TYPES: PropertyId = PropertyId::new(7);
/// Cases of each property, as many as reach every consumer in pods, unless `CREDENCE_KIND_CASES` says otherwise.
const CASES: u32 = 3;
/// Cases with which the fault must be found; the embedded cluster finds it with as many.
const FAULT_CASES: u32 = 40;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Two clusters at a time would measure each other.
    arguments.test_threads = Some(1);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let missing = runtime.block_on(Engine::find(None)).err().map(|error| chain(&error));
    drop(runtime);
    if let (Some(reason), false) = (&missing, arguments.list) {
        eprintln!("kind: skipped: {reason}");
    }
    let trials = vec![
        took::trial("kind_and_the_embedded_cluster_agree_on_every_property", agree),
        took::trial("a_store_without_conditions_is_found_on_kind", fault),
    ];
    let trials = trials.into_iter().map(|trial| trial.with_ignored_flag(missing.is_some())).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    took::print_slowest();
    conclusion.exit_code()
}

fn options(cluster: &'static dyn Provider, name: &str) -> Options {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kind").join(name);
    let cases = std::env::var("CREDENCE_KIND_CASES").ok();
    let cases = cases.map_or(CASES, |text| text.parse().unwrap_or_else(|_| panic!("{text} is no number of cases")));
    Options { cluster: Some(cluster), cases, ..support::options(&out) }
}

fn agree() -> Result<(), Failed> {
    let embedded = options(&Embedded, "embedded");
    let kind = Options { seed: embedded.seed, ..options(&Kind, "kind") };
    let cases = kind.cases;
    let (embedded, kind) = (execute(&embedded)?, execute(&kind)?);
    if embedded.properties.len() != registry::PROPERTIES.len() {
        return Err(Failed::from("a property is missing in the report"));
    }
    let differences: Vec<String> = embedded
        .properties
        .iter()
        .zip(&kind.properties)
        .filter(|(here, there)| judgement(here) != judgement(there))
        .map(|(here, there)| format!("embedded: {:?}\nkind:     {:?}", judgement(here), judgement(there)))
        .collect();
    match differences.is_empty() {
        // Fewer cases do not reach them all.
        true if cases < CASES => Ok(()),
        true => pods_log_in(&kind),
        false => Err(Failed::from(differences.join("\n"))),
    }
}

/// Pods of the cluster were let in with its copies.
fn pods_log_in(kind: &Report) -> Result<(), Failed> {
    let report = kind.properties.iter().find(|property| property.id == CREDENTIAL_TYPES);
    let report = report.ok_or("p07 was not tested")?;
    for consumer in [KUBELET, ARGO_CD, BACKSTAGE].map(Consumer::operation) {
        if !report.skipped_checks.contains_key(consumer) && !report.operations.contains_key(consumer) {
            return Err(Failed::from(format!("no {consumer} among {:?}", report.operations)));
        }
    }
    Ok(())
}

/// A property as a report has it, without times. Whether a case meets a documented upstream race is a matter of
/// time as well, so such a case counts as one that held.
fn judgement(report: &PropertyReport) -> (String, Verdict, u64, u64, Vec<(CaseId, Verdict)>) {
    let verdict = match report.verdict {
        Verdict::KnownViolated => Verdict::Held,
        verdict => verdict,
    };
    let findings = report.findings.iter().filter(|finding| finding.known.is_none());
    let mut findings: Vec<_> = findings.map(|finding| (finding.case, finding.verdict)).collect();
    findings.sort_unstable_by_key(|(case, _)| (case.seed, case.index));
    (report.id.to_string(), verdict, report.cases.planned, report.cases.run, findings)
}

fn fault() -> Result<(), Failed> {
    let broken = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/broken/store-without-conditions");
    let options = Options {
        config: Some(broken),
        properties: vec![registry::find("p08")?],
        cases: FAULT_CASES,
        shrink: Duration::ZERO,
        ..options(&Kind, "fault")
    };
    let report = execute(&options)?;
    let found = report.properties.iter().any(|property| property.verdict == Verdict::Violated);
    if found { Ok(()) } else { Err(Failed::from("p08 did not find it")) }
}
