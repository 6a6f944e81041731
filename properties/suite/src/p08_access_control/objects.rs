//! The objects that a tenant writes, as manifests. Pure.

use std::path::Path;

use serde_json::{Value, json};

use super::aim::Goal;

/// The kind of the stores that belong to the platform.
pub(super) const CENTRAL: &str = "ClusterSecretStore";
/// The kind of a tenant's own.
pub(super) const OWN: &str = "SecretStore";
/// The key under which a tenant keeps its own value.
pub(super) const VALUE: &str = "value";

/// An object of a group, kind and name; the API server fills in its namespace from the path.
pub(super) fn object(api_version: &str, kind: &str, name: &str, mut rest: Value) -> Value {
    rest["apiVersion"] = json!(api_version);
    rest["kind"] = json!(kind);
    if rest.get("metadata").is_none() {
        rest["metadata"] = json!({});
    }
    rest["metadata"]["name"] = json!(name);
    rest
}

/// An ExternalSecret with this `spec`, whose Secret has its own name.
pub(super) fn external_secret(name: &str, mut spec: Value) -> Value {
    spec["refreshInterval"] = json!("1h");
    spec["target"]["name"] = json!(name);
    object("external-secrets.io/v1", "ExternalSecret", name, json!({ "spec": spec }))
}

/// A specification that reads one value of a source through a store.
pub(super) fn reading(kind: &str, store: &str, source: &str, key: &str) -> Value {
    json!({ "secretStoreRef": store_ref(kind, store), "data": [entry(source, key)] })
}

/// A reference to a store.
pub(super) fn store_ref(kind: &str, store: &str) -> Value {
    json!({ "kind": kind, "name": store })
}

/// One value of a source.
pub(super) fn entry(source: &str, key: &str) -> Value {
    json!({ "secretKey": VALUE, "remoteRef": { "key": source, "property": key } })
}

/// Where a store of the Kubernetes provider finds the API server.
fn server(url: &str) -> Value {
    let ca = json!({ "type": "ConfigMap", "name": "kube-root-ca.crt", "key": "ca.crt" });
    json!({ "url": url, "caProvider": ca })
}

/// The provider of a store that reads a namespace as one of the ServiceAccounts of its own.
pub(super) fn kubernetes(url: &str, namespace: &str, account: &str) -> Value {
    json!({ "kubernetes": {
        "remoteNamespace": namespace, "server": server(url), "auth": { "serviceAccount": { "name": account } } } })
}

/// The provider of a store that takes the authority from another namespace.
pub(super) fn with_authority(mut provider: Value, namespace: &str, name: &str) -> Value {
    let ca = json!({ "type": "ConfigMap", "name": name, "key": "ca.crt", "namespace": namespace });
    provider["kubernetes"]["server"]["caProvider"] = ca;
    provider
}

/// The provider of a store that reads the source as the account of a central one. `None` if that has no account.
pub(super) fn as_central(url: &str, goal: &Goal<'_>) -> Option<Value> {
    let account = goal.store.kubernetes.as_ref()?.service_account()?;
    let mut provider = kubernetes(url, &goal.source.namespace, &account.name);
    provider["kubernetes"]["auth"]["serviceAccount"]["namespace"] = json!(account.namespace.as_ref()?);
    Some(provider)
}

/// A store.
pub(super) fn store(kind: &str, name: &str, provider: Value) -> Value {
    object("external-secrets.io/v1", kind, name, json!({ "spec": { "provider": provider } }))
}

/// A kubeconfig that authenticates by the token in a file of whoever uses it.
pub(super) fn kubeconfig(url: &str, token: &Path) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "it", "cluster": { "server": url, "insecure-skip-tls-verify": true } }],
        "users": [{ "name": "it", "user": { "tokenFile": token } }],
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
        "current-context": "it",
    })
    .to_string()
}

/// What a webhook of the given address is told.
pub(super) fn webhook(url: &str, body: &str) -> Value {
    json!({ "url": url, "method": "POST", "body": body, "result": { "jsonPath": "$" } })
}

/// A specification that reads a generator.
pub(super) fn generated(kind: &str, name: &str) -> Value {
    let reference = json!({ "apiVersion": "generators.external-secrets.io/v1alpha1", "kind": kind, "name": name });
    json!({ "dataFrom": [{ "sourceRef": { "generatorRef": reference } }] })
}

/// A specification that pushes a value of a Secret to where the goal is.
pub(super) fn pushing(goal: &Goal<'_>, secret: &str) -> Value {
    let remote = json!({ "remoteKey": goal.source.name, "property": goal.key });
    json!({
        "refreshInterval": "1h",
        "secretStoreRefs": [store_ref(CENTRAL, &goal.store.name)],
        "selector": { "secret": { "name": secret } },
        "data": [{ "match": { "secretKey": VALUE, "remoteRef": remote } }],
    })
}

/// A pod that mounts a Secret. No scheduler has this name, so that it never runs.
pub(super) fn pod(name: &str, secret: &str) -> Value {
    let container = json!({ "name": "main", "image": "credence.invalid/none",
        "volumeMounts": [{ "name": "it", "mountPath": "/it" }] });
    let volumes = json!([{ "name": "it", "secret": { "secretName": secret } }]);
    let spec = json!({ "schedulerName": "credence.dev/none", "containers": [container], "volumes": volumes });
    object("v1", "Pod", name, json!({ "spec": spec }))
}

/// A RoleBinding that gives a ServiceAccount a ClusterRole.
pub(super) fn role_binding(name: &str, role: &str, namespace: &str, account: &str) -> Value {
    let group = "rbac.authorization.k8s.io";
    object(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        name,
        json!({
            "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": role },
            "subjects": [{ "kind": "ServiceAccount", "namespace": namespace, "name": account }],
        }),
    )
}
