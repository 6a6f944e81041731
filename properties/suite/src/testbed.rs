//! Test bed of all cases: one cluster, the configuration's model, its sources and the pool of namespaces.
//!
//! What one property alone needs is its [fixture](crate::fixture), and what a run sets up for some are its
//! [supplies](crate::supplies).

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::cluster::Cluster;
use credence_cluster::operator;
use credence_core::id::{CaseId, agent};
use credence_model::model::{Bound, Distribution, Model, Tampering};
use credence_watch::observer::Observer;
use credence_watch::wait::{self, Progress, WaitError};
use kube::Client;

use crate::schedule::MOST_NAMESPACES;
use crate::testbed::namespaces::Namespaces;
use crate::testbed::sources::Sources;
use crate::testbed::stores::Backends;

pub(crate) mod background;
pub mod bindings;
pub mod cleanup;
pub mod denial;
pub mod deploy;
pub mod known_bugs;
pub(crate) mod loopholes;
pub mod namespaces;
pub(crate) mod operator_api;
pub mod operator_resync;
pub(crate) mod renderings;
pub mod rotation;
pub(crate) mod secret_types;
pub mod settle;
pub mod sources;
pub mod stores;
pub mod tenant;
pub(crate) mod vault_login;

/// Time for which nothing may change at least and at most before an absence is believed, whatever the operator takes.
const HOLDS: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(5));
/// Passes of the operator for which nothing may change: the one that could be under way, and the next.
const PASSES: u32 = 2;

/// Time that the watches may take to see again, which they try every half second.
const SIGHT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Namespaces that every bound allows for, with the clean-up of the cases before.
const BUSY: u32 = MOST_NAMESPACES;
/// Reconciles that ESO runs at the same time.
pub const WORKERS: NonZero<u32> = NonZero::new(operator::CONCURRENCY).expect("a constant above zero");

/// The place of cases, and what all of them share.
pub struct TestBed {
    /// Cluster that the configuration is deployed to.
    pub cluster: Arc<Cluster>,
    /// The watches of that cluster, which all cases share.
    pub observer: Arc<Observer>,
    /// Demands of the configuration, from which expectations and bounds follow.
    pub model: Model,
    /// The sources and their leases.
    pub sources: Sources,
    /// The namespaces for cases, and the clean-up of those that were given back.
    pub namespaces: Namespaces,
}

impl TestBed {
    /// A test bed before its first case: it has all sources of `model`, and knows no value of any.
    pub fn new(cluster: Cluster, observer: Observer, model: Model, namespaces: Namespaces, backends: Backends) -> Self {
        let sources = Sources::new(model.sources.keys().cloned(), backends);
        model.distributions.iter().for_each(|distribution| sources.renderings().add(distribution));
        Self { cluster: Arc::new(cluster), observer: Arc::new(observer), model, sources, namespaces }
    }

    /// The same with more credentials in it. Only its clean-up is its own, for whoever takes the credentials away again.
    #[must_use]
    pub(crate) fn with_credentials(&self, more: &Model) -> Self {
        let sources = self.sources.with(more.sources.keys().cloned());
        let namespaces = self.namespaces.with_own_clean_up();
        Self { sources, namespaces, ..self.with_model(self.model.with(more)) }
    }

    /// The same with a model that knows more of the same configuration.
    #[must_use]
    pub(crate) fn with_model(&self, model: Model) -> Self {
        let (cluster, observer) = (Arc::clone(&self.cluster), Arc::clone(&self.observer));
        Self { cluster, observer, model, sources: self.sources.with([]), namespaces: self.namespaces.clone() }
    }

    /// Time for which nothing may change before an absence is believed, after the case's positive control has been served.
    ///
    /// ESO handles each event of a namespace in one pass over all namespaces of a ClusterExternalSecret, so the pass
    /// that served the control has seen the namespace that must stay empty; the window covers what follows that pass, by what
    /// passes are seen to take.
    pub fn hold(&self) -> Duration {
        hold_for(self.observer.usual_pass())
    }

    /// Waits for the clean-up that is still going on.
    pub async fn settle(&self) {
        self.namespaces.settle(&self.cluster).await;
    }

    /// Waits until the shared watches see the cluster again, after its API server was away.
    ///
    /// # Errors
    /// When they stay blind.
    pub(crate) async fn until_synced(&self) -> Result<(), WaitError> {
        wait::poll("the watches see the cluster again", SIGHT, POLL_INTERVAL, || async {
            if let Some(why) = self.observer.staleness() {
                return Progress::NotYet(why);
            }
            // A deadline that begins later must find every watch where it goes on.
            let came = wait::fence(&self.observer, "a write after the API server was away").await;
            came.map_or_else(|error| Progress::NotYet(error.to_string()), Progress::Done)
        })
        .await
    }

    /// A client whose user agent names the case, so that audit entries join to it.
    pub(crate) fn client_for(&self, case: CaseId) -> Client {
        self.cluster.client_as(&agent(case))
    }

    /// Time within which a change of labels must show when as many namespaces change as ask one ClusterExternalSecret at once.
    pub fn provisioning_bound(&self) -> Duration {
        Model::provisioning_bound(BUSY)
    }

    /// The same for one ClusterExternalSecret that selects all of these `namespaces`.
    pub(crate) fn provisioning_bound_of(&self, namespaces: usize) -> Duration {
        let namespaces = u32::try_from(namespaces).unwrap_or(u32::MAX);
        Model::provisioning_bound(BUSY.max(namespaces))
    }

    /// Time within which an update must reach the copies of `distribution`, among as many dependents as there are at once.
    pub fn propagation_bound(&self, distribution: &Distribution) -> Bound {
        self.model.propagation_bound(distribution, BUSY, WORKERS)
    }

    /// Time within which a copy of `distribution` must be what it was after it was changed by hand.
    pub fn healing_bound(&self, distribution: &Distribution, tampering: Tampering) -> Bound {
        self.model.healing_bound(distribution, tampering, BUSY, WORKERS)
    }

    /// Time after an outage that lasted for `outage` within which the copies of `distribution` must follow their source again.
    pub fn recovery_bound(&self, distribution: &Distribution, outage: Duration) -> Bound {
        self.model.recovery_bound(distribution, outage, BUSY, WORKERS)
    }
}

/// Time that is held where the operator usually takes this for a pass.
fn hold_for(pass: Option<Duration>) -> Duration {
    pass.map_or(HOLDS.0, |pass| pass.saturating_mul(PASSES).clamp(HOLDS.0, HOLDS.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_is_believed_after_what_the_operator_takes_for_some_passes() {
        let hold = |milliseconds| hold_for(Some(Duration::from_millis(milliseconds)));
        assert_eq!(hold_for(None), HOLDS.0);
        assert_eq!(hold(50), HOLDS.0, "no less than a round trip of everything takes");
        assert_eq!(hold(400), Duration::from_millis(800));
        assert_eq!(hold(60_000), HOLDS.1);
    }
}
