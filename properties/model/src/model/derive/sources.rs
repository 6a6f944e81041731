//! Every source that a configuration reads, with the keys that are read of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::reads::Note;
use super::references::{found, key_read, source_ref, stand_in, written_keys};
use crate::config::{Config, ExternalSecretSpec, OPAQUE, SourceRef, StandIn, is_found};
use crate::model::{Model, Source, Templates, WHOLE};

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

impl Model {
    /// Meaning of the keys of a source that the model itself gives it, since no manifest names any; none of one that has its own.
    pub(crate) fn stands_for(&self, source: &SourceRef) -> Option<&'static str> {
        let about = self.sources.get(source)?;
        match about.keys.iter().map(String::as_str).eq(ANY_PROPERTIES) {
            _ if is_found(source) => Some("whatever is found"),
            true => Some("whatever keys it has"),
            false => None,
        }
    }
}

/// Gives each source of which nobody wrote down what it has what it is read for. Of a key at a provider that is some properties if it is
/// read as a document, or is one whoever reads it, else one value; of a Secret some keys, where no template reads others.
pub(super) fn fill_in<'a>(
    config: &Config,
    sources: &mut BTreeMap<SourceRef, Source>,
    specs: impl Iterator<Item = (&'a ExternalSecretSpec, &'a Value)>,
) {
    let (mut documents, mut templated) = (BTreeSet::new(), BTreeSet::new());
    for (spec, object) in specs {
        let reads_names = !Templates::of(object).names().is_empty();
        for source in whole_sources(config, spec) {
            if reads_names {
                templated.insert(source.clone());
            }
            documents.insert(source);
        }
    }
    let stand_ins: Vec<&StandIn> = config.stores.values().filter_map(|store| store.stand_in.as_ref()).collect();
    for (source, about) in sources.iter_mut() {
        // What is one value to all who read it is what these make of it.
        if about.keys.is_empty() && !documents.contains(source) {
            continue;
        }
        let members = stand_ins.iter().find_map(|own| own.members(source)).into_iter().flatten();
        // Of a member of which a part is read, that part says more.
        let is_read = |member: &String, keys: &BTreeSet<String>| {
            keys.iter().any(|key| key.strip_prefix(member.as_str()).is_some_and(|rest| rest.starts_with(['.', '['])))
        };
        let members: Vec<String> = members.filter(|member| !is_read(member, &about.keys)).cloned().collect();
        about.keys.extend(members);
    }
    for (source, about) in sources.iter_mut().filter(|(_, about)| about.keys.is_empty()) {
        if source.is_secret() {
            let is_anything =
                documents.contains(source) && !templated.contains(source) && !config.secrets.contains_key(source);
            about.keys.extend(ANY_PROPERTIES.iter().filter(|_| is_anything).map(|key| (*key).to_owned()));
            continue;
        }
        match (documents.contains(source) || config.has_documents(source), is_found(source)) {
            (_, true) => {}
            (true, false) => about.keys.extend(ANY_PROPERTIES.map(str::to_owned)),
            (false, false) => drop(about.keys.insert(WHOLE.to_owned())),
        }
    }
}

/// The sources that a spec takes over whole, by their names.
fn whole_sources(config: &Config, spec: &ExternalSecretSpec) -> Vec<SourceRef> {
    let entries = spec.data_from.iter().filter(|entry| entry.find.is_none());
    let named = entries.filter_map(|entry| {
        let (store, extract) = (spec.store_of(entry.source_ref.as_ref())?, entry.extract.as_ref()?);
        StandIn::search_of(extract).is_none().then(|| source_ref(config, store, extract))
    });
    named.collect()
}

/// Why nothing can be made for a spec to read, if nothing can be: it takes over a Secret of which neither a manifest nor a template that
/// is understood says what it has, and of nothing no copy is made.
pub(super) fn unknown_source(
    config: &Config,
    sources: &BTreeMap<SourceRef, Source>,
    spec: &ExternalSecretSpec,
) -> Option<Note> {
    let is_unknown = |source: &SourceRef| {
        !config.secrets.contains_key(source) && sources.get(source).is_some_and(|about| about.keys.is_empty())
    };
    let source = whole_sources(config, spec).into_iter().find(is_unknown)?;
    Some(Note::new("dataFrom", format!("no key of {source} is known, and its templates read some")))
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
