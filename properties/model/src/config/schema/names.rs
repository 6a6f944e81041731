//! Names that Kubernetes refuses, or that are too long for what External Secrets Operator makes of them.

use credence_core::manifest::Manifest;
use credence_core::operator_api::{EXTERNAL_SECRETS_GROUP, GENERATORS_GROUP};
use serde_json::Value;

use super::Fault;
use super::unrendered::placeholder;
use crate::selector::{check_label, is_dns_label, is_subdomain};

/// The most characters of a name behind `ces-`, in the 63 of a finalizer's name.
///
/// Source: External Secrets Operator `buildCESFinalizer`, and `validation.IsQualifiedName` of Kubernetes.
const LIMIT: usize = 59;

/// The most characters of a name in most groups, and of a namespace's.
///
/// Source: Kubernetes, `NameIsDNSSubdomain` and `NameIsDNSLabel` (k8s.io/apimachinery pkg/api/validation/generic.go). Names of roles
/// and bindings may be anything that a path may have.
const LONGEST_NAME: usize = 253;
const LONGEST_NAMESPACE: usize = 63;

/// The groups whose names are checked: those of which objects are applied.
const GROUPS: [&str; 4] = ["", EXTERNAL_SECRETS_GROUP, GENERATORS_GROUP, "admissionregistration.k8s.io"];

/// Labels that are copied to what the operator makes, from the root of the object.
const LABELS: [&str; 4] = [
    "/metadata/labels",
    "/spec/externalSecretMetadata/labels",
    "/spec/externalSecretSpec/target/template/metadata/labels",
    "/spec/target/template/metadata/labels",
];

/// The faults of the name and the namespace themselves.
fn of_metadata(manifest: &Manifest) -> Vec<Fault> {
    if !GROUPS.contains(&manifest.group()) {
        return Vec::new();
    }
    let is_namespace = (manifest.group(), manifest.kind()) == ("", "Namespace");
    let own = (manifest.name(), "name", if is_namespace { LONGEST_NAMESPACE } else { LONGEST_NAME });
    let namespace = manifest.namespace().map(|namespace| (namespace, "namespace", LONGEST_NAMESPACE));
    let written = [own].into_iter().chain(namespace);
    // The table tells what nobody rendered.
    let written = written.filter(|(name, ..)| !name.contains("${") && !name.contains("{{"));
    let faults = written.filter_map(|(name, field, longest)| {
        let reason = refused(name, longest)?;
        Some(Fault::new(manifest, &format!("/metadata/{field}"), format!("metadata.{field} {reason}")))
    });
    faults.collect()
}

/// Why Kubernetes refuses a name of a kind whose names have so many characters at most.
fn refused(name: &str, longest: usize) -> Option<String> {
    let is_label = longest == LONGEST_NAMESPACE;
    if name.len() > longest {
        return Some(format!("has {} characters, and 1 to {longest} are allowed", name.len()));
    }
    let is_taken = if is_label { is_dns_label(name) } else { is_subdomain(name) };
    (!is_taken).then(|| {
        let letters = if is_label { "digits and hyphens" } else { "digits, hyphens and dots" };
        let next = placeholder(name).map(|found| format!("; replace {found}")).unwrap_or_default();
        format!("is not made of lower-case letters, {letters}, with a letter or digit first and last{next}")
    })
}

/// The faults of names and labels.
pub(super) fn faults(manifest: &Manifest) -> Vec<Fault> {
    let mut faults = of_metadata(manifest);
    if manifest.group() == EXTERNAL_SECRETS_GROUP && manifest.kind() == "ClusterExternalSecret" {
        let length = manifest.name().len();
        if length > LIMIT {
            let message = format!(
                "the name has {length} characters, and with more than {LIMIT} no copy is ever made: External Secrets Operator puts \
                 ces-NAME into a finalizer of each namespace, and Kubernetes allows 63 characters there; shorten metadata.name"
            );
            faults.push(Fault::new(manifest, "/metadata/name", message));
        }
    }
    for pointer in LABELS {
        let labels = manifest.object.pointer(pointer).and_then(Value::as_object);
        for (key, value) in labels.into_iter().flatten() {
            // A template becomes a value only in the cluster.
            let value = value.as_str().filter(|value| !value.contains("{{") && !value.contains("${"));
            if let Some(reason) = value.and_then(|value| check_label(key, value).err()) {
                let at = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                let shown = pointer[1..].replace('/', ".");
                faults.push(Fault::new(
                    manifest,
                    &at,
                    format!("{shown} has a label that Kubernetes refuses: {reason}"),
                ));
            }
        }
    }
    faults
}
