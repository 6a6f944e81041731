//! Places where credentials are used: read from the manifests of their consumers, not from the copies, which may be wrong about
//! it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::consumer::Consumer;
use crate::manifest::Manifest;
use crate::owner::Owner;

/// Places that the consumers of a configuration use, and the namespaces that they are in. Pure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    used: BTreeMap<Consumer, BTreeSet<Endpoint>>,
    places: BTreeMap<Consumer, String>,
    /// The Secrets that a consumer is said to use though no manifest of it names them.
    intended: BTreeMap<Consumer, BTreeSet<String>>,
}

/// A place where a consumer uses a credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Owner of what is there, whom a login must be let in to.
    pub owner: Owner,
    /// The name of the repository or the image.
    pub name: String,
    /// The repository or the image as the manifest has it, without tag and digest.
    pub url: String,
    /// The Secrets that the manifest names for it; none where it says nothing of whose it is.
    pub secrets: BTreeSet<String>,
}

impl Endpoint {
    /// The endpoint that a repository's HTTPS URL or an image is. `None` for what has no owner or another scheme.
    pub fn of(reference: &str) -> Option<Self> {
        let (owner, name) = Owner::split(reference)?;
        let url = if reference.starts_with("https://") { reference.to_owned() } else { owner.image(&name) };
        Some(Self { owner, name, url, secrets: BTreeSet::new() })
    }

    /// The endpoint that a repository's URL over SSH is. `None` for what has no owner or another scheme.
    pub(crate) fn over_ssh(reference: &str) -> Option<Self> {
        let (owner, name) = Owner::split_over_ssh(reference)?;
        Some(Self { owner, name, url: reference.to_owned(), secrets: BTreeSet::new() })
    }

    /// The URL of the repository `name` of `owner`, or the image, as this endpoint is the one or the other.
    pub fn url_of(&self, owner: &Owner, name: &str) -> String {
        if self.url.starts_with("https://") {
            owner.repository(name)
        } else if Owner::split_over_ssh(&self.url).is_some() {
            owner.repository_over_ssh(name)
        } else {
            owner.image(name)
        }
    }

    /// The same endpoint, for which a manifest names these Secrets.
    #[must_use]
    pub(crate) fn with_secrets(self, secrets: impl IntoIterator<Item = String>) -> Self {
        Self { secrets: secrets.into_iter().collect(), ..self }
    }
}

impl Endpoints {
    /// Reads them from manifests, as each consumer reads those that are for it.
    pub fn from_manifests(manifests: &[Manifest]) -> Self {
        let mut all = Self::default();
        for consumer in Consumer::ALL {
            let used: BTreeSet<Endpoint> = consumer.format().endpoints(manifests).into_iter().collect();
            if !used.is_empty() {
                all.used.insert(*consumer, used);
            }
            all.places.extend(consumer.format().namespace(manifests).map(|namespace| (*consumer, namespace)));
        }
        all
    }

    /// True if no manifest says anything.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// Every owner that some endpoint has, each once.
    pub fn owners(&self) -> BTreeSet<&Owner> {
        self.used.values().flatten().map(|endpoint| &endpoint.owner).collect()
    }

    /// The owners of what a consumer uses.
    pub fn owners_of(&self, consumer: Consumer) -> BTreeSet<&Owner> {
        self.of(consumer).map(|endpoint| &endpoint.owner).collect()
    }

    /// Places that a consumer uses.
    pub fn of(&self, consumer: Consumer) -> impl Iterator<Item = &Endpoint> {
        self.used.get(&consumer).into_iter().flatten()
    }

    /// Says that a consumer uses the Secret, wherever that is.
    pub fn intend(&mut self, consumer: Consumer, secret: &str) {
        self.intended.entry(consumer).or_default().insert(secret.to_owned());
    }

    /// Takes over what is said of consumers whose manifests say nothing of it.
    #[must_use]
    pub fn intending(mut self, other: &Self) -> Self {
        for (consumer, secrets) in &other.intended {
            self.intended.entry(*consumer).or_default().extend(secrets.clone());
        }
        self
    }

    /// True if a manifest of the consumer names the Secret, or somebody said that the consumer uses it.
    pub fn names(&self, consumer: Consumer, secret: &str) -> bool {
        let is_intended = self.intended.get(&consumer).is_some_and(|secrets| secrets.contains(secret));
        is_intended || self.of(consumer).any(|endpoint| endpoint.secrets.contains(secret))
    }

    /// The one namespace in which a consumer looks for credentials whatever uses them, by its manifests or by its default;
    /// none if it looks in many.
    pub fn namespace_of(&self, consumer: Consumer) -> Option<&str> {
        self.places.get(&consumer).map(String::as_str).or(consumer.meta().namespace)
    }
}

