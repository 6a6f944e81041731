use kube::core::labels::SelectorExt as _;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;

fn selector(value: serde_json::Value) -> LabelSelector {
    serde_json::from_value(value).unwrap()
}

fn expression(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
    let mut requirement = json!({"key": key, "operator": operator});
    if !values.is_empty() {
        requirement["values"] = json!(values);
    }
    selector(json!({"matchExpressions": [requirement]}))
}

/// Labels written as `a=1 b`, where `b` has an empty value.
fn labels(text: &str) -> Labels {
    text.split_whitespace()
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn selection(selectors: impl IntoIterator<Item = LabelSelector>, names: &[&str]) -> NamespaceSelection {
    NamespaceSelection {
        selectors: selectors.into_iter().collect(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

// The rules that `Requirement.Matches` publishes, and the rows of apimachinery's `TestSelectorMatches`.
#[rstest]
#[case::in_one_of_the_values("In", &["y", "z"], "x=z", true)]
#[case::in_another_value("In", &["y"], "x=z", false)]
#[case::in_absent_key("In", &["y"], "z=y", false)]
#[case::in_empty_value("In", &["y", ""], "x", true)]
#[case::in_is_case_sensitive("In", &["true"], "x=TRUE", false)]
#[case::not_in_one_of_the_values("NotIn", &["y", "z"], "x=z", false)]
#[case::not_in_another_value("NotIn", &["y"], "x=z", true)]
#[case::not_in_absent_key("NotIn", &["y"], "z=y", true)]
#[case::not_in_empty_value("NotIn", &[""], "x", false)]
#[case::exists_any_value("Exists", &[], "x=z", true)]
#[case::exists_empty_value("Exists", &[], "x", true)]
#[case::exists_absent_key("Exists", &[], "y=z", false)]
#[case::does_not_exist_absent_key("DoesNotExist", &[], "y=z", true)]
#[case::does_not_exist_empty_value("DoesNotExist", &[], "x", false)]
#[case::does_not_exist_any_value("DoesNotExist", &[], "x=z", false)]
fn operator_follows_the_published_rule(
    #[case] operator: &str,
    #[case] values: &[&str],
    #[case] on: &str,
    #[case] matches: bool,
) {
    assert_eq!(expression("x", operator, values).matches(&labels(on)), matches);
}

#[rstest]
#[case::all_equal("x=y z=w", true)]
#[case::more_labels("x=y z=w a=b", true)]
#[case::one_differs("x=y z=a", false)]
#[case::one_absent("x=y", false)]
#[case::none("", false)]
fn match_labels_are_all_needed(#[case] on: &str, #[case] matches: bool) {
    let selector = selector(json!({"matchLabels": {"x": "y", "z": "w"}}));
    assert_eq!(selector.matches(&labels(on)), matches);
}

#[rstest]
#[case::both("x=y z=w", true)]
#[case::labels_only("x=y", false)]
#[case::expressions_only("z=w", false)]
#[case::second_expression_fails("x=y z=w a", false)]
fn labels_and_expressions_are_all_needed(#[case] on: &str, #[case] matches: bool) {
    let selector = selector(json!({
        "matchLabels": {"x": "y"},
        "matchExpressions": [{"key": "z", "operator": "Exists"}, {"key": "a", "operator": "DoesNotExist"}],
    }));
    assert_eq!(selector.matches(&labels(on)), matches);
}

#[rstest]
#[case::nothing_written(json!({}))]
#[case::empty_parts(json!({"matchLabels": {}, "matchExpressions": []}))]
#[case::null_parts(json!({"matchLabels": null, "matchExpressions": null}))]
fn empty_selector_matches_everything_and_an_absent_one_nothing(#[case] written: serde_json::Value) {
    let selector = selector(written);
    assert!(selector.matches(&Labels::new()) && selector.matches(&labels("x=y")));
    let everything = selection([selector], &[]);
    assert!(everything.matches(&effective_labels("kube-system", &Labels::new())));
    assert!(!NamespaceSelection::default().matches(&effective_labels("a", &labels("x=y"))));
}

#[rstest]
#[case::first_selector("other", "x=y", true)]
#[case::second_selector("other", "z", true)]
#[case::both("other", "x=y z", true)]
#[case::neither("other", "x=z", false)]
#[case::by_name("argocd", "", true)]
#[case::name_is_not_a_prefix("argocd-2", "", false)]
#[case::written_name_label_does_not_count("other", "kubernetes.io/metadata.name=argocd", false)]
fn selectors_and_names_are_alternatives(#[case] name: &str, #[case] on: &str, #[case] matches: bool) {
    let selection = selection([expression("x", "In", &["y"]), expression("z", "Exists", &[])], &["argocd"]);
    assert_eq!(selection.matches(&effective_labels(name, &labels(on))), matches);
}

#[test]
fn selectors_may_choose_by_the_name_label() {
    let named = selection([expression(NAME_LABEL, "In", &["a", "b"])], &[]);
    assert!(named.matches(&effective_labels("b", &Labels::new())));
    assert!(!named.matches(&effective_labels("c", &Labels::new())));
    let others = selection([expression(NAME_LABEL, "NotIn", &["a"])], &[]);
    assert!(!others.matches(&effective_labels("a", &Labels::new())));
}

#[rstest]
#[case::unknown_operator(
    json!([{"key": "x", "operator": "Equals", "values": ["a"]}]),
    r#"operator "Equals" on label "x" is not one of In, NotIn, Exists, DoesNotExist"#
)]
#[case::operator_case(
    json!([{"key": "x", "operator": "in", "values": ["a"]}]),
    r#"operator "in" on label "x" is not one of"#
)]
#[case::greater_than_is_for_nodes(json!([{"key": "x", "operator": "Gt", "values": ["1"]}]), r#"operator "Gt""#)]
#[case::in_without_values(json!([{"key": "x", "operator": "In"}]), r#"operator In on label "x" needs values"#)]
#[case::not_in_with_empty_values(
    json!([{"key": "x", "operator": "NotIn", "values": []}]),
    "NotIn on label \"x\" needs values"
)]
#[case::exists_with_values(
    json!([{"key": "x", "operator": "Exists", "values": ["qux"]}]),
    "Exists on label \"x\" must not have values"
)]
#[case::does_not_exist_with_values(
    json!([{"key": "x", "operator": "DoesNotExist", "values": ["qux"]}]),
    "DoesNotExist on label \"x\" must not have values"
)]
#[case::empty_key(json!([{"key": "", "operator": "Exists"}]), "label key \"\" is not valid")]
#[case::key_with_two_slashes(json!([{"key": "a/b/c", "operator": "Exists"}]), "label key \"a/b/c\" is not valid")]
#[case::key_ends_with_a_dash(json!([{"key": "a-", "operator": "Exists"}]), "label key \"a-\" is not valid")]
#[case::key_without_prefix_before_slash(json!([{"key": "/a", "operator": "Exists"}]), "its prefix")]
#[case::key_prefix_in_capitals(json!([{"key": "Secrets/a", "operator": "Exists"}]), "its prefix")]
#[case::key_prefix_with_empty_part(json!([{"key": "a..b/c", "operator": "Exists"}]), "its prefix")]
#[case::value_with_a_space(json!([{"key": "x", "operator": "In", "values": ["a b"]}]), r#"value "a b" of label "x""#)]
#[case::value_starts_with_a_dot(
    json!([{"key": "x", "operator": "In", "values": [".a"]}]),
    r#"value ".a" of label "x""#
)]
#[case::unknown_field(json!([{"key": "x", "operator": "Exists", "value": "a"}]), "unknown field `value`")]
fn invalid_expression_is_refused(#[case] expressions: serde_json::Value, #[case] reason: &str) {
    let written = json!({"matchExpressions": expressions});
    let error = serde_json::from_value::<LabelSelector>(written).unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
}

