//! Every source that a configuration reads, with the keys that are read of it.

use std::collections::{BTreeMap, BTreeSet};

use super::references::{found, key_read, source_ref, stand_in, written_keys};
use crate::config::{Config, ExternalSecretSpec, OPAQUE, SourceRef, StandIn, is_found};
use crate::model::{Source, WHOLE};

/// Every Secret that one of the `specs` reads.
pub(super) fn sources<'a>(
    config: &Config,
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
        let reference = source_ref(config, store, remote);
        let found = stand_in(config, store).and_then(|own| own.names_found(&StandIn::search_of(remote)?).ok());
        if let Some(found) = found {
            sources.entry(reference).or_insert_with(a_key_at_a_provider).keys.extend(found);
            continue;
        }
        let key = key_read(config, &reference, remote);
        let source = sources.entry(reference).or_insert_with_key(|reference| as_written(config, reference));
        source.keys.extend(key);
    }
    let searches = specs.flat_map(|spec| {
        let entries = spec.data_from.iter();
        entries.filter_map(|entry| Some((spec.store_of(entry.source_ref.as_ref())?, entry.find.as_ref()?)))
    });
    for (store, find) in searches {
        if let Some(stand_in) = stand_in(config, store) {
            let source = sources.entry(stand_in.locate_found(find)).or_insert_with(a_key_at_a_provider);
            source.keys.extend(stand_in.names_found(find).unwrap_or_default());
            continue;
        }
        for reference in found(config, store, find) {
            let source = sources.entry(reference.clone()).or_insert_with(|| as_written(config, reference));
            source.tags.extend(find.tags.iter().flatten().map(|(key, _)| key.clone()));
        }
    }
    sources
}

/// A key at a provider, of which nothing is known yet.
fn a_key_at_a_provider() -> Source {
    Source { keys: BTreeSet::new(), secret_type: OPAQUE.to_owned(), tags: BTreeSet::new() }
}

/// The properties of a document at a provider that is taken over as it is, where nobody wrote down what it has.
const ANY_PROPERTIES: [&str; 2] = ["first", "second"];

/// Gives each key at a provider that has no properties so far what it is read for: some properties if it is read as a document, or
/// is one whoever reads it, else one value.
pub(super) fn fill_in<'a>(
    config: &Config,
    sources: &mut BTreeMap<SourceRef, Source>,
    specs: impl Iterator<Item = &'a ExternalSecretSpec>,
) {
    let mut documents = BTreeSet::new();
    for spec in specs {
        for entry in &spec.data_from {
            let store = spec.store_of(entry.source_ref.as_ref());
            if let (Some(store), Some(extract), None) = (store, &entry.extract, &entry.find)
                && StandIn::search_of(extract).is_none()
            {
                documents.insert(source_ref(config, store, extract));
            }
        }
    }
    for (source, about) in sources.iter_mut().filter(|(source, about)| !source.is_secret() && about.keys.is_empty()) {
        match (documents.contains(source) || config.has_documents(source), is_found(source)) {
            (_, true) => {}
            (true, false) => about.keys.extend(ANY_PROPERTIES.map(str::to_owned)),
            (false, false) => drop(about.keys.insert(WHOLE.to_owned())),
        }
    }
}

/// A source as its manifest has it, if there is one.
fn as_written(config: &Config, reference: &SourceRef) -> Source {
    let manifest = config.secrets.get(reference);
    Source {
        keys: written_keys(config, reference).unwrap_or_default(),
        secret_type: manifest.map_or_else(|| OPAQUE.to_owned(), |secret| secret.secret_type.clone()),
        tags: BTreeSet::new(),
    }
}
