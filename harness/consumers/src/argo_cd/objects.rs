//! The objects that Argo CD reads from the cluster.

use credence_core::labels::Labels;
use serde_json::{Value, json};

use super::{Application, Refresh};
use crate::controller_objects;

/// Makes Argo CD delete what an Application has deployed before the Application itself goes.
pub(super) const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// Asks for a refresh. The controller removes both once the result is written (`controller/appcontroller.go`,
/// `persistReconciliationStatus`), unless the second has changed meanwhile.
pub(super) const REFRESH: &str = "argocd.argoproj.io/refresh";
const REFRESH_TIMESTAMP: &str = "argocd.argoproj.io/refresh-timestamp";
/// The number of the last refresh that was asked for, which stays.
pub(super) const REFRESH_NUMBER: &str = "credence.dev/refresh";

/// The project of Applications that are in none of their own.
const DEFAULT_PROJECT: &str = "default";

/// Only ConfigMaps are watched: the cluster is busy with other things, and Secrets are not for deploying here.
pub(super) const INCLUSIONS: &str = r#"
- apiGroups: [""]
  kinds: [ConfigMap]
  clusters: ["*"]
"#;

/// Namespace, settings and the project. Argo CD finds its settings by their label only.
pub(super) fn settings(namespace: &str, labels: &Labels) -> Vec<Value> {
    let metadata =
        |name| json!({ "name": name, "namespace": namespace, "labels": { "app.kubernetes.io/part-of": "argocd" } });
    let settings = [
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("argocd-cm"),
            "data": { "resource.inclusions": INCLUSIONS } }),
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata("argocd-secret"), "type": "Opaque" }),
    ];
    place(namespace, labels).into_iter().chain(settings).collect()
}

/// The namespace, and the project of all Applications, which Argo CD's API server would make: it does not run.
pub(super) fn place(namespace: &str, labels: &Labels) -> [Value; 2] {
    [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace, "labels": labels } }),
        project(namespace, DEFAULT_PROJECT),
    ]
}

/// A project that may deploy anything to anywhere.
pub(super) fn project(namespace: &str, name: &str) -> Value {
    json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": { "name": name, "namespace": namespace, "labels": { "app.kubernetes.io/part-of": "argocd" } },
        "spec": { "sourceRepos": ["*"], "destinations": [{ "server": "*", "namespace": "*" }] } })
}

pub(super) fn application(application: &Application<'_>, own: &str) -> Value {
    let Application { name, repo_url, path, branch, namespace, project } = application;
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": name, "namespace": own, "labels": controller_objects::labels() },
        "spec": {
            "project": project.unwrap_or(DEFAULT_PROJECT),
            "source": { "repoURL": repo_url, "path": path, "targetRevision": branch },
            "destination": { "server": "https://kubernetes.default.svc", "namespace": namespace },
            "syncPolicy": { "automated": { "prune": true } },
        },
    })
}

/// The change to an Application that asks for a hard refresh.
pub(super) fn hard_refresh(Refresh(number): Refresh) -> Value {
    // The number serves as timestamp: to Argo CD it is a text that differs from request to request.
    json!({ "metadata": { "annotations": {
        REFRESH: "hard", REFRESH_TIMESTAMP: number.to_string(), REFRESH_NUMBER: number.to_string() } } })
}