#[rstest]
#[case::misspelt_field(json!({"matchLabel": {"x": "y"}}), "unknown field `matchLabel`")]
#[case::boolean_value(json!({"matchLabels": {"x": true}}), "expected a string")]
#[case::key(json!({"matchLabels": {"x y": "true"}}), "label key \"x y\" is not valid")]
#[case::value(json!({"matchLabels": {"x": "not true"}}), "value \"not true\" of label \"x\"")]
fn invalid_match_labels_are_refused(#[case] written: serde_json::Value, #[case] reason: &str) {
    let error = serde_json::from_value::<LabelSelector>(written).unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
}

#[rstest]
#[case::name_of_63("a", 63, true)]
#[case::name_of_64("a", 64, false)]
#[case::prefix_of_253("/a", 253, true)]
#[case::prefix_of_254("/a", 254, false)]
fn label_keys_have_a_greatest_length(#[case] tail: &str, #[case] length: usize, #[case] valid: bool) {
    let key = match tail.strip_prefix('/') {
        Some(_) => format!("{}{tail}", "p".repeat(length)),
        None => tail.repeat(length),
    };
    assert_eq!(Requirement::new(key, Operator::Exists, Vec::new()).is_ok(), valid);
}

#[test]
fn selectors_are_written_as_they_are_read() {
    let written = json!({
        "matchLabels": {"x": "y"},
        "matchExpressions": [{"key": "z", "operator": "Exists"}, {"key": "a", "operator": "In", "values": ["c", "b"]}],
    });
    assert_eq!(serde_json::to_value(selector(written.clone())).unwrap(), written);
    assert_eq!(serde_json::to_value(LabelSelector::default()).unwrap(), json!({}));
}

