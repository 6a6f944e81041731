//! One run from start to report: sweep, obtain, start, deploy, test, write.

use std::sync::Arc;

use credence_report::report::{Report, Written};

use crate::driver::Registered;
pub use crate::error::RunError;
use crate::events::Events;
use crate::options::Options;
use crate::registry;
use crate::session::Session;
use crate::stop::Stop;

/// Runs and writes the reports. `stop` ends it early, with a report of what ran until then.
///
/// # Errors
/// When the run cannot take place or its reports cannot be written.
pub async fn run(options: &Options, events: &Arc<dyn Events>, stop: &Stop) -> Result<(Report, Written), RunError> {
    let mut session = tokio::select! {
        biased;
        // There is nothing to report yet; what was started ends as the set-up is dropped.
        () = stop.requested() => return Err(RunError::Interrupted),
        session = Session::start(options.clone(), events) => session?,
    };
    session.obtain_consumers();
    let (wanted, others): (Vec<&dyn Registered>, Vec<&dyn Registered>) =
        registry::PROPERTIES.iter().partition(|property| options.wants(property.meta().id));
    for property in others {
        session.skip(events.as_ref(), &property.meta(), "not selected by --property");
    }
    session.test(events.as_ref(), &wanted, stop).await;
    session.finish(events.as_ref()).await
}
