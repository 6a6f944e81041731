//! From a bundle to the model.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::endpoints::Endpoints;
use credence_core::labels::Labels;

use super::pattern::patterns;
use super::remote::key_of;
use super::{ExpectedKeys, Field, Model, Source, Target, guards, implied};
use crate::config::{
    Bundle, ClusterExternalSecret, ClusterSecretStore, DataFrom, DataTemplate, ExternalSecretSpec, Find, MergePolicy,
    OPAQUE, RemoteRef, SecretTemplate, SourceRef, StoreRef, TemplateFrom,
};

pub(super) fn model(bundle: &Bundle) -> Model {
    let sources = sources(bundle);
    let targets =
        bundle.cluster_external_secrets.iter().map(|distributed| target(bundle, &sources, distributed)).collect();
    let policies = bundle.of_kind("admissionregistration.k8s.io", "ValidatingAdmissionPolicy");
    let admission_policies = policies.map(|policy| policy.name().to_owned()).collect();
    Model {
        sources,
        targets,
        stores: bundle.stores.clone(),
        patterns: patterns(bundle),
        admission_policies,
        absent_consumers: BTreeMap::new(),
        endpoints: Endpoints::default(),
        untouchable: None,
        guards: guards::guards(bundle),
        namespaces: bundle.namespaces.clone(),
    }
}

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

fn specs(bundle: &Bundle) -> impl Iterator<Item = &ExternalSecretSpec> {
    bundle.cluster_external_secrets.iter().map(|distributed| &distributed.spec.external_secret_spec)
}

