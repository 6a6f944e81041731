//! Objects in the cluster that a consumer's controller needs, or has for a login: defined, created, marked as made here, and deleted.

use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::FIELD_MANAGER;
use credence_core::file_error::FileError;
use credence_core::manifest::{self, ManifestError};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const MARK: (&str, &str) = ("app.kubernetes.io/managed-by", "credence");

/// Labels of what is made here.
pub(crate) fn labels() -> Value {
    json!({ MARK.0: MARK.1 })
}

/// The label selector of what is made here.
pub(crate) fn selector() -> String {
    format!("{}={}", MARK.0, MARK.1)
}

/// The definitions in files of a controller's own source.
///
/// # Errors
/// When a file cannot be read, or is no manifest.
pub(crate) fn definitions<E>(files: impl IntoIterator<Item = PathBuf>) -> Result<Vec<Value>, E>
where
    E: From<FileError> + From<ManifestError>,
{
    let mut definitions = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).map_err(FileError::of::<E>("read", &path))?;
        definitions.extend(manifest::parse_documents(&path, &text)?.into_iter().map(|manifest| manifest.object));
    }
    Ok(definitions)
}

/// Creates an object.
///
/// # Errors
/// When the API server refuses it, with `act` and `name`.
pub(crate) async fn create<K, E>(api: &Api<K>, object: Value, act: &'static str, name: &str) -> Result<K, E>
where
    K: Clone + Debug + DeserializeOwned + Serialize,
    E: From<ApiError>,
{
    let failed = ApiError::of::<E>(act, name);
    let object = serde_json::from_value(object).map_err(|error| failed(kube::Error::SerdeError(error)))?;
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    api.create(&params, &object).await.map_err(failed)
}

/// Deletes an object. One that is gone already is as good.
///
/// # Errors
/// When the API server refuses, with `act` and `name`.
pub(crate) async fn delete<K, E>(api: &Api<K>, name: &str, act: &'static str) -> Result<(), E>
where
    K: Clone + Debug + DeserializeOwned,
    E: From<ApiError>,
{
    gone_is_fine(api.delete(name, &DeleteParams::default()).await.map(drop)).map_err(ApiError::of::<E>(act, name))
}

/// Success for an object that is gone already.
pub(crate) fn gone_is_fine(outcome: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match outcome {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other,
    }
}

/// A RoleBinding that gives a controller's ServiceAccount, `(namespace, name)`, the rights of a ClusterRole in one namespace.
pub(crate) fn binding(namespace: &str, name: &str, role: &str, account: (&str, &str)) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": { "name": name, "namespace": namespace, "labels": labels() },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        "subjects": [{ "kind": "ServiceAccount", "namespace": account.0, "name": account.1 }],
    })
}
