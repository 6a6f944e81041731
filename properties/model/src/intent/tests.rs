use std::collections::BTreeSet;
use std::path::PathBuf;

use credence_core::consumer::Consumer;
use credence_core::id::PropertyId;
use credence_core::manifest::{INTENT, parse_documents, parse_part};
use rstest::rstest;
use serde_json::Value;

use super::document::{
    BoundEntry, ExampleEntry, NotApplicableEntry, PurposeEntry, VaultAppRoleEntry, VaultEntry, VaultPathEntry,
    VaultPolicyEntry, VaultRoleEntry, VaultTokenEntry,
};
use super::*;
use crate::config::Config;
use crate::explain::explain;
use crate::lint::{self, Context};
use crate::model::{Bound, Model, PROPAGATION_SLACK};

mod given;
mod vault;

const CONFIGURATION: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: store}
spec:
  provider: {kubernetes: {remoteNamespace: central}}
  conditions: [{namespaceSelector: {matchLabels: {a: 'true', b: 'true'}}}, {namespaces: [ci]}]
---
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: search}
spec:
  namespaceSelectors: [{matchLabels: {a: 'true', b: 'true'}}]
  namespaces: [ci]
  externalSecretSpec:
    refreshInterval: 5m
    secretStoreRef: {kind: ClusterSecretStore, name: store}
    target: {name: search-api}
    data: [{secretKey: API_KEY, remoteRef: {key: search, property: key}}]
";

fn config(text: &str) -> Config {
    Config::from_manifests(parse_documents(Path::new("a.yaml"), text).unwrap()).unwrap()
}

fn parse(fields: &str) -> Result<Intent, IntentError> {
    Intent::parse(Path::new(INTENT), &format!("apiVersion: credence/v1\nkind: Intent\n{fields}"))
}

/// The model of [`CONFIGURATION`] with an intent.
fn model(fields: &str) -> Result<Model, IntentError> {
    let config = config(CONFIGURATION);
    let model = Model::derive(&config);
    let intended = parse(fields)?.resolve(&config, &model)?;
    Ok(model.intending(intended))
}

fn messages(fields: &str) -> String {
    model(fields).map(drop).unwrap_err().to_string()
}

/// All findings of lint, one line each: the rule and the message.
fn findings(config: &Config, model: &Model) -> Vec<String> {
    let found = lint::check(&Context { config, model, control_plane: &[] });
    found.into_iter().map(|finding| format!("{}: {}", finding.rule, finding.message)).collect()
}

#[rstest]
#[case::field("exampels: []", "credence.yaml:3:1: exampels is no field of an intent; did you mean examples?")]
#[case::deep(
    "identities: {breakGlass: {grops: [a]}}",
    "credence.yaml:3:27: identities.breakGlass.grops is no field of an intent; did you mean groups?"
)]
#[case::shape("examples: true", "examples is a boolean: a list is due")]
#[case::text("protectedNamespaces: [1]", "protectedNamespaces[0] is a number: text is due; quote it")]
#[case::property("notApplicable: [{property: p3, reason: x}]", "notApplicable[0].property is none of p01, ")]
#[case::reason("notApplicable: [{property: p03}]", "credence.yaml:3:17: notApplicable[0].reason is missing; add it")]
#[case::empty("protectedNamespaces: ['']", "protectedNamespaces[0] is empty")]
#[case::nobody("purposes: [{copy: search}]", "purposes[0] names nobody")]
#[case::both("purposes: [{copy: search, consumer: Kubelet, usedBy: x}]", "purposes[0] has both consumer and usedBy")]
#[case::twice("protectedNamespaces: [x, x]", "protectedNamespaces[1] is the same as at credence.yaml:3:23")]
#[case::switched_off_twice(
    "notApplicable: [{property: p03, reason: x}, {property: p03, reason: z}]",
    "notApplicable[1].property is the same as at credence.yaml:3:18"
)]
#[case::two_for_all("bounds: [{propagation: 6m}, {propagation: 7m}]", "bounds[1].copy is the same")]
#[case::nothing("examples: [{namespace: {}}]", "examples[0] says nothing of any copy")]
#[case::label("examples: [{namespace: {labels: {'a b': x}}, mustHave: [search]}]", "a label that Kubernetes refuses")]
#[case::both_in_one(
    "examples: [{namespace: {}, mustHave: [search], mustNotHave: [search]}]",
    "examples[0].mustNotHave[0] is also in mustHave of the same namespace, at credence.yaml:3:39"
)]
#[case::both_in_two(
    "examples: [{namespace: {}, mustNotHave: [search]}, {namespace: {labels: {}}, mustHave: [search]}]",
    "examples[1].mustHave[0] is also in mustNotHave of the same namespace, at credence.yaml:3:42"
)]
#[case::protected_and_due(
    "protectedNamespaces: [x]\nexamples: [{namespace: {name: x}, mustHave: [search]}]",
    "credence.yaml:4:35: examples[0] wants a copy in a namespace that protectedNamespaces keeps free"
)]
#[case::copy(
    "examples: [{namespace: {}, mustHave: [serach]}]",
    "mustHave[0] names no copy and no ClusterExternalSecret of the configuration; did you mean search?"
)]
#[case::key(
    "purposes: [{copy: search, usedBy: x, keys: [API_KEI]}]",
    "purposes[0].keys[0] names no key of that copy; did you mean API_KEY?"
)]
#[case::by_name("protectedNamespaces: [ci]", "that ClusterExternalSecret search at a.yaml:8 selects by its name")]
#[case::duration("bounds: [{propagation: soon}]", "bounds[0].propagation is no duration; write one such as 5m30s")]
#[case::too_short(
    "bounds: [{propagation: 5m}]",
    "is not longer than the refreshInterval of ClusterExternalSecret search at a.yaml:8"
)]
#[case::role_without_namespaces(
    "vault: {roles: [{name: r, boundServiceAccountNames: [a], tokenPolicies: []}]}",
    "vault.roles[0].boundServiceAccountNamespaces is missing; add it"
)]
#[case::capability(
    "vault: {policies: [{name: p, paths: [{path: a, capabilities: [raed]}]}]}",
    "capabilities[0] is none of create, read"
)]
fn what_is_wrong_is_refused_with_its_place_and_the_next_step(#[case] fields: &str, #[case] expected: &str) {
    let found = messages(fields);
    assert!(found.contains(expected) && found.contains("credence.yaml:"), "{found}");
}

