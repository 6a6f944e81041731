//! The `cargo test` entry: each property is a listed test, run on one real control plane.
//!
//! `cargo test --test conformance -- p03` runs one of them. `CREDENCE_CASES` and `CREDENCE_SEED` set the number of
//! cases (100) and the seed (random). Listing contacts nothing.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use credence::console::Console;
use credence::consumers::Consumer;
use credence::copies::chain;
use credence::driver::{Property, Registered};
use credence::p07_credential_types::CredentialTypes;
use credence::registry::PROPERTIES;
use credence::session::Session;
use credence::stop::Stop;
use credence::verdict::Verdict;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

#[path = "support/canary.rs"]
mod canary;
mod support;
#[path = "support/took.rs"]
mod took;

use support::options;

/// The session that all trials share; the first that runs starts it.
struct Shared {
    runtime: Runtime,
    console: Console,
    out: PathBuf,
    session: Mutex<Option<Session>>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One cluster and one set of sources: properties take turns, their cases run side by side.
    arguments.test_threads = Some(1);
    let runtime = Runtime::new().expect("a runtime can be started");
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    let shared = Arc::new(Shared { runtime, console: Console::stderr(), out, session: Mutex::default() });
    let mut trials: Vec<Trial> = PROPERTIES.iter().map(|property| trial(&shared, *property)).collect();
    let owner = Arc::clone(&shared);
    let name = "every_application_works_from_the_central_store_on_and_again_after_a_rotation";
    // Fewer cases do not reach every application.
    let too_few = options(&shared.out).cases < 100;
    trials.push(took::trial(name, move || workflow(&owner)).with_ignored_flag(too_few));
    let owner = Arc::clone(&shared);
    trials.push(took::trial("no_credential_value_reaches_a_file_or_a_command_line", move || secrecy(&owner)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    took::print_slowest();
    let session = shared.session.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(session) = session {
        // Clean-up can still find what a property left behind.
        match shared.runtime.block_on(session.finish(&shared.console)) {
            Ok((report, _)) if report.exit_code().code() == 0 => {}
            Ok((report, written)) => {
                eprintln!("conformance: {:?}, see {}", report.exit_code(), written.json.display());
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

fn trial(shared: &Arc<Shared>, property: &'static dyn Registered) -> Trial {
    let meta = property.meta();
    let shared = Arc::clone(shared);
    let name = format!("{}_{}", meta.id, meta.title.replace([' ', '-'], "_"));
    took::trial(name, move || {
        shared.with_session(|session| {
            let report = shared.runtime.block_on(session.test(&shared.console, property, &Stop::default()));
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
    fn with_session(&self, work: impl FnOnce(&mut Session) -> Result<(), Failed>) -> Result<(), Failed> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = match session.as_mut() {
            Some(session) => session,
            None => {
                let started = self.runtime.block_on(Session::start(options(&self.out), &self.console));
                session.insert(started.map_err(|error| Failed::from(chain(&error)))?)
            }
        };
        work(session)
    }
}

/// Each case of p07 walks from the source to an application, and again after a rotation. Here: there was such a walk to
/// every application that can run on this machine, and it was let in at both ends of it.
fn workflow(shared: &Shared) -> Result<(), Failed> {
    shared.with_session(|session| {
        let id = CredentialTypes::META.id;
        if session.report_of(id).is_none() {
            shared.runtime.block_on(session.test(&shared.console, &CredentialTypes, &Stop::default()));
        }
        let report = session.report_of(id).ok_or("p07 was not tested")?;
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

/// Searches everything that this run wrote, and the command lines of all processes, for values that it generated.
fn secrecy(shared: &Shared) -> Result<(), Failed> {
    shared.with_session(|session| {
        let needles = canary::needles(session);
        if needles.len() < 10 {
            return Err(Failed::from(format!("only {} values to search for", needles.len())));
        }
        let control = shared.out.join("control.txt");
        std::fs::create_dir_all(&shared.out)?;
        std::fs::write(&control, &needles[0])?;
        let needles = aho_corasick::AhoCorasick::new(&needles)?;
        let found_control = canary::search_files(&shared.out, &needles);
        std::fs::remove_file(&control)?;
        if found_control.is_empty() {
            return Err(Failed::from("the search does not find a value that is there"));
        }
        let mut found = canary::search_files(&shared.out, &needles);
        found.extend(canary::search_files(session.directory(), &needles));
        found.extend(canary::search_command_lines(&needles));
        if found.is_empty() { Ok(()) } else { Err(Failed::from(format!("found values in {found:?}"))) }
    })
}
