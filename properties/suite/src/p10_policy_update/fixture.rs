//! Fixture of p10: what its slots have among themselves.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Mutex;

use crate::fixture::{Fixture, FixtureError};
use crate::supplies::Supplies;
use crate::testbed::TestBed;
use crate::testbed::background::Background;

/// The changes of policies that are under way.
#[derive(Debug, Default)]
pub(crate) struct PolicyChanges {
    /// Held by the slot that changes an admission policy of the configuration.
    pub(super) admission: Arc<Mutex<()>>,
    /// The slots, each of which puts back what it has changed.
    pub(super) slots: Background,
}

impl Fixture for PolicyChanges {
    async fn set_up(_bed: &Arc<TestBed>, _supplies: &Supplies) -> Result<Self, FixtureError> {
        Ok(Self::default())
    }

    fn settle<'a>(&'a self, bed: &'a TestBed) -> BoxFuture<'a, ()> {
        self.slots.settle(&bed.cluster).boxed()
    }
}
