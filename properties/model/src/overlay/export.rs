//! Fields that a cluster writes into its objects, and refuses from anybody else: manifests that were taken out of one have them.

use serde_json::Value;

/// Fields of the metadata that the API server sets, and those by which controllers of that cluster would remove an object.
///
/// Source: ObjectMeta in k8s.io/apimachinery `pkg/apis/meta/v1/types.go`, "Populated by the system".
const METADATA: [&str; 8] = [
    "creationTimestamp",
    "finalizers",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Annotation in which kubectl keeps the manifest that it applied, with the values of a Secret.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Removes it, and tells whether there was any.
pub(super) fn remove_state(object: &mut Value) -> bool {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return false };
    let mut removed = METADATA.iter().filter(|field| metadata.remove(**field).is_some()).count();
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        removed += usize::from(annotations.remove(LAST_APPLIED).is_some());
    }
    if removed > 0 {
        // A status says what was so in that cluster.
        object.as_object_mut().and_then(|fields| fields.remove("status"));
    }
    removed > 0
}
