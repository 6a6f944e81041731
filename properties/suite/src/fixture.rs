//! Set-up of a property for its cases alone, as its own type.

use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use credence_report::claim::SkippedCheck;
use credence_report::report::Phase;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::supplies::Supplies;
use crate::testbed::TestBed;

/// Set-up that all cases of a property need and no other property uses: made once in a run, in the turn of its property and
/// before its first case, and dropped before the cluster when the run has been reported.
pub trait Fixture: Send + Sync + 'static {
    /// Sets it up on a test bed.
    ///
    /// # Errors
    /// When it cannot be had: then no case of the property can tell anything.
    fn set_up(bed: &Arc<TestBed>, supplies: &Supplies) -> impl Future<Output = Result<Self, FixtureError>> + Send
    where
        Self: Sized;

    /// Waits for what goes on in it beside the cases.
    fn settle<'a>(&'a self, _bed: &'a TestBed) -> BoxFuture<'a, ()> {
        std::future::ready(()).boxed()
    }

    /// Checks of its property that cannot run for want of something that could not be obtained for it, each with the reason.
    fn skipped_checks(&self) -> Vec<SkippedCheck> {
        Vec::new()
    }

    /// Its set-up, if the report shows it as a phase of the run.
    fn phase(&self) -> Option<Phase> {
        None
    }

    /// Its record, if that is kept beside the reports.
    ///
    /// # Errors
    /// When it cannot be written down.
    fn evidence(&self) -> BoxFuture<'_, Result<Option<Evidence>, FixtureError>> {
        std::future::ready(Ok(None)).boxed()
    }

    /// Keeps the logs of what it started, after a run that failed.
    fn save_logs(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

/// Nothing, for properties whose cases need the test bed alone.
impl Fixture for () {
    async fn set_up(_bed: &Arc<TestBed>, _supplies: &Supplies) -> Result<Self, FixtureError> {
        Ok(())
    }
}

/// A file that shows what a fixture saw. No credential value is in it.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Its name beside the reports.
    pub name: &'static str,
    /// The file that the fixture wrote, from which it is copied.
    pub path: PathBuf,
}

/// A fixture could not be set up, or its record could not be kept.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct FixtureError(Box<dyn Error + Send + Sync>);

impl FixtureError {
    /// For the reason that a property has.
    pub fn new(reason: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(reason))
    }
}
