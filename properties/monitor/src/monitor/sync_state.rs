//! Kinds of objects that are in sight, and why not the others.

use std::collections::{BTreeMap, BTreeSet};

use super::status::WatchedKind;

/// Why a kind of objects is out of sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchFailure {
    /// The error with its causes, for a person.
    pub text: String,
    /// Advice, where that is known.
    pub advice: Option<&'static str>,
    /// True if asking again is of no use until somebody changes rights or the cluster.
    pub is_refusal: bool,
}

/// Kinds of objects that are in sight.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncState {
    watched: BTreeSet<WatchedKind>,
    listed: BTreeSet<WatchedKind>,
    failures: BTreeMap<WatchedKind, WatchFailure>,
}

impl SyncState {
    /// Nothing of these kinds is in sight yet.
    pub(super) fn of(kinds: impl IntoIterator<Item = WatchedKind>) -> Self {
        Self { watched: kinds.into_iter().collect(), ..Self::default() }
    }

    /// A list of this kind is complete, and a watch follows.
    pub(super) fn gain(&mut self, kind: WatchedKind) {
        self.listed.insert(kind);
        self.failures.remove(&kind);
    }

    /// The list or watch of this kind failed. What was seen before is still known.
    pub(super) fn lose(&mut self, kind: WatchedKind, failure: WatchFailure) {
        self.failures.insert(kind, failure);
    }

    /// True if every kind has been listed once, so that there is something to say.
    pub fn is_complete(&self) -> bool {
        self.listed == self.watched
    }

    /// True if what is known is up to date.
    pub(crate) fn is_clear(&self) -> bool {
        self.is_complete() && self.failures.is_empty()
    }

    /// True if waiting for the first lists has come to an end: all are complete, or some were refused and every other one
    /// has had its answer too.
    pub(super) fn is_decided(&self) -> bool {
        let has_answer = |kind| self.listed.contains(kind) || self.failures.contains_key(kind);
        let is_refused = self.failures.values().any(|failure| failure.is_refusal);
        self.is_complete() || (is_refused && self.watched.iter().all(has_answer))
    }

    /// Every kind, and whether it is in sight.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (WatchedKind, bool)> {
        let is_up = |kind: &WatchedKind| self.listed.contains(kind) && !self.failures.contains_key(kind);
        self.watched.iter().map(move |kind| (*kind, is_up(kind)))
    }

    /// Fault of each kind that is out of sight.
    pub fn failures(&self) -> &BTreeMap<WatchedKind, WatchFailure> {
        &self.failures
    }

    /// Says in one line for each kind why it is out of sight, and then what to do; nothing if all are in sight.
    pub fn explain(&self) -> String {
        let unseen = self.watched.iter().filter_map(|kind| match self.failures.get(kind) {
            Some(failure) => Some(format!("{}: {}\n", kind.as_str(), failure.text)),
            None if !self.listed.contains(kind) => Some(format!("{}: not listed yet\n", kind.as_str())),
            None => None,
        });
        let advice: BTreeSet<&str> = self.failures.values().filter_map(|failure| failure.advice).collect();
        unseen.chain(advice.into_iter().map(|advice| format!("{advice}\n"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(is_refusal: bool) -> WatchFailure {
        WatchFailure { text: "it said no".to_owned(), advice: Some("ask again"), is_refusal }
    }

    #[test]
    fn a_refusal_ends_the_wait_when_all_have_answered_and_a_failure_does_not() {
        let mut sync_state = SyncState::of([WatchedKind::Secrets, WatchedKind::PullSecrets, WatchedKind::Stores]);
        sync_state.lose(WatchedKind::Secrets, failure(true));
        sync_state.gain(WatchedKind::Stores);
        assert!(!sync_state.is_decided());
        sync_state.lose(WatchedKind::PullSecrets, failure(true));
        assert!(sync_state.is_decided());
        assert_eq!(sync_state.explain(), "secrets: it said no\npull_secrets: it said no\nask again\n");
        sync_state.gain(WatchedKind::PullSecrets);
        sync_state.lose(WatchedKind::Secrets, failure(false));
        assert!(!sync_state.is_decided());
        sync_state.gain(WatchedKind::Secrets);
        assert!(sync_state.is_decided());
    }

    #[test]
    fn the_watches_are_synced_only_when_every_kind_is_listed_and_none_has_failed() {
        let mut sync_state = SyncState::of([WatchedKind::Secrets, WatchedKind::Stores]);
        sync_state.gain(WatchedKind::Secrets);
        assert_eq!((sync_state.is_complete(), sync_state.is_clear()), (false, false));
        assert_eq!(sync_state.explain(), "cluster_secret_stores: not listed yet\n");
        sync_state.gain(WatchedKind::Stores);
        assert_eq!((sync_state.is_complete(), sync_state.is_clear(), sync_state.explain().as_str()), (true, true, ""));
        sync_state.lose(WatchedKind::Secrets, failure(false));
        assert_eq!((sync_state.is_complete(), sync_state.is_clear()), (true, false));
        assert_eq!(sync_state.explain(), "secrets: it said no\nask again\n");
        assert_eq!(
            sync_state.kinds().collect::<Vec<_>>(),
            [(WatchedKind::Secrets, false), (WatchedKind::Stores, true)]
        );
        sync_state.gain(WatchedKind::Secrets);
        assert!(sync_state.is_clear());
    }
}
