//! Configurations over the v1 schema of ESO, generated: whatever they say, they are read, modelled, explained and linted without
//! a panic and without a hang, and every field that they can have is modelled, named as not judged, or harmless.
//!
//! `CREDENCE_GENERATED_CONFIGURATIONS` is their number, 2,000 unless it is set; at night it is 100,000. They are those of
//! `CREDENCE_GENERATED_SEED`, 1 unless it is set.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use credence_core::manifest::{Manifest, parse_documents, reject_duplicates};
use credence_core::text::Reason;
use credence_model::config::Config;
use credence_model::explain::explain;
use credence_model::lint::{self, Context};
use credence_model::model::Model;
use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

#[path = "generated/faults.rs"]
mod faults;
#[path = "generated/fields.rs"]
mod fields;
#[path = "generated/objects.rs"]
mod objects;
#[path = "generated/others.rs"]
mod others;
#[path = "generated/table.rs"]
mod table;

use fields::{CLUSTER_EXTERNAL_SECRET, EXTERNAL_SECRET, Field, STORE, Standing};
use objects::{HIDDEN, configuration};

/// The time after which a configuration counts as one that hangs, on a machine that is busy otherwise.
const HANGS: Duration = Duration::from_mins(2);

/// The version of the kinds whose fields are all modelled, named as not judged, or harmless.
const VERSION: &str = "external-secrets.io/v1";

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|error| panic!("{name} is no number: {error}")))
}

fn told(error: &dyn Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", told(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}

/// The manifests of a configuration and everything that is said of it; if it is refused, what is said of that.
fn understood(text: &str) -> Result<(Vec<Manifest>, Vec<String>), Reason> {
    let manifests = parse_documents(Path::new("generated.yaml"), text).map_err(|error| told(&error))?;
    reject_duplicates(&manifests).map_err(|error| told(&error))?;
    let config = Config::from_manifests(manifests).map_err(|error| told(&error))?;
    let model = Model::derive(&config);
    let mut said = vec![format!("{model:?}"), explain(&config, &model, None).map_err(|error| told(&error))?];
    let names = model
        .distributions
        .iter()
        .flat_map(|distribution| [&distribution.name, &distribution.secret])
        .chain(model.namespaces.keys());
    said.extend(names.filter_map(|name| explain(&config, &model, Some(name)).ok()));
    said.extend(model.sources.keys().map(|source| format!("{:?}", model.value_kinds(source))));
    said.extend(model.unreadable().iter().map(ToString::to_string));
    let namespaces = model.namespaces.clone();
    said.extend(model.expectation(&namespaces).conflicts.iter().map(ToString::to_string));
    let findings = lint::check(&Context { config: &config, model: &model, control_plane: &[] });
    said.extend(findings.iter().map(|finding| format!("{finding:?}")));
    Ok((config.manifests, said))
}

/// True if a value has a field of this path, which is written as those of the table are.
fn has(value: &Value, mut path: std::str::Split<'_, char>) -> bool {
    match (path.next(), value) {
        (None, value) => !value.is_null(),
        (Some("[]"), Value::Array(items)) => items.iter().any(|item| has(item, path.clone())),
        (Some("{}"), Value::Object(fields)) => fields.values().any(|field| has(field, path.clone())),
        (Some(name), value) => value.get(name).is_some_and(|field| has(field, path)),
    }
}

#[test]
fn generated_configurations_are_understood_or_refused_without_a_panic_or_a_hang() {
    let cases = number("CREDENCE_GENERATED_CONFIGURATIONS", 2_000);
    let seed = number("CREDENCE_GENERATED_SEED", 1);
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    let config =
        ProptestConfig { cases, failure_persistence: None, max_shrink_time: 60_000, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let (begun, watched) = mpsc::channel::<String>();
    let watch = std::thread::spawn(move || {
        let mut current = String::new();
        loop {
            match watched.recv_timeout(HANGS) {
                Ok(text) => current = text,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    eprintln!("seed {seed}: this configuration hangs:\n{current}");
                    std::process::abort();
                }
            }
        }
    });
    let count = Cell::new(0_u32);
    let unset = RefCell::new(rows());
    let result = runner.run(&configuration(), |text| {
        begun.send(text.clone()).expect("the watch ends after the cases");
        let said = match understood(&text) {
            Ok((manifests, said)) => {
                count.set(count.get() + 1);
                unset.borrow_mut().retain(|(kind, path), _| {
                    let mut specs = manifests.iter().filter(|manifest| manifest.kind() == *kind);
                    !specs.any(|manifest| has(&manifest.object["spec"], path.split('.')))
                });
                said
            }
            Err(refusal) => vec![refusal.into()],
        };
        let is_shown = said.iter().any(|said| HIDDEN.iter().any(|value| said.contains(value)));
        assert!(!is_shown, "a value of a Secret is shown");
        Ok(())
    });
    drop(begun);
    watch.join().expect("the watch does not panic");
    result.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let understood = count.get();
    println!("seed {seed}: {understood} of {cases} configurations were understood, the others refused");
    assert!(understood > cases / 4, "only {understood} of {cases} configurations are no refusals");
    // In fewer, a field may be missing by chance.
    let unset: Vec<_> = unset.into_inner().into_keys().filter(|_| cases >= 2_000).collect();
    assert!(unset.is_empty(), "no configuration that is understood has {unset:?}");
}

/// Rows of the table by kind and path.
fn rows() -> BTreeMap<(&'static str, String), &'static Field> {
    let below = |prefix: &str, fields: &'static [Field]| -> Vec<(String, &'static Field)> {
        fields.iter().map(|field| (format!("{prefix}{}", field.path), field)).collect()
    };
    let of = |kind: &'static str, fields: Vec<(String, &'static Field)>| {
        fields.into_iter().map(move |(path, field)| ((kind, path), field))
    };
    of("ClusterExternalSecret", below("", CLUSTER_EXTERNAL_SECRET))
        .chain(of("ClusterExternalSecret", below("externalSecretSpec.", EXTERNAL_SECRET)))
        .chain(of("ExternalSecret", below("", EXTERNAL_SECRET)))
        .chain(of("ClusterSecretStore", below("", STORE)))
        .chain(of("SecretStore", below("", STORE)))
        .collect()
}

