//! Warehouses: what they ask for, and what Kargo answers.

use std::collections::BTreeSet;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::NAMESPACE;
use crate::controller_objects;
use crate::git_error::Message;

/// The ClusterRole that lets the controller read the Secrets of a project, once it is bound there. Kargo's management
/// controller binds it in the namespace of each project (pkg/controller/management/projects/projects.go).
const READ_SECRETS: &str = "kargo-controller-read-secrets";

/// Subjects of a Warehouse's search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscription<'a> {
    /// The last commit of a branch.
    Git {
        /// URL of the repository, by which Kargo finds credentials.
        repo_url: &'a str,
        /// Branch whose commits are looked for.
        branch: &'a str,
    },
    /// The image whose tag is the last by the alphabet.
    Image {
        /// The repository, without a tag.
        repo_url: &'a str,
    },
}

/// A Warehouse to create, with one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warehouse<'a> {
    /// The project's namespace, where Kargo looks for credentials.
    pub namespace: &'a str,
    /// Its name, which none in the namespace has.
    pub name: &'a str,
    /// The kind that it looks for.
    pub subscription: Subscription<'a>,
}

/// A discovery that was asked for; later ones of the same Warehouse are greater.
///
/// It is the generation of the Warehouse: each discovery is asked for by changing the Warehouse itself. Kargo's own
/// annotation for this, `kargo.akuity.io/refresh`, would not do: a discovery that fails is tried again at once, and that
/// try counts the annotation as done and calls the Warehouse healthy with what was discovered before (Kargo v1.11,
/// pkg/controller/warehouses/warehouses.go, `shouldDiscoverArtifacts`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub(super) i64);

/// Outcome of a discovery, by Kargo's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discovery<'a> {
    /// It was made; the ids of commits and the tags of images that the Warehouse now has.
    Made(&'a BTreeSet<String>),
    /// It failed. Kargo goes on trying, ever more seldom.
    Failed(&'a Failure),
}

/// Why a Warehouse is not healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason, such as `DiscoveryFailed`.
    pub reason: String,
    /// Message of the condition, in Kargo's words.
    pub message: Message,
}

/// A Warehouse as the API server holds it. That it discovered something is Kargo's own word and no evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WarehouseSeen {
    /// The generation that its health is about.
    answered: i64,
    /// Its condition `Healthy`; none while that is not known.
    health: Option<Result<(), Failure>>,
    artifacts: BTreeSet<String>,
}

impl WarehouseSeen {
    /// Outcome of a discovery, or of a later one; `None` while it goes on.
    pub fn discovery(&self, asked: Generation) -> Option<Discovery<'_>> {
        if self.answered < asked.0 {
            return None;
        }
        Some(match self.health.as_ref()? {
            Ok(()) => Discovery::Made(&self.artifacts),
            Err(failure) => Discovery::Failed(failure),
        })
    }

    pub(super) fn of(object: &DynamicObject) -> Self {
        let list = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        let below = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let commits = list("/status/discoveredArtifacts/git").flat_map(|found| below(found, "commits"));
        let images = list("/status/discoveredArtifacts/images").flat_map(|found| below(found, "references"));
        let ids = commits.map(|commit| commit["id"].clone()).chain(images.map(|image| image["tag"].clone()));
        let artifacts = ids.filter_map(|id| id.as_str().map(str::to_owned)).collect();
        let Some(healthy) = list("/status/conditions").find(|condition| condition["type"] == "Healthy") else {
            return Self { artifacts, ..Self::default() };
        };
        let text = |key: &str| healthy[key].as_str().unwrap_or_default();
        let health = match text("status") {
            "True" => Some(Ok(())),
            "False" => Some(Err(Failure { reason: text("reason").to_owned(), message: Message::new(text("message")) })),
            _ => None,
        };
        Self { answered: healthy["observedGeneration"].as_i64().unwrap_or_default(), health, artifacts }
    }
}

pub(super) fn api(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &kind())
}

pub(super) fn kind() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("kargo.akuity.io", "v1alpha1", "Warehouse"))
}

