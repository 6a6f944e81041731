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

/// When the world of these tests began, in seconds; the source was written ten minutes before.
const START: i64 = 1_800_000_000;
/// What the operator of ExternalSecret `pull` calls itself as a field manager.
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

/// What is wrong, as `credential problem namespace/name`.
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

/// Changes a copy's metadata at a JSON pointer.
fn changed(pointer: &str, value: Value) -> Value {
    let mut copy = copy("one");
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    match copy.pointer_mut(parent).unwrap() {
        Value::Array(list) => list.push(value),
        parent => parent[key.as_str()] = value,
    }
    copy
}

#[rstest]
#[case::data(changed("/managedFields/-", data_of("kubectl-edit", 1)), Some("drifted: data"))]
#[case::a_key_of_somebody_else(
    changed("/managedFields/-", written_by("x", 1, json!({"f:data": {".": {}, "f:more": {}}}))), Some("drifted: data"))]
#[case::the_map_alone_is_no_value(changed("/managedFields/-", written_by("x", 1, json!({"f:data": {".": {}}}))), None)]
#[case::labels_of_others_are_theirs(
    changed("/managedFields/-", written_by("x", 1, json!({"f:metadata": {"f:labels": {"f:mine": {}}}}))), None)]
#[case::hash(
    changed("/managedFields/-", written_by("x", 1, json!({"f:metadata": {"f:annotations":
        {"f:reconcile.external-secrets.io/data-hash": {}}}}))), Some("drifted: hash"))]
#[case::no_hash(changed("/annotations", json!({})), Some("drifted: hash"))]
#[case::another_label(changed("/labels/kind", json!("other")), Some("drifted: labels"))]
#[case::more_labels(changed("/labels/more", json!("x")), None)]
#[case::hidden_from_the_operator(
    changed("/labels/reconcile.external-secrets.io~1managed", json!("false")), Some("drifted: labels"))]
#[case::no_owner(changed("/ownerReferences", json!([])), Some("hand-made: name"))]
#[case::another_owner(changed("/ownerReferences/0/name", json!("theirs")), Some("hand-made: name"))]
#[case::an_owner_of_another_group(changed("/ownerReferences/0/apiVersion", json!("v1")), Some("hand-made: name"))]
fn a_change_of_a_copy_is_found_and_counted_once(#[case] changed: Value, #[case] problem: Option<&str>) {
    let mut state = world();
    let happenings = state.secret(&meta(changed.clone()), true, at(1));
    let expected: Vec<String> = problem.iter().map(|problem| format!("pull {problem} one/pull-copy")).collect();
    assert_eq!(wrong(&state, 2), expected);
    let counted: Vec<StateEvent> = problem.iter().map(|_| StateEvent::ForeignWrite { credential: PULL }).collect();
    assert_eq!(happenings, counted);
    assert_eq!(state.secret(&meta(changed), true, at(2)), [], "the same again is nothing new");
    assert_eq!(state.secret(&meta(copy("one")), true, at(3)), [], "what the operator heals is no write of others");
    assert_eq!(wrong(&state, 4), nothing());
}

#[test]
fn each_edit_of_the_same_key_counts() {
    let mut state = world();
    for second in 1..=3 {
        let edited = changed("/managedFields/-", data_of("kubectl-edit", second));
        assert_eq!(state.secret(&meta(edited), true, at(second)), [StateEvent::ForeignWrite { credential: PULL }]);
    }
}

#[test]
fn what_is_there_at_the_beginning_is_found_and_not_counted() {
    let mut state = State::new(model(""), NonZero::<u32>::MIN);
    state.begin(WatchedKind::Secrets);
    let edited = changed("/managedFields/-", data_of("kubectl-edit", -500));
    assert_eq!(state.secret(&meta(edited), true, at(0)), []);
    state.namespace(&namespace("one", json!({ "pull": "true" })), true);
    assert_eq!(wrong(&state, 0), ["pull drifted: data one/pull-copy"]);
}

#[rstest]
#[case::by_name(json!({"namespace": "two", "name": "pull-copy"}), Some("pull hand-made: name two/pull-copy"))]
#[case::by_labels(json!({"namespace": "two", "name": "x", "labels": {"kind": "pull"}}), Some("pull hand-made: labels two/x"))]
#[case::by_the_label_that_its_consumer_looks_for(
    json!({"namespace": "two", "name": "x", "labels": {"argocd.argoproj.io/secret-type": "repo-creds"}}),
    Some("git hand-made: labels two/x"))]
#[case::another_value_of_that_label(
    json!({"namespace": "two", "name": "x", "labels": {"argocd.argoproj.io/secret-type": "cluster"}}), None)]
