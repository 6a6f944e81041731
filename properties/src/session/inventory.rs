//! What is in a cluster: by comparing two looks it is seen whether a session has left the cluster as it was.

use std::collections::BTreeMap;
use std::fmt;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::PartialObjectMeta;
use kube::discovery::verbs;
use kube::{Api, Client, Discovery, ResourceExt};

/// Kinds that are listed at a time.
const CONCURRENCY: usize = 8;

/// The cluster did not say what is in it.
#[derive(Debug, thiserror::Error)]
#[error("failed to list {what}")]
pub(super) struct InventoryError {
    what: String,
    #[source]
    source: Box<kube::Error>,
}

/// All objects of a cluster that somebody could have made, each with its version.
#[derive(Debug, Clone, Default)]
pub(super) struct Inventory(BTreeMap<Object, Version>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    kind: String,
    namespace: Option<String>,
    name: String,
}

/// A write changes the one, and a deletion followed by another creation both.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    uid: Option<String>,
    resource_version: Option<String>,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

impl Object {
    /// Whether the cluster makes or changes it by itself, whenever it likes.
    fn is_restless(&self) -> bool {
        match self.kind.as_str() {
            // Written every few seconds, by whoever says with it that it lives.
            "Lease" => true,
            // What was said of what has been; what was said of what is gone explains nothing.
            "Event" => true,
            // kube-controller-manager makes these in every namespace and for each of its controllers, soon after its start.
            "ServiceAccount" => self.name == "default" || self.namespace.as_deref() == Some("kube-system"),
            "ConfigMap" => self.name == "kube-root-ca.crt",
            // And fills these from others, at the same time.
            "ClusterRole" => ["admin", "edit", "view"].contains(&self.name.as_str()),
            _ => false,
        }
    }
}

impl Inventory {
    /// Lists every kind that the cluster serves and whose objects can be deleted. Only metadata is asked for.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(super) async fn take(client: &Client) -> Result<Self, InventoryError> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |source| InventoryError { what, source: Box::new(source) }
        };
        let discovery = Discovery::new(client.clone()).run_aggregated().await.map_err(failed("the kinds"))?;
        let kinds = discovery.groups().flat_map(|group| group.recommended_resources());
        let kinds = kinds.filter(|(_, capabilities)| {
            capabilities.supports_operation(verbs::LIST) && capabilities.supports_operation(verbs::DELETE)
        });
        let lists = kinds.map(|(kind, _)| async move {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
            let list = api.list_metadata(&ListParams::default()).await.map_err(failed(&kind.plural))?;
            Ok(list.items.into_iter().map(|found| entry(&kind, &found)).collect::<Vec<_>>())
        });
        let lists: Vec<Vec<(Object, Version)>> =
            stream::iter(lists.collect::<Vec<_>>()).buffer_unordered(CONCURRENCY).try_collect().await?;
        Ok(Self(lists.into_iter().flatten().collect()))
    }

    /// What is not as it was before: each object that came, went or was changed, but for those that the cluster makes or
    /// changes by itself.
    pub(super) fn differences(&self, before: &Self) -> Vec<String> {
        let came_or_changed = self.0.iter().filter_map(|(object, version)| match before.0.get(object) {
            None => Some((object, "was not there")),
            Some(old) if old != version => Some((object, "is not as it was")),
            Some(_) => None,
        });
        let went = before.0.keys().filter(|object| !self.0.contains_key(object)).map(|object| (object, "is gone"));
        let all = came_or_changed.chain(went).filter(|(object, _)| !object.is_restless());
        all.map(|(object, how)| format!("{object} {how}")).collect()
    }
}

fn entry(kind: &ApiResource, found: &PartialObjectMeta<DynamicObject>) -> (Object, Version) {
    let object = Object { kind: kind.kind.clone(), namespace: found.namespace(), name: found.name_any() };
    (object, Version { uid: found.uid(), resource_version: found.resource_version() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(objects: &[(&str, Option<&str>, &str, &str)]) -> Inventory {
        let entry = |&(kind, namespace, name, version): &(&str, Option<&str>, &str, &str)| {
            let (kind, namespace, name) = (kind.to_owned(), namespace.map(str::to_owned), name.to_owned());
            (Object { kind, namespace, name }, Version { uid: None, resource_version: Some(version.to_owned()) })
        };
        Inventory(objects.iter().map(entry).collect())
    }

    #[test]
    fn what_came_went_or_was_changed_is_a_difference() {
        let before = inventory(&[
            ("Namespace", None, "default", "1"),
            ("Namespace", None, "external-secrets", "2"),
            ("Secret", Some("default"), "a", "3"),
        ]);
        let now = inventory(&[
            ("Namespace", None, "default", "9"),
            ("Namespace", None, "external-secrets", "2"),
            ("Secret", Some("kube-system"), "copy", "4"),
        ]);
        assert_eq!(
            now.differences(&before),
            ["Namespace default is not as it was", "Secret kube-system/copy was not there", "Secret default/a is gone"]
        );
        assert_eq!(before.differences(&before), Vec::<String>::new());
    }

    #[test]
    fn what_the_cluster_does_by_itself_is_no_difference_and_the_same_elsewhere_is_one() {
        let before = inventory(&[("Lease", Some("kube-system"), "apiserver", "1")]);
        let now = inventory(&[
            ("Lease", Some("kube-system"), "apiserver", "2"),
            ("ServiceAccount", Some("kube-system"), "job-controller", "3"),
            ("ConfigMap", Some("default"), "kube-root-ca.crt", "4"),
            ("ServiceAccount", Some("default"), "reader", "5"),
        ]);
        assert_eq!(now.differences(&before), ["ServiceAccount default/reader was not there"]);
    }
}
