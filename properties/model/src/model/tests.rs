use std::num::NonZero;
use std::path::Path;

use credence_core::manifest::parse_documents;
use rstest::rstest;

use super::testing::reference;
use super::*;
use crate::selector::{OptIn, opt_ins};

mod content;
mod plain;
mod providers;
mod switches;

/// Two stores over one namespace: `open` for everyone, `guarded` for labelled namespaces and `team-*`.
const STORES: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: open}
spec: {provider: {kubernetes: {remoteNamespace: central}}}
---
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: guarded}
spec:
  provider: {kubernetes: {remoteNamespace: vault}}
  conditions:
  - namespaceSelector: {matchLabels: {guarded: 'true'}}
  - namespaceRegexes: ['^team-']
";

fn model(documents: &[String]) -> Model {
    let text = [&[STORES.to_owned()], documents].concat().join("---\n");
    let manifests = parse_documents(Path::new("all.yaml"), &text).unwrap();
    Model::derive(&Config::from_manifests(manifests).unwrap())
}

/// A ClusterExternalSecret for the namespaces labelled `NAME=true`, with more of its spec.
fn distributed(name: &str, store: &str, external_secret_spec: &str) -> String {
    format!(
        "\
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {{name: {name}}}
spec:
  namespaceSelectors: [{{matchLabels: {{{name}: 'true'}}}}]
  externalSecretSpec:
    secretStoreRef: {{kind: ClusterSecretStore, name: {store}}}
{external_secret_spec}"
    )
}

const TOKEN: &str = "    data: [{secretKey: t, remoteRef: {key: pat, property: token}}]\n";

/// A source of type `kubernetes.io/tls`.
fn certificate(namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: cert, namespace: {namespace}}}\n\
         type: kubernetes.io/tls\nstringData: {{tls.crt: a, tls.key: b}}\n"
    )
}

fn only(document: String) -> Distribution {
    let mut distributions = model(&[document]).distributions;
    assert_eq!(distributions.len(), 1);
    distributions.remove(0)
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn source(namespace: &str, name: &str) -> SourceRef {
    SourceRef::secret(namespace, name)
}

fn known(keys: &[&str], secret_type: &str) -> Source {
    Source { keys: set(keys), secret_type: secret_type.into(), tags: BTreeSet::new() }
}

/// Namespaces written as `a: x=true, b:`.
fn namespaces(text: &str) -> BTreeMap<String, Labels> {
    text.split(", ")
        .filter_map(|entry| entry.split_once(':'))
        .map(|(name, labels)| {
            let labels = labels.split_whitespace().filter_map(|pair| pair.split_once('='));
            (name.to_owned(), labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
        })
        .collect()
}

fn copies(model: &Model, all: &str) -> Vec<String> {
    model
        .expected(&namespaces(all))
        .iter()
        .map(|(copy, distribution)| format!("{copy} by {}", distribution.name))
        .collect()
}

fn conflicts(model: &Model, all: &str) -> Vec<String> {
    let expectation = model.expectation(&namespaces(all));
    expectation.conflicts.iter().map(ToString::to_string).collect()
}

#[test]
fn sources_have_the_keys_that_are_read_and_those_of_their_manifest() {
    let model = model(&[
        distributed("docker", "open", TOKEN),
        distributed("git", "open", "    data: [{secretKey: u, remoteRef: {key: pat, property: username}}]\n"),
        distributed("tls", "guarded", "    dataFrom: [{extract: {key: cert}}]\n"),
        certificate("vault"),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: pat, namespace: other}\nstringData: {else: a}\n".to_owned(),
    ]);
    let expected = BTreeMap::from([
        (source("central", "pat"), known(&["token", "username"], "Opaque")),
        (source("vault", "cert"), known(&["tls.crt", "tls.key"], "kubernetes.io/tls")),
    ]);
    assert_eq!(model.sources, expected);
}

#[test]
fn target_has_the_names_type_and_labels_of_its_template() {
    let distribution = only(distributed(
        "docker",
        "open",
        "    target:
      name: pull
      template:
        type: kubernetes.io/dockerconfigjson
        metadata: {labels: {managed-by: external-secrets, owner: '{{ .t }}'}}
        data: {.dockerconfigjson: '{{ .t }}'}
    data: [{secretKey: t, remoteRef: {key: pat, property: token}}]
",
    ));
    assert_eq!(
        (&*distribution.name, &*distribution.external_secret, &*distribution.secret),
        ("docker", "docker", "pull")
    );
    assert_eq!(distribution.secret_type, "kubernetes.io/dockerconfigjson");
    assert_eq!(distribution.labels, Labels::from([("managed-by".into(), "external-secrets".into())]));
    assert_eq!(distribution.sources(), [&source("central", "pat")].into());
    assert_eq!(
        distribution.fields,
        [Field {
            secret_key: "t".into(),
            source: source("central", "pat"),
            store: "open".into(),
            property: Some("token".into()),
            origin: Some(Origin::value(&source("central", "pat"), "token")),
        }]
    );
}

#[test]
fn target_without_template_has_the_names_and_labels_of_its_external_secret() {
    let distribution = only(distributed("docker", "open", TOKEN).replace(
        "spec:\n  namespace",
        "spec:\n  externalSecretName: es\n  externalSecretMetadata: {labels: {a: b}}\n  namespace",
    ));
    assert_eq!((&*distribution.external_secret, &*distribution.secret), ("es", "es"));
    assert_eq!(distribution.secret_type, "Opaque");
    assert_eq!(distribution.labels, Labels::from([("a".into(), "b".into())]));
}

#[rstest]
#[case::no_template("", &["t"])]
#[case::template_of_a_type_alone("    target: {template: {type: Opaque}}\n", &["t"])]
#[case::template("    target: {template: {data: {a: x, b: z}}}\n", &["a", "b"])]
#[case::template_beside_values("    target: {template: {mergePolicy: Merge, data: {a: x}}}\n", &["a", "t"])]
#[case::template_elsewhere(
    "    target: {template: {templateFrom: [{literal: \"f: '{{ .t }}'\\ng: a\"}]}}\n",
    &["f", "g"]
)]
#[case::metadata("    dataFrom: [{extract: {key: cert, metadataPolicy: Fetch}}]\n", &["annotations", "labels", "t"])]
#[case::search_by_label("    dataFrom: [{find: {tags: {share: 'true'}}}]\n", &["t"])]
#[case::renamed_whole_source(
    "    dataFrom: [{extract: {key: cert}, rewrite: [{regexp: {source: 'tls', target: ssl}}]}]\n",
    &["ssl.crt", "ssl.key", "t"]
)]
#[case::template_elsewhere_for_labels(
    "    target: {template: {data: {a: x}, templateFrom: [{target: Labels, literal: x}]}}\n",
    &["a"]
)]
#[case::whole_source("    dataFrom: [{extract: {key: cert}}]\n", &["t", "tls.crt", "tls.key"])]
#[case::rewritten_source_behind_a_template(
    "    dataFrom: [{extract: {key: cert}, rewrite: [{regexp: {source: a, target: b}}]}]
    target: {template: {data: {a: x}}}