fn sources(bundle: &Bundle) -> BTreeMap<SourceRef, Source> {
    let mut sources: BTreeMap<SourceRef, Source> = BTreeMap::new();
    let single = specs(bundle).flat_map(|spec| {
        spec.data.iter().filter_map(|entry| Some((spec.store_of(entry.source_ref.as_ref())?, &entry.remote_ref)))
    });
    let whole = specs(bundle).flat_map(|spec| {
        spec.data_from
            .iter()
            .filter_map(|entry| Some((spec.store_of(entry.source_ref.as_ref())?, entry.extract.as_ref()?)))
    });
    let mut properties = BTreeSet::new();
    for (store, remote) in single.chain(whole) {
        let reference = source_ref(bundle, store, remote);
        sources.entry(reference.clone()).or_insert_with(|| as_written(bundle, &reference));
        properties
            .extend(remote.property.iter().filter(|_| remote.is_plain()).map(|property| (reference.clone(), property)));
    }
    // In order, so that a key comes before the paths into the document under it.
    for (reference, property) in properties {
        if let Some(source) = sources.get_mut(&reference) {
            let key = key_of(&source.keys, property).0.to_owned();
            source.keys.insert(key);
        }
    }
    let searches = specs(bundle).flat_map(|spec| {
        let entries = spec.data_from.iter();
        entries.filter_map(|entry| Some((spec.store_of(entry.source_ref.as_ref())?, entry.find.as_ref()?)))
    });
    for (store, find) in searches {
        for reference in found(bundle, store, find) {
            let source = sources.entry(reference.clone()).or_insert_with(|| as_written(bundle, reference));
            source.tags.extend(find.tags.iter().flatten().map(|(key, _)| key.clone()));
        }
    }
    for distributed in &bundle.cluster_external_secrets {
        let external_secret = (&distributed.object, &distributed.spec.external_secret_spec);
        implied::add_keys(bundle, &mut sources, external_secret, |store, remote| source_ref(bundle, store, remote));
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

fn target(bundle: &Bundle, sources: &BTreeMap<SourceRef, Source>, distributed: &ClusterExternalSecret) -> Target {
    let ClusterExternalSecret { name, object, spec, .. } = distributed;
    let external_secret = spec.external_secret_name.as_ref().unwrap_or(name);
    let selection = spec.selection();
    let labels = match &spec.external_secret_spec.target.template {
        Some(template) => template.labels(),
        // Without a template the controller copies the ExternalSecret's own labels.
        None => spec.external_secret_labels(),
    };
    let labels = literal(labels);
    let spec = &spec.external_secret_spec;
    let (fields, read_keys) = fields(bundle, sources, spec);
    let template = spec.target.template.as_ref();
    Target {
        name: name.clone(),
        object: object.clone(),
        external_secret: external_secret.clone(),
        secret: spec.target.name.as_ref().unwrap_or(external_secret).clone(),
        secret_type: template.and_then(|template| template.secret_type.clone()).unwrap_or_else(|| OPAQUE.to_owned()),
        labels,
        refresh_interval: spec.refresh_interval(),
        refresh_policy: spec.refresh_policy,
        creation_policy: spec.target.creation_policy,
        deletion_policy: spec.target.deletion_policy,
        immutable: spec.target.immutable,
        selection,
        stores: stores(bundle, spec),
        verbatim: verbatim(template, &fields, &read_keys),
        fields,
        keys: written_keys(template, read_keys),
    }
}

/// The keys of a copy whose value its template, or the lack of one, takes over as it was read.
fn verbatim(
    template: Option<&SecretTemplate>,
    fields: &[Field],
    read: &ExpectedKeys,
) -> BTreeMap<String, (SourceRef, String)> {
    let origin = |name: &str| {
        let field = fields.iter().find(|field| field.secret_key == name && field.verbatim)?;
        Some((field.source.clone(), field.property.clone()?))
    };
    // Keys that only the controller knows may have been renamed before a template sees them.
    if matches!(read, ExpectedKeys::Unknown { .. }) {
        return BTreeMap::new();
    }
    let made = template.map(|template| &template.data);
    let beside = made.is_none_or(BTreeMap::is_empty);
    let own = fields.iter().filter(|_| beside).map(|field| (&field.secret_key, &field.secret_key));
    let templates = made.into_iter().flatten().filter_map(|(key, template)| match template {
        DataTemplate::Value(name) => Some((key, name)),
        DataTemplate::Composed => None,
    });
    own.chain(templates).filter_map(|(key, name)| Some((key.clone(), origin(name)?))).collect()
}

/// The labels whose value is no template.
fn literal(labels: &Labels) -> Labels {
    labels.iter().filter(|(_, value)| !value.contains("{{")).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn stores(bundle: &Bundle, spec: &ExternalSecretSpec) -> Vec<ClusterSecretStore> {
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
fn fields(
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

/// The keys that a copy has after its template.
///
/// Source: `Reconciler.ApplyTemplate` (pkg/controllers/externalsecret/externalsecret_controller_template.go).
fn written_keys(template: Option<&SecretTemplate>, read: ExpectedKeys) -> ExpectedKeys {
    let Some(template) = template else {
        return read;
    };
    let made = template.template_from.iter().map(template_keys).collect::<Option<Vec<_>>>();
    let Some(made) = made else {
        return ExpectedKeys::Unknown { why: "templateFrom makes its own keys" };
    };
    let makes_nothing = template.data.is_empty() && template.template_from.is_empty();
    let made = made.into_iter().flatten().chain(template.data.keys().cloned());
    if template.merge_policy != MergePolicy::Merge && !makes_nothing {
        return ExpectedKeys::Exactly(made.collect());
    }
    match read {
        ExpectedKeys::Exactly(read) => ExpectedKeys::Exactly(made.chain(read).collect()),
        unknown @ ExpectedKeys::Unknown { .. } => unknown,
    }
}

/// The keys that a template kept elsewhere makes, if they are known beforehand.
fn template_keys(from: &TemplateFrom) -> Option<Vec<String>> {
    if from.target.as_deref().is_some_and(|target| target != "Data") {
        return Some(Vec::new());
    }
    let items = from.config_map.iter().chain(&from.secret).flat_map(|object| &object.items);
    let mut keys = Vec::new();
    for item in items {
        if item.template_as.as_deref() == Some("KeysAndValues") {
            return None;
        }
        keys.push(item.key.clone());
    }
    from.literal.is_none().then_some(keys)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use rstest::rstest;

    use super::*;

    const CONFIGURATION: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: store}
spec: {provider: {kubernetes: {remoteNamespace: central}}}
---
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: docker}
spec:
  externalSecretSpec:
    secretStoreRef: {kind: ClusterSecretStore, name: store}
    dataFrom: [{find: FIND}]
---
apiVersion: v1
kind: Secret
metadata: {name: pat, namespace: central, labels: {share: 'true', more: a}}
stringData: {token: a, username: b}
---
apiVersion: v1
kind: Secret
metadata: {name: oauth, namespace: central, labels: {share: 'false'}}
stringData: {id: a}
---
apiVersion: v1
kind: Secret
metadata: {name: pat, namespace: elsewhere, labels: {share: 'true'}}
";

    #[rstest]
    #[case::by_tags("{tags: {share: 'true'}}", &["pat"], &["share"])]
    #[case::by_name("{name: {regexp: a}}", &["oauth", "pat"], &[])]
    #[case::tags_come_first("{name: {regexp: oauth}, tags: {share: 'true', more: a}}", &["pat"], &["more", "share"])]
    #[case::nothing("{tags: {share: maybe}}", &[], &[])]
    #[case::no_expression("{name: {regexp: '['}}", &[], &[])]
    fn a_search_reads_the_sources_that_it_finds_whole(
        #[case] find: &str,
        #[case] names: &[&str],
        #[case] tags: &[&str],
    ) {
        let text = CONFIGURATION.replace("FIND", find);
        let bundle = Bundle::from_manifests(parse_documents(Path::new("all.yaml"), &text).unwrap()).unwrap();
        let model = model(&bundle);
        let found: Vec<&str> = model.targets[0].sources().into_iter().map(|source| &*source.name).collect();
        assert_eq!(found, names);
        assert_eq!(model.sources.len(), names.len());
        assert!(model.targets[0].fields.iter().all(|field| field.property.is_none()));
        let told: BTreeSet<&String> = model.sources.values().flat_map(|source| &source.tags).collect();
        assert!(told.into_iter().eq(tags), "{model:?}");
        assert!(model.sources.values().all(|source| !source.keys.is_empty()));
    }
}
