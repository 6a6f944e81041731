//! Events of one watch, taken into the state.

use kube::ResourceExt;
use kube::runtime::watcher::{Error, Event};
use tokio::sync::mpsc;

use super::state::State;

/// Takes the events of the watch of one kind, over all its lists.
pub(super) struct Intake<K> {
    kind: &'static str,
    /// Told of each list that is complete.
    listed: mpsc::UnboundedSender<&'static str>,
    /// Puts an object into the state, or out of it.
    put: fn(&mut State, &K, bool),
    /// Objects of a list that has begun.
    relisted: Vec<K>,
    has_listed: bool,
}

impl<K: ResourceExt> Intake<K> {
    pub(super) fn new(
        kind: &'static str,
        listed: mpsc::UnboundedSender<&'static str>,
        put: fn(&mut State, &K, bool),
    ) -> Self {
        Self { kind, listed, put, relisted: Vec::new(), has_listed: false }
    }

    pub(super) fn take(&mut self, state: &mut State, event: Result<Event<K>, Error>) {
        // A relist begins before the API server has been asked, and shows nothing before it has ended.
        if matches!(event, Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone)) {
            state.staleness.remove(self.kind);
        }
        match event {
            Ok(Event::Apply(object)) => self.show(state, &object),
            Ok(Event::Delete(object)) => (self.put)(state, &object, false),
            Ok(Event::Init) => self.relisted.clear(),
            Ok(Event::InitApply(object)) => self.relisted.push(object),
            Ok(Event::InitDone) => self.replace(state),
            Err(error) => {
                state.staleness.insert(self.kind, error.to_string());
                state.interruptions += 1;
            }
        }
    }

    fn show(&self, state: &mut State, object: &K) {
        state.show_fence(self.kind, object);
        (self.put)(state, object, true);
    }

    /// Replaces what the state has of the kind by the list.
    fn replace(&mut self, state: &mut State) {
        let recorded = state.forget(self.kind);
        for object in std::mem::take(&mut self.relisted) {
            self.show(state, &object);
        }
        state.interruptions += u64::from(self.has_listed);
        self.has_listed = true;
        state.tell_gone(recorded);
        // The receiver is gone once the first lists are in; a relist later has nobody to tell.
        self.listed.send(self.kind).ok();
    }
}
