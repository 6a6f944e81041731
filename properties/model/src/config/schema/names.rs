//! Names that are too long for what External Secrets Operator makes of them.

use credence_core::manifest::Manifest;
use serde_json::Value;

use super::Fault;
use crate::config::EXTERNAL_SECRETS_GROUP;
use crate::selector::check_label;

/// The most characters of a name behind `ces-`, in the 63 of a finalizer's name.
///
/// Source: External Secrets Operator `buildCESFinalizer`, and `validation.IsQualifiedName` of Kubernetes.
const LIMIT: usize = 59;

/// Labels that are copied to what the operator makes, from the root of the object.
const LABELS: [&str; 4] = [
    "/metadata/labels",
    "/spec/externalSecretMetadata/labels",
    "/spec/externalSecretSpec/target/template/metadata/labels",
    "/spec/target/template/metadata/labels",
];

/// The faults of names and labels.
pub(super) fn faults(manifest: &Manifest) -> Vec<Fault> {
    let mut faults = Vec::new();
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
