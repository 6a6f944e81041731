//! Means of outages, and those who log in during them.

use std::sync::Arc;

use credence_cluster::vault::Vault;
use credence_consumers::running::Consumers;
use credence_core::text::Reason;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::fixture::{Evidence, Fixture, FixtureError};
use crate::supplies::{FaultProxies, Supplies};
use crate::testbed::TestBed;
use crate::testbed::background::Background;

/// The outages that are under way, and what makes some of them.
pub(crate) struct Outages {
    /// Part of it that slots have.
    pub(super) means: Arc<Means>,
    /// The slots and checks, each of which ends the outages that it has made.
    pub(super) under_way: Background,
}

/// Means by which the outages of all slots are made.
pub(super) struct Means {
    /// The fault proxies, by store.
    pub(super) proxies: Arc<FaultProxies>,
    /// Vault, if a store reads from it.
    pub(super) vault: Option<Arc<Vault>>,
    /// The forge, for those that log in; or why nobody can.
    pub(super) consumers: Result<Consumers, Reason>,
}

impl Fixture for Outages {
    async fn set_up(bed: &Arc<TestBed>, supplies: &Supplies) -> Result<Self, FixtureError> {
        let consumers = match &supplies.forge {
            Some(forge) => forge.start(bed).await.map_err(Reason::of),
            None => Err("no forge was asked for".into()),
        };
        let means = Means { proxies: Arc::clone(&supplies.proxies), vault: supplies.vault.clone(), consumers };
        Ok(Self { means: Arc::new(means), under_way: Background::default() })
    }

    fn settle<'a>(&'a self, bed: &'a TestBed) -> BoxFuture<'a, ()> {
        self.under_way.settle(&bed.cluster).boxed()
    }

    fn evidence(&self) -> BoxFuture<'_, Result<Option<Evidence>, FixtureError>> {
        let recorded = async {
            let Ok(consumers) = &self.means.consumers else { return Ok(None) };
            let path = consumers.forge.evidence().await.map_err(FixtureError::new)?;
            Ok(Some(Evidence { name: "forge-in-outages.jsonl", path }))
        };
        recorded.boxed()
    }
}
