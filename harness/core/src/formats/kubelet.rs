//! The kubelet, which pulls images with what a pod names.

use serde_json::Value;

use super::{CopyView, DOCKER_CONFIG, Decoded, Format, FormatError, docker_config};
use crate::consumer::{Claim, Consumer, ConsumerMeta, CopyShape, Denial};
use crate::endpoints::{Endpoint, endpoint, items};
use crate::id::Requirement;
use crate::manifest::Manifest;

/// The kubelet, which pulls images with it.
pub const KUBELET: Consumer = Consumer::new(&Kubelet {
    meta: ConsumerMeta {
        id: "Kubelet",
        title: "kubelet",
        operation: "image pull by the kubelet",
        requirement: Requirement::new(4, 1),
        fallback: None,
        endpoint: Some("an image that pods pull with a Secret"),
        denials: &[
            Denial::WithoutSecret,
            Denial::FromOtherNamespace,
            Denial::AtLookAlikeOwner,
            Denial::AtLookAlikeHost,
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

    /// The images of anything with a pod template.
    fn endpoints(&self, manifest: &Manifest) -> Vec<Endpoint> {
        pod_specs(&manifest.object["spec"]).into_iter().flat_map(images).collect()
    }

    fn reads(&self, _shape: &CopyShape<'_>) -> Option<&'static [&'static str]> {
        Some(&[docker_config::KEY])
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

/// A pod's images, if it pulls with a Secret.
fn images(pod: &Value) -> Vec<Endpoint> {
    if items(&pod["imagePullSecrets"]).next().is_none() {
        return Vec::new();
    }
    let containers = items(&pod["initContainers"]).chain(items(&pod["containers"]));
    containers.filter_map(|container| endpoint(&container["image"])).collect()
}
