//! For tests that run the command's own way, from options to a report.

use std::sync::Arc;

use credence::console::Console;
use credence_core::text::chain;
use credence_report::report::Report;
use credence_suite::options::Options;
use credence_suite::run;
use credence_suite::run::Stop;
use libtest_mimic::Failed;

/// Runs, and gives the report whatever it says.
pub(crate) fn execute(options: &Options) -> Result<Report, Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(run::run(options, &(Arc::new(Console::stderr()) as _), &Stop::default()));
    outcome.map(|(report, _)| report).map_err(|error| Failed::from(chain(&error)))
}
