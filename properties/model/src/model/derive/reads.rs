//! Each value that an ExternalSecret reads, with the key that it gets.
//!
//! Source: External Secrets Operator, `GetProviderSecretData`
//! (pkg/controllers/externalsecret/externalsecret_controller_secret.go): `dataFrom` in order, of each entry first the values,
//! then `rewrite` or else `conversionStrategy`, then `decodingStrategy`; then `data`, which wins. Keys and names of Kubernetes have
//! no character to convert, and its provider passes over `version` and `find.path`.

use std::collections::{BTreeMap, BTreeSet};

use super::generated::{self, Generated};
use super::references::{Property, found, key_read, source_ref, stand_in, store_named, written_keys};
use super::rewrite::{self, UnknownKeys};
use crate::config::{
    Config, ConversionStrategy, DataFrom, DeclaredDistribution, DecodingStrategy, ExternalSecretSpec, Find,
    MetadataPolicy, RemoteRef, SourceRef, StandIn, StoreRef,
};
use crate::model::{Field, Origin, Source, WHOLE};

/// Inputs that a spec reads.
#[derive(Default)]
pub(super) struct Read {
    /// The values of which the key is known, by that key.
    pub(super) fields: BTreeMap<String, Field>,
    /// Values of generators, by the key that each gets; none where the value differs each time.
    pub(super) generated: BTreeMap<String, Option<Origin>>,
    /// Values of sources in whose place a generator puts one that differs each time, by the key that both get.
    pub(super) replaced: BTreeMap<String, Field>,
    /// The keys that a rewrite gives to several values.
    pub(super) merged: BTreeSet<String>,
    /// Why there may be more.
    pub(super) more: Option<String>,
    /// Parts that are not understood of it.
    pub(super) notes: Vec<Note>,
}

impl Read {
    /// Takes note that a value of a source has this key again.
    fn forget_generated(&mut self, key: &str) {
        self.generated.remove(key);
        self.replaced.remove(key);
    }
}

/// A field of a spec that keeps something from being judged.
pub(super) struct Note {
    /// The field, from the spec of the ExternalSecret.
    pub(super) field: String,
    /// The keys of the copy that it is about, if it is about some alone.
    pub(super) keys: BTreeSet<String>,
    pub(super) reason: String,
    /// True if the controller refuses the field, whatever the values are.
    pub(super) is_refused: bool,
}

impl Note {
    pub(super) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), keys: BTreeSet::new(), reason: reason.into(), is_refused: false }
    }

    pub(super) fn of_key(field: impl Into<String>, key: &str, reason: impl Into<String>) -> Self {
        Self { keys: [key.to_owned()].into(), ..Self::new(field, reason) }
    }
}

/// Why what `metadataPolicy: Fetch` reads at a provider is not judged.
const OF_TAGS: &str = "metadataPolicy Fetch reads the tags that the provider has, and a stand-in has none";

/// Inputs that a spec reads: each value, and the keys that they have before any template.
pub(super) fn read(
    config: &Config,
    sources: &BTreeMap<SourceRef, Source>,
    distribution: &DeclaredDistribution<'_>,
) -> Read {
    let (mut read, spec) = (Read::default(), distribution.spec);
    for (index, entry) in spec.data_from.iter().enumerate() {
        let place = format!("dataFrom[{index}]");
        let reference = entry.source_ref.as_ref().and_then(|source| source.generator_ref.as_ref());
        match entry_fields(config, sources, distribution, entry, (&place, &mut read)) {
            Ok(fields) if reference.is_some() => add_generated(&mut read, fields, &place),
            Ok(fields) => {
                fields.iter().for_each(|field| read.forget_generated(&field.secret_key));
                read.fields.extend(fields.into_iter().map(|field| (field.secret_key.clone(), field)));
            }
            Err(note) => {
                // It may have the keys of those before, and then it wins.
                read.fields.values_mut().for_each(|field| field.origin = None);
                read.generated.values_mut().for_each(|origin| *origin = None);
                read.more = Some(format!("{}: {}", note.field, note.reason));
                read.notes.push(note);
            }
        }
    }
    for (index, entry) in spec.data.iter().enumerate() {
        let Some(store) = spec.store_of(entry.source_ref.as_ref()) else { continue };
        let (key, remote) = (&entry.secret_key, &entry.remote_ref);
        let source = source_ref(config, store, remote);
        let place = format!("data[{index}].remoteRef");
        let origin = match origin(config, sources, &source, remote) {
            Ok(origin) => Some(origin.decoded(remote.decoding_strategy)),
            Err(reason) => {
                read.notes.push(Note::of_key(place, key, reason));
                None
            }
        };
        let is_one_value = is_one_value(sources, &source) && remote.metadata_policy == MetadataPolicy::None;
        let property = key_read(config, &source, remote).or_else(|| is_one_value.then(|| WHOLE.to_owned()));
        let field = Field { secret_key: key.clone(), source, store: store.name.clone(), property, origin };
        read.forget_generated(key);
        read.fields.insert(key.clone(), field);
    }
    read
}

