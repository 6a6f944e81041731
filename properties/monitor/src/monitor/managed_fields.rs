//! Metadata of a Secret, which tells who made it and who wrote it, without any value.
//!
//! Sources: External Secrets Operator v0.20.4, `externalsecret_controller.go` (`fieldOwnerTemplate`, `isSecretValid`,
//! `updateSecret`) and `apis/externalsecrets/v1/externalsecret_types.go` (`LabelManaged`, `AnnotationDataHash`); Kubernetes,
//! "Server-Side Apply": an update that changes a field takes it from the managers before, and `managedFields` names fields
//! and never values.

use std::hash::{DefaultHasher, Hash, Hasher};

use credence_core::operator_api::EXTERNAL_SECRETS_GROUP;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use serde_json::Value;

/// The label without which the operator does not see that a Secret changes.
const MANAGED_LABEL: &str = "reconcile.external-secrets.io/managed";
/// The annotation in which the operator keeps the hash of the data that it wrote.
const HASH_ANNOTATION: &str = "reconcile.external-secrets.io/data-hash";
/// Beginning of the names of the operator's field managers; the name of the ExternalSecret follows, or its hash.
const MANAGERS: &str = "externalsecrets.external-secrets.io/";

/// Controller that owns an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Controller {
    /// The ExternalSecret of this name.
    ExternalSecret(Box<str>),
    Other,
}

/// Parts of a Secret's metadata that are kept.
#[derive(Debug, Clone, Default)]
pub(super) struct ManagedFields {
    pub(super) controller: Option<Controller>,
    /// True if the operator sees when it changes.
    pub(super) is_managed: bool,
    /// Stands for the hash of the data that the operator wrote last.
    pub(super) hash: Option<u64>,
    /// True if somebody else wrote that hash.
    pub(super) has_foreign_hash: bool,
    /// The keys whose value somebody else wrote last.
    pub(super) foreign_keys: Vec<Box<str>>,
    /// Stands for the writes of others that are still in place; changes with each of them.
    pub(super) foreign_writes: Option<u64>,
    /// Time of the operator's last write, in the API server's whole seconds; `None` if no value here is its own.
    pub(super) operator_wrote: Option<Timestamp>,
}

impl ManagedFields {
    pub(super) fn of(meta: &ObjectMeta) -> Self {
        let label = |key: &str| meta.labels.as_ref().and_then(|labels| labels.get(key));
        let hash = meta.annotations.as_ref().and_then(|annotations| annotations.get(HASH_ANNOTATION));
        let mut managed_fields = Self {
            controller: controller(meta).map(|owner| match owner.kind.as_str() {
                "ExternalSecret" if is_operators(owner) => Controller::ExternalSecret(owner.name.as_str().into()),
                _ => Controller::Other,
            }),
            is_managed: label(MANAGED_LABEL).is_some_and(|value| value == "true"),
            hash: hash.map(digest),
            ..Self::default()
        };
        for entry in meta.managed_fields.iter().flatten() {
            managed_fields.add(entry);
        }
        managed_fields
    }

    pub(super) fn is_of_external_secret(&self) -> bool {
        matches!(self.controller, Some(Controller::ExternalSecret(_)))
    }

    fn add(&mut self, entry: &ManagedFieldsEntry) {
        let Some(fields) = entry.fields_v1.as_ref().map(|fields| &fields.0) else { return };
        let keys = data_keys(fields);
        if entry.manager.as_deref().is_some_and(|manager| manager.starts_with(MANAGERS)) {
            if !keys.is_empty() {
                self.operator_wrote = self.operator_wrote.max(entry.time.as_ref().and_then(timestamp));
            }
            return;
        }
        let hash = format!("f:{HASH_ANNOTATION}");
        let owns_hash = fields.pointer("/f:metadata/f:annotations").is_some_and(|found| found.get(&hash).is_some());
        if keys.is_empty() && !owns_hash {
            return;
        }
        self.has_foreign_hash |= owns_hash;
        let time = entry.time.as_ref().and_then(timestamp);
        let write = digest(&(&entry.manager, &entry.operation, time, &keys, owns_hash));
        self.foreign_writes = Some(self.foreign_writes.unwrap_or_default() ^ write);
        self.foreign_keys.extend(keys.into_iter().map(Box::from));
    }
}

/// Time at which the data of a Secret was last written, in the API server's whole seconds, whoever wrote it; its creation where
/// nothing says so. A manager's time is that of its last write to any field, so writing other metadata counts as well.
pub(super) fn data_written(meta: &ObjectMeta) -> Option<Timestamp> {
    let writes = meta.managed_fields.iter().flatten().filter(|entry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.get("f:data").is_some())
    });
    let last = writes.filter_map(|entry| entry.time.as_ref().and_then(timestamp)).max();
    last.or_else(|| meta.creation_timestamp.as_ref().and_then(timestamp))
}

/// The ClusterExternalSecret that controls an ExternalSecret.
pub(super) fn distributor(meta: &ObjectMeta) -> Option<&str> {
    let owner = controller(meta).filter(|owner| owner.kind == "ClusterExternalSecret" && is_operators(owner))?;
    Some(&owner.name)
}

pub(super) fn timestamp(time: &Time) -> Option<Timestamp> {
    Timestamp::from_second(time.0.as_second()).ok()
}

fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

fn is_operators(owner: &OwnerReference) -> bool {
    owner.api_version.split_once('/').is_some_and(|(group, _)| group == EXTERNAL_SECRETS_GROUP)
}

/// The keys of `data` in a set of fields; whoever has only the map itself (`.`) wrote no value.
fn data_keys(fields: &Value) -> Vec<&str> {
    let data = fields.get("f:data").and_then(Value::as_object);
    data.into_iter().flatten().filter_map(|(key, _)| key.strip_prefix("f:")).collect()
}

fn digest(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
