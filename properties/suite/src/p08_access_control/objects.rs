//! The objects that a tenant writes, as manifests. Pure.

use std::path::Path;

use credence_core::operator_api::{EXTERNAL_SECRETS_API, GENERATORS_API};
use serde_json::{Value, json};

use super::objective::Goal;
use super::route::Workload;

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
    object(EXTERNAL_SECRETS_API, "ExternalSecret", name, json!({ "spec": spec }))
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

/// Reference of a store of the Kubernetes provider to the API server.
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

pub(super) fn store(kind: &str, name: &str, provider: Value) -> Value {
    object(EXTERNAL_SECRETS_API, kind, name, json!({ "spec": { "provider": provider } }))
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

/// Specification of a webhook of the given address.
pub(super) fn webhook(url: &str, body: &str) -> Value {
    json!({ "url": url, "method": "POST", "body": body, "result": { "jsonPath": "$" } })
}

/// A specification that reads a generator.
pub(super) fn generated(kind: &str, name: &str) -> Value {
    let reference = json!({ "apiVersion": GENERATORS_API, "kind": kind, "name": name });
    json!({ "dataFrom": [{ "sourceRef": { "generatorRef": reference } }] })
}

/// A specification that pushes a value of a Secret to where the goal is.
pub(super) fn pushing(goal: &Goal<'_>, secret: &str) -> Value {
    let remote = json!({ "remoteKey": goal.source.name, "property": goal.key });
    json!({
        "refreshInterval": "1h",
        "secretStoreRefs": [store_ref(goal.store.kind(), goal.store.object_name())],
        "selector": { "secret": { "name": secret } },
        "data": [{ "match": { "secretKey": VALUE, "remoteRef": remote } }],
    })
}

/// A container that the strictest Pod Security Standard lets pass.
pub(super) fn container(name: &str) -> Value {
    let context = json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] }, "runAsNonRoot": true,
        "seccompProfile": { "type": "RuntimeDefault" } });
    json!({ "name": name, "image": "credence.invalid/none", "securityContext": context })
}

fn pod_spec(secret: &str) -> Value {
    let mut container = container("main");
    container["volumeMounts"] = json!([{ "name": "it", "mountPath": "/it" }]);
    let volumes = json!([{ "name": "it", "secret": { "secretName": secret } }]);
    json!({ "schedulerName": "credence.dev/none", "containers": [container], "volumes": volumes })
}

/// A pod that mounts a Secret. No scheduler has this name, so that it never runs.
pub(super) fn pod(name: &str, secret: &str) -> Value {
    object("v1", "Pod", name, json!({ "spec": pod_spec(secret) }))
}

/// Object that makes such pods; it makes none where it has a choice.
pub(super) fn workload(workload: Workload, name: &str, secret: &str) -> Value {
    let labels = json!({ "credence.dev/pod": name });
    let mut template = json!({ "metadata": { "labels": labels }, "spec": pod_spec(secret) });
    let selector = json!({ "matchLabels": labels });
    let replicas = |template: Value| json!({ "replicas": 0, "selector": selector, "template": template });
    let job = |mut template: Value| {
        template["spec"]["restartPolicy"] = json!("Never");
        json!({ "suspend": true, "template": template })
    };
    let (version, kind, spec) = match workload {
        Workload::Deployment => ("apps/v1", "Deployment", replicas(template)),
        Workload::StatefulSet => {
            let mut spec = replicas(template);
            spec["serviceName"] = json!(name);
            ("apps/v1", "StatefulSet", spec)
        }
        Workload::DaemonSet => {
            // No node has it.
            template["spec"]["nodeSelector"] = json!({ "credence.dev/none": "true" });
            ("apps/v1", "DaemonSet", json!({ "selector": selector, "template": template }))
        }
        Workload::Job => ("batch/v1", "Job", job(template)),
        Workload::CronJob => {
            let spec = job(template);
            let spec = json!({ "schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": { "spec": spec } });
            ("batch/v1", "CronJob", spec)
        }
    };
    object(version, kind, name, json!({ "spec": spec }))
}

/// A user as the subject of a binding.
pub(super) fn user(name: &str) -> Value {
    json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name })
}

/// A RoleBinding or ClusterRoleBinding that gives a user the ClusterRole `edit`, which reads Secrets.
pub(super) fn binding(kind: &str, name: &str, subject: &str) -> Value {
    let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit" });
    object("rbac.authorization.k8s.io/v1", kind, name, json!({ "roleRef": role, "subjects": [user(subject)] }))
}
