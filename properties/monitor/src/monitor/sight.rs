//! Which kinds of objects are in sight, and why not.

use std::collections::{BTreeMap, BTreeSet};

use super::status::Kind;

/// Why a kind of objects is out of sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What was said, in words.
    pub text: String,
    /// What to do, where that is known.
    pub advice: Option<&'static str>,
    /// Whether asking again is of no use until somebody changes rights or the cluster.
    pub is_refusal: bool,
}

/// Which kinds of objects are in sight.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    watched: BTreeSet<Kind>,
    listed: BTreeSet<Kind>,
    troubles: BTreeMap<Kind, Trouble>,
}

impl Sight {
    /// Nothing of these kinds is in sight yet.
    pub(super) fn of(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self { watched: kinds.into_iter().collect(), ..Self::default() }
    }

    /// A list of this kind is complete, and a watch follows.
    pub(super) fn gain(&mut self, kind: Kind) {
        self.listed.insert(kind);
        self.troubles.remove(&kind);
    }

    /// The list or watch of this kind failed. What was seen before is still known.
    pub(super) fn lose(&mut self, kind: Kind, trouble: Trouble) {
        self.troubles.insert(kind, trouble);
    }

    /// Whether every kind has been listed once, so that there is something to say.
    pub fn is_complete(&self) -> bool {
        self.listed == self.watched
    }

    /// Whether what is known is up to date.
    pub fn is_clear(&self) -> bool {
        self.is_complete() && self.troubles.is_empty()
    }

    /// Whether waiting for the first lists has come to an end: all are complete, or some were refused and every other one
    /// has had its answer too.
    pub(super) fn is_decided(&self) -> bool {
        let has_answer = |kind| self.listed.contains(kind) || self.troubles.contains_key(kind);
        let is_refused = self.troubles.values().any(|trouble| trouble.is_refusal);
        self.is_complete() || (is_refused && self.watched.iter().all(has_answer))
    }

    /// Every kind, and whether it is in sight.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (Kind, bool)> {
        let is_up = |kind: &Kind| self.listed.contains(kind) && !self.troubles.contains_key(kind);
        self.watched.iter().map(move |kind| (*kind, is_up(kind)))
    }

    /// What is wrong with each kind that is out of sight.
    pub fn troubles(&self) -> &BTreeMap<Kind, Trouble> {
        &self.troubles
    }

    /// Says in one line for each kind why it is out of sight, and then what to do; nothing if all are in sight.
    pub fn explain(&self) -> String {
        let unseen = self.watched.iter().filter_map(|kind| match self.troubles.get(kind) {
            Some(trouble) => Some(format!("{}: {}\n", kind.as_str(), trouble.text)),
            None if !self.listed.contains(kind) => Some(format!("{}: not listed yet\n", kind.as_str())),
            None => None,
        });
        let advice: BTreeSet<&str> = self.troubles.values().filter_map(|trouble| trouble.advice).collect();
        unseen.chain(advice.into_iter().map(|advice| format!("{advice}\n"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(is_refusal: bool) -> Trouble {
        Trouble { text: "it said no".to_owned(), advice: Some("ask again"), is_refusal }
    }

    #[test]
    fn a_refusal_ends_the_wait_when_all_have_answered_and_a_failure_does_not() {
        let mut sight = Sight::of([Kind::Secrets, Kind::PullSecrets, Kind::Stores]);
        sight.lose(Kind::Secrets, trouble(true));
        sight.gain(Kind::Stores);
        assert!(!sight.is_decided());
        sight.lose(Kind::PullSecrets, trouble(true));
        assert!(sight.is_decided());
        assert_eq!(sight.explain(), "secrets: it said no\npull_secrets: it said no\nask again\n");
        sight.gain(Kind::PullSecrets);
        sight.lose(Kind::Secrets, trouble(false));
        assert!(!sight.is_decided());
        sight.gain(Kind::Secrets);
        assert!(sight.is_decided());
    }

    #[test]
    fn sight_is_clear_only_when_every_kind_is_listed_and_none_is_in_trouble() {
        let mut sight = Sight::of([Kind::Secrets, Kind::Stores]);
        sight.gain(Kind::Secrets);
        assert_eq!((sight.is_complete(), sight.is_clear()), (false, false));
        assert_eq!(sight.explain(), "cluster_secret_stores: not listed yet\n");
        sight.gain(Kind::Stores);
        assert_eq!((sight.is_complete(), sight.is_clear(), sight.explain().as_str()), (true, true, ""));
        sight.lose(Kind::Secrets, trouble(false));
        assert_eq!((sight.is_complete(), sight.is_clear()), (true, false));
        assert_eq!(sight.explain(), "secrets: it said no\nask again\n");
        assert_eq!(sight.kinds().collect::<Vec<_>>(), [(Kind::Secrets, false), (Kind::Stores, true)]);
        sight.gain(Kind::Secrets);
        assert!(sight.is_clear());
    }
}
