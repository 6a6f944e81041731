//! What outages are made with.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::fixture::{Fixture, FixtureError};
use crate::supplies::{FaultProxies, Supplies};
use crate::testbed::TestBed;
use crate::testbed::background::Background;

/// The outages that are under way, and the fault proxies that make some of them.
pub struct Outages {
    /// The fault proxies, by store.
    pub(super) proxies: Arc<FaultProxies>,
    /// The slots and checks, each of which ends the outages that it has made.
    pub(super) under_way: Background,
}

impl Fixture for Outages {
    async fn set_up(_bed: &Arc<TestBed>, supplies: &Supplies) -> Result<Self, FixtureError> {
        Ok(Self { proxies: Arc::clone(&supplies.proxies), under_way: Background::default() })
    }

    fn settle<'a>(&'a self, bed: &'a TestBed) -> BoxFuture<'a, ()> {
        self.under_way.settle(&bed.cluster).boxed()
    }
}
