//! Argo CD's own manifests, and what is changed in them to run here.

use serde_json::{Value, json};

use super::super::{Images, objects, settings};
use crate::forge::Network;

/// The directory of Argo CD's manifests, beside the kustomization.
pub(super) const MANIFESTS: &str = "manifests";
/// The file with the authorities to trust, beside the kustomization and in repo-server.
pub(super) const AUTHORITIES: &str = "authorities.pem";
/// Objects that are taken of the manifests: all of upstream's `core-install` but for the definitions, which come first, and the
/// controller of ApplicationSets. No API server with its user interface, no dex, no notifications.
const TAKEN: [&str; 5] = [
    "cluster-rbac/application-controller",
    "base/config",
    "base/application-controller",
    "base/repo-server",
    "base/redis",
];
/// Their images: Argo CD's, and Redis's as `base/redis` names it.
const ARGO_CD_IMAGE: &str = "quay.io/argoproj/argocd";
const REDIS_IMAGE: &str = "public.ecr.aws/docker/library/redis";
/// The ConfigMap with the authorities, and where repo-server has it.
const TRUSTED: &str = "credence-authorities";
const TRUSTED_AT: &str = "/etc/credence";
/// Nobody has the images but the node.
const PULL: &str = "Never";

pub(super) fn kustomization(images: &Images, network: &Network, namespace: &str) -> Value {
    let resources: Vec<String> = TAKEN.iter().map(|taken| format!("{MANIFESTS}/{taken}")).collect();
    // It wants patches as text.
    let patches: Vec<Value> = patches(network).iter().map(|patch| json!({ "patch": patch.to_string() })).collect();
    json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": resources,
        "generatorOptions": { "disableNameSuffixHash": true },
        "configMapGenerator": [{ "name": TRUSTED, "files": [AUTHORITIES] }],
        "images": [image(ARGO_CD_IMAGE, &images.argo_cd), image(REDIS_IMAGE, &images.redis)],
        "patches": patches,
    })
}

fn image(theirs: &str, ours: &str) -> Value {
    let (name, tag) = ours.rsplit_once(':').unwrap_or((ours, "latest"));
    json!({ "name": theirs, "newName": name, "newTag": tag })
}

/// Strategic merge patches: what is not in them stays as it is.
fn patches(network: &Network) -> [Value; 4] {
    let settings = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "argocd-cm" },
        "data": { "resource.inclusions": objects::INCLUSIONS } });
    // Upstream's image of Redis has an entry point that adds the program's name to flags; Debian has none.
    let redis = json!({ "name": "redis", "imagePullPolicy": PULL, "command": ["redis-server"] });
    let flags = settings::CONTROLLER_FLAGS.iter().flat_map(|(name, value)| [*name, *value]);
    let arguments: Vec<&str> = ["/usr/local/bin/argocd-application-controller"].into_iter().chain(flags).collect();
    let controller = json!({
        "name": "argocd-application-controller",
        "imagePullPolicy": PULL,
        "args": arguments,
        "env": variables(settings::CONTROLLER_VARIABLES),
        "readinessProbe": soon(),
    });
    let reach = [
        // As for a process: for all hosts, and for the clients of git and of Go, which have a variable each.
        ("SSL_CERT_FILE", &*format!("{TRUSTED_AT}/{AUTHORITIES}")),
        ("SSL_CERT_DIR", TRUSTED_AT),
        ("GIT_SSL_CAINFO", &*format!("{TRUSTED_AT}/{AUTHORITIES}")),
        ("HTTPS_PROXY", &network.https_proxy),
        // The forge is no way to the cluster's own services.
        ("NO_PROXY", "argocd-redis,.svc,.cluster.local"),
    ];
    let repo_server = json!({
        "name": "argocd-repo-server",
        "imagePullPolicy": PULL,
        "env": variables(settings::REPO_SERVER_VARIABLES.into_iter().chain(reach)),
        "readinessProbe": soon(),
        "volumeMounts": [{ "name": TRUSTED, "mountPath": TRUSTED_AT, "readOnly": true }],
    });
    let trusted = json!([{ "name": TRUSTED, "configMap": { "name": TRUSTED } }]);
    [
        settings,
        workload("Deployment", "argocd-redis", json!({ "containers": [redis] })),
        workload("StatefulSet", "argocd-application-controller", json!({ "containers": [controller] })),
        workload("Deployment", "argocd-repo-server", json!({ "containers": [repo_server], "volumes": trusted })),
    ]
}

/// Upstream's probes ask for the first time after five seconds, and then every ten.
fn soon() -> Value {
    json!({ "initialDelaySeconds": 1, "periodSeconds": 1 })
}

fn workload(kind: &str, name: &str, pod: Value) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name },
        "spec": { "template": { "spec": pod } } })
}

/// Variables that take the place of those of upstream of the same name, which get their values from a ConfigMap.
fn variables<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Value> {
    let variable = |(name, value)| json!({ "name": name, "value": value, "valueFrom": null });
    variables.into_iter().map(variable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Value {
        let images = Images { argo_cd: "credence/argocd:1-a".to_owned(), redis: "credence/tools:b".to_owned() };
        let network = Network { https_proxy: "http://172.18.0.1:3128".to_owned(), authorities: String::new() };
        kustomization(&images, &network, "argocd")
    }

    /// The patch of a workload.
    fn patch(name: &str) -> Value {
        let patches = all()["patches"].as_array().unwrap().clone();
        let patches = patches.iter().map(|patch| serde_json::from_str(patch["patch"].as_str().unwrap()).unwrap());
        patches.into_iter().find(|patch: &Value| patch["metadata"]["name"] == name).unwrap()
    }

    fn container(name: &str) -> Value {
        patch(name)["spec"]["template"]["spec"]["containers"][0].clone()
    }

    #[test]
    fn images_are_those_that_the_node_has() {
        let images = all()["images"].clone();
        assert_eq!(images[0]["newName"], "credence/argocd");
        assert_eq!((&images[0]["newTag"], &images[1]["newTag"]), (&json!("1-a"), &json!("b")));
        for name in ["argocd-redis", "argocd-application-controller", "argocd-repo-server"] {
            assert_eq!(container(name)["imagePullPolicy"], "Never", "{name}");
        }
    }

    #[test]
    fn repo_server_reaches_hosts_by_the_proxy_and_trusts_the_forge_alone() {
        let variables = container("argocd-repo-server")["env"].as_array().unwrap().clone();
        let value = |name: &str| variables.iter().find(|variable| variable["name"] == name).unwrap()["value"].clone();
        assert_eq!(value("HTTPS_PROXY"), "http://172.18.0.1:3128");
        let mount = container("argocd-repo-server")["volumeMounts"][0]["mountPath"].clone();
        assert_eq!(value("SSL_CERT_DIR"), mount);
        let file = format!("{}/{AUTHORITIES}", mount.as_str().unwrap());
        assert_eq!([value("SSL_CERT_FILE"), value("GIT_SSL_CAINFO")], [json!(file), json!(file)]);
    }

    #[test]
    fn the_controller_is_told_what_its_process_is_told() {
        let arguments = container("argocd-application-controller")["args"].clone();
        let arguments: Vec<&str> = arguments.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for (name, value) in settings::CONTROLLER_FLAGS {
            assert!(arguments.windows(2).any(|pair| pair == [name, value]), "{name}");
        }
    }
}
