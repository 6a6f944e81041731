//! Contents of the cluster, seen through one shared watch for each kind.
//!
//! The number of open watches does not depend on the number of cases. Values are kept as credentials, and only
//! for objects that exist now, so memory follows the cluster and not the run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use credence_core::operator_api::{EXTERNAL_SECRETS_GROUP, EXTERNAL_SECRETS_VERSION};
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::paused_time::PausedTime;
use crate::wait::pause;

mod fence;
mod intake;
mod passes;
mod pulse;
pub mod recording;
mod seen;
mod state;
mod view;

pub use fence::FenceError;
pub(crate) use fence::{Fence, Versions};
use intake::Intake;
pub use seen::{ExternalSecretSeen, NamespaceSeen, PodSeen, SecretEvent, SecretSeen};
use state::State;
pub use view::View;

/// Time that the first lists may take.
const FIRST_LIST: Duration = Duration::from_mins(3);

/// Pause before a watch that failed begins anew.
const AGAIN: Duration = Duration::from_millis(500);

/// The cluster could not be watched.
#[derive(Debug, thiserror::Error)]
#[error("failed to list {missing} within {FIRST_LIST:?}{}", staleness.as_ref().map(|t| format!(": {t}")).unwrap_or_default())]
pub struct ObserveError {
    missing: String,
    staleness: Option<String>,
}

/// The shared watches. Ends them when dropped.
#[derive(Debug)]
pub struct Observer {
    state: Arc<Mutex<State>>,
    version: watch::Sender<u64>,
    paused_time: Option<PausedTime>,
    fence: Option<Fence>,
    tasks: JoinSet<()>,
    /// Asks the API server from time to time.
    pulse: JoinSet<()>,
}

impl Observer {
    /// Opens the watches and waits for their first lists.
    ///
    /// # Errors
    /// When a first list does not arrive in time.
    pub async fn start(client: &Client) -> Result<Self, ObserveError> {
        let (version, _) = watch::channel(0);
        let mut observer = Self {
            state: Arc::default(),
            version,
            paused_time: None,
            fence: None,
            tasks: JoinSet::new(),
            pulse: JoinSet::new(),
        };
        let (listed, mut lists) = mpsc::unbounded_channel();
        let mut missing = BTreeSet::from(["Secrets", "Namespaces", "ExternalSecrets", "Pods"]);
        observer.follow("Secrets", Api::<Secret>::all(client.clone()), listed.clone(), State::put_secret);
        observer.follow("Namespaces", Api::<Namespace>::all(client.clone()), listed.clone(), State::put_namespace);
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(
            EXTERNAL_SECRETS_GROUP,
            EXTERNAL_SECRETS_VERSION,
            "ExternalSecret",
        ));
        let all = Api::<DynamicObject>::all_with(client.clone(), &kind);
        observer.follow("ExternalSecrets", all, listed.clone(), State::put_external_secret);
        observer.follow("Pods", Api::<Pod>::all(client.clone()), listed, State::put_pod);
        let all = async {
            while !missing.is_empty() {
                let Some(kind) = lists.recv().await else { return };
                missing.remove(kind);
            }
        };
        if timeout(FIRST_LIST, all).await.is_err() {
            let missing = missing.into_iter().collect::<Vec<_>>().join(", ");
            return Err(ObserveError { missing, staleness: observer.staleness() });
        }
        Ok(observer)
    }

    /// Makes objects of our own in a new `namespace` with these labels. From now on an absence counts only once a write to them
    /// has come through the watches.
    ///
    /// # Errors
    /// When the API server refuses one.
    pub async fn fenced(
        mut self,
        client: &Client,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<Self, FenceError> {
        self.state().fenced = Some(namespace.to_owned());
        self.fence = Some(Fence::make(client, namespace, labels).await?);
        self.pulse.spawn(pulse::take(client.clone(), namespace.to_owned(), Arc::clone(&self.state)));
        Ok(self)
    }

    /// Objects that can be written, so that the watches show it.
    pub(crate) fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    /// Time that the operator usually takes from the ExternalSecret that it makes to the copy; none before the first.
    pub fn usual_pass(&self) -> Option<Duration> {
        self.state().passes.usual()
    }

    /// Number of times so far that a watch may have missed something, or the API server did not answer: what was seen between
    /// two equal figures is all that happened.
    pub(crate) fn interruptions(&self) -> u64 {
        self.state().interruptions
    }

    /// Excludes from deadlines the time during which the program under test is stopped.
    #[must_use]
    pub fn excluding(mut self, paused_time: Option<PausedTime>) -> Self {
        self.paused_time = paused_time;
        self
    }

    /// Time that was excluded so far.
    pub fn paused_time(&self) -> Duration {
        self.paused_time.as_ref().map(PausedTime::total).unwrap_or_default()
    }

    /// Number of watches that are open: one for each kind, however many cases run.
    pub fn open_watches(&self) -> usize {
        self.tasks.len()
    }

    /// Changes whenever anything in sight changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nobody can leave what is in it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the watch cannot see the cluster now, if so.
    pub fn staleness(&self) -> Option<String> {
        self.state().staleness.iter().next().map(|(kind, error)| format!("{kind}: {error}"))
    }

    /// Runs `look` on what the cluster holds now.
    pub fn look<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        look(&View::of(&self.state()))
    }

    fn follow<K>(
        &mut self,
        kind: &'static str,
        all: Api<K>,
        listed: mpsc::UnboundedSender<&'static str>,
        put: fn(&mut State, &K, bool),
    ) where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let state = Arc::clone(&self.state);
        let version = self.version.clone();
        self.tasks.spawn(async move {
            let mut intake = Intake::new(kind, listed, put);
            loop {
                let stream = watcher(all.clone(), watcher::Config::default());
                pin_mut!(stream);
                while let Some(event) = stream.next().await {
                    let failed = event.is_err();
                    intake.take(&mut state.lock().unwrap_or_else(PoisonError::into_inner), event);
                    version.send_modify(|version| *version += 1);
                    if failed {
                        break;
                    }
                }
                // A watch that goes on where it was shows nothing until something changes. A new list is a sign of life.
                pause::pass(AGAIN).await;
            }
        });
    }
}
