//! One run from start to report: announce, sweep, obtain, start, deploy, test, write.

use std::future::Future;
use std::sync::Arc;

use credence_core::text::chain;
use credence_report::report::{Report, Unfinished};
use jiff::Timestamp;

use crate::driver::Registered;
pub use crate::error::RunError;
use crate::events::Events;
use crate::load;
use crate::options::Options;
use crate::registry;
use crate::reports::{self, Written};
pub use crate::session::Session;
pub use crate::stop::Stop;

/// Runs and writes the reports. `stop` ends it early, with a report of what ran until then.
///
/// # Errors
/// When the run cannot take place or its reports cannot be written.
pub async fn run(options: &Options, events: &Arc<dyn Events>, stop: &Stop) -> Result<(Report, Written), RunError> {
    let mut session = set_up(options, events, stop).await?;
    session.obtain_consumers();
    let (wanted, others): (Vec<&dyn Registered>, Vec<&dyn Registered>) =
        registry::PROPERTIES.iter().partition(|property| options.wants(property.meta().id));
    for property in others {
        session.skip(events.as_ref(), &property.meta(), "not selected by --property");
    }
    let (unwanted, wanted): (Vec<&dyn Registered>, Vec<&dyn Registered>) =
        wanted.into_iter().partition(|property| session.not_applicable(property.meta().id).is_some());
    for property in unwanted {
        let reason = session.not_applicable(property.meta().id).unwrap_or_default();
        session.skip(events.as_ref(), &property.meta(), &reason);
    }
    session.test(events, &wanted, stop).await;
    session.finish(events.as_ref()).await
}

/// Starts a session under reports that say that the run has not finished. When the set-up fails they say why.
///
/// # Errors
/// When those reports cannot be written, the session cannot be started, or `stop` was requested.
pub async fn set_up(options: &Options, events: &Arc<dyn Events>, stop: &Stop) -> Result<Session, RunError> {
    let session = async {
        tokio::select! {
            biased;
            // There is nothing to report yet; what was started ends as the set-up is dropped.
            () = stop.requested() => Err(RunError::Interrupted),
            session = Session::start(options.clone(), events) => session,
        }
    };
    announced(options, events.as_ref(), session).await
}

/// Awaits a set-up under the reports of a run that has not finished: they stay when the process ends in any way.
async fn announced<T>(
    options: &Options,
    events: &dyn Events,
    set_up: impl Future<Output = Result<T, RunError>>,
) -> Result<T, RunError> {
    let config = load::shown(options.config.as_deref());
    let run = Unfinished::begun(options.seed, options.strict, Timestamp::now(), &config);
    reports::write_unfinished(&options.out, &run).map_err(RunError::Out)?;
    if let Some(trail) = &options.trail {
        trail.begin(&options.out)?;
    }
    let outcome = set_up.await;
    if let Err(error) = &outcome
        && let Err(unwritten) = reports::write_unfinished(&options.out, &run.failed(&chain(error)))
    {
        // The reports that are there say that the run did not finish, which is true as well.
        events.note(&format!("the reports do not say why the set-up failed: {}", chain(&unwritten)));
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::path::Path;

    use credence_programs::supply::{Part, Progress, Step};
    use credence_report::report::State;
    use credence_report::report::testing::{property, record, report};
    use credence_report::verdict::Outcome;
    use futures::FutureExt;

    use super::*;
    use crate::events::Event;
    use crate::options::testing::options;

    struct Silent;

    impl Progress for Silent {
        fn step(&self, _part: Part, _step: &Step) {}
        fn note(&self, _text: &str) {}
    }

    impl Events for Silent {
        fn event(&self, _event: &Event<'_>) {}
    }

    /// A run into a directory that has the reports of a run that held.
    fn after_a_success(out: &Path) -> Options {
        let green = report(false, vec![property(&[record(0, Outcome::Held)])]);
        reports::write(out, &green).unwrap();
        Options { config: Some("my config".into()), ..options(out.to_owned()) }
    }

    fn read(out: &Path) -> Unfinished {
        serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn the_reports_say_unfinished_from_before_the_set_up_to_after_it() {
        let out = tempfile::tempdir().unwrap();
        let options = after_a_success(out.path());
        let during = announced(&options, &Silent, async { Ok(read(out.path())) }).await.unwrap();
        assert_eq!((during.state, during.seed, during.config.path.as_str()), (State::Unfinished, 7, "my config"));
        assert_eq!(read(out.path()), during);
    }

    #[tokio::test]
    async fn a_set_up_that_fails_is_the_report() {
        let out = tempfile::tempdir().unwrap();
        let options = after_a_success(out.path());
        let outcome = announced(&options, &Silent, async { Err::<(), _>(RunError::Images) }).await;
        assert!(matches!(outcome, Err(RunError::Images)), "{outcome:?}");
        let run = read(out.path());
        assert_eq!((run.state, run.reason), (State::Failed, chain(&RunError::Images)));
        let junit = std::fs::read_to_string(out.path().join("junit.xml")).unwrap();
        assert!(junit.contains(r#"<testcase name="set-up""#) && junit.contains(r#"errors="1""#), "{junit}");
    }

    #[tokio::test]
    async fn a_set_up_that_panics_leaves_the_unfinished_report() {
        let out = tempfile::tempdir().unwrap();
        let options = after_a_success(out.path());
        let panics = announced(&options, &Silent, async { panic!("on purpose") });
        let outcome: Result<Result<(), RunError>, _> = AssertUnwindSafe(panics).catch_unwind().await;
        assert!(outcome.is_err());
        assert_eq!(read(out.path()).state, State::Unfinished);
    }

    #[tokio::test]
    async fn a_run_that_is_stopped_at_once_says_so_in_its_reports() {
        let out = tempfile::tempdir().unwrap();
        let (options, stop) = (after_a_success(out.path()), Stop::default());
        stop.request();
        let outcome = run(&options, &(Arc::new(Silent) as _), &stop).await;
        assert!(matches!(outcome, Err(RunError::Interrupted)));
        let run = read(out.path());
        assert_eq!((run.state, run.reason.as_str()), (State::Failed, "interrupted before anything was tested"));
    }

    #[tokio::test]
    async fn reports_that_cannot_be_written_end_a_run_before_its_set_up() {
        let out = tempfile::tempdir().unwrap();
        let options = after_a_success(out.path());
        let options = Options { out: out.path().join("report.json"), ..options };
        let set_up = async { unreachable!("nothing is set up") };
        let outcome: Result<(), RunError> = announced(&options, &Silent, set_up).await;
        let error = outcome.unwrap_err();
        assert!(error.is_usage() && chain(&error).contains("report.json"), "{}", chain(&error));
    }
}
