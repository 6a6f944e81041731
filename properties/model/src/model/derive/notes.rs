//! Parts of a distribution, of its template or of a store that are not judged, and why.

use std::collections::BTreeSet;

use credence_core::operator_api::EXTERNAL_SECRETS_GROUP;

use super::homes;
use super::reads::{Note, finds_nothing, vain_search};
use super::references::stores;
use crate::applied;
use crate::config::{CLUSTER_GENERATOR, ClusterSecretStore, Config, DeclaredDistribution, Generator};
use crate::model::{Distribution, NotJudged};
use crate::selector::effective_labels;

/// Why no copy of a distribution can be judged, if none can: the operator here cannot make it for reasons that say nothing of the
/// configuration.
pub(super) fn obstacle(config: &Config, declared: &DeclaredDistribution<'_>) -> Option<Note> {
    if let Some(manifest) = &declared.spec.target.manifest {
        let reason = format!(
            "it makes a {}, which the operator does only where it runs with --unsafe-allow-generic-targets, and no property judges \
             anything but Secrets",
            manifest.kind
        );
        return Some(Note::new("target.manifest", reason));
    }
    if declared.reads_nothing() {
        return Some(Note::new("data", "it reads nothing, so that no copy is made"));
    }
    if let Some(reason) = declared.namespace.and_then(|namespace| chained(config, declared, namespace)) {
        return Some(Note::new("target", reason));
    }
    let absent = declared.spec.stores().find(|store| !config.stores.contains_key(&store.name));
    if let Some(store) = absent {
        let reason = if declared.namespace.is_none() && !store.is_central() {
            format!("SecretStore {} is that of each namespace, and only ClusterSecretStores are followed", store.name)
        } else {
            format!("{} {} is not in the configuration", store.kind, store.name)
        };
        return Some(Note::new("secretStoreRef", reason));
    }
    let unusable = stores(config, declared.spec).into_iter().find_map(|store| {
        let reason = unusable(config, declared, store)?;
        Some(Note::new("secretStoreRef", format!("store {}: {reason}", store.name)))
    });
    unusable
        .or_else(|| vain_search(config, declared.spec))
        .or_else(|| finds_nothing(config, declared.spec))
        .or_else(|| absent_template(config, declared))
        .or_else(|| absent_generator(config, declared))
}

/// Why a plain ExternalSecret is left out for what another distribution makes or reads.
fn chained(config: &Config, declared: &DeclaredDistribution<'_>, namespace: &str) -> Option<String> {
    let mut own = config.of_kind(EXTERNAL_SECRETS_GROUP, "ExternalSecret");
    let manifest =
        own.find(|one| one.name() == declared.external_secret && one.namespace().unwrap_or("default") == namespace)?;
    applied::chained(&config.manifests, manifest)
}

/// Why a distribution gets nothing through a store where it is tested, if it does not.
fn unusable(config: &Config, declared: &DeclaredDistribution<'_>, store: &ClusterSecretStore) -> Option<String> {
    if store.semantics().is_none() {
        return Some("it names no provider".to_owned());
    }
    store
        .unusable()
        .or_else(|| not_admitted(config, declared, store))
        .or_else(|| absent_account(config, declared, store.referent_account()?))
}

/// Reason that a plain ExternalSecret is in a namespace that a store does not admit with the labels that the configuration
/// gives it.
fn not_admitted(config: &Config, declared: &DeclaredDistribution<'_>, store: &ClusterSecretStore) -> Option<String> {
    let namespace = declared.namespace?;
    let is_admitted = store.admits(&effective_labels(namespace, &homes::labels(config, namespace)));
    (!is_admitted).then(|| {
        format!("its conditions do not admit namespace {namespace} by its name and labels, so that no copy is made")
    })
}

/// The namespaces of a distribution in which no manifest makes a ServiceAccount that a store takes there.
///
/// Source: External Secrets Operator, "referent authentication" (docs/guides/multi-tenancy.md, and
/// `Client.serviceAccountToken`, pkg/provider/kubernetes/auth.go).
fn absent_account(config: &Config, declared: &DeclaredDistribution<'_>, account: &str) -> Option<String> {
    // Kubernetes makes this one in every namespace.
    if account == "default" {
        return None;
    }
    let taken = format!("it takes ServiceAccount {account} in the namespace of each copy");
    let mut made: BTreeSet<&str> = config
        .of_kind("", "ServiceAccount")
        .filter(|one| one.name() == account)
        .map(|one| one.namespace().unwrap_or("default"))
        .collect();
    let Some(names) = declared.only_namespaces() else {
        let made: Vec<&str> = std::mem::take(&mut made).into_iter().collect();
        let made = if made.is_empty() { "no namespace".to_owned() } else { made.join(", ") };
        return Some(format!(
            "{taken}; namespaces of any name are selected, and the configuration makes it in {made} alone"
        ));
    };
    let missing: Vec<&str> = names.iter().map(String::as_str).filter(|name| !made.contains(name)).collect();
    (!missing.is_empty()).then(|| format!("{taken}, and the configuration does not make it in {}", missing.join(", ")))
}