#[test]
fn a_selector_with_one_more_label_wants_that_too() {
    let narrower = selector(json!({"matchLabels": {"x": "y"}})).and_label("z", "w").unwrap();
    assert!(
        narrower.matches(&labels("x=y z=w")) && !narrower.matches(&labels("x=y")) && !narrower.matches(&labels("z=w"))
    );
    assert!(LabelSelector::default().and_label("x y", "w").is_err());
    assert!(LabelSelector::default().and_label("x", "not true").is_err());
}

#[rstest]
#[case::asks("k=true", None)]
#[case::says_false("k=false", Some("false"))]
#[case::says_it_in_capitals("k=TRUE", Some("TRUE"))]
#[case::says_nothing("k", Some(""))]
#[case::says_no("k=no", Some("no"))]
#[case::says_zero("k=0", Some("0"))]
#[case::label_absent("other=false", None)]
fn bare_existence_is_refused_by_any_value_but_true(#[case] on: &str, #[case] refused: Option<&str>) {
    let labels = effective_labels("a", &labels(on));
    let exists = selection([expression("k", "Exists", &[])], &[]);
    let opt_out = opts_out(&exists, &labels, |_| true).map(|opt_out| opt_out.value);
    assert_eq!(opt_out.as_deref(), refused);
    let except_false = selection(
        [selector(json!({"matchExpressions": [
            {"key": "k", "operator": "Exists"}, {"key": "k", "operator": "NotIn", "values": ["false"]},
        ]}))],
        &[],
    );
    // "false" does not even match there, so there is nothing to refuse.
    let refused = refused.filter(|value| *value != "false");
    let opt_out = opts_out(&except_false, &labels, |_| true).map(|opt_out| opt_out.value);
    assert_eq!(opt_out.as_deref(), refused);
}

#[rstest]
#[case::match_labels(json!({"matchLabels": {"k": "no"}}))]
#[case::one_of(json!({"matchExpressions": [{"key": "k", "operator": "In", "values": ["no", "yes"]}]}))]
#[case::one_of_and_exists(
    json!({"matchExpressions": [{"key": "k", "operator": "In", "values": ["no"]}, {"key": "k", "operator": "Exists"}]})
)]
#[case::none_of(json!({"matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["yes"]}]}))]
#[case::another_key_is_absent(json!({"matchExpressions": [{"key": "j", "operator": "DoesNotExist"}]}))]
#[case::the_name_exists(json!({"matchExpressions": [{"key": NAME_LABEL, "operator": "Exists"}]}))]
#[case::everything(json!({}))]
fn selectors_that_fix_the_value_or_require_none_are_not_refused(#[case] written: serde_json::Value) {
    let selection = selection([selector(written)], &[]);
    let labels = effective_labels("a", &labels("k=no"));
    assert!(selection.matches(&labels));
    assert_eq!(opts_out(&selection, &labels, |_| true), None);
}

#[rstest]
#[case::another_selector("a", "k=false j=1", None)]
#[case::name("argocd", "k=false", None)]
#[case::two_refused("a", "k=false l", Some("k"))]
#[case::only_the_second_matches("a", "l", Some("l"))]
fn one_alternative_that_is_not_refused_is_enough(#[case] name: &str, #[case] on: &str, #[case] refused: Option<&str>) {
    let selection = selection(
        [expression("k", "Exists", &[]), expression("j", "In", &["1"]), expression("l", "Exists", &[])],
        &["argocd"],
    );
    let opt_out = opts_out(&selection, &effective_labels(name, &labels(on)), |_| true);
    assert_eq!(opt_out.map(|opt_out| opt_out.key).as_deref(), refused);
}

