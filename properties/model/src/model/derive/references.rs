//! Stores, sources and keys that the references of an ExternalSecret lead to.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{
    ClusterSecretStore, Config, ExternalSecretSpec, Find, GeneratorRef, MetadataPolicy, RemoteRef, SourceRef, StandIn,
    StoreRef,
};
use crate::model::Origin;
use crate::model::remote::key_of;

/// Input of a spec: a source of values, or a generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// A Secret, a key at a provider, or what is found there.
    Source(SourceRef),
    /// An object that makes them: its kind and name.
    Generator(String),
}

/// Part of a source that a property names, and the path in it if there is one.
pub(super) struct Property<'a> {
    key: &'a str,
    path: Option<&'a str>,
}

impl<'a> Property<'a> {
    /// The key that it is read from, of a source with these keys; one that nobody wrote down has none yet.
    pub(super) fn of(property: &'a str, written: Option<&BTreeSet<String>>) -> Self {
        let (key, path) = key_of(written.unwrap_or(&BTreeSet::new()), property);
        Self { key, path }
    }

    pub(super) fn origin(&self, source: &SourceRef) -> Result<Origin, &'static str> {
        let value = Origin::value(source, self.key);
        let Some(path) = self.path else { return Ok(value) };
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().all(|name| is_name(name)) {
            Ok(Origin::Part { of: Box::new(value), path })
        } else {
            Err("the path into JSON is more than names and indices")
        }
    }
}

/// The source that a reference through a store leads to.
pub(super) fn source_ref(config: &Config, store: &StoreRef, remote: &RemoteRef) -> SourceRef {
    // Every store names a provider, or the configuration would have been refused.
    store_named(config, store).semantics().expect("the bundle checked the store's provider").locate(remote)
}

/// Stand-in for the provider of a store, if that is not Kubernetes.
pub(super) fn stand_in<'a>(config: &'a Config, store: &StoreRef) -> Option<&'a StandIn> {
    store_named(config, store).stand_in.as_ref()
}

/// The Secrets of the configuration that a search through a store finds.
pub(super) fn found<'a>(config: &'a Config, store: &StoreRef, find: &'a Find) -> impl Iterator<Item = &'a SourceRef> {
    let namespace = store_named(config, store).kubernetes.as_ref().map(|provider| provider.remote_namespace.as_str());
    let finds = move |(source, _): &(&'a SourceRef, _)| Some(source.namespace.as_str()) == namespace;
    let secrets = config.secrets.iter().filter(finds);
    secrets.filter(|(source, secret)| find.finds(&source.name, &secret.labels)).map(|(source, _)| source)
}

pub(super) fn store_named<'a>(config: &'a Config, store: &StoreRef) -> &'a ClusterSecretStore {
    // Every reference leads to a store, or the configuration would have been refused, and the distribution passed over.
    &config.stores[&store.name]
}

/// The stores that a spec reads through, as far as they are there.
pub(super) fn stores<'a>(config: &'a Config, spec: &ExternalSecretSpec) -> Vec<&'a ClusterSecretStore> {
    let stores: BTreeMap<&str, &ClusterSecretStore> = spec
        .stores()
        .filter_map(|store| config.stores.get(&store.name))
        .map(|store| (store.name.as_str(), store))
        .collect();
    stores.into_values().collect()
}

/// Inputs of a spec, in the order in which it is written: a source with the name of its store, or a generator.
pub(super) fn inputs<'a>(config: &Config, spec: &'a ExternalSecretSpec) -> Vec<(Input, &'a str)> {
    let mut inputs = Vec::new();
    let mut add = |input: Input, store: &'a str| {
        if !inputs.contains(&(input.clone(), store)) {
            inputs.push((input, store));
        }
    };
    for entry in &spec.data_from {
        if let Some(GeneratorRef { kind, name }) = entry.source_ref.as_ref().and_then(|own| own.generator_ref.as_ref())
        {
            add(Input::Generator(format!("{kind} {name}")), "");
        }
        let Some(store) = spec.store_of(entry.source_ref.as_ref()) else { continue };
        match (&entry.find, &entry.extract, stand_in(config, store)) {
            (Some(find), _, Some(own)) => add(Input::Source(own.locate_found(find)), &store.name),
            (Some(find), _, None) => {
                found(config, store, find).for_each(|source| add(Input::Source(source.clone()), &store.name));
            }
            (None, Some(extract), _) => add(Input::Source(source_ref(config, store, extract)), &store.name),
            (None, None, _) => {}
        }
    }
    for entry in &spec.data {
        let Some(store) = spec.store_of(entry.source_ref.as_ref()) else { continue };
        add(Input::Source(source_ref(config, store, &entry.remote_ref)), &store.name);
    }
    inputs
}

/// The keys that the manifest of a source has, if there is one.
pub(super) fn written_keys(config: &Config, reference: &SourceRef) -> Option<BTreeSet<String>> {
    config.secrets.get(reference).map(|secret| secret.data.keys().cloned().collect())
}

/// The key of a source that a reference reads, if it reads one.
pub(super) fn key_read(config: &Config, source: &SourceRef, remote: &RemoteRef) -> Option<String> {
    let property = remote.property.as_deref().filter(|_| remote.metadata_policy == MetadataPolicy::None)?;
    if !source.is_secret() {
        return Some(property.to_owned());
    }
    Some(Property::of(property, written_keys(config, source).as_ref()).key.to_owned())
}
