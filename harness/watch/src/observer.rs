//! Contents of the cluster, seen through one shared watch for each kind.
//!
//! The number of open watches does not depend on the number of cases. Values are kept as [`Credential`], and only
//! for objects that exist now, so memory follows the cluster and not the run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use credence_core::credential::Credential;
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::paused_time::PausedTime;
use crate::wait::pause;

mod fence;
mod passes;
pub mod recording;
mod seen;

pub use fence::FenceError;
pub(crate) use fence::{Fence, Versions};
use passes::{Passes, Seen};
pub use seen::{ExternalSecretSeen, NamespaceSeen, PodSeen, SecretEvent, SecretSeen};

/// Time that the first lists may take.
const FIRST_LIST: Duration = Duration::from_mins(3);

/// Pause before a watch that failed begins anew.
const AGAIN: Duration = Duration::from_millis(500);

/// Everything in sight.
#[derive(Debug, Default)]
struct State {
    secrets: BTreeMap<String, BTreeMap<String, SecretSeen>>,
    namespaces: BTreeMap<String, NamespaceSeen>,
    external_secrets: BTreeMap<String, BTreeMap<String, ExternalSecretSeen>>,
    pods: BTreeMap<String, BTreeMap<String, PodSeen>>,
    recordings: BTreeMap<String, Vec<mpsc::UnboundedSender<SecretEvent>>>,
    /// The last error of each kind's watch, while it lasts.
    staleness: BTreeMap<&'static str, String>,
    /// Number of times that a watch was interrupted, or was listed anew: each time it may have missed something.
    interruptions: u64,
    /// Time that the operator takes for what it makes.
    passes: Passes,
    /// The namespace of the fence's objects.
    fenced: Option<String>,
    /// The version of the fence's object that each kind's watch has shown.
    fences: Versions,
}

/// A consistent look at the cluster.
#[derive(Debug)]
pub struct View<'a> {
    state: &'a State,
}

impl View<'_> {
    /// A Secret, if it exists.
    pub fn secret(&self, namespace: &str, name: &str) -> Option<&SecretSeen> {
        self.state.secrets.get(namespace)?.get(name)
    }

    /// All Secrets of a namespace, by name.
    pub fn secrets(&self, namespace: &str) -> impl Iterator<Item = (&String, &SecretSeen)> {
        self.state.secrets.get(namespace).into_iter().flatten()
    }

    /// A namespace, if it exists.
    pub fn namespace(&self, name: &str) -> Option<&NamespaceSeen> {
        self.state.namespaces.get(name)
    }

    /// All namespaces, by name.
    pub fn namespaces(&self) -> impl Iterator<Item = (&String, &NamespaceSeen)> {
        self.state.namespaces.iter()
    }

    /// The names of the ExternalSecrets of a namespace.
    pub fn external_secrets(&self, namespace: &str) -> BTreeSet<&str> {
        self.state.external_secrets.get(namespace).into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    /// All pods of a namespace, by name.
    pub fn pods(&self, namespace: &str) -> impl Iterator<Item = (&String, &PodSeen)> {
        self.state.pods.get(namespace).into_iter().flatten()
    }

    /// A pod, if it exists.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&PodSeen> {
        self.state.pods.get(namespace)?.get(name)
    }

    /// The first kind whose watch has not shown its object in this version yet.
    pub(crate) fn not_shown(&self, versions: &Versions) -> Option<&'static str> {
        let shown = |kind: &str, version: &u64| self.state.fences.get(kind).is_some_and(|shown| shown >= version);
        versions.iter().find(|(kind, version)| !shown(kind, version)).map(|(kind, _)| *kind)
    }

    /// What an ExternalSecret says of itself, for a message.
    pub fn external_secret(&self, namespace: &str, name: &str) -> Option<&ExternalSecretSeen> {
        self.state.external_secrets.get(namespace)?.get(name)
    }
}

/// Why the cluster could not be watched.
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
}

