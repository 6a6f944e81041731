//! The kubelet, which pulls images with what a pod names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{CopyView, DOCKER_CONFIG, DOCKER_CONFIG_KEY, Decoded, Format, FormatError, docker_config};
use crate::consumer::{Claim, Consumer, ConsumerMeta, CopyShape, DeniedLogin};
use crate::endpoints::{Endpoint, endpoint, items};
use crate::id::Requirement;
use crate::manifest::Manifest;
use crate::scope::{NotTried, Scope, WrittenCopy, registries};

/// The kubelet, which pulls images with it.
pub const KUBELET: Consumer = Consumer::new(&Kubelet {
    meta: ConsumerMeta {
        id: "Kubelet",
        title: "kubelet",
        operation: "image pull by the kubelet",
        requirement: Requirement::new(4, 1),
        fallback: None,
        endpoint: Some("an image that pods pull with a Secret"),
        namespace: None,
        denied_logins: &[
            DeniedLogin::WithoutSecret,
            DeniedLogin::FromOtherNamespace,
            DeniedLogin::AtLookAlikeOwner,
            DeniedLogin::AtLookAlikeHost,
        ],
        offers_to_whole_host: true,
    },
});

struct Kubelet {
    meta: ConsumerMeta,
}

impl Format for Kubelet {
    fn meta(&self) -> &ConsumerMeta {
        &self.meta
    }

    fn claim(&self, shape: &CopyShape<'_>) -> Option<Claim> {
        (shape.secret_type == DOCKER_CONFIG).then_some(Claim::Type)
    }

    /// The images of anything with a pod template, with the Secrets that they are pulled with.
    fn endpoints(&self, manifests: &[Manifest]) -> Vec<Endpoint> {
        let accounts = pull_secrets_of_accounts(manifests);
        let images = |manifest: &Manifest| {
            let specs = pod_specs(&manifest.object["spec"]).into_iter();
            specs.flat_map(|pod| images(manifest.namespace(), pod, &accounts)).collect::<Vec<_>>()
        };
        manifests.iter().flat_map(images).collect()
    }

    /// The registries that the template spells out; where it spells out none, only the manifests tell.
    fn scopes(&self, copy: &WrittenCopy<'_>) -> Result<Vec<Scope>, NotTried> {
        let config = copy.keys.as_ref().and_then(|keys| keys.get(".dockerconfigjson"));
        let registries = config.map(|config| registries(*config)).unwrap_or_default();
        if registries.is_empty() {
            return Ok(vec![Scope::Everywhere]);
        }
        Ok(registries.into_iter().map(Scope::Registry).collect())
    }

    fn reads(&self, _shape: &CopyShape<'_>) -> Option<&'static [&'static str]> {
        Some(&[DOCKER_CONFIG_KEY])
    }

    fn decode(&self, copy: &CopyView<'_>) -> Option<Result<Decoded, FormatError>> {
        Some(docker_config::decode(copy.data))
    }
}

/// The pod's own spec, that of a workload's template, and that of a CronJob's.
fn pod_specs(spec: &Value) -> Vec<&Value> {
    let below = ["", "/template/spec", "/jobTemplate/spec/template/spec"];
    below.iter().filter_map(|pointer| spec.pointer(pointer)).collect()
}

/// The pull secrets of each ServiceAccount, by its namespace and name.
type Accounts<'a> = BTreeMap<(Option<&'a str>, &'a str), BTreeSet<String>>;

fn pull_secrets_of_accounts(manifests: &[Manifest]) -> Accounts<'_> {
    let accounts = manifests.iter().filter(|manifest| manifest.kind() == "ServiceAccount");
    let secrets = |account: &'_ Manifest| pull_secrets(&account.object);
    accounts.map(|account| ((account.namespace(), account.name()), secrets(account))).collect()
}

fn pull_secrets(object: &Value) -> BTreeSet<String> {
    items(&object["imagePullSecrets"]).filter_map(|secret| Some(secret["name"].as_str()?.to_owned())).collect()
}

/// A pod's images, if it pulls with Secrets: its own, or if it has none those of its ServiceAccount.
///
/// Source: kubernetes plugin/pkg/admission/serviceaccount/admission.go.
fn images(namespace: Option<&str>, pod: &Value, accounts: &Accounts<'_>) -> Vec<Endpoint> {
    let own = pull_secrets(pod);
    let account = pod["serviceAccountName"].as_str().unwrap_or("default");
    let secrets = if own.is_empty() { accounts.get(&(namespace, account)).cloned().unwrap_or_default() } else { own };
    if secrets.is_empty() {
        return Vec::new();
    }
    let containers = items(&pod["initContainers"]).chain(items(&pod["containers"]));
    containers.filter_map(|container| Some(endpoint(&container["image"])?.with_secrets(secrets.clone()))).collect()
}
