//! Watches a live cluster with a configuration and serves what is wrong as Prometheus metrics.
//!
//! ```text
//!  watch ──▶ state ──▶ health ──▶ metrics ──▶ server
//!  lists     pure      pure       gauges,     /metrics
//!  events                         counters    /healthz, /findings
//! ```
//!
//! It only reads, and needs no value of any Secret: it asks for their metadata, in which the operator keeps a hash of the data,
//! the API server who wrote which key and when, and for the status of ExternalSecrets and stores. A template that stands in
//! an ExternalSecret's specification is not kept. What that cannot show is in `credence monitor --help`.

use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use credence_model::model::Model;
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;
use tokio::time::timeout;

mod health;
mod managed_fields;
mod metrics;
mod secret;
mod server;
mod state;
mod status;
mod sync_state;
mod table;
#[cfg(test)]
mod tests;
mod watch;

pub use health::{Credential, Finding, Health, Part, Problem, Sign};
pub use state::{State, StateEvent};
pub use status::{ExternalSecretStatus, StoreState, StoreStatus, WatchedKind};
pub use sync_state::{SyncState, WatchFailure};

use metrics::Metrics;

/// Manifests of a ServiceAccount with the rights that a monitor needs.
pub const RBAC: &str = include_str!("../../../fixtures/monitor/rbac.yaml");
/// Alert rules for Prometheus, as a file of rule groups.
pub const ALERTS: &str = include_str!("../../../fixtures/monitor/alerts.yaml");
/// Name of the monitor to the API server.
pub const USER_AGENT: &str = "credence-monitor";

/// Time that the first lists may take.
const FIRST_LISTS: Duration = Duration::from_secs(60);

/// Why there is no monitor.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum MonitorError {
    /// The address cannot be served.
    #[error("failed to listen on {address}; choose another address with --listen")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// External Secrets Operator's definitions are not there.
    #[error(
        "failed to find ExternalSecrets: the cluster serves none; install External Secrets Operator, or choose another \
         cluster with --context"
    )]
    NoOperator,
    /// The cluster does not answer.
    #[error("failed to discover the kinds that the cluster serves; {advice}")]
    Unreachable {
        advice: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
    /// Kinds that have to be watched cannot be listed.
    #[error("failed to list the objects to watch:\n{reasons}")]
    OutOfSight {
        /// A line for each kind, and what to do.
        reasons: String,
    },
}

/// Options of the watch, which the cluster itself does not tell.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Address at which metrics are served.
    pub listen: SocketAddr,
    /// Reconciles that the operator runs at the same time (`--concurrent`), for the bound of propagation.
    pub workers: NonZero<u32>,
}

/// Everything that watches and server share.
struct Shared {
    state: Arc<Mutex<State>>,
    sync_state: channel::Sender<SyncState>,
    metrics: Metrics,
}

impl Shared {
    fn new(state: State) -> Self {
        let sync_state = channel::Sender::new(SyncState::of(state.kinds()));
        let state = Arc::new(Mutex::new(state));
        let metrics = Metrics::new(&state, &sync_state);
        Self { state, sync_state, metrics }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gain(&self, kind: WatchedKind) {
        self.sync_state.send_modify(|sync_state| sync_state.gain(kind));
    }

    fn lose(&self, kind: WatchedKind, failure: WatchFailure) {
        self.metrics.count_failure(kind);
        self.sync_state.send_modify(|sync_state| sync_state.lose(kind, failure));
    }
}

/// A monitor at work. Ends when dropped.
pub struct Monitor {
    shared: Arc<Shared>,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Monitor {
    /// Begins to watch and to serve, and waits until everything has been listed once.
    ///
    /// # Errors
    /// When the address is taken, the cluster does not answer or has no External Secrets Operator, or a list is refused.
    pub async fn start(client: &Client, model: Model, options: &Options) -> Result<Self, MonitorError> {
        let failed = |source| MonitorError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let served = watch::Served::discover(client).await?;
        let state = State::new(model, options.workers);
        let kinds = state.kinds();
        let shared = Arc::new(Shared::new(state));
        let mut tasks = JoinSet::new();
        tasks.spawn(server::serve(listener, Arc::clone(&shared)));
        watch::begin(&mut tasks, client, &kinds, &served, &shared);
        let mut sync_state = shared.sync_state.subscribe();
        // Neither outcome of the wait says more than what is in sight after it.
        timeout(FIRST_LISTS, sync_state.wait_for(SyncState::is_decided)).await.ok();
        let seen = sync_state.borrow().clone();
        if !seen.is_complete() {
            return Err(MonitorError::OutOfSight { reasons: seen.explain().trim_end().to_owned() });
        }
        Ok(Self { shared, address, _tasks: tasks })
    }

    /// Address at which it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kinds of objects that are in sight, now and at every change.
    pub fn sync_state(&self) -> channel::Receiver<SyncState> {
        self.shared.sync_state.subscribe()
    }

    /// Text that `/metrics` serves, in the format of Prometheus.
    pub fn metrics(&self) -> String {
        self.shared.metrics.text()
    }
}