impl Observer {
    /// Opens the watches and waits for their first lists.
    ///
    /// # Errors
    /// When a first list does not arrive in time.
    pub async fn start(client: &Client) -> Result<Self, ObserveError> {
        let (version, _) = watch::channel(0);
        let mut observer =
            Self { state: Arc::default(), version, paused_time: None, fence: None, tasks: JoinSet::new() };
        let (listed, mut lists) = mpsc::unbounded_channel();
        let mut missing = BTreeSet::from(["Secrets", "Namespaces", "ExternalSecrets", "Pods"]);
        observer.follow("Secrets", Api::<Secret>::all(client.clone()), listed.clone(), State::put_secret);
        observer.follow("Namespaces", Api::<Namespace>::all(client.clone()), listed.clone(), State::put_namespace);
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("external-secrets.io", "v1", "ExternalSecret"));
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
        Ok(self)
    }

    /// What can be written, so that the watches show it.
    pub(crate) fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    /// Time that the operator usually takes from the ExternalSecret that it makes to the copy; none before the first.
    pub fn usual_pass(&self) -> Option<Duration> {
        self.state().passes.usual()
    }

    /// Number of times that a watch may have missed something so far: what was seen between two equal figures is all
    /// that happened.
    pub fn interruptions(&self) -> u64 {
        self.state().interruptions
    }

    /// Lets no deadline count the time that the program under test stands still.
    #[must_use]
    pub fn excluding(mut self, paused_time: Option<PausedTime>) -> Self {
        self.paused_time = paused_time;
        self
    }

    /// All of that time until now.
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
        look(&View { state: &self.state() })
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
            let mut has_listed = false;
            loop {
                let stream = watcher(all.clone(), watcher::Config::default());
                pin_mut!(stream);
                let mut relisted: Option<Vec<K>> = None;
                while let Some(event) = stream.next().await {
                    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                    let failed = event.is_err();
                    match event {
                        Ok(event) => {
                            // A relist begins before the API server has been asked, so its beginning is no sign of life.
                            if !matches!(event, watcher::Event::Init) {
                                state.staleness.remove(kind);
                            }
                            match event {
                                watcher::Event::Apply(object) => {
                                    state.show_fence(kind, &object);
                                    put(&mut state, &object, true);
                                }
                                watcher::Event::Delete(object) => put(&mut state, &object, false),
                                watcher::Event::Init => relisted = Some(Vec::new()),
                                watcher::Event::InitApply(object) => relisted.get_or_insert_default().push(object),
                                watcher::Event::InitDone => {
                                    let recorded = state.forget(kind);
                                    for object in relisted.take().unwrap_or_default() {
                                        state.show_fence(kind, &object);
                                        put(&mut state, &object, true);
                                    }
                                    state.interruptions += u64::from(has_listed);
                                    has_listed = true;
                                    state.tell_gone(recorded);
                                    // The receiver is gone once the first lists are in; a relist later has nobody to tell.
                                    listed.send(kind).ok();
                                }
                            }
                        }
                        Err(error) => {
                            state.staleness.insert(kind, error.to_string());
                            state.interruptions += 1;
                        }
                    }
                    drop(state);
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

impl State {
    /// Keeps the version of an object if it is one of the fence's.
    fn show_fence(&mut self, kind: &'static str, object: &impl ResourceExt) {
        let Some(fenced) = &self.fenced else { return };
        let is_fence = match object.namespace() {
            Some(namespace) => namespace == *fenced && object.name_any() == fence::NAME,
            None => object.name_any() == *fenced,
        };
        if is_fence {
            self.fences.insert(kind, fence::resource_version(object));
        }
    }

    /// Forgets all objects of a kind before they are listed again; gives those whose changes are recorded.
    fn forget(&mut self, kind: &str) -> Vec<(String, String)> {
        match kind {
            "Secrets" => {
                let secrets = std::mem::take(&mut self.secrets).into_iter();
                let recorded = secrets.filter(|(namespace, _)| self.recordings.contains_key(namespace));
                return recorded
                    .flat_map(|(namespace, inside)| inside.into_keys().map(move |name| (namespace.clone(), name)))
                    .collect();
            }
            "Namespaces" => self.namespaces.clear(),
            "Pods" => self.pods.clear(),
            _ => self.external_secrets.clear(),
        }
        Vec::new()
    }

    /// Tells of Secrets that went while the watch saw nothing.
    fn tell_gone(&mut self, recorded: Vec<(String, String)>) {
        for (namespace, name) in recorded {
            if !self.secrets.get(&namespace).is_some_and(|inside| inside.contains_key(&name)) {
                self.tell(&namespace, &name, None);
            }
        }
    }

    /// Tells whoever records a namespace of a change.
    fn tell(&mut self, namespace: &str, name: &str, secret: Option<&SecretSeen>) {
        if let Some(recorders) = self.recordings.get_mut(namespace) {
            let event = SecretEvent { at: Instant::now(), name: name.to_owned(), secret: secret.cloned() };
            recorders.retain(|recorder| recorder.send(event.clone()).is_ok());
            if recorders.is_empty() {
                self.recordings.remove(namespace);
            }
        }
    }

    fn put_secret(&mut self, object: &Secret, exists: bool) {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let seen = exists.then(|| SecretSeen {
            uid: object.uid().unwrap_or_default(),
            owners: object.owner_references().iter().map(|owner| format!("{} {}", owner.kind, owner.name)).collect(),
            type_: object.type_.clone().unwrap_or_default(),
            labels: object.labels().clone(),
            data: object
                .data
                .iter()
                .flatten()
                .map(|(key, value)| (key.clone(), Credential::new(value.0.clone())))
                .collect(),
            resource_version: object.resource_version().unwrap_or_default(),
            deleting: object.metadata.deletion_timestamp.is_some(),
        });
        self.tell(&namespace, &name, seen.as_ref());
        place(&mut self.secrets, namespace, name, seen);
    }

    fn put_namespace(&mut self, object: &Namespace, exists: bool) {
        let name = object.name_any();
        if !exists {
            self.namespaces.remove(&name);
            return;
        }
        let remaining = object
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
            .filter(|condition| condition.status == "True")
            .filter_map(|condition| condition.message.clone())
            .collect();
        let seen = NamespaceSeen {
            labels: object.labels().clone(),
            finalizers: object.finalizers().to_vec(),
            deleting: object.metadata.deletion_timestamp.is_some(),
            emptied: object.spec.iter().flat_map(|spec| &spec.finalizers).flatten().next().is_none(),
            remaining,
        };
        self.namespaces.insert(name, seen);
    }

    fn put_pod(&mut self, object: &Pod, exists: bool) {
        let container = object.status.as_ref().and_then(|status| status.container_statuses.as_ref()?.first());
        let state = container.and_then(|container| container.state.as_ref());
        let ended = state.is_some_and(|state| state.terminated.is_some());
        let ran = ended || state.is_some_and(|state| state.running.is_some());
        let reason = state.and_then(|state| state.waiting.as_ref()?.reason.clone()).unwrap_or_default();
        let restarts = container.map_or(0, |container| container.restart_count);
        let seen = if ran { PodSeen::Ran { restarts, ended } } else { PodSeen::Waits { reason } };
        place(&mut self.pods, object.namespace().unwrap_or_default(), object.name_any(), exists.then_some(seen));
    }

    fn put_external_secret(&mut self, object: &DynamicObject, exists: bool) {
        let ready = object
            .data
            .pointer("/status/conditions")
            .and_then(serde_json::Value::as_array)
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == "Ready")
            .map(|ready| {
                let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
                format!("Ready={} {}", text("status"), text("reason"))
            });
        let refreshed = object.data.pointer("/status/refreshTime").and_then(serde_json::Value::as_str);
        let refreshed = refreshed.unwrap_or_default().to_owned();
        let seen = exists.then_some(ExternalSecretSeen { ready, refreshed });
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let is_known = self.external_secrets.get(&namespace).is_some_and(|inside| inside.contains_key(&name));
        let state = match &seen {
            None => Seen::Gone,
            Some(seen) if seen.says_ready() => Seen::Ready,
            Some(seen) if seen.ready.is_none() && !is_known => Seen::New,
            Some(_) => Seen::Other,
        };
        self.passes.see((&namespace, &name), state, Instant::now());
        place(&mut self.external_secrets, namespace, name, seen);
    }
}

fn place<T>(all: &mut BTreeMap<String, BTreeMap<String, T>>, namespace: String, name: String, value: Option<T>) {
    match value {
        Some(value) => {
            all.entry(namespace).or_default().insert(name, value);
        }
        None => {
            if let Some(inside) = all.get_mut(&namespace) {
                inside.remove(&name);
                if inside.is_empty() {
                    all.remove(&namespace);
                }
            }
        }
    }
}