#[test]
fn no_value_of_the_file_is_shown() {
    for fields in [
        "notApplicable: [{property: s3cret, reason: x}]",
        "examples: [{namespace: {labels: {a: 's3cret!'}}, mustHave: [search]}]",
        "bounds: [{propagation: s3cret}]",
        "purposes: [{copy: s3cret, usedBy: s3cret}]",
        "protectedNamespaces: [s3cret, s3cret]",
    ] {
        let found = messages(fields);
        assert!(!found.contains("s3cret"), "{found}");
    }
}

#[rstest]
#[case::none("# nothing\n")]
#[case::two("apiVersion: credence/v1\nkind: Intent\n---\napiVersion: credence/v1\nkind: Intent\n")]
fn a_file_holds_one_document(#[case] text: &str) {
    let error = Intent::parse(Path::new(INTENT), text).map(drop).unwrap_err();
    assert!(matches!(error, IntentError::NotOne { .. }), "{error}");
}

#[test]
fn selectors_that_ask_for_both_labels_contradict_an_intent_that_takes_either() {
    let with_intent = model(
        "examples:\n- {namespace: {labels: {a: 'true'}}, mustHave: [search-api]}\n\
         - {namespace: {labels: {a: 'true', b: 'true'}}, mustHave: [search]}\n\
         - {namespace: {name: ci}, mustNotHave: [search]}\n- {namespace: {labels: {b: 'true'}}, mustNotHave: [search]}\n",
    );
    let config = config(CONFIGURATION);
    let before = findings(&config, &Model::derive(&config));
    let mut found = findings(&config, &with_intent.unwrap());
    found.retain(|one| !before.contains(one));
    let ways = "it is given to namespaces with a=true and b=true, or with the name ci and any labels";
    assert_eq!(
        found,
        [
            format!(
                "intent-contradicted: a namespace with a=true must have search-api by credence.yaml:4:49, and no selector \
                 matches it: {ways}"
            ),
            format!(
                "intent-contradicted: namespace ci must not have search by credence.yaml:6:41, and gets it: {ways}"
            ),
        ]
    );
}

#[test]
fn an_empty_selector_reaches_what_the_intent_protects() {
    let text = CONFIGURATION
        .replace("namespaceSelectors: [{matchLabels: {a: 'true', b: 'true'}}]", "namespaceSelectors: [{}]");
    let config = config(&text);
    let model = Model::derive(&config);
    let intended = parse("protectedNamespaces: [vault]").unwrap().resolve(&config, &model).unwrap();
    let found = findings(&config, &model.intending(intended));
    let expected = "selects-protected-namespaces: selects namespace vault, which never asks";
    assert!(found.iter().any(|one| one == expected), "{found:?}");
}

