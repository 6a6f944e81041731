//! What an ExternalSecret reads: its stores, the Secrets behind them, and each value with the key that it gets.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{
    Bundle, ClusterSecretStore, DataFrom, ExternalSecretSpec, Find, OPAQUE, RemoteRef, SourceRef, StoreRef,
};
use crate::model::{ExpectedKeys, Field, Source};

/// The Secret that a reference through a store leads to.
fn source_ref(bundle: &Bundle, store: &StoreRef, remote: &RemoteRef) -> SourceRef {
    SourceRef { namespace: remote_namespace(bundle, store).to_owned(), name: remote.key.clone() }
}

fn remote_namespace<'a>(bundle: &'a Bundle, store: &StoreRef) -> &'a str {
    // Every used store reads Kubernetes Secrets, or the bundle would have been refused.
    &store_named(bundle, store).kubernetes.as_ref().expect("the bundle checked the store's provider").remote_namespace
}

/// The Secrets of the configuration that a search through a store finds.
fn found<'a>(bundle: &'a Bundle, store: &StoreRef, find: &'a Find) -> impl Iterator<Item = &'a SourceRef> {
    let namespace = remote_namespace(bundle, store);
    let finds = move |(source, _): &(&'a SourceRef, _)| source.namespace == namespace;
    let secrets = bundle.secrets.iter().filter(finds);
    secrets.filter(|(source, secret)| find.finds(&source.name, &secret.labels)).map(|(source, _)| source)
}

fn store_named<'a>(bundle: &'a Bundle, store: &StoreRef) -> &'a ClusterSecretStore {
    // Every store reference leads somewhere, or the bundle would have been refused.
    &bundle.stores[&store.name]
}

/// Every Secret that one of the `specs` reads.
pub(super) fn sources<'a>(
    bundle: &Bundle,
    specs: impl Iterator<Item = &'a ExternalSecretSpec> + Clone,
) -> BTreeMap<SourceRef, Source> {
    let mut sources: BTreeMap<SourceRef, Source> = BTreeMap::new();
    let single = specs.clone().flat_map(|spec| {
        spec.data.iter().filter_map(|entry| Some((spec.store_of(entry.source_ref.as_ref())?, &entry.remote_ref)))
    });
    let whole = specs.clone().flat_map(|spec| {
        spec.data_from
            .iter()
            .filter_map(|entry| Some((spec.store_of(entry.source_ref.as_ref())?, entry.extract.as_ref()?)))
    });
    for (store, remote) in single.chain(whole) {
        let reference = source_ref(bundle, store, remote);
        let source = as_written(bundle, &reference);
        let source = sources.entry(reference).or_insert(source);
        if remote.is_plain() {
            source.keys.extend(remote.property.clone());
        }
    }
    let searches = specs.flat_map(|spec| {
        let entries = spec.data_from.iter();
        entries.filter_map(|entry| Some((spec.store_of(entry.source_ref.as_ref())?, entry.find.as_ref()?)))
    });
    for (store, find) in searches {
        for reference in found(bundle, store, find) {
            let source = sources.entry(reference.clone()).or_insert_with(|| as_written(bundle, reference));
            source.tags.extend(find.tags.iter().flatten().map(|(key, _)| key.clone()));
        }
    }
    sources
}

/// A source as its manifest has it, if there is one.
fn as_written(bundle: &Bundle, reference: &SourceRef) -> Source {
    let manifest = bundle.secrets.get(reference);
    Source {
        keys: manifest.map(|secret| secret.data.keys().cloned().collect()).unwrap_or_default(),
        secret_type: manifest.map_or_else(|| OPAQUE.to_owned(), |secret| secret.secret_type.clone()),
        tags: BTreeSet::new(),
    }
}

/// The stores that a spec reads through.
pub(super) fn stores(bundle: &Bundle, spec: &ExternalSecretSpec) -> Vec<ClusterSecretStore> {
    let single = spec.data.iter().map(|entry| entry.source_ref.as_ref());
    let whole = spec.data_from.iter().map(|entry| entry.source_ref.as_ref());
    let stores: BTreeMap<&str, &ClusterSecretStore> = single
        .chain(whole)
        .filter_map(|own| spec.store_of(own))
        .map(|store| (store.name.as_str(), store_named(bundle, store)))
        .collect();
    stores.into_values().cloned().collect()
}

/// What a spec reads: each value, and the keys that they have before any template.
pub(super) fn fields(
    bundle: &Bundle,
    sources: &BTreeMap<SourceRef, Source>,
    spec: &ExternalSecretSpec,
) -> (Vec<Field>, ExpectedKeys) {
    let mut fields: BTreeMap<String, Field> = BTreeMap::new();
    let mut hidden = None;
    for entry in &spec.data_from {
        let store = spec.store_of(entry.source_ref.as_ref());
        if let (Some(store), Some(find)) = (store, &entry.find) {
            // Each source that is found becomes one value.
            let whole = |source: &SourceRef| Field {
                secret_key: source.name.clone(),
                source: source.clone(),
                store: store.name.clone(),
                property: None,
                verbatim: false,
            };
            fields.extend(found(bundle, store, find).map(|source| (source.name.clone(), whole(source))));
        }
        let (Some(store), Some(extract)) = (store, &entry.extract) else {
            hidden = Some("dataFrom searches or generates");
            continue;
        };
        let source = source_ref(bundle, store, extract);
        let keys = &sources[&source].keys;
        hidden = hides_keys(entry, extract, keys).or(hidden);
        for key in keys {
            let field = Field {
                secret_key: key.clone(),
                source: source.clone(),
                store: store.name.clone(),
                property: Some(key.clone()),
                verbatim: extract.is_verbatim(),
            };
            fields.insert(key.clone(), field);
        }
    }
    // In this order, because the controller lets single values win.
    for entry in &spec.data {
        if let Some(store) = spec.store_of(entry.source_ref.as_ref()) {
            let field = Field {
                secret_key: entry.secret_key.clone(),
                source: source_ref(bundle, store, &entry.remote_ref),
                store: store.name.clone(),
                property: entry.remote_ref.property.clone(),
                verbatim: entry.remote_ref.is_verbatim(),
            };
            fields.insert(entry.secret_key.clone(), field);
        }
    }
    let keys = match hidden {
        Some(why) => ExpectedKeys::Unknown { why },
        None => ExpectedKeys::Exactly(fields.keys().cloned().collect()),
    };
    (fields.into_values().collect(), keys)
}

/// Why an extracted source has other keys in the copy, or keys that nobody wrote down.
fn hides_keys(entry: &DataFrom, extract: &RemoteRef, keys: &BTreeSet<String>) -> Option<&'static str> {
    if !entry.rewrite.is_empty() {
        return Some("dataFrom rewrites keys");
    }
    if extract.property.is_some() || !extract.is_plain() {
        return Some("dataFrom extracts something else than the keys of a source");
    }
    keys.is_empty().then_some("dataFrom extracts a source of which no key is known")
}
