//! Consequences of applying an object of each kind.

use credence_core::manifest::Manifest;
use credence_core::operator_api::{EXTERNAL_SECRETS_GROUP, GENERATORS_GROUP};
use serde_json::Value;

use crate::config::LOCAL_GENERATORS;

/// Decision about an object: applied or not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// It is, since nothing comes of it but what is tested.
    Yes,
    /// Only where its kind is asked for; else for this reason not.
    OnRequest(String),
    /// Never, for this reason.
    Never(String),
}

pub(super) fn judge(manifest: &Manifest) -> Applied {
    let on_request =
        |reason: &str| Applied::OnRequest(format!("{reason}; --also-apply {} applies it", manifest.kind()));
    let never = |reason: &str| Applied::Never(reason.to_owned());
    match (manifest.group(), manifest.kind()) {
        ("", "Secret") => judge_secret(manifest),
        ("", "Namespace" | "ConfigMap" | "ServiceAccount" | "ResourceQuota" | "LimitRange")
        | ("rbac.authorization.k8s.io", "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding")
        | (
            "admissionregistration.k8s.io",
            "ValidatingAdmissionPolicy"
            | "ValidatingAdmissionPolicyBinding"
            | "MutatingAdmissionPolicy"
            | "MutatingAdmissionPolicyBinding",
        )
        | ("networking.k8s.io", "NetworkPolicy")
        | ("policy", "PodDisruptionBudget")
        | ("scheduling.k8s.io", "PriorityClass")
        | (EXTERNAL_SECRETS_GROUP, "ClusterExternalSecret" | "ExternalSecret")
        // It tells the keys of the Secret that it becomes; a cluster of ours does not serve it.
        | ("bitnami.com", "SealedSecret") => Applied::Yes,
        (EXTERNAL_SECRETS_GROUP, "ClusterSecretStore" | "SecretStore") => judge_store(manifest),
        (EXTERNAL_SECRETS_GROUP, "PushSecret" | "ClusterPushSecret") => never("it would write into stores"),
        (GENERATORS_GROUP, "ClusterGenerator") => {
            judge_generator(manifest.object.pointer("/spec/kind").and_then(Value::as_str).unwrap_or_default())
        }
        (GENERATORS_GROUP, kind) => judge_generator(kind),
        (
            "" | "apps" | "batch",
            "Pod" | "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" | "CronJob",
        ) => on_request("a workload would run on this machine"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration")
        | ("apiregistration.k8s.io", "APIService") => never("the API server would send objects to what it names"),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            never("kinds are those of the operator under test, and a conversion would be sent objects")
        }
        ("kustomize.toolkit.fluxcd.io", "Kustomization")
        | ("helm.toolkit.fluxcd.io", "HelmRelease")
        | ("argoproj.io", "Application") => {
            on_request("it says what is deployed, which is read where the tree has it")
        }
        _ => on_request("what comes of this kind is not known"),
    }
}

fn judge_secret(manifest: &Manifest) -> Applied {
    match manifest.object.get("type").and_then(Value::as_str) {
        Some("kubernetes.io/service-account-token") => {
            Applied::Never("Kubernetes would make a token of a ServiceAccount of it".to_owned())
        }
        Some("bootstrap.kubernetes.io/token") => Applied::Never("it would let nodes join the cluster".to_owned()),
        _ => Applied::Yes,
    }
}

/// Sources: External Secrets Operator, providers of `SecretStoreProvider` (apis/externalsecrets/v1/secretstore_types.go).
/// `fake` answers from the object itself. `kubernetes` asks the cluster under test, unless a kubeconfig says otherwise.
fn judge_store(manifest: &Manifest) -> Applied {
    let providers = manifest.object.pointer("/spec/provider").and_then(Value::as_object);
    let mut names = providers.into_iter().flat_map(|providers| providers.iter().filter(|(_, value)| !value.is_null()));
    match names.next() {
        Some((name, provider))
            if name == "kubernetes" && provider.get("authRef").is_some_and(|auth| !auth.is_null()) =>
        {
            Applied::Never("it would use the cluster that a kubeconfig names".to_owned())
        }
        Some((name, _)) if name == "kubernetes" || name == "fake" => Applied::Yes,
        // It is applied with a stand-in in the place of its provider.
        Some(_) => Applied::Yes,
        None => Applied::Never("it names no provider".to_owned()),
    }
}

fn judge_generator(kind: &str) -> Applied {
    if LOCAL_GENERATORS.contains(&kind) {
        Applied::Yes
    } else {
        Applied::Never(format!("a generator {kind} would ask a service for a credential"))
    }
}