/// The endpoint that a field of a manifest is.
pub(crate) fn endpoint(reference: &Value) -> Option<Endpoint> {
    Endpoint::of(reference.as_str()?)
}

/// The items of a list, none if it is no list.
pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::formats::{ARGO_CD, KARGO_GIT, KARGO_GIT_RULES, KARGO_IMAGE, KARGO_IMAGE_RULES, KUBELET, TLS_SERVER};
    use crate::manifest::parse_documents;

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
        let owner = |host: &str, path: &str| Owner { host: host.into(), path: path.into() };
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

    fn read(text: &str) -> Endpoints {
        Endpoints::from_manifests(&parse_documents(Path::new("a.yaml"), text).unwrap())
    }

    #[test]
    fn an_image_is_pulled_with_the_secrets_of_its_pod_or_of_the_account_of_its_pod() {
        let endpoints = read(
            "\
apiVersion: v1
kind: Pod
metadata: {name: own, namespace: shop}
spec: {serviceAccountName: shop, imagePullSecrets: [{name: own}, {name: more}], containers: [{image: 'r.io/a/own:1'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: of-account, namespace: shop}
spec: {serviceAccountName: shop, containers: [{image: r.io/a/account}]}
---
apiVersion: v1
kind: Pod
metadata: {name: of-default, namespace: shop}
spec: {containers: [{image: r.io/a/default}]}
---
apiVersion: v1
kind: Pod
metadata: {name: elsewhere, namespace: blog}
spec: {serviceAccountName: shop, containers: [{image: r.io/a/elsewhere}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: shop, namespace: shop}
imagePullSecrets: [{name: account}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: default, namespace: shop}
imagePullSecrets: [{name: fallback}]
",
        );
        let found: Vec<(&str, Vec<&str>)> = endpoints
            .of(KUBELET)
            .map(|endpoint| (endpoint.url.as_str(), endpoint.secrets.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(
            found,
            [
                ("r.io/a/account", vec!["account"]),
                ("r.io/a/default", vec!["fallback"]),
                ("r.io/a/own", vec!["more", "own"])
            ]
        );
    }

    #[test]
    fn argo_cd_is_where_its_own_objects_are_and_else_where_its_applications_are() {
        let application = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: a, namespace: NAMESPACE}
spec: {source: {repoURL: 'https://g.io/a/b'}}
";
        let gitops = application.replace("NAMESPACE", "gitops");
        assert_eq!(read(&gitops).namespace_of(ARGO_CD), Some("gitops"));
        assert_eq!(read("").namespace_of(ARGO_CD), Some("argocd"));
        // Applications may be in any namespace, projects and settings only in its own.
        let project = "\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: shop, namespace: deployments}
";
        assert_eq!(read(&format!("{gitops}---\n{project}")).namespace_of(ARGO_CD), Some("deployments"));
        let two = format!("{gitops}---\n{}", application.replace("NAMESPACE", "other"));
        assert_eq!(read(&two).namespace_of(ARGO_CD), Some("argocd"));
        assert_eq!(read("").namespace_of(KARGO_GIT), None);
    }

    #[test]
    fn what_an_owner_has_is_written_as_the_endpoint_is() {
        let owner = Owner { host: "g.io".into(), path: "o".into() };
        let https = Endpoint::of("https://g.io/a/b.git").unwrap();
        let ssh = Endpoint::over_ssh("git@g.io:a/b.git").unwrap();
        let image = Endpoint::of("r.io/a/b:1").unwrap();
        assert_eq!([&https.url, &ssh.url, &image.url], ["https://g.io/a/b.git", "git@g.io:a/b.git", "r.io/a/b"]);
        let written = [https, ssh, image].map(|endpoint| endpoint.url_of(&owner, "n"));
        assert_eq!(written, ["https://g.io/o/n.git", "ssh://git@g.io/o/n.git", "g.io/o/n"]);
    }

    #[test]
    fn a_secret_is_a_consumers_if_a_manifest_names_it_or_somebody_says_so() {
        let mut endpoints = read(
            "\
apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {imagePullSecrets: [{name: named}], containers: [{image: r.io/a/b}]}
",
        );
        assert!(!endpoints.is_empty() && Endpoints::default().is_empty());
        let names = |endpoints: &Endpoints, consumer, secret| endpoints.names(consumer, secret);
        assert!(names(&endpoints, KUBELET, "named") && !names(&endpoints, KUBELET, "said"));
        endpoints.intend(TLS_SERVER, "said");
        assert!(names(&endpoints, TLS_SERVER, "said") && !names(&endpoints, KUBELET, "said"));
        let mut other = Endpoints::default();
        other.intend(TLS_SERVER, "more");
        let both = endpoints.intending(&other);
        assert!(names(&both, TLS_SERVER, "said") && names(&both, TLS_SERVER, "more"));
        assert!(!names(&other, TLS_SERVER, "said"));
    }
}
