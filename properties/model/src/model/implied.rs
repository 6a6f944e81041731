//! The keys of sources that no manifest holds: templates name them, or the type of the copy does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::derive::original;
use super::remote::is_key;
use super::templates::Templates;
use super::{Source, hints};
use crate::config::{Config, ExternalSecretSpec, MetadataPolicy, OPAQUE, RemoteRef, SourceRef, StandIn, StoreRef};

/// Adds the keys that the ExternalSecret of `object`, with this `spec`, needs of sources that are in no manifest. `source_ref`
/// gives the Secret to which a reference leads.
pub(super) fn add_keys(
    config: &Config,
    sources: &mut BTreeMap<SourceRef, Source>,
    (object, spec): (&Value, &ExternalSecretSpec),
    source_ref: impl Fn(&StoreRef, &RemoteRef) -> SourceRef,
) {
    let templates = Templates::of(object);
    for entry in spec.data.iter().filter(|entry| entry.remote_ref.property.is_none() && reads_values(&entry.remote_ref))
    {
        let Some(store) = spec.store_of(entry.source_ref.as_ref()) else { continue };
        let source = source_ref(store, &entry.remote_ref);
        // A key at a provider that nobody reads by its properties is one value, whatever its readers make of it.
        let is_read_by_properties = sources.get(&source).is_some_and(|source| !source.keys.is_empty());
        if !source.is_secret() && !is_read_by_properties && !config.has_documents(&source) {
            continue;
        }
        let members = templates.members(&entry.secret_key).filter(|name| is_key(name)).map(str::to_owned);
        add(config, sources, &source, members);
    }
    let extracted = || {
        spec.data_from.iter().filter_map(|entry| {
            let (store, extract) = (spec.store_of(entry.source_ref.as_ref())?, entry.extract.as_ref()?);
            let is_whole = is_whole(extract) && StandIn::search_of(extract).is_none();
            is_whole.then(|| (source_ref(store, extract), entry.rewrite.as_slice()))
        })
    };
    let unknown: Vec<_> = extracted().filter(|(source, _)| !config.secrets.contains_key(source)).collect();
    let known = extracted().filter(|(source, _)| config.secrets.contains_key(source));
    let known =
        known.flat_map(|(source, _)| sources.get(&source).map(|source| source.keys.clone()).unwrap_or_default());
    let single = spec.data.iter().map(|entry| entry.secret_key.clone());
    let known: BTreeSet<String> = known.chain(single).collect();
    // A search or a generator may give the others.
    let others_give = spec.data_from.len() > extracted().count();
    for (source, rewrite) in unknown {
        let read = templates.names().into_iter().filter(|name| !others_give && !known.contains(*name));
        let read = read.filter_map(|name| original(rewrite, name)).filter(|name| is_key(name));
        add(config, sources, &source, read);
        let has_none = sources.get(&source).is_some_and(|source| source.keys.is_empty());
        if has_none && templates.keep_values {
            add(config, sources, &source, keys_of_type(spec));
        }
    }
}

/// The keys that a copy of this spec must have by its type, whose values are those of the source.
fn keys_of_type(spec: &ExternalSecretSpec) -> impl Iterator<Item = String> {
    let template = spec.target.template.as_ref();
    let secret_type = template.and_then(|template| template.secret_type.as_deref()).unwrap_or(OPAQUE);
    hints::keys_of(secret_type).iter().map(|key| (*key).to_owned())
}

fn reads_values(remote: &RemoteRef) -> bool {
    remote.metadata_policy == MetadataPolicy::None
}

fn is_whole(extract: &RemoteRef) -> bool {
    extract.property.is_none() && reads_values(extract)
}

fn add(
    config: &Config,
    sources: &mut BTreeMap<SourceRef, Source>,
    source: &SourceRef,
    keys: impl Iterator<Item = String>,
) {
    if let Some(source) = sources.get_mut(source).filter(|_| !config.secrets.contains_key(source)) {
        source.keys.extend(keys);
    }
}
