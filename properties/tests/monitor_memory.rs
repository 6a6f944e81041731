//! Memory of a monitor for ten thousand copies: lists in pages as an API server sends them, read as the watches read them, into
//! the state and out as metrics. Nothing is sent: a process of its own, so that its memory is that of the monitor's state.

use std::num::NonZero;
use std::path::Path;
use std::time::Instant;

use credence_model::config::Config;
use credence_model::model::Model;
use credence_monitor::monitor::{ExternalSecretStatus, State, WatchedKind};
use credence_programs::kustomize::load_directory;
use credence_watch::own_usage::Usage;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::PartialObjectMeta;
use kube::core::{NotUsed, Object, ObjectList};
use serde_json::{Value, json};

/// Copies that are watched.
const COPIES: usize = 10_000;
/// Objects in a page, as kube-runtime asks for them.
const PAGE: usize = 500;
/// Memory that it may take: 150 MB.
const LIMIT: u64 = 150_000_000;

/// A copy's metadata, as long as that of a real one.
fn copy(namespace: usize, name: &str, external_secret: &str, labels: &Value) -> Value {
    let fields = json!({
        "f:data": { ".": {}, "f:.dockerconfigjson": {} },
        "f:metadata": {
            "f:annotations": { ".": {}, "f:reconcile.external-secrets.io/data-hash": {} },
            "f:labels": { ".": {}, "f:managed-by": {}, "f:secret-type": {}, "f:source": {},
                "f:reconcile.external-secrets.io/created-by": {}, "f:reconcile.external-secrets.io/managed": {} },
            "f:ownerReferences": { ".": {}, "k:{\"uid\":\"00000000-0000-0000-0000-000000000000\"}": {} },
        },
        "f:type": {},
    });
    json!({ "metadata": {
        "name": name, "namespace": format!("team-{namespace:05}"), "uid": "00000000-0000-0000-0000-000000000000",
        "resourceVersion": "123456", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": labels,
        "annotations": { "reconcile.external-secrets.io/data-hash": "a".repeat(56) },
        "ownerReferences": [{ "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": external_secret,
            "uid": "00000000-0000-0000-0000-000000000000", "controller": true, "blockOwnerDeletion": true }],
        "managedFields": [{ "manager": format!("externalsecrets.external-secrets.io/{external_secret}"),
            "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
            "fieldsV1": fields }],
    } })
}

fn external_secret(namespace: usize, name: &str, owner: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": format!("team-{namespace:05}"), "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{ "apiVersion": "external-secrets.io/v1", "kind": "ClusterExternalSecret", "name": owner,
                "uid": "1", "controller": true }],
        },
        "spec": { "refreshInterval": "5m", "target": { "template": { "data": { "a": "b".repeat(300) } } } },
        "status": { "refreshTime": "2026-01-01T00:00:00Z", "syncedResourceVersion": "1-0",
            "conditions": [{ "type": "Ready", "status": "True", "reason": "SecretSynced", "message": "secret synced" }] },
    })
}

/// Reads a page from its text, as a client does.
fn read<T: serde::de::DeserializeOwned + Clone>(items: Vec<Value>) -> ObjectList<T> {
    let page = json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "1" }, "items": items });
    serde_json::from_str(&page.to_string()).expect("the page is one of the API's")
}

#[tokio::test]
async fn ten_thousand_copies_fit_into_150_megabytes() {
    let secrets = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/central-secret-store"));
    // Without kustomize: the parts that the model follows from are in these two directories.
    let mut manifests = load_directory(&secrets.join("secrets"), None).await.expect("the fixture can be read");
    manifests.extend(load_directory(&secrets.join("stores"), None).await.expect("the fixture can be read"));
    let model = Model::derive(&Config::from_manifests(manifests).expect("the fixture is a configuration"));
    let distribution = model
        .distributions
        .iter()
        .find(|distribution| distribution.name == "application-docker-registry")
        .expect("it is there");
    let mut labels = json!({ "reconcile.external-secrets.io/managed": "true" });
    for (key, value) in &distribution.labels {
        labels[key.as_str()] = json!(value);
    }
    let (copies, asking) = (distribution.secret.clone(), distribution.opt_in_labels().swap_remove(0));
    let (external_name, owner) = (distribution.external_secret.clone(), distribution.name.clone());

    let began = Instant::now();
    let mut state = State::new(model, NonZero::<u32>::MIN);
    let now = Timestamp::now();
    state.begin(WatchedKind::Secrets);
    for page in (0..COPIES).collect::<Vec<_>>().chunks(PAGE) {
        let items = page.iter().map(|n| copy(*n, &copies, &external_name, &labels)).collect();
        for secret in read::<PartialObjectMeta<Secret>>(items).items {
            state.secret(&secret.metadata, true, now);
        }
        let items = page.iter().map(|n| external_secret(*n, &external_name, &owner)).collect();
        for object in read::<Object<NotUsed, ExternalSecretStatus>>(items).items {
            state.external_secret(&object.metadata, &object.status.unwrap_or_default(), true);
        }
        let namespace = |n: &usize| json!({ "metadata": { "name": format!("team-{n:05}"), "labels": asking } });
        for namespace in read::<PartialObjectMeta<Namespace>>(page.iter().map(namespace).collect()).items {
            state.namespace(&namespace.metadata, true);
        }
    }
    state.finish(WatchedKind::Secrets);
    let read_after = began.elapsed();
    let health = state.health(now);
    let credential = health.credentials.iter().find(|credential| credential.name == owner).expect("it is there");
    assert_eq!((credential.dependents, credential.copies), (COPIES as u64, COPIES as u64));
    // All of them are overdue by now, so that this is the longest list of findings as well.
    assert_eq!(health.findings.len(), COPIES);
    let peak = Usage::now().peak_resident;
    println!("{COPIES} copies: read in {read_after:.1?}, all in {:.1?}, peak {} MB", began.elapsed(), peak / 1_000_000);
    assert!(peak < LIMIT, "{peak} bytes");
}
