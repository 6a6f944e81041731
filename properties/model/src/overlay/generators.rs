//! Generators that would ask a service for a credential: a Fake of the same name and keys in the place of each.
//!
//! A Fake is a fixed text for each key, and reaches nothing. What is made of it is a copy like any other, but never a new one.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::adjustments::OverlayField;
use credence_core::manifest::Manifest;
use credence_core::operator_api::GENERATORS_GROUP;
use serde_json::{Map, Value, json};

use crate::config::{CLUSTER_GENERATOR, Generator, asks_a_service, spec_field};
use crate::model::Templates;

/// The keys of what only a service knows and nothing reads by name.
const ANY_KEYS: [&str; 2] = ["first", "second"];

/// A generator as a reference names it: kind and name.
type Named = (String, String);

/// Replaces each of them, and every reference to it; says which.
pub fn apply(manifests: &mut [Manifest]) -> Vec<OverlayField> {
    let names: BTreeMap<Named, String> =
        manifests.iter().filter_map(|manifest| stood_in(manifests, manifest)).collect();
    let mut read: BTreeMap<Named, BTreeSet<String>> = BTreeMap::new();
    for manifest in manifests.iter() {
        read_of(manifest).into_iter().for_each(|(named, keys)| read.entry(named).or_default().extend(keys));
    }
    let mut changed = Vec::new();
    for manifest in manifests {
        let named = (manifest.kind().to_owned(), manifest.name().to_owned());
        match names.get(&named) {
            Some(name) if manifest.group() == GENERATORS_GROUP => {
                changed.extend(replace(manifest, name, read.remove(&named).unwrap_or_default()));
            }
            _ => changed.extend(lead(manifest, &names)),
        }
    }
    changed
}

/// The generator that an object is, with the name of its stand-in, if it needs one: its own, unless a generator of another kind has it.
fn stood_in(all: &[Manifest], manifest: &Manifest) -> Option<(Named, String)> {
    let kind = Generator::of(manifest).filter(|generator| asks_a_service(generator.kind))?.kind;
    let is_taken = |other: &Manifest| {
        other.group() == GENERATORS_GROUP
            && other.kind() != CLUSTER_GENERATOR
            && other.kind() != manifest.kind()
            && other.name() == manifest.name()
    };
    let name = if manifest.kind() != CLUSTER_GENERATOR && all.iter().any(is_taken) {
        format!("{}-{}", kind.to_lowercase(), manifest.name())
    } else {
        manifest.name().to_owned()
    };
    Some(((manifest.kind().to_owned(), manifest.name().to_owned()), name))
}

/// The keys that the templates of an ExternalSecret read of a generator, as far as nothing renames them: those that no other entry
/// gives.
fn read_of(manifest: &Manifest) -> Vec<(Named, BTreeSet<String>)> {
    let Some(spec) = spec_of(manifest) else { return Vec::new() };
    let given: BTreeSet<&str> =
        spec["data"].as_array().into_iter().flatten().filter_map(|entry| entry["secretKey"].as_str()).collect();
    let templates = Templates::of(&manifest.object);
    let names: BTreeSet<String> =
        templates.names().into_iter().filter(|name| !given.contains(name)).map(str::to_owned).collect();
    let entries = spec["dataFrom"].as_array().into_iter().flatten();
    let kept = entries.filter(|entry| entry["rewrite"].as_array().is_none_or(Vec::is_empty));
    kept.filter_map(|entry| Some((named(entry)?, names.clone()))).collect()
}

fn spec_of(manifest: &Manifest) -> Option<&Value> {
    let distributes = ["ClusterExternalSecret", "ExternalSecret"].contains(&manifest.kind());
    let pointer = format!("/{}", spec_field(&manifest.object).replace('.', "/"));
    manifest.object.pointer(&pointer).filter(|_| distributes)
}

/// The generator that an entry of `dataFrom` reads.
fn named(entry: &Value) -> Option<Named> {
    let reference = entry.pointer("/sourceRef/generatorRef")?;
    Some((reference["kind"].as_str()?.to_owned(), reference["name"].as_str()?.to_owned()))
}

