//! The consumers as what the cases of p07 need.

use std::sync::Arc;

use credence_consumers::running::Consumers;
use credence_report::report::Phase;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::fixture::{Evidence, Fixture, FixtureError};
use crate::supplies::{ConsumerSupplyError, Supplies};
use crate::testbed::TestBed;

impl Fixture for Consumers {
    async fn set_up(bed: &Arc<TestBed>, supplies: &Supplies) -> Result<Self, FixtureError> {
        let supply = supplies.consumers.as_ref().ok_or(FixtureError::new(ConsumerSupplyError::None))?;
        supply.start(bed).await.map_err(FixtureError::new)
    }

    fn phase(&self) -> Option<Phase> {
        Some(Phase::new("consumers", self.took))
    }

    fn evidence(&self) -> BoxFuture<'_, Result<Option<Evidence>, FixtureError>> {
        let recorded = async {
            let path = self.forge.evidence().await.map_err(FixtureError::new)?;
            Ok(Some(Evidence { name: "forge.jsonl", path }))
        };
        recorded.boxed()
    }

    fn save_logs(&self) -> BoxFuture<'_, ()> {
        self.save_logs().boxed()
    }
}
