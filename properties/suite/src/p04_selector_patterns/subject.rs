//! Objects that p04 brings along: a store and a source of its own, and populations of namespaces.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::{Applier, ApplyError, RUN_LABEL};
use credence_core::labels::Labels;
use credence_core::operator_api::EXTERNAL_SECRETS_API;
use credence_model::selector::NamespaceSelection;
use credence_report::verdict::Violation;
use credence_watch::wait::{self, Progress};
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::fixture::{Fixture, FixtureError};
use crate::supplies::Supplies;
use crate::testbed::TestBed;
use crate::testbed::namespaces::NamespaceError;
use crate::testbed::operator_api;

/// Populations, and so cases side by side.
pub(super) const POPULATIONS: usize = 8;
/// Labels that generated selectors look at.
pub(super) const KEYS: &[&str] = &["credence.dev/a", "credence.dev/b"];
/// Values that these labels have in a population, beside being absent.
pub(super) const VALUES: &[&str] = &["x", ""];
/// Label that tells the members of a population from the rest of the cluster.
pub(super) const SCOPE_LABEL: &str = "credence.dev/population";
/// Least time that the copies of a deleted ClusterExternalSecret may stay before the next run has to sweep them.
const GONE: Duration = Duration::from_secs(30);

/// The set-up of p04 failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SubjectError {
    #[error("failed to apply the objects that selectors are tested with")]
    Apply(#[from] ApplyError),
    #[error("failed to make a population")]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Refused(#[from] ApiError),
}

/// Namespaces that carry every combination of the labels.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    /// Value of the guard label.
    pub(super) id: String,
    /// The members with their labels, by name.
    pub(super) members: BTreeMap<String, Labels>,
}

impl Population {
    /// A population that exists nowhere, for the model.
    pub(super) fn example() -> Self {
        let id = "example".to_owned();
        let members = (0..).zip(truth_table()).map(|(n, row)| (format!("example-{n}"), guarded(&row, &id))).collect();
        Self { id, members }
    }
}

fn guarded(row: &Labels, id: &str) -> Labels {
    let mut labels = row.clone();
    labels.insert(SCOPE_LABEL.to_owned(), id.to_owned());
    labels
}

/// A population in use by a case.
pub(super) struct Taken<'a> {
    pub(super) population: Population,
    home: &'a Populations,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.home.put(self.population.clone());
    }
}

/// The populations that no case is using.
#[derive(Debug)]
pub(crate) struct Populations {
    free: Mutex<Vec<Population>>,
    available: Semaphore,
}

impl Default for Populations {
    fn default() -> Self {
        Self { free: Mutex::default(), available: Semaphore::new(0) }
    }
}

impl Populations {
    /// Waits for a population; it goes back when dropped.
    pub(super) async fn take(&self) -> Taken<'_> {
        // The semaphore is never closed, and it has as many permits as there are free populations.
        self.available.acquire().await.expect("never closed").forget();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        Taken { population: free.pop().expect("one for each permit"), home: self }
    }

    pub(super) fn put(&self, population: Population) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(population);
        self.available.add_permits(1);
    }
}

/// Every combination of the labels, each absent or with one of the values.
pub(crate) fn truth_table() -> Vec<Labels> {
    KEYS.iter().fold(vec![Labels::new()], |rows, key| {
        let with = |row: &Labels, value: &str| {
            let mut row = row.clone();
            row.insert((*key).to_owned(), value.to_owned());
            row
        };
        rows.iter()
            .flat_map(|row| std::iter::once(row.clone()).chain(VALUES.iter().map(move |value| with(row, value))))
            .collect()
    })
}

impl Fixture for Populations {
    async fn set_up(bed: &Arc<TestBed>, _supplies: &Supplies) -> Result<Self, FixtureError> {
        make(bed).await.map_err(FixtureError::new)
    }
}

/// Makes the store, its source and the populations.
async fn make(env: &TestBed) -> Result<Populations, SubjectError> {
    let populations = Populations::default();
    let client = &env.cluster.client;
    let applier = Applier::discover(client).await?;
    applier.apply_all(&store(env)).await?;
    for number in 0..POPULATIONS {
        let id = format!("{}-{number}", env.namespaces.run());
        let mut members = BTreeMap::new();
        for row in truth_table() {
            let labels = guarded(&row, &id);
            members.insert(env.namespaces.create(client, &labels).await?, labels);
        }
        populations.put(Population { id, members });
    }
    Ok(populations)
}

