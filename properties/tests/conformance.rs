//! The `cargo test` entry: each property is a listed test, run on one real control plane.
//!
//! `cargo test --test conformance -- p03` runs one of them. `CREDENCE_CASES` and `CREDENCE_SEED` set the number of
//! cases (100) and the seed (random). Listing contacts nothing.
//!
//! The first test that runs lets all properties run whose tests were asked for, side by side as in any run; each test then
//! says what came of its own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use credence::console::Console;
use credence_core::consumer::Consumer;
use credence_core::id::PropertyId;
use credence_core::leak_scan::{LeakScan, is_searchable};
use credence_core::text::chain;
use credence_programs::external_secrets;
use credence_programs::supply::{Part, PlainProgress};
use credence_report::report::Report;
use credence_report::verdict::Verdict;
use credence_suite::events::Events;
use credence_suite::file_scan;
use credence_suite::options::{CASES, Options};
use credence_suite::registry::{PROPERTIES, Registered};
use credence_suite::run::{self, Session, Stop};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

mod support;
#[path = "support/took.rs"]
mod took;

use support::options;

/// The session that all trials share; the first that runs starts it.
struct Shared {
    runtime: Runtime,
    events: Arc<dyn Events>,
    out: PathBuf,
    /// The properties that some trial of this run is about.
    wanted: Vec<&'static dyn Registered>,
    session: Mutex<Option<Session>>,
}

/// p07, credential types.
const CREDENTIAL_TYPES: PropertyId = PropertyId::new(7);
/// The tests that are not about one property.
const WORKFLOW: &str = "every_application_works_from_the_central_store_on_and_again_after_a_rotation";
const SECRECY: &str = "no_credential_value_reaches_a_file_or_a_command_line";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One session: what runs side by side in it, it decides itself.
    arguments.test_threads = Some(1);
    let runtime = Runtime::new().expect("a runtime can be started");
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    // Fewer cases do not reach every application.
    let too_few = options(&out).cases < CASES;
    let wanted = wanted(&arguments, too_few);
    let shared =
        Arc::new(Shared { runtime, events: Arc::new(Console::stderr()), out, wanted, session: Mutex::default() });
    let mut trials: Vec<Trial> = PROPERTIES.iter().map(|property| trial(&shared, *property)).collect();
    let owner = Arc::clone(&shared);
    trials.push(took::trial(WORKFLOW, move || workflow(&owner)).with_ignored_flag(too_few));
    let owner = Arc::clone(&shared);
    trials.push(took::trial(SECRECY, move || secrecy(&owner)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    took::print_slowest();
    let session = shared.session.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(session) = session {
        // Clean-up can still find what a property left behind.
        match shared.runtime.block_on(session.finish(shared.events.as_ref())) {
            Ok((report, _)) if !names_its_operator(&shared.runtime, &report) => {
                eprintln!("conformance: the report names another operator than ran: {:?}", report.cluster.versions);
                return ExitCode::FAILURE;
            }
            Ok((report, _)) if report.exit_code().code() == 0 => {}
            Ok((report, written)) => {
                eprintln!("conformance: {:?}, see {}", report.exit_code(), written.directory.display());
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("conformance: {}", chain(&error));
                return ExitCode::FAILURE;
            }
        }
    }
    // A filter with a typo must not look like success.
    if !arguments.list && conclusion.num_passed + conclusion.num_failed == 0 {
        eprintln!("conformance: nothing ran; there is no test of that name");
        return ExitCode::from(4);
    }
    conclusion.exit_code()
}

/// True if a report names the operator as its program says it, and beside it the version of its chart, if they are given.
fn names_its_operator(runtime: &Runtime, report: &Report) -> bool {
    let given = runtime.block_on(external_secrets::given(&support::components(), &PlainProgress::new()));
    let (program, chart) = match given {
        Ok(Some(operator)) => (operator.program, Some(operator.chart)),
        // A program of the pinned version may be given alone, and is named as such.
        Ok(None) => (Part::ExternalSecrets.version().to_owned(), None),
        Err(_) => return false,
    };
    let said = |name: &str| report.cluster.versions.get(name);
    said("external-secrets") == Some(&program)
        && chart.is_none_or(|chart| said("external-secrets chart") == Some(&chart))
}

/// The properties whose own tests were asked for, and that of the workflow's test if it was.
fn wanted(arguments: &Arguments, too_few: bool) -> Vec<&'static dyn Registered> {
    let runs = |name: String, is_ignored: bool| {
        let trial = Trial::test(name, || Ok(())).with_ignored_flag(is_ignored);
        let is_left_out = is_ignored && !arguments.ignored && !arguments.include_ignored;
        !is_left_out && !arguments.is_filtered_out(&trial)
    };
    let workflow = runs(WORKFLOW.to_owned(), too_few).then_some(CREDENTIAL_TYPES);
    let is_wanted = |property: &&dyn Registered| runs(name(*property), false) || Some(property.meta().id) == workflow;
    PROPERTIES.iter().copied().filter(is_wanted).collect()
}