#[case::made_by_a_team_of_its_own_store(
    json!({"namespace": "two", "name": "x", "labels": {"kind": "pull"}, "ownerReferences": [{"controller": true,
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "theirs", "uid": "1"}]}), None)]
#[case::of_no_concern(json!({"namespace": "two", "name": "x"}), None)]
#[case::a_source_that_has_labels(json!({"namespace": "central", "name": "source", "labels": {"kind": "pull"}}), None)]
fn secrets_that_pass_for_copies_are_found(#[case] made: Value, #[case] finding: Option<&str>) {
    let mut state = world();
    let happenings = state.secret(&meta(made.clone()), true, at(1));
    assert_eq!(wrong(&state, 2), finding.into_iter().collect::<Vec<_>>());
    assert_eq!(happenings.len(), usize::from(finding.is_some()));
    state.secret(&meta(made), false, at(3));
    assert_eq!(wrong(&state, 4), nothing());
}

#[test]
fn a_pull_secret_of_any_name_is_found_by_its_type_unless_an_external_secret_made_it() {
    let mut state = world();
    state.pull_secret(&meta(json!({ "namespace": "two", "name": "mine" })), true);
    state.pull_secret(&meta(copy("one")), true);
    assert_eq!(wrong(&state, 1), ["pull hand-made: type two/mine"]);
    // One that its name gives away as well is counted once.
    let named = meta(json!({ "namespace": "two", "name": "pull-copy" }));
    state.pull_secret(&named, true);
    state.secret(&named, true, at(1));
    state.pull_secret(&meta(json!({ "namespace": "two", "name": "mine" })), false);
    assert_eq!(wrong(&state, 2), ["pull hand-made: name two/pull-copy"]);
}

#[rstest]
#[case::in_time(BOUND, 0, false)]
#[case::beyond_the_bound(BOUND + 1, 0, true)]
#[case::read_since(BOUND + 1, 11, false)]
#[case::read_in_the_same_second_which_may_have_been_before(BOUND + 1, 10, true)]
fn a_copy_is_stale_when_the_bound_has_passed_and_it_was_not_read(
    #[case] after: i64,
    #[case] refreshed: i64,
    #[case] is_stale: bool,
) {
    let mut state = world();
    state.secret(&source("6", 10), true, at(10));
    // Overdue refreshes are another matter, so this one is recent enough for that.
    state.external_secret(&external_secret("one", "pull"), &status(refreshed, "False"), true);
    let stale = wrong(&state, 10 + after).contains(&"pull stale one/pull-copy".to_owned());
    assert_eq!(stale, is_stale);
}

#[test]
fn a_source_without_managed_fields_is_written_whenever_it_changes() {
    let bare = |version: &str| {
        meta(json!({ "namespace": "central", "name": "source", "resourceVersion": version,
                     "creationTimestamp": at(-900).to_string() }))
    };
    let mut state = world();
    state.secret(&bare("6"), true, at(10));
    state.secret(&bare("6"), true, at(20));
    assert_eq!(state.health(at(30)).sources[0].1, Some(at(10)));
    state.secret(&bare("7"), true, at(30));
    assert_eq!(state.health(at(30)).sources[0].1, Some(at(30)));
}

#[test]
fn a_copy_that_the_configuration_never_reads_again_is_stale_after_what_would_hold_without() {
    let mut state = world_of(model("refreshPolicy: CreatedOnce"));
    // Read in the second in which its source was written: there is no later read that could tell.
    state.external_secret(&external_secret("one", "pull"), &status(-600, "True"), true);
    assert_eq!(wrong(&state, 1000), nothing());
    state.secret(&source("6", 10), true, at(10));
    assert_eq!(wrong(&state, 10 + BOUND), nothing());
    assert_eq!(wrong(&state, 10 + BOUND + 1), ["pull stale one/pull-copy"]);
}

#[test]
fn a_refresh_of_an_immutable_copy_reads_nothing() {
    let mut model = model("");
    model.distributions[PULL].immutable = true;
    let mut state = world_of(model);
    state.secret(&source("6", 10), true, at(10));
    state.external_secret(&external_secret("one", "pull"), &status(140, "True"), true);
    assert_eq!(wrong(&state, 10 + BOUND + 1), ["pull stale one/pull-copy"]);
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
fn the_time_from_a_write_to_the_change_of_a_copy_is_measured_once() {
    let mut state = world();
    let renewed = |hash: &str| {
        let mut copy = copy("one");
        copy["annotations"]["reconcile.external-secrets.io/data-hash"] = json!(hash);
        meta(copy)
    };
    state.secret(&source("6", 10), true, at(10));
    state.secret(&source("7", 20), true, at(20));
    assert_eq!(state.secret(&meta(copy("one")), true, at(30)), [], "not every change of a copy is an arrival");
    let arrived = [StateEvent::Arrived { credential: PULL, seconds: 25.0 }];
    assert_eq!(state.secret(&renewed("bbbb"), true, at(45)), arrived);
    assert_eq!(state.secret(&renewed("cccc"), true, at(50)), [], "nothing was written since");
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
