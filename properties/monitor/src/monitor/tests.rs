//! The pure parts over metadata as API servers send it.

use std::num::NonZero;
use std::path::Path;

use credence_core::manifest::parse_documents;
use credence_model::config::Config;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

mod text;
mod time;
mod writes;

/// Beginning of the world of these tests, in seconds; the source was written ten minutes before.
const START: i64 = 1_800_000_000;
/// Name of the operator of ExternalSecret `pull` as a field manager.
const OPERATOR: &str = "externalsecrets.external-secrets.io/pull";
/// Interval of two minutes, ten seconds, and a tenth of a second for the one ExternalSecret.
const BOUND: i64 = 130;

/// Two credentials from one source: `pull`, a pull secret of the namespaces labelled for it, and `git` for Argo CD.
fn model(spec: &str) -> Model {
    let distributed = |name: &str, template: &str, spec: &str| {
        format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: {name}}}\nspec:\n  \
             namespaceSelectors: [{{matchLabels: {{{name}: 'true'}}}}]\n  externalSecretSpec:\n    \
             secretStoreRef: {{kind: ClusterSecretStore, name: store}}\n    refreshInterval: 2m\n    {spec}\n    \
             target: {{name: {name}-copy, template: {template}}}\n    \
             data: [{{secretKey: token, remoteRef: {{key: source, property: token}}}}]\n---\n"
        )
    };
    let pull = "{type: kubernetes.io/dockerconfigjson, metadata: {labels: {kind: pull}}, data: {.dockerconfigjson: x}}";
    let git = "{metadata: {labels: {argocd.argoproj.io/secret-type: repo-creds, kind: git}}, data: {password: x}}";
    let text = format!(
        "{}{}apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: store}}\n\
         spec: {{provider: {{kubernetes: {{remoteNamespace: central}}}}}}\n",
        distributed("git", git, ""),
        distributed("pull", pull, spec)
    );
    let manifests = parse_documents(Path::new("all.yaml"), &text).unwrap();
    Model::derive(&Config::from_manifests(manifests).unwrap())
}

/// Numbers of the two credentials: distributions are in the order of their names.
const PULL: usize = 1;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

fn meta(value: Value) -> ObjectMeta {
    serde_json::from_value(value).unwrap()
}

fn written_by(manager: &str, seconds: i64, fields: Value) -> Value {
    json!({ "manager": manager, "operation": "Update", "apiVersion": "v1", "time": at(seconds).to_string(),
            "fieldsType": "FieldsV1", "fieldsV1": fields })
}

fn data_of(manager: &str, seconds: i64) -> Value {
    written_by(manager, seconds, json!({ "f:data": { "f:.dockerconfigjson": {} } }))
}

/// A copy of `pull` as the operator leaves it.
fn copy(namespace: &str) -> Value {
    json!({
        "namespace": namespace, "name": "pull-copy", "resourceVersion": "7",
        "labels": { "kind": "pull", "reconcile.external-secrets.io/managed": "true" },
        "annotations": { "reconcile.external-secrets.io/data-hash": "aaaa" },
        "ownerReferences": [{ "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "pull",
                              "uid": "1", "controller": true }],
        "managedFields": [data_of(OPERATOR, -60)],
    })
}

fn source(version: &str, seconds: i64) -> ObjectMeta {
    meta(json!({ "namespace": "central", "name": "source", "resourceVersion": version,
                 "managedFields": [written_by("kubectl", seconds, json!({ "f:data": { "f:token": {} } }))] }))
}

fn status(refreshed: i64, ready: &str) -> ExternalSecretStatus {
    serde_json::from_value(json!({ "refreshTime": at(refreshed).to_string(), "binding": { "name": "x" },
        "conditions": [{ "type": "Ready", "status": ready, "reason": "SecretSynced", "message": "m" }] }))
    .unwrap()
}

fn external_secret(namespace: &str, owner: &str) -> ObjectMeta {
    meta(json!({ "namespace": namespace, "name": "pull", "creationTimestamp": at(-600).to_string(),
                 "ownerReferences": [{ "apiVersion": "external-secrets.io/v1", "kind": "ClusterExternalSecret",
                                       "name": owner, "uid": "1", "controller": true }] }))
}

fn store(reason: &str, ready: &str) -> StoreStatus {
    serde_json::from_value(json!({ "conditions": [{ "type": "Ready", "status": ready, "reason": reason }] })).unwrap()
}

fn namespace(name: &str, labels: Value) -> ObjectMeta {
    meta(json!({ "name": name, "labels": labels }))
}

/// A world in which nothing is wrong: `one` asks for `pull` and has it, `two` asks for nothing.
fn world_of(model: Model) -> State {
    let mut state = State::new(model, NonZero::<u32>::MIN);
    for kind in state.kinds() {
        state.begin(kind);
    }
    state.namespace(&namespace("one", json!({ "pull": "true" })), true);
    state.namespace(&namespace("two", json!({})), true);
    state.secret(&source("5", -600), true, at(0));
    state.secret(&meta(copy("one")), true, at(0));
    state.external_secret(&external_secret("one", "pull"), &status(-60, "True"), true);
    state.store(&meta(json!({ "name": "store" })), &store("Valid", "True"), true);
    for kind in state.kinds() {
        state.finish(kind);
    }
    state
}

fn world() -> State {
    world_of(model(""))
}