/// Name of the store and of the namespace of its source.
fn store_name(env: &TestBed) -> String {
    format!("credence-{}-selectors", env.namespaces.run())
}

/// A store without conditions on a source without value: who is selected is all that it is there to show.
fn store(env: &TestBed) -> Vec<Value> {
    let name = store_name(env);
    let labels = json!({ RUN_LABEL: env.namespaces.run() });
    let inside = json!({ "name": "reader", "namespace": name });
    vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } }),
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": inside }),
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "source", "namespace": name },
            "stringData": { "key": "no credential" } }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": inside, "rules": [
            { "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["source"], "verbs": ["get"] }] }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": inside,
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader" },
            "subjects": [{ "kind": "ServiceAccount", "name": "reader", "namespace": name }] }),
        json!({ "apiVersion": EXTERNAL_SECRETS_API, "kind": "ClusterSecretStore",
            "metadata": { "name": name, "labels": labels },
            "spec": { "provider": { "kubernetes": {
                "remoteNamespace": name,
                "server": { "url": env.cluster.description.url_inside(), "caProvider": {
                    "type": "ConfigMap", "name": "kube-root-ca.crt", "key": "ca.crt", "namespace": name } },
                "auth": { "serviceAccount": { "name": "reader", "namespace": name } } } } } }),
    ]
}

fn api(client: &Client) -> Api<DynamicObject> {
    operator_api::api(client, "ClusterExternalSecret", None)
}

/// Creates a ClusterExternalSecret with this selection. It refreshes never: nothing here changes.
pub(super) async fn create(
    env: &TestBed,
    client: &Client,
    name: &str,
    selection: &NamespaceSelection,
    deprecated: bool,
) -> Result<(), SubjectError> {
    let mut selectors = selection.selectors.as_slice();
    let mut spec = json!({
        "externalSecretName": name,
        "externalSecretSpec": {
            "refreshInterval": "0s",
            "secretStoreRef": { "kind": "ClusterSecretStore", "name": store_name(env) },
            "target": { "name": name, "creationPolicy": "Owner" },
            "data": [{ "secretKey": "key", "remoteRef": { "key": "source", "property": "key" } }],
        },
    });
    if let (true, Some((first, rest))) = (deprecated, selectors.split_first()) {
        spec["namespaceSelector"] = json!(first);
        selectors = rest;
    }
    if !selectors.is_empty() {
        spec["namespaceSelectors"] = json!(selectors);
    }
    if !selection.names.is_empty() {
        spec["namespaces"] = json!(selection.names);
    }
    let object = json!({ "apiVersion": EXTERNAL_SECRETS_API, "kind": "ClusterExternalSecret",
        "metadata": { "name": name, "labels": { RUN_LABEL: env.namespaces.run() } }, "spec": spec });
    // An object of literals and of selectors that serialise is a DynamicObject.
    let object: DynamicObject = serde_json::from_value(object).expect("a well-formed object");
    api(client).create(&PostParams::default(), &object).await.map(drop).map_err(refused("create", name))
}

/// Deletes a ClusterExternalSecret; ESO then removes its copies.
pub(super) async fn delete(client: &Client, name: &str) -> Result<(), SubjectError> {
    let deleted = api(client).delete(name, &DeleteParams::default()).await.map(drop);
    deleted.map_err(refused("delete", name))
}

fn refused(act: &'static str, name: &str) -> impl Fn(kube::Error) -> SubjectError + use<> {
    ApiError::of(act, &format!("ClusterExternalSecret {name}"))
}

/// Waits until no namespace holds the copy `name` any more, for as long as it may have taken to come.
pub(super) async fn until_gone(env: &TestBed, name: &str, bound: Duration) {
    let what = format!("all copies {name} gone");
    let gone = wait::until(&env.observer, &what, bound.max(GONE), |view| {
        match view.namespaces().find(|(namespace, _)| view.secret(namespace, name).is_some()) {
            Some((namespace, _)) => Progress::NotYet(format!("{namespace} holds it")),
            None => Progress::Done(()),
        }
    });
    if let Err(error) = gone.await {
        env.namespaces.add_orphan(Violation { reason: error.to_string(), known: None });
    }
}