/// The object. Kargo makes nothing of what it discovers, and looks again only when it is asked.
pub(super) fn object(warehouse: &Warehouse<'_>) -> Value {
    let Warehouse { namespace, name, subscription } = warehouse;
    let subscription = match subscription {
        Subscription::Git { repo_url, branch } => json!({ "git": { "repoURL": repo_url, "branch": branch,
            "commitSelectionStrategy": "NewestFromBranch", "discoveryLimit": 1 } }),
        Subscription::Image { repo_url } => json!({ "image": { "repoURL": repo_url,
            "imageSelectionStrategy": "Lexical", "discoveryLimit": 1 } }),
    };
    json!({
        "apiVersion": "kargo.akuity.io/v1alpha1",
        "kind": "Warehouse",
        "metadata": { "name": name, "namespace": namespace, "labels": controller_objects::labels() },
        "spec": { "interval": interval(0), "freightCreationPolicy": "Manual", "subscriptions": [subscription] },
    })
}

/// Makes the Warehouse another one, so that Kargo discovers again: the number has to be a new one each time.
pub(super) fn change(number: u32) -> Value {
    json!({ "spec": { "interval": interval(number) } })
}

/// Longer than any run, and each time another.
fn interval(number: u32) -> String {
    format!("240h{number}m")
}

/// Binding that lets the controller read the Secrets of a project for one Warehouse.
pub(super) fn binding(warehouse: &Warehouse<'_>, account: &str) -> Value {
    let name = binding_name(warehouse.name);
    controller_objects::binding(warehouse.namespace, &name, READ_SECRETS, (NAMESPACE, account))
}

pub(super) fn binding_name(warehouse: &str) -> String {
    format!("kargo-{warehouse}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git_error::Cause;

    fn seen(status: Value) -> WarehouseSeen {
        let object = json!({ "apiVersion": "kargo.akuity.io/v1alpha1", "kind": "Warehouse",
            "metadata": { "name": "a" }, "status": status });
        WarehouseSeen::of(&serde_json::from_value(object).unwrap())
    }

    fn condition(status: &str, reason: &str, message: &str, generation: i64) -> Value {
        json!([
            { "type": "Ready", "status": "False", "reason": "x", "message": "", "observedGeneration": generation },
            { "type": "Healthy", "status": status, "reason": reason, "message": message,
                "observedGeneration": generation },
        ])
    }

    #[test]
    fn a_discovery_is_made_when_the_warehouse_is_healthy_as_it_is_now() {
        let artifacts = json!({ "git": [{ "commits": [{ "id": "abc" }] }],
            "images": [{ "references": [{ "tag": "step-1", "digest": "sha256:0" }] }] });
        let status = |health: &str| json!({ "conditions": condition(health, "Pending", "", 2), "discoveredArtifacts": artifacts });
        let healthy = seen(status("True"));
        let expected = BTreeSet::from(["abc".to_owned(), "step-1".to_owned()]);
        assert_eq!(healthy.discovery(Generation(2)), Some(Discovery::Made(&expected)));
        assert_eq!(healthy.discovery(Generation(3)), None);
        assert_eq!(seen(status("Unknown")).discovery(Generation(2)), None);
        assert_eq!(seen(json!({})).discovery(Generation(1)), None);
    }

    #[test]
    fn a_failure_tells_reason_and_cause_and_no_value() {
        let message = "Unable to discover artifacts: fatal: Authentication failed for 'https://hunter2@github.com/o/r'";
        let seen = seen(json!({ "conditions": condition("False", "DiscoveryFailed", message, 1) }));
        let Some(Discovery::Failed(failure)) = seen.discovery(Generation(1)) else { panic!("{seen:?}") };
        assert_eq!((failure.reason.as_str(), failure.message.cause), ("DiscoveryFailed", Cause::Unauthenticated));
        assert!(!format!("{failure:?}").contains("hunter2"));
    }

    #[test]
    fn each_change_asks_for_something_else() {
        assert_ne!(change(1), change(2));
        assert_ne!(change(1)["spec"]["interval"], object_of_git()["spec"]["interval"]);
    }

    fn object_of_git() -> Value {
        let subscription = Subscription::Git { repo_url: "https://github.com/o/r.git", branch: "main" };
        object(&Warehouse { namespace: "n", name: "w", subscription })
    }

    #[test]
    fn nothing_but_a_change_makes_kargo_look_again() {
        let spec = &object_of_git()["spec"];
        assert_eq!((&spec["freightCreationPolicy"], &spec["interval"]), (&json!("Manual"), &json!("240h0m")));
    }
}