fn name(property: &dyn Registered) -> String {
    let meta = property.meta();
    format!("{}_{}", meta.id, meta.title.replace([' ', '-'], "_"))
}

fn trial(shared: &Arc<Shared>, property: &'static dyn Registered) -> Trial {
    let shared = Arc::clone(shared);
    took::trial(name(property), move || {
        shared.with_session(|session| {
            let report = session.report_of(property.meta().id).ok_or("it was not tested")?;
            match report.verdict {
                Verdict::Held | Verdict::KnownViolated => Ok(()),
                verdict => Err(Failed::from(format!(
                    "{} {verdict}: {}\n{}",
                    report.id,
                    report.reason.as_deref().unwrap_or_default(),
                    report.replay.as_deref().unwrap_or_default()
                ))),
            }
        })
    })
}

impl Shared {
    /// Does `work` with the session, in which all that is wanted has been tested.
    fn with_session(&self, work: impl FnOnce(&Session) -> Result<(), Failed>) -> Result<(), Failed> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = match session.as_mut() {
            Some(session) => session,
            None => {
                let properties = self.wanted.iter().map(|property| property.meta().id).collect();
                let options = Options { properties, ..options(&self.out) };
                let started = self.runtime.block_on(run::set_up(&options, &self.events, &Stop::default()));
                let session = session.insert(started.map_err(|error| Failed::from(chain(&error)))?);
                if !self.wanted.is_empty() {
                    self.runtime.block_on(async {
                        session.obtain_consumers();
                        session.test(&self.events, &self.wanted, &Stop::default()).await;
                    });
                }
                session
            }
        };
        work(session)
    }
}

/// Each case of p07 walks from the source to an application, and again after a rotation. Here: there was such a walk to
/// every application that can run on this machine, and it was let in at both ends of it.
fn workflow(shared: &Shared) -> Result<(), Failed> {
    shared.with_session(|session| {
        let report = session.report_of(CREDENTIAL_TYPES).ok_or("p07 was not tested")?;
        if report.verdict == Verdict::Skipped {
            return Ok(());
        }
        for consumer in Consumer::ALL.iter().map(|consumer| consumer.operation()) {
            let admitted = report.operations.get(consumer).copied().unwrap_or_default();
            let rotated = report.operations.get(&format!("{consumer}, after a rotation")).copied().unwrap_or_default();
            let refusals = format!("{consumer}, refused");
            let refused = report.operations.keys().any(|operation| operation.starts_with(&refusals));
            let walked_there_and_back = rotated > 0 && admitted > rotated && refused;
            if !report.skipped_checks.contains_key(consumer) && !walked_there_and_back {
                return Err(Failed::from(format!(
                    "{consumer}: let in {admitted} times, {rotated} of them after a rotation, refused: {refused}"
                )));
            }
        }
        Ok(())
    })
}

/// Directories in which systems under test keep what is theirs to keep: the forge the ids of what it issued, containerd
/// the environment of its containers, Kargo the user names that it puts into the URLs that it logs.
const OWN: [&str; 4] = ["consumers/forge", "forge-alone/forge", "node/lib/containerd", "consumers/kargo"];

/// Searches everything that this run wrote, and the command lines of all processes, for values that it generated.
fn secrecy(shared: &Shared) -> Result<(), Failed> {
    shared.with_session(|session| {
        let failed = |error: credence_core::file_error::FileError| Failed::from(chain(&error));
        let values = session.source_values();
        let scan = LeakScan::new(&values)?;
        for unsearchable in scan.unsearchable() {
            eprintln!("secrecy: not searched for: {unsearchable}");
        }
        let Some(control) = values.iter().find(|value| is_searchable(value)).filter(|_| scan.searchable() >= 5) else {
            return Err(Failed::from(format!("only {} values to search for", scan.searchable())));
        };
        // JSON, as reports and logs are.
        let path = shared.out.join("control.json");
        std::fs::create_dir_all(&shared.out)?;
        std::fs::write(&path, serde_json::json!([String::from_utf8_lossy(control.expose())]).to_string())?;
        let found_control = file_scan::search_directory(&scan, &shared.out, &OWN);
        std::fs::remove_file(&path)?;
        if !found_control.map_err(failed)?.iter().any(|(found, _)| *found == path) {
            return Err(Failed::from("the search does not find a value that is there"));
        }
        let mut found = file_scan::search_directory(&scan, &shared.out, &OWN).map_err(failed)?;
        for directory in session.directories() {
            found.extend(file_scan::search_directory(&scan, directory, &OWN).map_err(failed)?);
        }
        found.extend(file_scan::search_command_lines(&scan).map_err(failed)?);
        if found.is_empty() { Ok(()) } else { Err(Failed::from(format!("found values in {found:?}"))) }
    })
}