/// Makes a Fake of a generator.
fn replace(manifest: &mut Manifest, name: &str, read: BTreeSet<String>) -> Option<OverlayField> {
    let object = format!("{} {}", manifest.kind(), manifest.name());
    let generator = Generator::of(manifest)?;
    let kind = generator.kind.to_owned();
    let keys = generator.keys().unwrap_or(read);
    let keys = if keys.is_empty() { ANY_KEYS.map(str::to_owned).into() } else { keys };
    let data: Map<String, Value> = keys.iter().map(|key| (key.clone(), json!(value_of(&kind, key)))).collect();
    let is_of_cluster = manifest.kind() == CLUSTER_GENERATOR;
    let root = manifest.object.as_object_mut()?;
    let field = if is_of_cluster {
        root.insert("spec".to_owned(), json!({ "kind": "Fake", "generator": { "fakeSpec": { "data": data } } }));
        "spec"
    } else {
        root.insert("kind".to_owned(), json!("Fake"));
        root.insert("spec".to_owned(), json!({ "data": data }));
        root.get_mut("metadata")?.as_object_mut()?.insert("name".to_owned(), json!(name));
        "kind"
    };
    let keys: Vec<String> = keys.into_iter().collect();
    let value = format!("Fake {name} in place of {kind}, which asks a service; its keys are {}", keys.join(", "));
    Some(OverlayField { object, field: field.to_owned(), value })
}

/// Leads the references of an ExternalSecret to the stand-ins.
fn lead(manifest: &mut Manifest, names: &BTreeMap<Named, String>) -> Vec<OverlayField> {
    let (object, mut changed) = (format!("{} {}", manifest.kind(), manifest.name()), Vec::new());
    if spec_of(manifest).is_none() {
        return changed;
    }
    let root = spec_field(&manifest.object);
    let pointer = format!("/{}/dataFrom", root.replace('.', "/"));
    let entries = manifest.object.pointer_mut(&pointer).and_then(Value::as_array_mut).into_iter().flatten();
    for (index, entry) in entries.enumerate() {
        let Some(named) = named(entry).filter(|(kind, _)| kind != CLUSTER_GENERATOR) else { continue };
        let (Some(name), Some(reference)) = (names.get(&named), entry.pointer_mut("/sourceRef/generatorRef")) else {
            continue;
        };
        reference["kind"] = json!("Fake");
        reference["name"] = json!(name);
        let field = format!("{root}.dataFrom[{index}].sourceRef.generatorRef");
        changed.push(OverlayField { object: object.clone(), field, value: format!("Fake {name}") });
    }
    changed
}

