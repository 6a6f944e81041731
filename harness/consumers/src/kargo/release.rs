//! Objects of Kargo's chart for its controller: rights, settings and definitions are the chart's own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::KargoError;

/// Values for the chart. The other programs of Kargo serve people and pipelines, and need certificates and a cluster
/// network. Warehouses are looked at side by side, and as often as they are asked to.
pub(super) const VALUES: &str = "
crds: { install: true }
webhooks: { register: false }
api: { enabled: false }
managementController: { enabled: false }
webhooksServer: { enabled: false }
externalWebhooksServer: { enabled: false }
garbageCollector: { enabled: false }
controller:
  logFormat: JSON
  argocd: { integrationEnabled: false }
  rollouts: { integrationEnabled: false }
  reconcilers: { warehouses: { maxConcurrentReconciles: 10 } }
  images: { registries: { rateLimit: 1000 } }
";

/// The controller, as the chart installs it.
#[derive(Debug, PartialEq)]
pub(super) struct Release {
    /// Kargo's CustomResourceDefinitions.
    pub(super) definitions: Vec<Value>,
    /// Namespaces, the controller's ServiceAccount, and its rights.
    pub(super) objects: Vec<Value>,
    /// The name of that ServiceAccount.
    pub(super) account: String,
    /// The arguments of the program.
    pub(super) arguments: Vec<String>,
    /// The variables that the chart sets for it.
    pub(super) environment: BTreeMap<String, String>,
}

impl Release {
    /// Takes the controller out of all that the chart renders to.
    pub(super) fn of(rendered: Vec<Value>) -> Result<Self, KargoError> {
        let pod = rendered.iter().filter(|object| object["kind"] == "Deployment").find_map(|deployment| {
            let pod = deployment.pointer("/spec/template/spec")?;
            texts(&pod["containers"][0]["args"]).any(|argument| argument == "controller").then_some(pod)
        });
        let pod = pod.ok_or(KargoError::Incomplete { what: "the Deployment of the controller" })?;
        let container = &pod["containers"][0];
        // The second is the first's older name, which charts of Kargo up to v1.10 use.
        let account = ["serviceAccountName", "serviceAccount"].into_iter().find_map(|key| pod[key].as_str());
        let account = account.unwrap_or("default").to_owned();
        let arguments = texts(&container["args"]).map(str::to_owned).collect();
        let environment = environment(container, &rendered);
        let (definitions, others): (Vec<Value>, Vec<Value>) =
            rendered.into_iter().partition(|object| object["kind"] == "CustomResourceDefinition");
        if definitions.is_empty() {
            return Err(KargoError::Incomplete { what: "custom resource definitions" });
        }
        let objects = others.into_iter().filter(|object| concerns(object, &account)).collect();
        Ok(Self { definitions, objects, account, arguments, environment })
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    items(list).filter_map(Value::as_str)
}

/// The variables of a container: those of the ConfigMaps that it names, and over them its own.
fn environment(container: &Value, rendered: &[Value]) -> BTreeMap<String, String> {
    let maps = items(&container["envFrom"]).filter_map(|from| {
        let name = from.pointer("/configMapRef/name")?;
        rendered.iter().find(|object| object["kind"] == "ConfigMap" && object["metadata"]["name"] == *name)
    });
    let from_maps = maps.filter_map(|map| map["data"].as_object()).flatten().map(|(key, value)| (key.as_str(), value));
    let own = items(&container["env"]).filter_map(|variable| Some((variable["name"].as_str()?, &variable["value"])));
    from_maps.chain(own).filter_map(|(key, value)| Some((key.to_owned(), value.as_str()?.to_owned()))).collect()
}

/// True if the controller needs an object: roles that it is not bound to give nobody a right.
fn concerns(object: &Value, account: &str) -> bool {
    match object["kind"].as_str().unwrap_or_default() {
        "Namespace" | "Role" | "ClusterRole" => true,
        "ServiceAccount" => object["metadata"]["name"] == account,
        "RoleBinding" | "ClusterRoleBinding" => {
            items(&object["subjects"]).any(|subject| subject["kind"] == "ServiceAccount" && subject["name"] == account)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(arguments: &[&str], account: &str) -> Value {
        json!({ "kind": "Deployment", "spec": { "template": { "spec": {
            "serviceAccountName": account,
            "containers": [{
                "args": arguments,
                "env": [{ "name": "GOMEMLIMIT", "valueFrom": {} }, { "name": "LOG_LEVEL", "value": "DEBUG" }],
                "envFrom": [{ "configMapRef": { "name": "settings" } }],
            }],
        } } } })
    }

    fn rendered() -> Vec<Value> {
        let named = |kind: &str, name: &str| json!({ "kind": kind, "metadata": { "name": name } });
        let binding = |name: &str, account: &str| {
            json!({ "kind": "RoleBinding", "metadata": { "name": name },
                "subjects": [{ "kind": "ServiceAccount", "name": account }] })
        };
        vec![
            named("CustomResourceDefinition", "warehouses"),
            json!({ "kind": "ConfigMap", "metadata": { "name": "settings" },
                "data": { "LOG_LEVEL": "INFO", "SHARED_RESOURCES_NAMESPACE": "shared" } }),
            json!({ "kind": "ConfigMap", "metadata": { "name": "of-others" }, "data": { "A": "b" } }),
            deployment(&["api"], "api"),
            deployment(&["controller"], "controller"),
            named("ServiceAccount", "controller"),
            named("ServiceAccount", "admin"),
            named("Role", "reader"),
            binding("ours", "controller"),
            binding("theirs", "admin"),
            named("Namespace", "shared"),
            named("Service", "metrics"),
        ]
    }

    #[test]
    fn the_controller_has_its_own_account_rights_and_settings() {
        let release = Release::of(rendered()).unwrap();
        assert_eq!((release.account.as_str(), release.arguments), ("controller", vec!["controller".to_owned()]));
        let expected = [("LOG_LEVEL", "DEBUG"), ("SHARED_RESOURCES_NAMESPACE", "shared")];
        assert_eq!(release.environment, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        let names: Vec<&str> =
            release.objects.iter().filter_map(|object| object["metadata"]["name"].as_str()).collect();
        assert_eq!(names, ["controller", "reader", "ours", "shared"]);
        assert_eq!(release.definitions.len(), 1);
    }

    #[test]
    fn what_a_chart_lacks_is_named() {
        let without = |kind: &str| rendered().into_iter().filter(|object| object["kind"] != kind).collect();
        let error = Release::of(without("Deployment")).unwrap_err().to_string();
        assert!(error.contains("the Deployment of the controller"), "{error}");
        let error = Release::of(without("CustomResourceDefinition")).unwrap_err().to_string();
        assert!(error.contains("custom resource definitions"), "{error}");
    }
}
