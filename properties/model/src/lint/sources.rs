//! Sources as their manifests have them.

use std::collections::BTreeSet;

use credence_core::manifest::Manifest;
use serde_json::Value;

use crate::config::{Config, DeclaredDistribution, MergePolicy, SourceRef, StoreRef};

/// The type of Secrets that Kubernetes fills itself.
const FILLED_BY_KUBERNETES: &str = "kubernetes.io/service-account-token";

/// The annotation with which a SealedSecret adds its keys to those that a Secret has.
///
/// Source: Sealed Secrets, `SealedSecretPatchAnnotation` (pkg/apis/sealedsecrets/v1alpha1/types.go).
const ADDS_TO_OTHERS: &str = "sealedsecrets.bitnami.com/patch";

/// The Secret that is read by `key` through a store; none if that is no store of Kubernetes in the configuration.
pub(super) fn secret(config: &Config, store: &StoreRef, key: &str) -> Option<SourceRef> {
    let provider = config.stores.get(&store.name)?.kubernetes.as_ref()?;
    Some(SourceRef::secret(&provider.remote_namespace, key))
}

/// The keys of a source, as its Secret or SealedSecret has them, or the ExternalSecret that makes it; none if the configuration has none
/// of these, or they leave the keys to others.
pub(super) fn written_keys(config: &Config, source: &SourceRef) -> Option<BTreeSet<String>> {
    if config.secrets.contains_key(source) { of_secret(config, source) } else { made_keys(config, source) }
}

/// The keys that the only ExternalSecret which makes a source gives it, if they can be told by its text.
fn made_keys(config: &Config, source: &SourceRef) -> Option<BTreeSet<String>> {
    let is_maker =
        |one: &DeclaredDistribution<'_>| one.namespace == Some(&*source.namespace) && one.secret() == source.name;
    let mut makers = config.declared_distributions().filter(is_maker);
    let (maker, None) = (makers.next()?, makers.next()) else { return None };
    let target = &maker.spec.target;
    let template = target.template.as_ref();
    if !target.creation_policy.makes_all() || template.is_some_and(|template| !template.template_from.is_empty()) {
        return None;
    }
    let written = template.into_iter().flat_map(|template| template.data.keys().cloned());
    let mut keys: BTreeSet<String> = written.collect();
    let keeps_values = template.is_none_or(|template| template.merge_policy == MergePolicy::Merge) || keys.is_empty();
    if keeps_values {
        // What dataFrom reads, only the controller knows.
        if !maker.spec.data_from.is_empty() {
            return None;
        }
        keys.extend(maker.spec.data.iter().map(|entry| entry.secret_key.clone()));
    }
    Some(keys)
}

fn of_secret(config: &Config, source: &SourceRef) -> Option<BTreeSet<String>> {
    let secret = config.secrets.get(source).filter(|secret| secret.secret_type != FILLED_BY_KUBERNETES)?;
    let adds = |one: &Manifest| one.object["metadata"]["annotations"][ADDS_TO_OTHERS] == "true";
    if manifests(config, source).any(adds) {
        return None;
    }
    let manifests = manifests(config, source);
    // Those that a SealedSecret has beside its encrypted ones.
    let plain = manifests.filter_map(|one| one.object.pointer("/spec/template/data")?.as_object());
    let keys: BTreeSet<String> = plain.flat_map(|data| data.keys()).chain(secret.data.keys()).cloned().collect();
    (!keys.is_empty()).then_some(keys)
}

/// True if an annotation of a source names a key: another controller may add it.
pub(super) fn annotations_name(config: &Config, source: &SourceRef, key: &str) -> bool {
    manifests(config, source).any(|one| {
        let annotations = one.object.pointer("/metadata/annotations").and_then(Value::as_object);
        annotations.into_iter().flatten().any(|(name, value)| {
            // kubectl keeps the whole object in one.
            !name.starts_with("kubectl.kubernetes.io/") && value.as_str().is_some_and(|value| value.contains(key))
        })
    })
}

fn manifests<'a>(config: &'a Config, source: &'a SourceRef) -> impl Iterator<Item = &'a Manifest> {
    let both = config.of_kind("", "Secret").chain(config.of_kind("bitnami.com", "SealedSecret"));
    both.filter(|one| one.name() == source.name && one.namespace().unwrap_or("default") == source.namespace)
}
