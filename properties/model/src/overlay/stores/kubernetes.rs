//! Stores that read Kubernetes Secrets: the URL and the certificate of this cluster's API server.

use credence_core::manifest::Manifest;
use serde_json::{Value, json};

use super::super::{FieldPatch, Server};
use crate::config::store_key;

const PROVIDER: &str = "spec.provider.kubernetes";

pub(super) fn patches(manifest: &Manifest, server: &Server) -> Option<Vec<FieldPatch>> {
    let provider = manifest.object.pointer("/spec/provider/kubernetes")?;
    let Some(url) = server.proxies.get(&store_key(manifest)).or(server.url.as_ref()) else { return Some(Vec::new()) };
    let mut patches = Vec::new();
    let mut set = |field: &str, value: Value| patches.push(FieldPatch { field: format!("{PROVIDER}.{field}"), value });
    if provider.get("server").is_none() {
        set("server", json!({}));
    }
    set("server.url", json!(url));
    if provider.pointer("/server/caBundle").is_some_and(|bundle| !bundle.is_null()) {
        set("server.caProvider", own_certificate(manifest.kind(), provider));
        // A field that is null counts as absent.
        set("server.caBundle", Value::Null);
    }
    Some(patches)
}

/// Reference to the certificate of this cluster's API server, which Kubernetes puts into every namespace.
fn own_certificate(kind: &str, provider: &Value) -> Value {
    let mut own = json!({ "type": "ConfigMap", "name": "kube-root-ca.crt", "key": "ca.crt" });
    if kind == "ClusterSecretStore" {
        own["namespace"] = json!(provider["remoteNamespace"].as_str().unwrap_or("default"));
    }
    own
}
