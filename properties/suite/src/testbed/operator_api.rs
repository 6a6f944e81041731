//! Objects of External Secrets Operator, whatever their kind.

use credence_core::operator_api::{EXTERNAL_SECRETS_GROUP, EXTERNAL_SECRETS_VERSION};
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client};

/// Resource of a kind, as the API server calls it.
pub(crate) fn resource(kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(EXTERNAL_SECRETS_GROUP, EXTERNAL_SECRETS_VERSION, kind))
}

/// The objects of a kind, in one namespace or in all.
pub(crate) fn api(client: &Client, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource(kind)),
        None => Api::all_with(client.clone(), &resource(kind)),
    }
}
