//! Objects beside the sources: the controller's ServiceAccount and its rights.

use credence_core::formats::flux::GROUP;
use serde_json::{Value, json};

/// The controller's ServiceAccount, as Flux's own installation names it.
pub(super) const ACCOUNT: &str = "source-controller";
/// The ClusterRole that lets the controller read Secrets, once it is bound in a namespace.
pub(super) const READ_SECRETS: &str = "credence-flux-read-secrets";

/// ServiceAccount and rights of the controller: those of Flux's own installation (`config/rbac/role.yaml`) as far as it uses
/// them for Git and registries. It looks at all kinds of sources, and ends where it may not. It may write no events, which are
/// for people, and read no Secret but where a source is bound.
pub(super) fn of_controller(namespace: &str) -> Vec<Value> {
    let kinds = ["buckets", "gitrepositories", "helmcharts", "helmrepositories", "ocirepositories"];
    let fetched = ["gitrepositories", "ocirepositories"];
    let below = |what: &str| fetched.map(|kind| format!("{kind}/{what}"));
    let rule =
        |resources: Value, verbs: &[&str]| json!({ "apiGroups": [GROUP], "resources": resources, "verbs": verbs });
    let rules = [
        rule(json!(kinds), &["get", "list", "watch"]),
        rule(json!(fetched), &["patch", "update"]),
        rule(json!(below("status")), &["patch", "update"]),
        rule(json!(below("finalizers")), &["patch", "update"]),
    ];
    let secrets = json!([{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] }]);
    let role = |name: &str, rules: Value| {
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": name },
            "rules": rules })
    };
    vec![
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": ACCOUNT, "namespace": namespace },
            "automountServiceAccountToken": false }),
        role("credence-flux", json!(rules)),
        role(READ_SECRETS, secrets),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": "credence-flux" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "credence-flux" },
            "subjects": [{ "kind": "ServiceAccount", "namespace": namespace, "name": ACCOUNT }] }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gives_the_controller_a_secret_of_every_namespace() {
        let objects = of_controller("flux-system");
        let bound = objects.iter().find(|object| object["kind"] == "ClusterRoleBinding").unwrap();
        let role = objects
            .iter()
            .find(|object| object["kind"] == "ClusterRole" && object["metadata"]["name"] == bound["roleRef"]["name"]);
        let rules = role.unwrap()["rules"].as_array().unwrap();
        assert!(rules.iter().all(|rule| rule["apiGroups"] == json!([GROUP])), "{rules:?}");
    }
}
