use std::path::Path;

use credence_core::manifest::parse_documents;
use rstest::rstest;

use super::testing::reference;
use super::*;
use crate::selector::{OptIn, opt_ins};

mod bounds;
mod content;
mod expectations;
mod keys;
mod later;
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

#[test]
fn entries_name_what_they_read_each_time_and_not_what_they_find() {
    let distribution = only(distributed(
        "docker",
        "open",
        "    data:
    - {secretKey: a, remoteRef: {key: pat, property: token}}
    - {secretKey: b, remoteRef: {key: pat, property: name}}
    dataFrom: [{extract: {key: cert}}, {find: {name: {regexp: ^x}}}]
",
    ));
    assert_eq!(distribution.keys_named(), ["pat", "pat", "cert"]);
    assert_eq!((distribution.namespace(), distribution.kind()), (None, "ClusterExternalSecret"));
}
