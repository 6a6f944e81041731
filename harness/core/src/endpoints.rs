//! Where credentials are used: read from the manifests of their consumers, not from the copies, which may be wrong about
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::consumer::Consumer;
use crate::manifest::Manifest;

/// What the consumers of a configuration use. Pure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints(BTreeMap<Consumer, BTreeSet<Endpoint>>);

/// A place where a consumer uses a credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Who owns it.
    pub owner: Owner,
    /// The Secret that is used there, where nothing but the manifest says whose it is.
    pub secret: Option<String>,
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
    pub fn of(reference: &str) -> Option<Self> {
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

impl From<Owner> for Endpoint {
    fn from(owner: Owner) -> Self {
        Self { owner, secret: None }
    }
}

impl Endpoints {
    /// Reads them from manifests, as each consumer reads those that are for it.
    pub fn from_manifests(manifests: &[Manifest]) -> Self {
        let mut all = BTreeMap::new();
        for consumer in Consumer::ALL {
            let used = manifests.iter().flat_map(|manifest| consumer.format().endpoints(manifest));
            let used: BTreeSet<Endpoint> = used.collect();
            if !used.is_empty() {
                all.insert(*consumer, used);
            }
        }
        Self(all)
    }

    /// Whether no manifest says anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All owners.
    pub fn owners(&self) -> BTreeSet<&Owner> {
        self.0.values().flatten().map(|endpoint| &endpoint.owner).collect()
    }

    /// The owners of what a consumer uses.
    pub fn owners_of(&self, consumer: Consumer) -> BTreeSet<&Owner> {
        self.of(consumer).map(|endpoint| &endpoint.owner).collect()
    }

    /// The owners of what a consumer uses with a Secret of this name: where no manifest says which Secret, with any.
    pub fn owners_with(&self, consumer: Consumer, secret: &str) -> BTreeSet<&Owner> {
        let with = |endpoint: &&Endpoint| endpoint.secret.as_deref().is_none_or(|name| name == secret);
        self.of(consumer).filter(with).map(|endpoint| &endpoint.owner).collect()
    }

    /// Whether a manifest of the consumer names the Secret.
    pub fn name(&self, consumer: Consumer, secret: &str) -> bool {
        self.of(consumer).any(|endpoint| endpoint.secret.as_deref() == Some(secret))
    }

    fn of(&self, consumer: Consumer) -> impl Iterator<Item = &Endpoint> {
        self.0.get(&consumer).into_iter().flatten()
    }
}

/// The endpoint that a field of a manifest is.
pub(crate) fn endpoint(reference: &Value) -> Option<Endpoint> {
    Owner::of(reference.as_str()?).map(Endpoint::from)
}

/// The items of a list, none if it is no list.
pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;
    use crate::formats::{ARGO_CD, KARGO_GIT, KARGO_GIT_RULES, KARGO_IMAGE, KARGO_IMAGE_RULES, KUBELET, TLS_SERVER};
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
        let expected = [
            (KUBELET, vec![owner("r.io", "a")]),
            (ARGO_CD, vec![owner("g.io", "a"), owner("g.io", "c")]),
            (KARGO_GIT, vec![owner("g.io", "e")]),
            (KARGO_GIT_RULES, vec![owner("g.io", "e")]),
            (KARGO_IMAGE, vec![owner("r.io", "g")]),
            (KARGO_IMAGE_RULES, vec![owner("r.io", "g")]),
            (TLS_SERVER, vec![]),
        ];
        for (consumer, owners) in expected {
            assert_eq!(endpoints.owners_of(consumer), owners.iter().collect(), "{consumer:?}");
        }
        assert_eq!(endpoints.owners().len(), 5);
    }
}