/// True if a source is one value, and no document.
fn is_one_value(sources: &BTreeMap<SourceRef, Source>, source: &SourceRef) -> bool {
    !source.is_secret() && sources.get(source).is_some_and(|about| about.keys.contains(WHOLE))
}

/// Value that a single reference reads.
fn origin(
    config: &Config,
    sources: &BTreeMap<SourceRef, Source>,
    source: &SourceRef,
    remote: &RemoteRef,
) -> Result<Origin, &'static str> {
    match (&remote.property, remote.metadata_policy) {
        (_, MetadataPolicy::Fetch) if !source.is_secret() => Err(OF_TAGS),
        (None, MetadataPolicy::None) if is_one_value(sources, source) => Ok(Origin::value(source, WHOLE)),
        (Some(property), MetadataPolicy::None) if !source.is_secret() => Ok(Origin::value(source, property)),
        (_, MetadataPolicy::Fetch) => Err("metadataPolicy Fetch reads labels and annotations, which no case changes"),
        (None, MetadataPolicy::None) => Ok(Origin::Document { sources: vec![source.clone()] }),
        (Some(property), MetadataPolicy::None) => {
            Property::of(property, written_keys(config, source).as_ref()).origin(source)
        }
    }
}

/// The values of one entry of `dataFrom`, rewritten and decoded; what is not understood of them goes to the notes of `read`.
fn entry_fields(
    config: &Config,
    sources: &BTreeMap<SourceRef, Source>,
    distribution: &DeclaredDistribution<'_>,
    entry: &DataFrom,
    (place, read): (&str, &mut Read),
) -> Result<Vec<Field>, Note> {
    let store = distribution.spec.store_of(entry.source_ref.as_ref());
    let (fields, decoding) = match (store, &entry.find, &entry.extract) {
        (Some(store), Some(find), _) if stand_in(config, store).is_some() => {
            (found_at_provider(config, sources, store, find), find.decoding_strategy)
        }
        (Some(store), Some(find), _) => {
            if find.tags.is_none() {
                let reason = "whatever else has such a name in the namespace of the sources is found as well";
                read.more = Some(format!("{place}.find.name: {reason}"));
                read.notes.push(Note::new(format!("{place}.find.name"), reason));
            }
            (found_fields(config, store, find), find.decoding_strategy)
        }
        (Some(store), None, Some(extract)) => {
            (extracted(config, sources, store, extract, (place, read))?, extract.decoding_strategy)
        }
        _ => {
            let made = generated::fields(config, distribution, entry);
            let made = made.map_err(|why| Note::new(format!("{place}.sourceRef.generatorRef"), why.to_string()))?;
            (made, DecodingStrategy::None)
        }
    };
    let conversion = match (&entry.find, &entry.extract) {
        (Some(find), _) => find.conversion_strategy,
        (None, Some(extract)) => extract.conversion_strategy,
        (None, None) => ConversionStrategy::default(),
    };
    let fields = if entry.rewrite.is_empty() { rewrite::convert(conversion, fields) } else { fields };
    let rewritten = rewrite::apply(&entry.rewrite, fields, sources);
    let refused = |why: UnknownKeys| Note {
        is_refused: why.is_refusal(),
        ..Note::new(format!("{place}.rewrite"), why.to_string())
    };
    let mut fields = rewritten.map_err(refused)?;
    let known = |notes: &[Note], key: &str| notes.iter().any(|note| note.keys.contains(key));
    for field in &mut fields {
        if field.origin.is_none() && !known(&read.notes, &field.secret_key) {
            let reason = "several values get this key, and which of them has it differs from time to time";
            read.notes.push(Note::of_key(format!("{place}.rewrite"), &field.secret_key, reason));
            if !entry.rewrite.is_empty() {
                read.merged.insert(field.secret_key.clone());
            }
        }
        field.origin = field.origin.take().map(|origin| origin.decoded(decoding));
    }
    Ok(fields)
}

/// Adds what a generator makes, and says which values of it differ each time.
fn add_generated(read: &mut Read, fields: Vec<Field>, place: &str) {
    let Generated { made, changing } = Generated::of(fields);
    for key in made.keys() {
        if let Some(field) = read.fields.remove(key).filter(|_| changing.contains(key)) {
            read.replaced.insert(key.clone(), field);
        }
    }
    read.generated.extend(made);
    if !changing.is_empty() {
        let reason = "what the generator makes differs each time, so that only the keys are compared";
        read.notes.push(Note { keys: changing, ..Note::new(format!("{place}.sourceRef.generatorRef"), reason) });
    }
}