/// A text of the form that the value of this key has.
fn value_of(kind: &str, key: &str) -> String {
    match (kind, key) {
        (_, "proxy_endpoint") => "https://000000000000.dkr.ecr.us-east-1.amazonaws.com".to_owned(),
        (_, "registry") => "quay.io".to_owned(),
        // Both are base64 of user and password with a colon between them.
        (_, "auth") => "Y3JlZGVuY2U6Y3JlZGVuY2U=".to_owned(),
        // Seconds since 1970, of a day in 2100.
        (_, "expires_at" | "expiration" | "expiry") => "4102444800".to_owned(),
        (_, "timeLeft") => "30".to_owned(),
        ("ECRAuthorizationToken", "username") => "AWS".to_owned(),
        ("GCRAccessToken", "username") => "oauth2accesstoken".to_owned(),
        ("ACRAccessToken", "username") => "00000000-0000-0000-0000-000000000000".to_owned(),
        _ => format!("made-by-credence-as-{key}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use rstest::rstest;

    use super::*;
    use crate::applied;
    use crate::config::Config;
    use crate::model::{Distribution, ExpectedKeys, Model};

    const READER: &str = "
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: copy, namespace: shop}
spec:
  target: {template: {data: {url: '{{ .user }}:{{ .pass }}@{{ .host }}'}}}
  data: [{secretKey: host, remoteRef: {key: host}}]
  dataFrom: [{sourceRef: {generatorRef: {kind: KIND, name: NAME}}}]
";

    fn applied(generators: &str, kind: &str) -> (Vec<Manifest>, Vec<OverlayField>) {
        let text = generators.replace("GEN", "apiVersion: generators.external-secrets.io/v1alpha1\nkind");
        let text = text + &READER.replace("KIND", kind).replace("NAME", "g");
        let mut manifests = parse_documents(Path::new("a.yaml"), &text).unwrap();
        let changed = apply(&mut manifests);
        (manifests, changed)
    }

    fn keys(data: &Value) -> Vec<&str> {
        data.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[rstest]
    #[case::ecr("ECRAuthorizationToken", "{region: r}", &["expires_at", "password", "proxy_endpoint", "username"])]
    #[case::public_ecr("ECRAuthorizationToken", "{scope: public}", &["expires_at", "password", "username"])]
    #[case::gcr("GCRAccessToken", "{projectID: p}", &["expiry", "password", "username"])]
    #[case::acr("ACRAccessToken", "{registry: r}", &["password", "username"])]
    #[case::quay("QuayAccessToken", "{url: u}", &["auth", "expiry", "registry"])]
    #[case::github("GithubAccessToken", "{appID: a}", &["token"])]
    #[case::sts("STSSessionToken", "{region: r}", &["access_key_id", "expiration", "secret_access_key", "session_token"])]
    #[case::what_its_readers_read("VaultDynamicSecret", "{path: p}", &["pass", "user"])]
    #[case::of_a_service("Webhook", "{url: u}", &["pass", "user"])]
    fn a_generator_that_asks_a_service_becomes_a_fake_with_its_keys(
        #[case] kind: &str,
        #[case] spec: &str,
        #[case] expected: &[&str],
    ) {
        let text = format!("GEN: {kind}\nmetadata: {{name: g, namespace: shop}}\nspec: {spec}\n");
        let (manifests, changed) = applied(&text, kind);
        let object = &manifests[0].object;
        assert_eq!((&object["kind"], &object["metadata"]["name"]), (&json!("Fake"), &json!("g")));
        assert_eq!(keys(&object["spec"]["data"]), expected);
        assert_eq!(keys(&object["spec"]), ["data"]);
        let reference = &manifests[1].object["spec"]["dataFrom"][0]["sourceRef"]["generatorRef"];
        assert_eq!(*reference, json!({ "kind": "Fake", "name": "g" }));
        assert!(changed[0].value.contains(kind), "{changed:?}");
        assert_eq!(changed.len(), 2);
    }

    #[test]
    fn a_generator_of_the_whole_cluster_keeps_its_kind_and_name() {
        let text = "GEN: ClusterGenerator\nmetadata: {name: g}\nspec: {kind: GCRAccessToken, generator: {gcrAccessTokenSpec: {}}}\n";
        let (manifests, changed) = applied(text, "ClusterGenerator");
        let spec = &manifests[0].object["spec"];
        assert_eq!((&spec["kind"], keys(&spec["generator"])), (&json!("Fake"), vec!["fakeSpec"]));
        assert_eq!(manifests[1].object["spec"]["dataFrom"][0]["sourceRef"]["generatorRef"]["kind"], "ClusterGenerator");
        assert_eq!(changed.len(), 1);
    }

    #[rstest]
    #[case::fake("Fake")]
    #[case::password("Password")]
    #[case::uuid("UUID")]
    #[case::ssh("SSHKey")]
    #[case::not_known("Oracle")]
    fn what_reaches_nothing_stays_and_so_does_what_nobody_knows(#[case] kind: &str) {
        let text = format!("GEN: {kind}\nmetadata: {{name: g, namespace: shop}}\nspec: {{}}\n");
        let (manifests, changed) = applied(&text, kind);
        assert_eq!((manifests[0].kind(), changed), (kind, Vec::new()));
    }

    #[test]
    fn two_generators_of_one_name_become_two_fakes() {
        let text = "GEN: GCRAccessToken\nmetadata: {name: g, namespace: shop}\nspec: {}\n---\n\
                    GEN: ECRAuthorizationToken\nmetadata: {name: g, namespace: shop}\nspec: {}\n";
        let (manifests, _) = applied(text, "GCRAccessToken");
        let names: Vec<&str> = manifests.iter().map(Manifest::name).collect();
        assert_eq!(names, ["gcraccesstoken-g", "ecrauthorizationtoken-g", "copy"]);
        assert_eq!(manifests[2].object["spec"]["dataFrom"][0]["sourceRef"]["generatorRef"]["name"], "gcraccesstoken-g");
    }
    #[test]
    fn all_that_a_right_world_makes_of_generators_is_applied_and_its_keys_are_known() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/right/generator-chain/distribution.yaml");
        let mut manifests = parse_documents(&file, &std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(applied::select(manifests.clone(), &BTreeSet::new()).1.len(), 6, "nothing stands in yet");
        apply(&mut manifests);
        let (manifests, left_out) = applied::select(manifests, &BTreeSet::new());
        assert!(left_out.is_empty(), "{left_out:?}");
        let model = Model::derive(&Config::from_manifests(manifests).unwrap());
        let keys = |distribution: &Distribution| match &distribution.keys {
            ExpectedKeys::Exactly(keys) => {
                (distribution.secret.clone(), keys.iter().cloned().collect::<Vec<_>>().join(" "))
            }
            ExpectedKeys::Unknown { why } => panic!("{why}"),
        };
        let expected = [
            ("database", "host password"),
            ("pull", ".dockerconfigjson"),
            ("cloud", "access-key secret-key"),
            ("images", "ecr-expires_at ecr-password ecr-proxy_endpoint ecr-username"),
        ];
        let expected = expected.map(|(copy, keys)| (copy.to_owned(), keys.to_owned()));
        assert_eq!(model.distributions.iter().map(keys).collect::<Vec<_>>(), expected);
    }
}
