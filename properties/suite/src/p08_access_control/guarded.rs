//! Requests that admission refuses to everybody but the platform and the operator: to label a namespace, to make one whose name asks,
//! to read a central store, to make a store. Pure.

use credence_core::operator_api::{EXTERNAL_SECRETS_API, EXTERNAL_SECRETS_GROUP};
use credence_model::config::ClusterSecretStore;
use credence_model::model::{Distribution, Field, Model};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use super::objective::Goal;
use super::objects::{self, CENTRAL};
use crate::testbed::loopholes::{Request, Write};
use crate::testbed::operator_api;

/// The name of what is made.
const NAME: &str = "credence-guarded";

/// The rights to make them all.
pub(super) fn rules() -> [PolicyRule; 2] {
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(resources.iter().map(|one| (*one).to_owned()).collect()),
        verbs: verbs.iter().map(|one| (*one).to_owned()).collect(),
        ..PolicyRule::default()
    };
    [
        rule("", &["namespaces"], &["create", "get", "patch"]),
        rule(
            EXTERNAL_SECRETS_GROUP,
            &["externalsecrets", "clustersecretstores", "clusterexternalsecrets"],
            &["create"],
        ),
    ]
}

/// The requests in a namespace without labels.
pub(super) fn requests(model: &Model, server: &str, namespace: &str) -> Vec<Request> {
    let labels = model.distributions.iter().filter_map(|distribution| label(distribution, namespace));
    let stores = model.stores.values().filter(|store| store.namespace().is_none());
    let of_stores = stores.filter_map(|store| Some((store, read_through(model, store)?)));
    let named = model.distributions.iter().flat_map(named);
    labels.chain(named).chain(of_stores.flat_map(|(store, field)| of_store(server, namespace, store, field))).collect()
}

fn label(distribution: &Distribution, namespace: &str) -> Option<Request> {
    let labels = distribution.opt_in_labels().into_iter().next()?;
    Some(Request {
        what: format!("label a namespace for {}", distribution.name),
        kind: ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace")),
        namespace: None,
        write: Write::Merge(namespace.to_owned(), json!({ "metadata": { "labels": labels } })),
        is_taken: false,
    })
}

/// The namespaces to which something is given for their names alone. They are there for the whole of a run.
fn named(distribution: &Distribution) -> Vec<Request> {
    let ways = distribution.named_ways().into_iter().filter(|(_, labels)| labels.is_empty());
    let names = ways.flat_map(|(names, _)| names);
    names
        .map(|name| Request {
            what: format!("make namespace {name}, whose name asks for {}", distribution.name),
            kind: ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace")),
            namespace: None,
            write: Write::Create(objects::object("v1", "Namespace", &name, json!({}))),
            is_taken: true,
        })
        .collect()
}

fn read_through<'a>(model: &'a Model, store: &ClusterSecretStore) -> Option<&'a Field> {
    let mut fields = model.distributions.iter().flat_map(|distribution| &distribution.fields);
    fields.find(|field| field.store == store.name && field.source.is_secret() && field.property.is_some())
}

/// An ExternalSecret that reads the value of a field through its store, the same for many namespaces, and a store that reads like it.
fn of_store(server: &str, namespace: &str, store: &ClusterSecretStore, field: &Field) -> Vec<Request> {
    let key = field.property.as_deref().unwrap_or_default();
    let reads = objects::reading(CENTRAL, store.object_name(), &field.source.name, key);
    let goal = Goal { source: &field.source, key, store };
    let request = |what: String, kind: &str, namespace: Option<&str>, object| Request {
        what,
        kind: operator_api::resource(kind),
        namespace: namespace.map(str::to_owned),
        write: Write::Create(object),
        is_taken: false,
    };
    let name = &store.name;
    let mut requests = vec![request(
        format!("make an ExternalSecret on central store {name}"),
        "ExternalSecret",
        Some(namespace),
        objects::external_secret(NAME, reads.clone()),
    )];
    let selectors = json!([{ "matchLabels": { "kubernetes.io/metadata.name": namespace } }]);
    let spec = json!({ "externalSecretName": NAME, "namespaceSelectors": selectors, "externalSecretSpec": reads });
    requests.push(request(
        format!("make a ClusterExternalSecret on central store {name}"),
        "ClusterExternalSecret",
        None,
        objects::object(EXTERNAL_SECRETS_API, "ClusterExternalSecret", NAME, json!({ "spec": spec })),
    ));
    if let Some(provider) = objects::as_central(server, &goal) {
        requests.push(request(
            format!("make a ClusterSecretStore like {name}"),
            CENTRAL,
            None,
            objects::store(
                CENTRAL,
                NAME,
                objects::with_authority(provider, &goal.source.namespace, "kube-root-ca.crt"),
            ),
        ));
    }
    requests
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use credence_model::model::testing::reference;

    use super::*;

    #[test]
    fn every_label_and_every_store_is_asked_for() {
        let requests = requests(&reference(), "https://example.invalid", "n");
        let what: BTreeSet<&str> = requests.iter().map(|request| request.what.as_str()).collect();
        assert_eq!(what.len(), 5 + 1 + 3 * 3, "{what:?}");
        assert!(what.contains("label a namespace for wildcard-tls"), "{what:?}");
        assert!(what.contains("make an ExternalSecret on central store github-pat"), "{what:?}");
    }
}