#[test]
fn an_identity_of_a_policy_that_the_intent_does_not_name_is_found() {
    let policy = "\
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: p}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [''], operations: [CREATE, UPDATE], resources: [secrets]}]}
  matchConditions: [{name: a, expression: 'request.userInfo.username != \"system:serviceaccount:eso:eso\"'}]
  validations: [{expression: 'request.userInfo.groups.exists(g, g in [\"platform\", \"sre\"]) || object.metadata.name != \"search-api\"'}]
";
    let config = config(&format!("{CONFIGURATION}{policy}"));
    let model = Model::derive(&config);
    let intent = parse("identities: {operator: 'system:serviceaccount:eso:eso', platformGroups: [platform]}").unwrap();
    let intended = intent.resolve(&config, &model).unwrap();
    let found = findings(&config, &model.intending(intended));
    let found: Vec<&String> = found.iter().filter(|one| one.starts_with("identity-beyond-intent")).collect();
    assert!(matches!(found[..], [one] if one.contains("group sre is compared with")), "{found:?}");
}

#[test]
fn a_bound_is_what_updates_may_take_beside_the_queue() {
    let workers = std::num::NonZero::new(1).unwrap();
    let bound = |model: &Model| model.propagation_bound(&model.distributions[0], 0, workers);
    let interval = std::time::Duration::from_mins(5);
    assert_eq!(bound(&model("").unwrap()), Bound::Within(interval + PROPAGATION_SLACK));
    let general = model("bounds: [{propagation: 5m30s}]").unwrap();
    assert_eq!(bound(&general), Bound::Within(std::time::Duration::from_secs(330)));
    let single = model("bounds: [{copy: search-api, propagation: 301s}, {propagation: 5m30s}]").unwrap();
    assert_eq!(bound(&single), Bound::Within(std::time::Duration::from_secs(301)));
}

#[test]
fn a_purpose_is_told_where_nothing_else_tells_it() {
    let with_words = model("purposes: [{copy: search, usedBy: the search service, keys: [API_KEY]}]").unwrap();
    let text = explain(&config(CONFIGURATION), &with_words, None).unwrap();
    assert!(text.contains("  intent   for the search service, which needs API_KEY (credence.yaml:3:12)"), "{text}");
    assert!(!text.contains("nobody that is known"), "{text}");
    let known = model("purposes: [{copy: search, consumer: OAuthClient}]").unwrap();
    let uses = known.distributions[0].uses(&known.endpoints);
    assert_eq!(uses.iter().map(|used| format!("{:?}", used.consumer)).collect::<Vec<_>>(), ["OAuthClient"]);
}

#[test]
fn a_property_that_does_not_apply_is_named_with_its_reason() {
    let model = model("notApplicable: [{property: p13, reason: nobody may log in}]").unwrap();
    let shown = model.intended.not_applicable[&PropertyId::new(13)].to_string();
    assert_eq!(shown, "not applicable by the intent (credence.yaml:3:17): nobody may log in");
}

/// The fields of a schema or of a document, each by the way to it.
fn fields_of_schema(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(format!("{path}{name}"));
        fields_of_schema(field, &format!("{path}{name}."), found);
    }
    if schema["items"].is_object() {
        fields_of_schema(&schema["items"], path, found);
    }
}

fn fields_of_document(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                found.insert(format!("{path}{name}"));
                fields_of_document(field, &format!("{path}{name}."), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields_of_document(item, path, found)),
        _ => {}
    }
}

#[test]
fn the_schema_and_the_parser_have_the_same_fields() {
    let whole = Document {
        examples: vec![ExampleEntry::default()],
        purposes: vec![PurposeEntry::default()],
        not_applicable: vec![NotApplicableEntry::default()],
        bounds: vec![BoundEntry::default()],
        vault: VaultEntry {
            roles: vec![VaultRoleEntry::default()],
            app_roles: vec![VaultAppRoleEntry::default()],
            tokens: vec![VaultTokenEntry::default()],
            policies: vec![VaultPolicyEntry { paths: vec![VaultPathEntry::default()], ..VaultPolicyEntry::default() }],
        },
        ..Document::default()
    };
    let (mut parsed, mut described) = (BTreeSet::new(), BTreeSet::new());
    fields_of_document(&serde_json::to_value(whole).unwrap(), "", &mut parsed);
    fields_of_schema(&serde_json::from_str(SCHEMA).unwrap(), "", &mut described);
    assert_eq!(parsed, described);
}

#[test]
fn the_schema_names_every_consumer_that_stands_in_for_no_other() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let ids = schema.pointer("/properties/purposes/items/properties/consumer/enum").unwrap();
    let stand_in: BTreeSet<Consumer> = Consumer::ALL.iter().filter_map(|one| one.meta().fallback).collect();
    let known = Consumer::ALL.iter().filter(|one| !stand_in.contains(one)).map(|one| one.meta().id);
    assert!(ids.as_array().unwrap().iter().filter_map(Value::as_str).eq(known), "{ids}");
}

