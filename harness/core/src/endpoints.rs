//! Where credentials are used: read from the manifests of their consumers, not from the copies, which may be wrong about
//! it.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::manifest::Manifest;

/// What the consumers of a configuration use. Pure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Owners of the images that pods pull with `imagePullSecrets`.
    pub pods: BTreeSet<Owner>,
    /// Owners of the repositories that Argo CD syncs.
    pub argo_cd: BTreeSet<Owner>,
    /// Owners of the repositories that Kargo subscribes to.
    pub kargo_git: BTreeSet<Owner>,
    /// Owners of the images that Kargo subscribes to.
    pub kargo_images: BTreeSet<Owner>,
}

/// Who owns repositories or images on a host: `github.com` and `example-org`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The host, with a port if it is not the default one.
    pub host: String,
    /// The first element of the path.
    pub name: String,
}

impl Owner {
    /// The owner of `reference`: a repository's HTTPS URL, or an image. `None` for what has no owner or another scheme.
    fn of(reference: &str) -> Option<Self> {
        let rest = reference.strip_prefix("https://").unwrap_or(reference);
        if rest.contains("://") {
            return None;
        }
        let (host, path) = rest.split_once('/')?;
        let (name, below) = path.split_once('/')?;
        // A first element without dot or port names no host: such images are of Docker Hub.
        let is_host = host.contains(['.', ':']) || host == "localhost";
        (is_host && !name.is_empty() && !below.is_empty())
            .then(|| Self { host: host.to_owned(), name: name.to_owned() })
    }

    /// The image repository `name` of this owner.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.host, self.name)
    }

    /// The Git repository `name` of this owner.
    pub fn repository(&self, name: &str) -> String {
        format!("https://{}/{}/{name}.git", self.host, self.name)
    }

    /// An owner on the same host whose name begins with that of this one.
    #[must_use]
    pub fn look_alike(&self) -> Self {
        Self { host: self.host.clone(), name: format!("{}-evil", self.name) }
    }

    /// An owner of the same name on a host whose name begins with that of this one.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self { host: format!("{}.example", self.host), name: self.name.clone() }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.name)
    }
}

impl Endpoints {
    /// Reads them from manifests: anything with a pod template, Argo CD's Applications and Kargo's Warehouses.
    pub fn from_manifests(manifests: &[Manifest]) -> Self {
        let mut endpoints = Self::default();
        for Manifest { object, .. } in manifests {
            match object["kind"].as_str().unwrap_or_default() {
                "Application" => {
                    let several = object.pointer("/spec/sources").and_then(Value::as_array);
                    let sources = object.pointer("/spec/source").into_iter().chain(several.into_iter().flatten());
                    endpoints.argo_cd.extend(sources.filter_map(|source| owner(&source["repoURL"])));
                }
                "Warehouse" => {
                    for subscription in items(&object["spec"]["subscriptions"]) {
                        endpoints.kargo_git.extend(owner(&subscription["git"]["repoURL"]));
                        endpoints.kargo_images.extend(owner(&subscription["image"]["repoURL"]));
                    }
                }
                _ => endpoints.pods.extend(pod_specs(&object["spec"]).into_iter().flat_map(images)),
            }
        }
        endpoints
    }

    /// All of them.
    pub fn owners(&self) -> BTreeSet<&Owner> {
        [&self.pods, &self.argo_cd, &self.kargo_git, &self.kargo_images].into_iter().flatten().collect()
    }
}

fn owner(reference: &Value) -> Option<Owner> {
    Owner::of(reference.as_str()?)
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The pod's own spec, that of a workload's template, and that of a CronJob's.
fn pod_specs(spec: &Value) -> Vec<&Value> {
    let below = ["", "/template/spec", "/jobTemplate/spec/template/spec"];
    below.iter().filter_map(|pointer| spec.pointer(pointer)).collect()
}

/// The owners of a pod's images, if it pulls with a Secret.
fn images(pod: &Value) -> Vec<Owner> {
    if items(&pod["imagePullSecrets"]).next().is_none() {
        return Vec::new();
    }
    let containers = items(&pod["initContainers"]).chain(items(&pod["containers"]));
    containers.filter_map(|container| owner(&container["image"])).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;
    use crate::manifest::parse_documents;

    #[rstest]
    #[case::image("ghcr.io/example-org/shop:1.4.2", Some(("ghcr.io", "example-org")))]
    #[case::image_with_port("registry.test:5000/team/a/b@sha256:00", Some(("registry.test:5000", "team")))]
    #[case::repository("https://github.com/example-org/shop.git", Some(("github.com", "example-org")))]
    #[case::docker_hub("library/nginx", None)]
    #[case::no_owner("ghcr.io/shop", None)]
    #[case::plain_http("http://github.com/a/b", None)]
    #[case::ssh("ssh://git@github.com/a/b", None)]
    fn an_owner_is_host_and_first_element(#[case] reference: &str, #[case] expected: Option<(&str, &str)>) {
        let found = Owner::of(reference);
        assert_eq!(found.as_ref().map(|owner| (owner.host.as_str(), owner.name.as_str())), expected);
    }

    #[test]
    fn endpoints_are_those_of_pods_with_a_pull_secret_of_argo_cd_and_of_kargo() {
        let text = "\
apiVersion: batch/v1
kind: CronJob
metadata: {name: a}
spec: {jobTemplate: {spec: {template: {spec: {imagePullSecrets: [{name: x}], containers: [{image: r.io/a/b}]}}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: public}
spec: {containers: [{image: r.io/public/b}]}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: a}
spec: {sources: [{repoURL: 'https://g.io/a/b'}, {repoURL: 'https://g.io/c/d.git'}]}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: a}
spec: {subscriptions: [{git: {repoURL: 'https://g.io/e/f'}}, {image: {repoURL: r.io/g/h}}]}
";
        let endpoints = Endpoints::from_manifests(&parse_documents(Path::new("a.yaml"), text).unwrap());
        let owner = |host: &str, name: &str| Owner { host: host.into(), name: name.into() };
        let expected = Endpoints {
            pods: BTreeSet::from([owner("r.io", "a")]),
            argo_cd: BTreeSet::from([owner("g.io", "a"), owner("g.io", "c")]),
            kargo_git: BTreeSet::from([owner("g.io", "e")]),
            kargo_images: BTreeSet::from([owner("r.io", "g")]),
        };
        assert_eq!(endpoints, expected);
    }
}
