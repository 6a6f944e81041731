//! Objectives of attempts: a value of a source, and a store to come by it. Pure.

use std::collections::BTreeSet;
use std::fmt;

use credence_model::config::{ClusterSecretStore, SourceRef};
use credence_model::model::{Model, Source};
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use super::tracers::SourceKey;
use crate::generate::{Pick, pick};

/// Objective of an attempt: by places in what the model has when it is tried, which can be more than when it was
/// generated.
#[derive(Clone)]
pub(super) struct Objective {
    source: Pick,
    key: Pick,
    store: Pick,
    /// True if the store is one that reads the source.
    fitting: bool,
    /// The sources that were known when it was generated, if it is only about these.
    among: Vec<SourceRef>,
}

impl fmt::Debug for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, key, store, fitting, among } = self;
        let of = if among.is_empty() { String::new() } else { format!(" of {}", among.len()) };
        let fitting = if *fitting { ", which reads it" } else { "" };
        write!(f, "key {key:?} of source {source:?}{of} through store {store:?}{fitting}")
    }
}

/// Value that an attempt is after, and the store that reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal<'a> {
    pub(super) source: &'a SourceRef,
    pub(super) key: &'a str,
    pub(super) store: &'a ClusterSecretStore,
}

impl Objective {
    /// Goal that the model has in this place. `None` if it has no source or no store.
    pub(super) fn at<'a>(&self, model: &'a Model) -> Option<Goal<'a>> {
        self.among(model, |_, _| true)
    }

    /// The same among what somebody is not entitled to; if there is nothing of that kind, among all.
    pub(super) fn beyond<'a>(&self, model: &'a Model, entitled: &BTreeSet<SourceKey>) -> Option<Goal<'a>> {
        let is_foreign = |source: &SourceRef, key: &str| !entitled.contains(&(source.clone(), key.to_owned()));
        self.among(model, is_foreign).or_else(|| self.at(model))
    }

    fn among<'a>(&self, model: &'a Model, wanted: impl Fn(&SourceRef, &str) -> bool) -> Option<Goal<'a>> {
        // What a provider has, no tenant can reach but through its store.
        let meant = |source: &SourceRef| source.is_secret() && (self.among.is_empty() || self.among.contains(source));
        let keys = |source: &'a SourceRef, about: &'a Source| -> Vec<&'a String> {
            about.keys.iter().filter(|key| wanted(source, key)).collect()
        };
        let sources = model.sources.iter().filter(|(name, _)| meant(name));
        let sources: Vec<_> = sources.map(|(name, about)| (name, keys(name, about))).collect();
        let sources: Vec<_> = sources.into_iter().filter(|(_, keys)| !keys.is_empty()).collect();
        let (source, keys) = some(self.source, &sources)?;
        let source = *source;
        let reads = |store: &&ClusterSecretStore| sources_of(model, &store.name).contains(&source);
        let fitting: Vec<&ClusterSecretStore> = model.stores.values().filter(reads).collect();
        let all: Vec<&ClusterSecretStore> = model.stores.values().filter(|store| store.kubernetes.is_some()).collect();
        let store = *some(self.store, if self.fitting && !fitting.is_empty() { &fitting } else { &all })?;
        Some(Goal { source, key: self.key.of::<&String>(keys), store })
    }

    /// One of several things that only a case knows.
    pub(super) fn any_of<'a, T>(&self, things: &'a [T]) -> Option<&'a T> {
        some(self.key, things)
    }
}

fn some<T>(pick: Pick, things: &[T]) -> Option<&T> {
    (!things.is_empty()).then(|| pick.of(things))
}

/// The sources that distributions read through a store.
pub(super) fn sources_of<'a>(model: &'a Model, store: &str) -> BTreeSet<&'a SourceRef> {
    let fields = model.distributions.iter().flat_map(|distribution| &distribution.fields);
    fields.filter(|field| field.store == store).map(|field| &field.source).collect()
}

/// Any objective, half of them one of the sources that `model` has.
pub(super) fn objective(model: &Model) -> BoxedStrategy<Objective> {
    let known: Vec<SourceRef> = model.secret_sources().cloned().collect();
    let among = prop_oneof![Just(Vec::new()), Just(known)];
    (pick(), pick(), pick(), any::<bool>(), among)
        .prop_map(|(source, key, store, fitting, among)| Objective { source, key, store, fitting, among })
        .boxed()
}