/// Findings, as `credential problem namespace/name`.
fn wrong(state: &State, seconds: i64) -> Vec<String> {
    let health = state.health(at(seconds));
    let said =
        |found: &Finding<'_>| format!("{} {} {}/{}", found.credential, found.problem, found.namespace, found.name);
    health.findings.iter().map(said).collect()
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn nothing_is_wrong_with_a_distribution_as_the_configuration_asks_for() {
    let state = world();
    assert_eq!(wrong(&state, 0), nothing());
    let health = state.health(at(0));
    let pull = &health.credentials[PULL];
    assert_eq!((pull.name, pull.dependents, pull.copies, pull.bound.as_secs()), ("pull", 1, 1, BOUND as u64));
    assert_eq!(health.sources[0].1, Some(at(-600)));
    assert_eq!(health.stores["store"], StoreState::Valid);
}

/// The same credential as an ExternalSecret of namespace `one`, through a store of its own.
fn plain() -> Model {
    let text = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: pull, namespace: one}\n\
                spec:\n  secretStoreRef: {name: store}\n  refreshInterval: 2m\n  target: {name: pull-copy, template: \
                {type: kubernetes.io/dockerconfigjson, metadata: {labels: {kind: pull}}, data: {.dockerconfigjson: x}}}\n  \
                data: [{secretKey: token, remoteRef: {key: source, property: token}}]\n---\n\
                apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: store, namespace: one}\n\
                spec: {provider: {kubernetes: {remoteNamespace: central}}}\n";
    let manifests = parse_documents(Path::new("all.yaml"), text).unwrap();
    Model::derive(&Config::from_manifests(manifests).unwrap())
}

#[test]
fn an_external_secret_that_nothing_distributes_is_a_credential_of_its_namespace() {
    let mut state = world_of(plain());
    let unowned = meta(json!({ "namespace": "one", "name": "pull", "creationTimestamp": at(-600).to_string() }));
    state.external_secret(&unowned, &status(-60, "True"), true);
    assert_eq!(wrong(&state, 0), nothing());
    let health = state.health(at(0));
    assert_eq!((health.credentials[0].name, health.credentials[0].copies), ("one/pull", 1));
    assert!(health.stores.is_empty(), "SecretStores are not watched: {:?}", health.stores);
    state.external_secret(&unowned, &status(-60, "False"), true);
    assert_eq!(wrong(&state, 0), ["one/pull failed one/pull"]);
}

#[rstest]
#[case::fails("pull", "False", 0, Some("failed"))]
#[case::of_somebody_else("theirs", "True", 0, Some("failed"))]
#[case::not_refreshed("pull", "True", BOUND, Some("overdue"))]
#[case::refreshed_in_time("pull", "True", BOUND - 1, None)]
fn external_secrets_that_do_not_work_are_found(
    #[case] owner: &str,
    #[case] ready: &str,
    #[case] seconds: i64,
    #[case] problem: Option<&str>,
) {
    let mut state = world();
    state.external_secret(&external_secret("one", owner), &status(-1, ready), true);
    let expected: Vec<String> = problem.iter().map(|problem| format!("pull {problem} one/pull")).collect();
    assert_eq!(wrong(&state, seconds), expected);
}

#[test]
fn a_copy_that_is_not_there_is_missing_and_one_that_nobody_asks_for_is_too_much() {
    let mut state = world();
    state.secret(&meta(copy("one")), false, at(1));
    assert_eq!(wrong(&state, 1), ["pull missing one/pull-copy"]);
    state.secret(&meta(copy("one")), true, at(2));
    state.namespace(&namespace("one", json!({})), true);
    assert_eq!(wrong(&state, 2), ["pull unasked one/pull-copy"]);
    let going = json!({ "name": "one", "deletionTimestamp": at(3).to_string() });
    state.namespace(&meta(going), true);
    assert_eq!(wrong(&state, 3), nothing(), "what goes with its namespace is not too much");
}

#[test]
fn a_copy_unlike_the_others_is_found_once_all_have_been_read() {
    let mut state = world();
    for name in ["three", "two"] {
        state.namespace(&namespace(name, json!({ "pull": "true" })), true);
        state.external_secret(&external_secret(name, "pull"), &status(-60, "True"), true);
        state.secret(&meta(copy(name)), true, at(0));
    }
    let mut unlike = copy("two");
    unlike["annotations"]["reconcile.external-secrets.io/data-hash"] = json!("bbbb");
    state.secret(&meta(unlike), true, at(1));
    assert_eq!(wrong(&state, 2), ["pull drifted: content two/pull-copy"]);
    // After a rotation, copies that were not read yet differ rightly from those that were.
    state.secret(&source("6", 10), true, at(10));
    assert_eq!(wrong(&state, 11), nothing());
}

#[test]
fn a_list_that_is_read_anew_forgets_what_is_gone() {
    let mut state = world();
    state.begin(WatchedKind::Secrets);
    state.secret(&meta(copy("one")), true, at(10));
    state.finish(WatchedKind::Secrets);
    assert_eq!(state.health(at(10)).sources[0].1, None);
    assert_eq!(wrong(&state, 10), nothing());
}

#[rstest]
#[case::valid("Valid", "True", StoreState::Valid)]
#[case::not_looked_up("ValidationUnknown", "True", StoreState::Unknown)]
#[case::invalid("InvalidProviderConfig", "False", StoreState::Invalid)]
fn a_store_is_in_the_state_that_the_operator_found(
    #[case] reason: &str,
    #[case] ready: &str,
    #[case] expected: StoreState,
) {
    let mut state = world();
    let meta = meta(json!({ "name": "store" }));
    state.store(&meta, &StoreStatus::default(), true);
    assert_eq!(state.health(at(0)).stores["store"], StoreState::Unknown);
    state.store(&meta, &store(reason, ready), true);
    assert_eq!(state.health(at(0)).stores["store"], expected);
    state.store(&meta, &StoreStatus::default(), false);
    assert_eq!(state.health(at(0)).stores["store"], StoreState::Absent);
}