/// The manifests of a directory without a kustomization, and its own intent.
fn world(directory: &Path) -> (Config, Option<Intent>) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let read = |file: &PathBuf| crate_text(file);
    let (intents, manifests): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.ends_with(INTENT));
    let manifests = manifests.iter().flat_map(|file| parse_part(file, &read(file)).unwrap()).collect();
    let intent = intents.first().map(|file| Intent::parse(file, &read(file)).unwrap());
    (Config::from_manifests(manifests).unwrap(), intent)
}

fn crate_text(file: &Path) -> String {
    credence_core::manifest::decode(file, std::fs::read(file).unwrap()).unwrap()
}

/// The right worlds that are read as they are written: of the others, a program makes the manifests.
fn right_worlds() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/right");
    let mut worlds: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    let is_made = |world: &Path, file: &str| world.join(file).is_file();
    worlds.retain(|world| !["Chart.yaml", "kustomization.yaml"].iter().any(|file| is_made(world, file)));
    // What Flux makes of these is for those who load them.
    let of_flux = ["flux-substitution", "flux-from-a-config-map", "helm-release-of-flux"];
    worlds.retain(|world| of_flux.iter().all(|name| !world.ends_with(name)));
    worlds.sort();
    assert!(worlds.len() >= 15, "{worlds:?}");
    worlds
}

#[test]
fn a_first_intent_of_each_right_world_is_taken_unchanged_and_finds_nothing() {
    for directory in right_worlds() {
        let (config, _) = world(&directory);
        let model = Model::derive(&config);
        let text = first(&config, &model);
        let intent = Intent::parse(Path::new(INTENT), &text);
        let intent = intent.unwrap_or_else(|error| panic!("{}: {error}\n{text}", directory.display()));
        let intended = intent.resolve(&config, &model);
        let intended = intended.unwrap_or_else(|error| panic!("{}: {error}\n{text}", directory.display()));
        assert!(!intended.examples.is_empty(), "{}:\n{text}", directory.display());
        let before = findings(&config, &model);
        assert_eq!(findings(&config, &model.intending(intended)), before, "{}:\n{text}", directory.display());
    }
}

#[test]
fn the_intent_of_a_right_world_finds_nothing_in_it() {
    let with_intent = right_worlds().into_iter().map(|directory| world(&directory));
    let with_intent = with_intent.filter_map(|(config, intent)| Some((config, intent?)));
    let mut count = 0;
    for (config, intent) in with_intent {
        let model = Model::derive(&config);
        let intended = intent.resolve(&config, &model).unwrap();
        assert_eq!(findings(&config, &model.intending(intended)), Vec::<String>::new());
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn a_first_intent_has_one_example_for_and_one_against_each_copy_and_the_identities_of_policies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/central-secret-store");
    let mut files = vec![root.join("admission.yaml"), root.join("sources.yaml")];
    for part in ["stores", "secrets"] {
        files.extend(std::fs::read_dir(root.join(part)).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    let manifests = files.iter().flat_map(|file| parse_part(file, &crate_text(file)).unwrap()).collect();
    let config = Config::from_manifests(manifests).unwrap();
    let model = Model::derive(&config);
    let text = first(&config, &model);
    for distribution in &model.distributions {
        for field in ["mustHave", "mustNotHave"] {
            let line = format!("  {field}: [{}]\n", distribution.name);
            assert_eq!(text.matches(&line).count(), 1, "{line}{text}");
        }
    }
    let identities = "  operator: \"system:serviceaccount:external-secrets:external-secrets\"\n  platformGroups: [platform-admins]\n";
    assert!(text.ends_with(identities), "{text}");
    let intended = Intent::parse(Path::new(INTENT), &text).unwrap().resolve(&config, &model).unwrap();
    let before = findings(&config, &model);
    assert_eq!(findings(&config, &model.intending(intended)), before);
}

#[test]
fn a_first_intent_where_nobody_gets_anything_is_taken() {
    let text = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: s}\nspec: {provider: {fake: {data: \
                []}}}\n---\napiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {name: c}\nspec:\n  \
                externalSecretSpec: {secretStoreRef: {kind: ClusterSecretStore, name: s}, data: [{secretKey: a, remoteRef: {key: b}}]}\n";
    let config = Config::from_manifests(parse_part(Path::new("a.yaml"), text).unwrap()).unwrap();
    let text = first(&config, &Model::derive(&config));
    assert!(text.contains("Nobody can get c"), "{text}");
    Intent::parse(Path::new(INTENT), &text).unwrap();
}