/// A ConfigMap or Secret with templates that is not in each of the namespaces.
fn absent_template(config: &Config, declared: &DeclaredDistribution<'_>) -> Option<Note> {
    let namespaces = declared.only_namespaces();
    let templates = declared.spec.target.template.iter().flat_map(|template| template.template_from.iter().enumerate());
    let objects = templates.flat_map(|(index, from)| {
        let both = [("configMap", "ConfigMap", &from.config_map), ("secret", "Secret", &from.secret)];
        both.into_iter().filter_map(move |(field, kind, object)| Some((index, field, kind, object.as_ref()?)))
    });
    for (index, field, kind, object) in objects {
        let is_in = |namespace: &String| {
            let mut all = config.of_kind("", kind);
            all.any(|one| one.name() == object.name && one.namespace().unwrap_or("default") == namespace)
        };
        let reason = match &namespaces {
            None => format!("{kind} {} has to be in namespaces of any name, where no manifest puts it", object.name),
            Some(names) if !names.iter().all(is_in) => {
                format!("{kind} {} is not in the configuration for each namespace that gets a copy", object.name)
            }
            Some(_) => continue,
        };
        return Some(Note::new(format!("target.template.templateFrom[{index}].{field}"), reason));
    }
    None
}

/// A generator that is not where the copies of a distribution are.
fn absent_generator(config: &Config, declared: &DeclaredDistribution<'_>) -> Option<Note> {
    let mut references = declared
        .spec
        .data_from
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| Some((index, entry.source_ref.as_ref()?.generator_ref.as_ref()?)));
    references.find_map(|(index, reference)| {
        let is_in = |namespace: Option<&str>| Generator::named(config, reference, namespace).is_some();
        let named = format!("{} {}", reference.kind, reference.name);
        let reason = match declared.only_namespaces() {
            _ if reference.kind == CLUSTER_GENERATOR && is_in(None) => return None,
            _ if reference.kind == CLUSTER_GENERATOR => format!("{named} is not in the configuration"),
            None => format!("{named} has to be in namespaces of any name, where no manifest puts it"),
            Some(names) if names.iter().all(|name| is_in(Some(name))) => return None,
            Some(_) => format!("{named} is not in the configuration for each namespace that gets a copy"),
        };
        Some(Note::new(format!("dataFrom[{index}].sourceRef.generatorRef"), reason))
    })
}

/// Effects of a template beside the data, and keys that it composes and that no consumer is known to read.
pub(super) fn of_template(declared: &DeclaredDistribution<'_>, distribution: &Distribution) -> Vec<Note> {
    let mut notes = Vec::new();
    let metadata = |field: &str| {
        let pointer = format!("/{}.target.template.metadata.{field}", declared.field()).replace('.', "/");
        declared.object.pointer(&pointer).is_some_and(|value| value.as_object().is_none_or(|map| !map.is_empty()))
    };
    for field in ["annotations", "finalizers"] {
        if metadata(field) {
            notes
                .push(Note::new(format!("target.template.metadata.{field}"), "of metadata, labels alone are compared"));
        }
    }
    let template = declared.spec.target.template.as_ref();
    let labels = template.into_iter().flat_map(|template| template.labels());
    for (key, _) in labels.filter(|(_, value)| value.contains("{{")) {
        let field = format!("target.template.metadata.labels[{key}]");
        notes.push(Note::new(field, "its value is made by a template, and only texts are compared"));
    }
    if !distribution.kept.is_empty() {
        let reason = "these keys are kept from the Secret that the configuration makes, and only have to be there";
        notes.push(Note { keys: distribution.kept.clone(), ..Note::new("target.creationPolicy", reason) });
    }
    let unread: BTreeSet<String> = distribution.unread().into_iter().map(str::to_owned).collect();
    if let (Err(why), false) = (distribution.rendering(), unread.is_empty()) {
        let reason = format!("composed by a template, and no consumer is known to read it: {why}");
        notes.push(Note { keys: unread, ..Note::new("target.template", reason) });
    }
    notes
}

/// The fields of a store on which no copy depends, or that cannot be as they are where it is tested.
pub(super) fn of_store(store: &ClusterSecretStore) -> Vec<NotJudged> {
    const FIELDS: [(&str, &str); 2] = [
        ("retrySettings", "the Kubernetes provider does not read it, nor does a stand-in"),
        ("provider.kubernetes.server.caBundle", "the API server of the test has another certificate"),
    ];
    let conditions = ("conditions", "the operator reads them of ClusterSecretStores alone");
    let written = |field: &str| store.object.pointer(&format!("/spec/{}", field.replace('.', "/"))).is_some();
    let of_namespace = store.namespace().map(|_| &conditions);
    let is_read = |field: &str| field == "retrySettings" && store.is_served_by_vault();
    let there = FIELDS.iter().chain(of_namespace).filter(|(field, _)| written(field) && !is_read(field));
    let there = there.map(|(field, reason)| (format!("spec.{field}"), (*reason).to_owned()));
    let stood_in = store.unjudged();
    let of_field = |(field, reason)| NotJudged {
        place: store.place.clone(),
        distribution: None,
        field,
        keys: BTreeSet::new(),
        reason,
        is_refused: false,
    };
    there.chain(stood_in).map(of_field).collect()
}
