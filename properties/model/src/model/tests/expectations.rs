//! Copies that are expected of labelled namespaces.

use super::*;

#[rstest]
#[case::labelled("a: docker=true, b: docker=false, c:", &["a/docker by docker"])]
#[case::several_targets("a: docker=true git=true", &["a/docker by docker", "a/git by git"])]
#[case::store_condition_by_label("a: tls=true guarded=true, b: tls=true", &["a/tls by tls"])]
#[case::store_condition_by_name("team-a: tls=true, my-team-a: tls=true", &["team-a/tls by tls"])]
#[case::nothing_in_source_namespaces("central: docker=true, vault: docker=true tls=true guarded=true", &[])]
#[case::nothing_in_namespaces_of_kubernetes(
    "kube-system: docker=true, kube-public: docker=true, kubernetes: docker=true",
    &["kubernetes/docker by docker"]
)]
#[case::the_default_namespace_may_ask("default: docker=true", &["default/docker by docker"])]
#[case::nobody("", &[])]
fn copies_are_expected_where_they_are_asked_for_and_admitted(#[case] all: &str, #[case] expected: &[&str]) {
    let model = model(&[
        distributed("docker", "open", TOKEN),
        distributed("git", "open", TOKEN),
        distributed("tls", "guarded", TOKEN),
    ]);
    assert_eq!(copies(&model, all), expected);
}

#[test]
fn values_of_two_stores_need_the_admission_of_both() {
    let model = model(&[distributed(
        "both",
        "open",
        "    data:
    - {secretKey: t, remoteRef: {key: pat, property: token}}
    - secretKey: g
      remoteRef: {key: other, property: g}
      sourceRef: {storeRef: {kind: ClusterSecretStore, name: guarded}}
",
    )]);
    assert_eq!(copies(&model, "a: both=true, b: both=true guarded=true"), ["b/both by both"]);
    assert_eq!(model.distributions[0].sources(), [&source("central", "pat"), &source("vault", "other")].into());
    assert_eq!(model.label_vocabulary(), ["both", "guarded"].into());
}

#[test]
fn conflicts_tell_where_selection_and_purpose_part() {
    let everything = distributed("all", "open", TOKEN).replace("{matchLabels: {all: 'true'}}", "{}");
    let model = model(&[everything, distributed("tls", "guarded", &format!("    target: {{name: all}}\n{TOKEN}"))]);
    assert_eq!(
        conflicts(&model, "a: tls=true, kube-system:, team-a: tls=true"),
        [
            "tls selects namespace a, which store guarded does not admit",
            "all selects namespace kube-system, which never asks",
            "all and tls both write team-a/all",
        ]
    );
    assert_eq!(copies(&model, "team-a: tls=true"), ["team-a/all by all"]);
}

#[test]
fn names_and_expressions_select_too() {
    let distribution = distributed("docker", "open", TOKEN).replace(
        "namespaceSelectors: [{matchLabels: {docker: 'true'}}]",
        "namespaces: [argocd]\n  namespaceSelectors: [{matchExpressions: [{key: team, operator: In, values: [b, a]}]}]",
    );
    let model = model(&[distribution]);
    assert_eq!(copies(&model, "argocd:, a: team=a, b: team=c"), ["a/docker by docker", "argocd/docker by docker"]);
    assert_eq!(
        opt_ins(&model.distributions[0].selection),
        [
            OptIn { labels: Labels::from([("team".into(), "b".into())]), names: None },
            OptIn { labels: Labels::new(), names: Some(set(&["argocd"])) },
        ]
    );
    assert_eq!(model.label_vocabulary(), ["team"].into());
}
