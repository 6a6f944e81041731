//! Puts a configuration into a cluster and waits until External Secrets Operator has taken it in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::{Applier, ApplyError};
use credence_cluster::cluster::Cluster;
use credence_core::file_error::FileError;
use credence_core::labels::Labels;
use credence_core::manifest::Manifest;
use credence_core::operator_api::EXTERNAL_SECRETS_GROUP;
use credence_model::config::store_key;
use credence_watch::wait::{self, Progress, WaitError};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::testbed::operator_api;

mod enforced;

pub use enforced::EnforcementError;
use enforced::until_policies_are_enforced;

/// Time that kube-controller-manager may take to publish the cluster's CA in a new namespace.
const ROOT_CA: Duration = Duration::from_mins(3);
/// Time that ESO may take to validate the stores. A store that stays invalid is the configuration's own fault, for the
/// properties to find.
const STORES: Duration = Duration::from_secs(10);
/// Time between two polls. Neither kind is watched for the run, and both are ready within a second.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A configuration could not be deployed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// An object of the configuration could not be applied.
    #[error("failed to deploy the configuration")]
    Apply(#[from] ApplyError),
    /// It cannot be told whether a namespace is there.
    #[error(transparent)]
    Namespace(#[from] ApiError),
    /// The list of what was deployed cannot be used.
    #[error(transparent)]
    List(#[from] FileError),
    /// The CA of the cluster did not appear.
    #[error("failed to deploy the configuration's stores")]
    RootCa(#[source] WaitError),
    /// The admission policies do nothing yet.
    #[error("failed to deploy the configuration's admission policies")]
    Policies(#[from] EnforcementError),
}

/// File in a cluster's directory that lists what was deployed, so that the next run can remove it.
const DEPLOYED: &str = "deployed.json";

/// Deploys `manifests`, and makes the namespaces that they or the `sources` are in and that nothing makes, those of `labels` with the
/// labels there. Gives what a person
/// should know: kinds that the cluster does not serve, whose objects are left out, and stores that did not become valid.
///
/// # Errors
/// When an object is refused or the cluster's CA does not appear in the source namespaces.
pub async fn deploy(
    cluster: &Cluster,
    manifests: &[Manifest],
    sources: &BTreeSet<&str>,
    labels: &BTreeMap<String, Labels>,
) -> Result<Vec<String>, DeployError> {
    let client = &cluster.client;
    let applier = Applier::discover(client).await?;
    // What no kind of the distribution is, others may make of it what they will; an unknown kind of ESO is a fault.
    let (served, left_out): (Vec<&Manifest>, Vec<&Manifest>) = manifests
        .iter()
        .partition(|manifest| applier.serves(&manifest.object) || manifest.group() == EXTERNAL_SECRETS_GROUP);
    let (namespaces, others): (Vec<&Manifest>, Vec<&Manifest>) =
        served.iter().partition(|manifest| manifest.kind() == "Namespace");
    let missing = missing_namespaces(client, &namespaces, &others, sources).await?;
    let missing: Vec<Value> = missing.into_iter().map(|name| namespace(name, labels.get(name))).collect();
    let made: Vec<&Value> = namespaces.iter().map(|manifest| &manifest.object).chain(&missing).collect();
    write_list(cluster, &made, &others)?;
    applier.apply_all(made.iter().copied()).await?;
    for namespace in ca_namespaces(&made, &others) {
        // A store that is validated before its CA exists stays invalid until ESO looks again.
        wait_for_root_ca(client, &namespace).await.map_err(DeployError::RootCa)?;
    }
    applier.apply_all(others.iter().map(|manifest| &manifest.object)).await?;
    if others.iter().any(|manifest| manifest.kind() == "ValidatingAdmissionPolicy") {
        until_policies_are_enforced(client).await?;
    }
    let mut notes: Vec<String> = left_out.iter().map(|manifest| not_served(manifest)).collect();
    notes.extend(missing.iter().map(|namespace| {
        let metadata = &namespace["metadata"];
        let labels = metadata["labels"].as_object().filter(|labels| !labels.is_empty());
        let labels = labels.map(|_| format!(" with the labels {} that its stores want", metadata["labels"]));
        format!(
            "namespace {} is made by credence{}: no manifest makes it",
            metadata["name"],
            labels.unwrap_or_default()
        )
    }));
    notes.extend(wait_for_stores(client, manifests).await);
    Ok(notes)
}

fn not_served(manifest: &Manifest) -> String {
    let (object, kind) = (manifest.object_name(), &manifest.object["apiVersion"]);
    format!("{object} is left out: the cluster does not serve {}", kind.as_str().unwrap_or_default())
}

/// The namespaces that objects and sources are in, and that neither the configuration nor the cluster has.
async fn missing_namespaces<'a>(
    client: &Client,
    namespaces: &[&'a Manifest],
    others: &[&'a Manifest],
    sources: &BTreeSet<&'a str>,
) -> Result<Vec<&'a str>, DeployError> {
    let mut wanted: BTreeSet<&'a str> = others.iter().filter_map(|manifest| manifest.namespace()).collect();
    wanted.extend(sources);
    let made: BTreeSet<&'a str> = namespaces.iter().map(|manifest| manifest.name()).collect();
    let api: Api<Namespace> = Api::all(client.clone());
    let mut missing = Vec::new();
    for name in wanted.difference(&made) {
        let found = api.get_metadata_opt(name).await;
        let found = found.map_err(ApiError::of::<ApiError>("look for namespace", name))?;
        if found.is_none() {
            missing.push(*name);
        }
    }
    Ok(missing)
}

fn namespace(name: &str, labels: Option<&Labels>) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } })
}

