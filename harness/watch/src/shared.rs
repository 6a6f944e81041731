//! One watch of one custom kind, shared by everybody who waits for its objects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use kube::api::DynamicObject;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::wait::{self, Progress, WaitError, WatchHandle};

/// Time that the first list may take.
const FIRST_LIST: Duration = Duration::from_mins(3);

/// An object's namespace and name.
pub type Key = (String, String);

#[derive(Debug)]
struct State<T> {
    seen: BTreeMap<Key, T>,
    listed: bool,
    /// The last error of the watch, while it lasts.
    staleness: Option<String>,
}

/// The watch, with what it reads of each object. Ends when dropped.
#[derive(Debug)]
pub struct SharedWatch<T> {
    state: Arc<Mutex<State<T>>>,
    version: watch::Sender<u64>,
    _task: JoinSet<()>,
}

impl<T: Send + 'static> SharedWatch<T> {
    /// Opens the watch and waits for its first list; `what` names the kind in messages.
    pub async fn open(api: Api<DynamicObject>, what: &str, read: fn(&DynamicObject) -> T) -> Result<Self, WaitError> {
        let state = Arc::new(Mutex::new(State { seen: BTreeMap::new(), listed: false, staleness: None }));
        let (version, _) = watch::channel(0);
        let mut task = JoinSet::new();
        task.spawn(follow(api, read, Arc::clone(&state), version.clone()));
        let shared = Self { state, version, _task: task };
        shared
            .until_changed(&format!("the first list of {what}"), FIRST_LIST, |state| {
                if state.listed { Progress::Done(()) } else { Progress::NotYet("nothing".to_owned()) }
            })
            .await?;
        Ok(shared)
    }

    /// Runs `look` on what is known of an object.
    pub fn look<R>(&self, namespace: &str, name: &str, look: impl FnOnce(Option<&T>) -> R) -> R {
        look(self.state().seen.get(&key(namespace, name)))
    }

    /// Runs `look` on all that is known, by namespace and name.
    pub fn look_at_all<R>(&self, look: impl FnOnce(&BTreeMap<Key, T>) -> R) -> R {
        look(&self.state().seen)
    }

    /// Waits until `step`, asked at each change to any object of the kind, is done with this one.
    pub async fn until<R>(
        &self,
        (namespace, name): (&str, &str),
        what: &str,
        within: Duration,
        mut step: impl FnMut(Option<&T>) -> Progress<R>,
    ) -> Result<R, WaitError> {
        let key = key(namespace, name);
        self.until_changed(what, within, |state| step(state.seen.get(&key))).await
    }

    /// Waits until `step`, asked at each change to any object of the kind, is done with all of them, by namespace and name.
    pub async fn until_all<R>(
        &self,
        what: &str,
        within: Duration,
        mut step: impl FnMut(&BTreeMap<Key, T>) -> Progress<R>,
    ) -> Result<R, WaitError> {
        self.until_changed(what, within, |state| step(&state.seen)).await
    }

    async fn until_changed<R>(
        &self,
        what: &str,
        within: Duration,
        mut step: impl FnMut(&State<T>) -> Progress<R>,
    ) -> Result<R, WaitError> {
        let staleness = || self.state().staleness.clone();
        let handle = WatchHandle { changes: self.version.subscribe(), staleness, excluded: || Duration::ZERO };
        wait::until_changed(handle, what, within, || step(&self.state())).await
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(namespace: &str, name: &str) -> Key {
    (namespace.to_owned(), name.to_owned())
}

async fn follow<T>(
    api: Api<DynamicObject>,
    read: fn(&DynamicObject) -> T,
    state: Arc<Mutex<State<T>>>,
    version: watch::Sender<u64>,
) {
    let of = |object: &DynamicObject| (object.namespace().unwrap_or_default(), object.name_any());
    let stream = watcher(api, watcher::Config::default()).default_backoff();
    pin_mut!(stream);
    let mut relisted = BTreeMap::new();
    while let Some(event) = stream.next().await {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        // A relist begins before the API server has been asked, so its beginning is no sign of life.
        if matches!(event, Ok(ref event) if !matches!(event, watcher::Event::Init)) {
            state.staleness = None;
        }
        match event {
            Ok(watcher::Event::Apply(object)) => {
                state.seen.insert(of(&object), read(&object));
            }
            Ok(watcher::Event::Delete(object)) => {
                state.seen.remove(&of(&object));
            }
            Ok(watcher::Event::Init) => relisted.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                relisted.insert(of(&object), read(&object));
            }
            Ok(watcher::Event::InitDone) => {
                state.seen = std::mem::take(&mut relisted);
                state.listed = true;
            }
            Err(error) => state.staleness = Some(error.to_string()),
        }
        drop(state);
        version.send_modify(|version| *version += 1);
    }
}