#[test]
fn every_field_of_the_schema_is_modelled_named_as_not_judged_or_harmless() {
    // Those have a test of their own.
    let is_other_provider = |path: &str| path.starts_with("provider.") && !path.starts_with("provider.kubernetes.");
    let kinds = ["ClusterExternalSecret", "ClusterSecretStore", "ExternalSecret", "SecretStore"];
    let fields =
        kinds.into_iter().flat_map(|kind| table::paths(VERSION, kind).into_iter().map(move |path| (kind, path)));
    let schema: BTreeSet<(&str, String)> = fields.filter(|(_, path)| !is_other_provider(path)).collect();
    let known: BTreeSet<(&str, String)> = rows().into_keys().collect();
    assert_eq!(table::kinds(VERSION), kinds);
    let missing: Vec<_> = schema.difference(&known).collect();
    let beyond: Vec<_> = known.difference(&schema).collect();
    assert!(missing.is_empty() && beyond.is_empty(), "no row has {missing:?}; no field is {beyond:?}");
}

/// The explanation of a ClusterExternalSecret with this ExternalSecret's spec.
fn explained(spec: &str) -> String {
    let text = format!(
        "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: store}}\nspec: {{provider: \
         {{kubernetes: {{remoteNamespace: central}}}}}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: listed, \
         namespace: central}}\nstringData: {{a: ''}}\n---\napiVersion: external-secrets.io/v1\nkind: \
         ClusterExternalSecret\nmetadata: {{name: one}}\nspec:\n  namespaceSelectors: [{{matchLabels: {{team: a}}}}]\n  \
         externalSecretSpec: {spec}\n"
    );
    let text = text.replacen(
        "externalSecretSpec: {",
        "externalSecretSpec: {secretStoreRef: {kind: ClusterSecretStore, name: store}, ",
        1,
    );
    let config = Config::from_manifests(parse_documents(Path::new("a.yaml"), &text).unwrap()).unwrap();
    explain(&config, &Model::derive(&config), None).unwrap()
}