",
    &["a"]
)]
fn keys_of_a_copy_are_exact(#[case] spec: &str, #[case] keys: &[&str]) {
    let model = model(&[distributed("docker", "open", &format!("{TOKEN}{spec}")), certificate("central")]);
    assert_eq!(model.distributions[0].keys, ExpectedKeys::Exactly(set(keys)));
}

#[rstest]
#[case::search_by_name("    dataFrom: [{find: {name: {regexp: x}}}]\n", "dataFrom[0].find.name: whatever else")]
#[case::rewrite(
    "    data: [{secretKey: a, remoteRef: {key: x, property: a}}]
    dataFrom: [{extract: {key: x}, rewrite: [{regexp: {source: '[a&&b]', target: b}}]}]\n",
    "dataFrom[0].rewrite: the expression"
)]
#[case::part_of_a_value("    dataFrom: [{extract: {key: x, property: json}}]\n", "those of a JSON document")]
#[case::source_without_known_keys("    dataFrom: [{extract: {key: x}}]\n", "no key of central/x is known")]
#[case::rendered_keys(
    "    target: {template: {templateFrom: [{literal: '{{ .a }}: b'}]}}\n",
    "target.template.templateFrom[0].literal: an action of the template makes keys"
)]
fn keys_that_only_the_controller_knows_are_unknown(#[case] spec: &str, #[case] reason: &str) {
    let distribution = only(distributed("docker", "open", spec));
    let ExpectedKeys::Unknown { why } = distribution.keys else {
        panic!("{:?}", distribution.keys);
    };
    assert!(why.contains(reason), "{why}");
}

#[rstest]
#[case::no_template("", &["t from token"])]
#[case::value("    target: {template: {data: {a: '{{ .t }}', b: '{{ index . \"t\" }}'}}}\n", &["a from token", "b from token"])]
#[case::composed("    target: {template: {data: {a: 'x{{ .t }}', b: '{{ .t | b64enc }}', c: '{{ .t }}{{ .t }}'}}}\n", &[])]
#[case::of_nothing_that_is_read("    target: {template: {data: {a: '{{ .other }}'}}}\n", &[])]
#[case::whole_source(
    "    dataFrom: [{extract: {key: cert}}]\n",
    &["t from token", "tls.crt from tls.crt", "tls.key from tls.key"]
)]
#[case::decoded("    dataFrom: [{extract: {key: cert, decodingStrategy: Auto}}]\n", &["t from token"])]
#[case::renamed(
    "    dataFrom: [{extract: {key: cert}, rewrite: [{regexp: {source: tls, target: ssl}}]}]\n",
    &["ssl.crt from tls.crt", "ssl.key from tls.key", "t from token"]
)]
#[case::converted("    dataFrom: [{extract: {key: cert, conversionStrategy: Unicode}}]\n", &[
    "t from token",
    "tls.crt from tls.crt",
    "tls.key from tls.key"
])]
#[case::template_elsewhere_of_a_value(
    "    target: {template: {templateFrom: [{literal: 'a: \"Bearer {{ .t }}\"'}]}}\n",
    &[]
)]
fn keys_that_hold_a_value_as_it_is_are_told(#[case] spec: &str, #[case] expected: &[&str]) {
    let model = model(&[distributed("docker", "open", &format!("{TOKEN}{spec}")), certificate("central")]);
    let verbatim = model.distributions[0].verbatim.iter();
    let told: Vec<String> = verbatim.map(|(key, (_, property))| format!("{key} from {property}")).collect();
    assert_eq!(told, expected);
}

