//! Providers other than Kubernetes, pushes and generators: each of their fields can be set, and nothing of them is passed over in
//! silence.

use std::collections::BTreeSet;

use credence_model::applied;
use proptest::strategy::{BoxedStrategy, Strategy as _, ValueTree as _};
use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::{VERSION, has, table, understood};

/// Samples of which each is looked at, whatever fields they have.
const SAMPLES: usize = 60;

/// Samples with one field, after which it counts as one that cannot be set.
const TRIED: usize = 30;

fn runner() -> TestRunner {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

/// A configuration with one of another provider's stores, read by one ExternalSecret.
fn through(provider: &str, fields: &Value) -> String {
    let store = json!({ "apiVersion": VERSION, "kind": "ClusterSecretStore", "metadata": { "name": "far" },
        "spec": { "provider": { provider: fields } } });
    format!("{store}\n---\n{}", reader("far"))
}

fn reader(store: &str) -> Value {
    json!({ "apiVersion": VERSION, "kind": "ClusterExternalSecret", "metadata": { "name": "one" }, "spec": {
        "namespaceSelectors": [{ "matchLabels": { "team": "a" } }],
        "externalSecretSpec": { "secretStoreRef": { "kind": "ClusterSecretStore", "name": store },
            "data": [{ "secretKey": "a", "remoteRef": { "key": "k", "property": "p" } }] } } })
}

/// Those of the `paths` that no sample has which is understood. `make` gives samples with a field, and `judge` looks at each.
fn unset(
    make: impl Fn(&str) -> BoxedStrategy<Value>,
    mut paths: BTreeSet<String>,
    text: impl Fn(&Value) -> String,
    judge: impl Fn(&str, &[String]),
) -> BTreeSet<String> {
    let mut runner = runner();
    let mut look = |strategy: &BoxedStrategy<Value>, paths: &mut BTreeSet<String>| {
        let value = strategy.new_tree(&mut runner).unwrap().current();
        let text = text(&value);
        if let Ok((_, said)) = understood(&text) {
            judge(&text, &said);
            paths.retain(|path| !has(&value, path.split('.')));
        }
    };
    let any = make("");
    (0..SAMPLES).for_each(|_| look(&any, &mut paths));
    for path in paths.clone() {
        let with_it = make(&path);
        let mut tries = 0..TRIED;
        while paths.contains(&path) && tries.next().is_some() {
            look(&with_it, &mut paths);
        }
    }
    paths
}

#[test]
fn every_field_of_another_provider_can_be_set_and_the_provider_is_named_as_not_judged() {
    let paths = table::paths(VERSION, "ClusterSecretStore");
    let providers = table::providers(VERSION);
    assert!(providers.len() > 30, "{}", providers.len());
    for provider in providers.into_iter().filter(|provider| *provider != "kubernetes") {
        let below = paths.iter().filter_map(|path| path.strip_prefix(&format!("provider.{provider}.")));
        let judge = |text: &str, said: &[String]| {
            let is_named = said.iter().any(|said| said.contains(&format!("unjudged spec.provider.{provider}")));
            let is_unusable = said.iter().any(|said| said.contains("External Secrets Operator only writes to"));
            assert!(is_named || is_unusable, "{provider} is not named:\n{text}");
        };
        let make = |path: &str| table::provider(VERSION, provider, path);
        let unset = unset(make, below.map(str::to_owned).collect(), |fields| through(provider, fields), judge);
        assert!(unset.is_empty(), "no configuration that is understood has of {provider} {unset:?}");
    }
}

#[test]
fn every_field_of_a_push_and_of_a_generator_can_be_set_and_neither_reaches_anybody() {
    const LOCAL: [&str; 5] = ["ClusterGenerator", "Fake", "Password", "SSHKey", "UUID"];
    for version in ["external-secrets.io/v1alpha1", "generators.external-secrets.io/v1alpha1"] {
        for kind in table::kinds(version) {
            let text = |spec: &Value| {
                let namespace = (!kind.starts_with("Cluster")).then_some("shop");
                let object = json!({ "apiVersion": version, "kind": kind,
                    "metadata": { "name": "x", "namespace": namespace }, "spec": spec });
                let store = json!({ "apiVersion": VERSION, "kind": "ClusterSecretStore", "metadata": { "name": "near" },
                    "spec": { "provider": { "kubernetes": { "remoteNamespace": "central" } } } });
                format!("{store}\n---\n{}\n---\n{object}", reader("near"))
            };
            let judge = |text: &str, _: &[String]| {
                let (manifests, _) = understood(text).unwrap();
                let (_, left_out) = applied::select(manifests, &BTreeSet::new());
                assert!(LOCAL.contains(&kind) || left_out.len() == 1, "{kind} is applied:\n{text}");
            };
            let paths = table::paths(version, kind).into_iter().filter(|path| !path.is_empty()).collect();
            let unset = unset(|path| table::spec(version, kind, path), paths, text, judge);
            assert!(unset.is_empty(), "no configuration that is understood has of {kind} {unset:?}");
        }
    }
}