/// Each source that is found becomes one value.
fn found_fields(config: &Config, store: &StoreRef, find: &Find) -> Vec<Field> {
    let whole = |source: &SourceRef| Field {
        secret_key: source.name.clone(),
        source: source.clone(),
        store: store.name.clone(),
        property: None,
        origin: Some(Origin::Document { sources: vec![source.clone()] }),
    };
    found(config, store, find).map(whole).collect()
}

/// The values that a search at a provider finds, under the names that the stand-in has for them.
fn found_at_provider(
    config: &Config,
    sources: &BTreeMap<SourceRef, Source>,
    store: &StoreRef,
    find: &Find,
) -> Vec<Field> {
    let Some(source) = stand_in(config, store).map(|own| own.locate_found(find)) else { return Vec::new() };
    let names = sources.get(&source).into_iter().flat_map(|about| &about.keys);
    names
        .map(|name| Field {
            secret_key: name.clone(),
            source: source.clone(),
            store: store.name.clone(),
            property: Some(name.clone()),
            origin: Some(Origin::value(&source, name)),
        })
        .collect()
}

/// Why no copy is made, if all that a spec does is to search for Secrets, and the configuration has none that is found: the controller
/// makes no copy of nothing.
pub(super) fn finds_nothing(config: &Config, spec: &ExternalSecretSpec) -> Option<Note> {
    let is_vain = |entry: &DataFrom| {
        let (Some(store), Some(find)) = (spec.store_of(entry.source_ref.as_ref()), &entry.find) else { return false };
        stand_in(config, store).is_none() && found(config, store, find).next().is_none()
    };
    let first = spec.data_from.first().filter(|_| spec.data.is_empty() && spec.data_from.iter().all(is_vain))?;
    let store = store_named(config, spec.store_of(first.source_ref.as_ref())?);
    let namespace = store.kubernetes.as_ref().map_or("", |provider| provider.remote_namespace.as_str());
    let reason =
        format!("no Secret of the configuration in namespace {namespace} is found, and of nothing no copy is made");
    Some(Note::new("dataFrom[0].find", reason))
}

/// Why a spec cannot be read where its stores have stand-ins, if so: a search that its provider refuses, or of which no name is
/// known that it finds.
pub(super) fn vain_search(config: &Config, spec: &ExternalSecretSpec) -> Option<Note> {
    spec.data_from.iter().enumerate().find_map(|(index, entry)| {
        let own = stand_in(config, spec.store_of(entry.source_ref.as_ref())?)?;
        let from_key = entry.extract.as_ref().and_then(StandIn::search_of);
        let why = own.names_found(entry.find.as_ref().or(from_key.as_ref())?).err()?;
        Some(Note::new(format!("dataFrom[{index}].find"), format!("provider {}: {why}", own.provider)))
    })
}

/// The values of a whole source.
fn extracted(
    config: &Config,
    sources: &BTreeMap<SourceRef, Source>,
    store: &StoreRef,
    extract: &RemoteRef,
    (place, read): (&str, &mut Read),
) -> Result<Vec<Field>, Note> {
    let source = source_ref(config, store, extract);
    let field = |key: &str, property: Option<String>, origin: Option<Origin>| Field {
        secret_key: key.to_owned(),
        source: source.clone(),
        store: store.name.clone(),
        property,
        origin,
    };
    if extract.property.is_some() {
        let reason = "its keys are those of a JSON document in the source, which nobody wrote down";
        return Err(Note::new(format!("{place}.extract.property"), reason));
    }
    if extract.metadata_policy == MetadataPolicy::Fetch && !source.is_secret() {
        return Err(Note::new(format!("{place}.extract.metadataPolicy"), OF_TAGS));
    }
    if extract.metadata_policy == MetadataPolicy::Fetch {
        let reason = "metadataPolicy Fetch reads labels and annotations, which no case changes";
        let keys = ["annotations", "labels"];
        read.notes.extend(keys.map(|key| Note::of_key(format!("{place}.extract.metadataPolicy"), key, reason)));
        return Ok(keys.map(|key| field(key, None, None)).into());
    }
    let keys = &sources[&source].keys;
    if keys.is_empty() {
        return Err(Note::new(format!("{place}.extract"), format!("no key of {source} is known")));
    }
    let value = |key: &String| field(key, Some(key.clone()), Some(Origin::value(&source, key)));
    Ok(keys.iter().map(value).collect())
}