#[test]
fn single_values_win_over_those_of_a_whole_source() {
    let distribution = only(distributed(
        "docker",
        "open",
        "    dataFrom: [{extract: {key: old}}]
    data:
    - {secretKey: token, remoteRef: {key: pat, property: token}}
    - {secretKey: x, remoteRef: {key: old, property: token}}
",
    ));
    let sources: Vec<(&str, &str)> =
        distribution.fields.iter().map(|field| (&*field.secret_key, &*field.source.name)).collect();
    assert_eq!(sources, [("token", "pat"), ("x", "old")]);
}

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

const FOUR: NonZero<u32> = NonZero::new(4).unwrap();

#[rstest]
#[case::interval("    refreshInterval: 5m\n", 300)]
#[case::default_interval("", 3600)]
#[case::periodic("    refreshPolicy: Periodic\n    refreshInterval: 10s\n", 10)]
fn propagation_takes_the_interval_and_the_queue(#[case] spec: &str, #[case] seconds: u64) {
    let model = model(&[distributed("docker", "open", &format!("{TOKEN}{spec}"))]);
    let bound = model.propagation_bound(&model.distributions[0], 200, FOUR);
    // 200 refreshes of 100 ms by four workers.
    let expected = Duration::from_secs(seconds + 5) + PROPAGATION_SLACK;
    assert_eq!(bound, Bound::Within(expected));
    assert_eq!(bound.limit(), expected);
}

#[rstest]
#[case::interval_zero("    refreshInterval: 0s\n", "refreshInterval is 0")]
#[case::negative_interval("    refreshInterval: -1h\n", "refreshInterval is 0")]
#[case::created_once("    refreshInterval: 1m\n    refreshPolicy: CreatedOnce\n", "refreshPolicy is CreatedOnce")]
#[case::on_change("    refreshInterval: 1m\n    refreshPolicy: OnChange\n", "refreshPolicy is OnChange")]
#[case::immutable("    refreshInterval: 1m\n    target: {immutable: true}\n", "target.immutable is true")]
fn updates_that_never_arrive_are_still_due(#[case] spec: &str, #[case] why: &'static str) {
    let never = distributed("docker", "open", &format!("{TOKEN}{spec}"));
    let alone = model(std::slice::from_ref(&never));
    let among = model(&[
        never,
        distributed("fast", "open", &format!("{TOKEN}    refreshInterval: 1m\n")),
        distributed("slow", "open", &format!("{TOKEN}    refreshInterval: 2m\n")),
    ]);
    for (model, seconds) in [(alone, 3600), (among, 120)] {
        let bound = model.propagation_bound(&model.distributions[0], 0, FOUR);
        let assumed = Duration::from_secs(seconds) + PROPAGATION_SLACK;
        assert_eq!(bound, Bound::Never { why, assumed });
        assert_eq!(bound.limit(), assumed);
    }
}

#[test]
fn provisioning_takes_a_visit_for_each_namespace() {
    assert_eq!(Model::provisioning_bound(0), PROVISIONING_SLACK);
    assert_eq!(Model::provisioning_bound(70), PROVISIONING_SLACK + Duration::from_secs(10));
}

#[test]
fn every_opt_in_of_the_reference_configuration_is_admitted() {
    let model = reference();
    for distribution in &model.distributions {
        let ways = opt_ins(&distribution.selection);
        assert!(!ways.is_empty(), "{}", distribution.name);
        for way in ways {
            let name = way.names.into_iter().flatten().next().unwrap_or_else(|| "team-a".to_owned());
            let expectation = model.expectation(&[(name.clone(), way.labels)].into());
            let copy = CopyRef { namespace: name, secret: distribution.secret.clone() };
            assert!(expectation.copies.contains_key(&copy), "{copy} of {}: {expectation:?}", distribution.name);
            assert_eq!(expectation.conflicts, []);
        }
    }
}

#[test]
fn reference_configuration_is_known_in_full() {
    let model = reference();
    for distribution in &model.distributions {
        assert!(
            matches!(distribution.keys, ExpectedKeys::Exactly(_)),
            "{}: {:?}",
            distribution.name,
            distribution.keys
        );
        assert_eq!(distribution.never_updates(), None, "{}", distribution.name);
        assert_eq!(distribution.labels["managed-by"], "external-secrets", "{}", distribution.name);
        for field in &distribution.fields {
            let property = field.property.as_ref().unwrap();
            assert!(model.sources[&field.source].keys.contains(property), "{field:?}");
        }
    }
}