fn write_list(cluster: &Cluster, namespaces: &[&Value], others: &[&Manifest]) -> Result<(), DeployError> {
    let path = cluster.directory().join(DEPLOYED);
    // Names only: the list must not hold the values of the configuration's Secrets.
    let names: Vec<Value> = namespaces
        .iter()
        .copied()
        .chain(others.iter().map(|manifest| &manifest.object))
        .map(|object| {
            let metadata = &object["metadata"];
            json!({ "apiVersion": object["apiVersion"], "kind": object["kind"],
                "metadata": { "name": metadata["name"], "namespace": metadata.get("namespace") } })
        })
        .collect();
    let list = Value::from(names).to_string();
    std::fs::write(&path, list).map_err(FileError::of("use", &path))
}

/// Removes what the run before deployed to this cluster, if anything.
///
/// # Errors
/// When an object cannot be removed.
pub(crate) async fn remove_previous(cluster: &Cluster) -> Result<(), DeployError> {
    let path = cluster.directory().join(DEPLOYED);
    let failed = FileError::of::<DeployError>("use", &path);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let objects: Vec<Value> = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
    Applier::discover(&cluster.client).await?.remove_all(&objects).await?;
    std::fs::remove_file(&path).map_err(failed)
}

/// Namespaces from whose `kube-root-ca.crt` the stores take the CA of the API server.
fn ca_namespaces(namespaces: &[&Value], others: &[&Manifest]) -> BTreeSet<String> {
    let made: BTreeSet<&str> =
        namespaces.iter().filter_map(|namespace| namespace["metadata"]["name"].as_str()).collect();
    others
        .iter()
        .filter_map(|manifest| {
            let provider = manifest.object.pointer("/spec/provider/kubernetes/server/caProvider")?;
            let is_root = provider["type"] == "ConfigMap" && provider["name"] == "kube-root-ca.crt";
            // A SecretStore looks in its own namespace.
            let own = manifest.namespace().filter(|_| manifest.kind() == "SecretStore");
            own.or(provider["namespace"].as_str()).filter(|_| is_root)
        })
        .filter(|namespace| made.contains(namespace))
        .map(str::to_owned)
        .collect()
}

/// Waits until kube-controller-manager has published the cluster's CA in a namespace.
///
/// # Errors
/// When it does not appear.
pub(crate) async fn wait_for_root_ca(client: &Client, namespace: &str) -> Result<(), WaitError> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let what = format!("ConfigMap {namespace}/kube-root-ca.crt published");
    wait::poll(&what, ROOT_CA, POLL_INTERVAL, || async {
        match maps.get_opt("kube-root-ca.crt").await {
            Ok(Some(_)) => Progress::Done(()),
            Ok(None) => Progress::NotYet("it does not exist".to_owned()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    })
    .await
}

/// Waits until External Secrets Operator finds the stores among `manifests` valid. Gives a note if it does not find all
/// of them so.
pub(crate) async fn wait_for_stores(client: &Client, manifests: &[Manifest]) -> Vec<String> {
    let kinds = ["ClusterSecretStore", "SecretStore"];
    let stores = manifests.iter().filter(|m| m.group() == EXTERNAL_SECRETS_GROUP && kinds.contains(&m.kind()));
    let wanted: BTreeSet<String> = stores.map(store_key).collect();
    let apis = kinds.map(|kind| operator_api::api(client, kind, None));
    let valid = wait::poll("all stores valid", STORES, POLL_INTERVAL, || async {
        let mut ready = BTreeSet::new();
        for stores in &apis {
            let list = match stores.list(&ListParams::default()).await {
                Ok(list) => list,
                Err(error) => return Progress::NotYet(error.to_string()),
            };
            ready.extend(list.items.iter().filter(|store| is_ready(store)).filter_map(name_of));
        }
        let missing: Vec<&str> = wanted.iter().filter(|name| !ready.contains(*name)).map(String::as_str).collect();
        if missing.is_empty() { Progress::Done(()) } else { Progress::NotYet(missing.join(", ")) }
    })
    .await;
    match valid {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("{error}")],
    }
}

/// The name of a store, as [`store_key`] has it.
fn name_of(store: &DynamicObject) -> Option<String> {
    let name = store.metadata.name.clone()?;
    Some(store.metadata.namespace.as_ref().map_or(name.clone(), |namespace| format!("{namespace}/{name}")))
}

fn is_ready(store: &DynamicObject) -> bool {
    store
        .data
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