#[test]
fn what_is_not_judged_is_named_where_it_is_set() {
    let specs: BTreeSet<&str> = EXTERNAL_SECRET
        .iter()
        .filter_map(|field| match field.standing {
            Standing::NotJudged(spec) => Some(spec),
            Standing::Modelled | Standing::Harmless(_) => None,
        })
        .collect();
    assert!(!specs.is_empty());
    for spec in specs {
        let text = explained(spec);
        assert!(text.contains("not judged") || text.contains("unjudged"), "{spec} is not named:\n{text}");
    }
    let text = explained("{data: [{secretKey: a, remoteRef: {key: listed, property: a}}]}");
    assert!(!text.contains("not judged one by one") && !text.contains("unjudged"), "{text}");
}

/// A configuration of 200 manifests: stores, distributions with templates, sources and namespaces.
fn two_hundred() -> String {
    let part = |number: usize| match number % 10 {
        0 => format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: store-{number}}}\nspec:\n  provider: \
             {{kubernetes: {{remoteNamespace: central, auth: {{serviceAccount: {{name: reader, namespace: central}}}}}}}}\n  \
             conditions: [{{namespaceSelector: {{matchLabels: {{team-{number}: 'true'}}}}}}]\n"
        ),
        1 | 2 => format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: source-{number}, namespace: central}}\nstringData: {{username: a, \
             token: b}}\n"
        ),
        3 => format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: team-{number}, labels: {{team-{number}: 'true'}}}}\n"
        ),
        _ => {
            let tens = number / 10 * 10;
            format!(
                "apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: copy-{number}}}\nspec:\n  \
                 namespaceSelectors: [{{matchLabels: {{team-{tens}: 'true'}}}}, {{matchExpressions: [{{key: team-{tens}, operator: \
                 In, values: ['true', some, all]}}]}}]\n  externalSecretSpec:\n    refreshInterval: 5m\n    secretStoreRef: {{kind: \
                 ClusterSecretStore, name: store-{tens}}}\n    target:\n      template:\n        type: \
                 kubernetes.io/dockerconfigjson\n        data:\n          .dockerconfigjson: '{{{{ dict \"auths\" (dict \"ghcr.io\" \
                 (dict \"username\" .username \"password\" .token \"auth\" (printf \"%s:%s\" .username .token | b64enc))) | toJson \
                 }}}}'\n    data:\n    - {{secretKey: username, remoteRef: {{key: source-{source}, property: username}}}}\n    - \
                 {{secretKey: token, remoteRef: {{key: source-{source}, property: token}}}}\n",
                source = tens + 1
            )
        }
    };
    (0..200).map(part).collect::<Vec<_>>().join("---\n")
}

#[test]
fn two_hundred_manifests_are_modelled_and_explained_in_no_time() {
    let text = two_hundred();
    let manifests = parse_documents(Path::new("all.yaml"), &text).unwrap();
    assert_eq!(manifests.len(), 200);
    let measure = || {
        let begun = Instant::now();
        let config = Config::from_manifests(parse_documents(Path::new("all.yaml"), &text).unwrap()).unwrap();
        let read = begun.elapsed();
        let model = Model::derive(&config);
        let modelled = begun.elapsed();
        let explained = explain(&config, &model, None).unwrap();
        let copies = explained.lines().filter(|line| line.trim_start().starts_with("makes "));
        assert_eq!(copies.count(), model.distributions.len());
        assert_eq!(model.unreadable(), []);
        (begun.elapsed(), read, modelled - read)
    };
    // The shortest: what is beyond it is other work on the machine.
    let (all, read, modelled) = (0..10).map(|_| measure()).min().unwrap();
    println!("200 manifests: read in {read:?}, modelled in {modelled:?}, explained after {all:?}");
    // Beside compilers it was 39 ms, and 221 ms for all.
    assert!(modelled < Duration::from_millis(150), "the model took {modelled:?}");
    assert!(all < Duration::from_millis(500), "all took {all:?}");
}