#[rstest]
#[case::match_labels(json!({"matchLabels": {"k": "v"}}), Some("k=v"))]
#[case::first_of_several(
    json!({"matchExpressions": [{"key": "k", "operator": "In", "values": ["z", "a"]}]}),
    Some("k=z")
)]
#[case::exists(json!({"matchExpressions": [{"key": "k", "operator": "Exists"}]}), Some("k=true"))]
#[case::nothing_needed(json!({"matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["z"]}]}), Some(""))]
#[case::intersection(json!({"matchExpressions": [
    {"key": "k", "operator": "In", "values": ["a", "b", "c"]},
    {"key": "k", "operator": "In", "values": ["c", "b"]},
    {"key": "k", "operator": "NotIn", "values": ["b"]},
]}), Some("k=c"))]
#[case::contradicting_values(
    json!({"matchLabels": {"k": "v"}, "matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["v"]}]}),
    None
)]
#[case::contradicting_existence(
    json!({"matchLabels": {"k": "v"}, "matchExpressions": [{"key": "k", "operator": "DoesNotExist"}]}),
    None
)]
#[case::exists_but_may_not_ask(
    json!({"matchExpressions": [
        {"key": "k", "operator": "Exists"}, {"key": "k", "operator": "NotIn", "values": ["true"]},
    ]}),
    None
)]
#[case::no_name(json!({"matchExpressions": [{"key": NAME_LABEL, "operator": "DoesNotExist"}]}), None)]
fn opt_in_has_the_fewest_labels_that_match(#[case] written: serde_json::Value, #[case] needed: Option<&str>) {
    let selection = selection([selector(written)], &[]);
    let found: Vec<Labels> = opt_ins(&selection).into_iter().map(|opt_in| opt_in.labels).collect();
    assert_eq!(found, needed.map(labels).into_iter().collect::<Vec<_>>());
    for labels in found {
        let labels = effective_labels("a", &labels);
        assert!(selection.matches(&labels) && opts_out(&selection, &labels, |_| true).is_none());
    }
}

#[test]
fn opt_in_by_name_says_which_names() {
    let selection = selection(
        [selector(json!({
            "matchLabels": {"k": "v"},
            "matchExpressions": [{"key": NAME_LABEL, "operator": "In", "values": ["b", "a"]}],
        }))],
        &["argocd"],
    );
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(
        opt_ins(&selection),
        [
            OptIn { labels: labels("k=v"), names: names(&["a", "b"]) },
            OptIn { labels: Labels::new(), names: names(&["argocd"]) },
        ]
    );
}

fn any_requirement() -> impl Strategy<Value = Requirement> {
    let values = prop::collection::vec(prop::sample::select(vec!["", "true", "false"]), 1..3);
    let operators = prop::sample::select(Operator::ALL.to_vec());
    (prop::sample::select(vec!["a", "b"]), operators, values).prop_map(|(key, operator, values)| {
        let values = match operator {
            Operator::In | Operator::NotIn => values.into_iter().map(str::to_owned).collect(),
            Operator::Exists | Operator::DoesNotExist => Vec::new(),
        };
        Requirement::new(key, operator, values).unwrap()
    })
}

fn any_labels() -> impl Strategy<Value = Labels> {
    let key = prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
    let value = prop::sample::select(vec!["", "true", "false", "TRUE"]).prop_map(str::to_owned);
    prop::collection::btree_map(key, value, 0..4)
}

proptest! {
    #[test]
    fn matching_agrees_with_kube_rs(
        match_labels in any_labels(),
        requirements in prop::collection::vec(any_requirement(), 0..4),
        on in any_labels(),
    ) {
        let ours = LabelSelector::new(match_labels, requirements).unwrap();
        let written = serde_json::to_value(ours.clone()).unwrap();
        let theirs: k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector =
            serde_json::from_value(written).unwrap();
        let theirs: kube::core::Selector = theirs.try_into().unwrap();
        prop_assert_eq!(ours.matches(&on), theirs.matches(&on));
    }

    #[test]
    fn every_opt_in_asks(requirements in prop::collection::vec(any_requirement(), 0..4)) {
        let selection = selection([LabelSelector::new(Labels::new(), requirements).unwrap()], &[]);
        for opt_in in opt_ins(&selection) {
            let labels = effective_labels("a", &opt_in.labels);
            prop_assert!(selection.matches(&labels));
            prop_assert_eq!(opts_out(&selection, &labels, |_| true), None);
        }
    }
}
