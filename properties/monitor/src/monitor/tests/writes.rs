//! Writes of others: changed copies, and Secrets that pass for copies.

use super::*;

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
