//! The objects of a configuration that a cluster gets.
//!
//! A configuration is data: it may come from a stranger, and what is tested is distribution alone. So only objects that this
//! module knows to do nothing else are applied. Workloads would run on this machine; pushes to other providers would
//! use or issue credentials elsewhere, and so would their stores and generators, unless a stand-in takes their place; webhooks and
//! aggregated APIs would be sent what the cluster holds.
//! Values of Secrets never leave the configuration: each is replaced before it is applied.

use std::collections::BTreeSet;

use credence_core::adjustments::LeftOut;
use credence_core::formats::{DOCKER_CONFIG, DOCKER_CONFIG_KEY};
use credence_core::manifest::Manifest;
use credence_core::operator_api::EXTERNAL_SECRETS_GROUP;
use serde_json::{Map, Value};

use crate::config::spec_in;

mod chain;
mod kinds;

use chain::{maker_for, reader_of};
use kinds::Applied;

/// Divides a configuration into what is applied and what is left out, with the reason. Kinds in `also`, by name, are applied
/// even though this module does not know what comes of them; kinds that reach outside never are.
pub fn select(manifests: Vec<Manifest>, also: &BTreeSet<String>) -> (Vec<Manifest>, Vec<LeftOut>) {
    let (mut applied, mut left_out) = (Vec::new(), Vec::new());
    let mut absent = Absent::default();
    for manifest in manifests {
        match kinds::judge(&manifest) {
            Applied::Yes => applied.push(manifest),
            Applied::OnRequest(_) if also.contains(manifest.kind()) => applied.push(manifest),
            Applied::OnRequest(reason) | Applied::Never(reason) => {
                absent.add(&manifest);
                left_out.push(told(&manifest, reason));
            }
        }
    }
    let chained: Vec<Option<String>> = applied.iter().map(|manifest| chained(&applied, manifest)).collect();
    let is_kept = |(manifest, reason): (Manifest, Option<String>)| match reason {
        Some(reason) => {
            left_out.push(told(&manifest, reason));
            None
        }
        None => Some(manifest),
    };
    let applied: Vec<Manifest> = applied.into_iter().zip(chained).filter_map(is_kept).collect();
    // In a pass of its own, since a store may stand behind what names it.
    let applied = applied.into_iter().filter_map(|manifest| match absent.named_by(&manifest) {
        Some(missing) => {
            left_out.push(told(&manifest, format!("{missing}, which it names, is left out")));
            None
        }
        None => Some(manifest),
    });
    (applied.collect(), left_out)
}

/// Why a plain ExternalSecret is left out for what another distribution makes or reads; none if it is not.
pub(crate) fn chained(manifests: &[Manifest], manifest: &Manifest) -> Option<String> {
    let made = reader_of(manifests, manifest)
        .map(|reader| format!("it makes a source of {reader}, which a run gives values of its own"));
    made.or_else(|| {
        let copy = maker_for(manifests, manifest)?;
        Some(format!(
            "it reads {copy}: a run gives sources values of their own, which the operator would replace there"
        ))
    })
}

fn told(manifest: &Manifest, reason: String) -> LeftOut {
    let place = format!("{}:{}", manifest.file.display(), manifest.line);
    LeftOut { object: manifest.object_name(), place, reason }
}

/// Stores and generators that are left out, by kind, namespace (empty where there is none) and name.
#[derive(Default)]
struct Absent(BTreeSet<(String, String, String)>);

impl Absent {
    fn add(&mut self, manifest: &Manifest) {
        let namespace = manifest.namespace().unwrap_or_default();
        self.0.insert((manifest.kind().to_owned(), namespace.to_owned(), manifest.name().to_owned()));
    }

    /// Object left out that an object of External Secrets Operator names.
    fn named_by(&self, manifest: &Manifest) -> Option<String> {
        let distributes = manifest.group() == EXTERNAL_SECRETS_GROUP
            && ["ClusterExternalSecret", "ExternalSecret"].contains(&manifest.kind());
        if !distributes {
            return None;
        }
        let namespace = manifest.namespace().unwrap_or_default();
        references(spec_in(&manifest.object))
            .find(|reference| self.has(reference, namespace))
            .map(|Reference { kind, name }| format!("{kind} {name}"))
    }

    fn has(&self, reference: &Reference<'_>, namespace: &str) -> bool {
        let namespace = if reference.kind.starts_with("Cluster") { "" } else { namespace };
        self.0.contains(&(reference.kind.to_owned(), namespace.to_owned(), reference.name.to_owned()))
    }
}

/// A store or a generator that a spec names.
struct Reference<'a> {
    kind: &'a str,
    name: &'a str,
}

/// Every store and generator that the spec of an ExternalSecret names.
fn references(spec: &Value) -> impl Iterator<Item = Reference<'_>> {
    let entries = ["data", "dataFrom"].into_iter().filter_map(|field| spec.get(field)?.as_array()).flatten();
    let own = entries.flat_map(|entry| ["storeRef", "generatorRef"].map(|field| &entry["sourceRef"][field]));
    std::iter::once(&spec["secretStoreRef"]).chain(own).filter_map(|reference| {
        let name = reference.get("name")?.as_str()?;
        // The CRD's default, which generators do not have.
        let kind = reference.get("kind").and_then(Value::as_str).unwrap_or("SecretStore");
        Some(Reference { kind, name })
    })
}

/// Replaces every value of every Secret. Keys and types stay, which are all that objects beside the sources are for; the
/// sources get values of the run's own before anything is tested.
pub fn replace_values(manifests: &mut [Manifest]) {
    for manifest in manifests.iter_mut().filter(|manifest| manifest.group().is_empty() && manifest.kind() == "Secret") {
        let secret_type = manifest.object.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(object) = manifest.object.as_object_mut() else { continue };
        // What SOPS adds to a Secret whose values it encrypts; its controllers remove it, and the API server does not know it.
        object.remove("sops");
        let mut data = Map::new();
        for field in ["data", "stringData"] {
            let Some(Value::Object(values)) = object.remove(field) else { continue };
            data.extend(values.into_iter().map(|(key, _)| {
                let value = placeholder(&secret_type, &key);
                (key, Value::from(value))
            }));
        }
        if !data.is_empty() {
            object.insert("stringData".to_owned(), Value::Object(data));
        }
    }
}

/// A text that the API server takes for this key.
///
/// Source: Kubernetes, `ValidateSecret` (pkg/apis/core/validation/validation.go), which parses pull secrets and no more.
fn placeholder(secret_type: &str, key: &str) -> &'static str {
    match (secret_type, key) {
        (DOCKER_CONFIG, DOCKER_CONFIG_KEY) => r#"{"auths":{}}"#,
        ("kubernetes.io/dockercfg", ".dockercfg") => "{}",
        _ => "replaced by credence",
    }
}

#[cfg(test)]
mod tests;
