//! Each rule that has a twin in `fixtures/broken` finds it, and nothing else there; the reference configuration, of which
//! the twins are patches, has no finding.

use std::collections::BTreeSet;
use std::fs;

use credence_core::manifest::{CONTROL_PLANE, INTENT, parse_part, parse_program_configuration};
use regex::Regex;
use serde_json::{Map, Value};

use super::*;

/// Faults that nothing in the configuration tells, such as which images there are, or that ask for a cluster's own answer:
/// who may do what by all roles and bindings that there are, which p08 asks the API server. And faults that no rule looks for.
const NOT_TO_BE_READ: [&str; 22] = [
    "break-glass-labels-namespaces",
    "encryption-absent",
    "flux-login-without-user-name",
    "generator-replaces-token",
    "keys-of-today-only",
    "labels-guarded-by-value",
    "namespace-name-unguarded",
    "operator-bound-to-developers",
    "policies-bound-to-developers",
    "policy-bound-to-some",
    "policy-freezes-copies",
    "registry-with-wrong-port",
    "role-with-watch",
    "source-bound-by-name",
    "sources-bound-to-an-account-as-user",
    "sources-bound-to-developers",
    "sources-bound-to-service-accounts",
    "store-of-two-credentials",
    "token-cut-in-template",
    "tokens-of-a-store-by-name",
    "types-of-today-only",
    "vault-login-for-developers",
];

/// Twins of rules that find other faults of their kind, too.
const OF_RULES: [(&str, &str); 19] = [
    ("and-for-or", "intent-contradicted"),
    ("audit-omits-outcome", "audit-without-secrets"),
    ("audit-without-administrators", "audit-without-secrets"),
    ("audit-without-collectors", "audit-without-secrets"),
    ("audit-without-operator", "audit-without-secrets"),
    ("audit-without-reads", "audit-without-secrets"),
    ("audit-without-store-accounts", "audit-without-secrets"),
    ("audit-without-updates", "audit-without-secrets"),
    ("break-glass-by-domain", "policy-exempts-by-part-of-name"),
    ("break-glass-undeclared", "identity-beyond-intent"),
    ("composed-copies-never-updated", "refresh-policy-without-updates"),
    ("encryption-rules-in-wrong-order", "encryption-identity-first"),
    ("encryption-without-secrets", "encryption-identity-first"),
    ("labels-exempt-by-part-of-name", "policy-exempts-by-part-of-name"),
    ("kargo-for-everything", "kargo-unanchored"),
    ("kargo-pattern-as-url", "kargo-regex-flag"),
    ("login-keys-swapped", "format-reads-other-key"),
    ("policy-exempts-system", "policy-exempts-service-accounts"),
    ("vault-approle-wildcard", "vault-policy-wildcard"),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// The manifests that kustomize would make of a directory: those of its resources, with its patches.
fn build(directory: &Path) -> Vec<Manifest> {
    let kustomization = yaml(&read(&directory.join("kustomization.yaml")));
    let mut manifests = Vec::new();
    for resource in list(&kustomization, "resources") {
        let path = directory.join(resource.as_str().unwrap());
        if path.is_dir() {
            manifests.extend(build(&path));
        } else {
            manifests.extend(parse_part(&path, &read(&path)).unwrap());
        }
    }
    for patch in list(&kustomization, "patches") {
        let text = read(&directory.join(patch["path"].as_str().unwrap()));
        match patch.get("target") {
            Some(target) => apply_operations(&mut manifests, target, &yaml(&text)),
            None => merge_documents(&mut manifests, &text),
        }
    }
    manifests
}

fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A JSON patch (RFC 6902) on each object that a target selects.
fn apply_operations(manifests: &mut [Manifest], target: &Value, operations: &Value) {
    let name = Regex::new(&format!("^(?:{})$", target["name"].as_str().unwrap())).unwrap();
    let group = target.get("group").and_then(Value::as_str);
    let selected = manifests.iter_mut().filter(|manifest| {
        manifest.kind() == target["kind"]
            && group.is_none_or(|group| manifest.group() == group)
            && name.is_match(manifest.name())
    });
    let mut count = 0;
    for manifest in selected {
        count += 1;
        for operation in operations.as_array().unwrap() {
            apply(&mut manifest.object, operation);
        }
    }
    assert!(count > 0, "{target} selects nothing");
}

fn apply(object: &mut Value, operation: &Value) {
    let (parent, key) = operation["path"].as_str().unwrap().rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("{operation} leads nowhere"));
    let value = operation.get("value").cloned().unwrap_or_default();
    match (operation["op"].as_str().unwrap(), parent) {
        ("test", parent) => {
            let found = key.parse().ok().and_then(|index: usize| parent.get(index)).or_else(|| parent.get(&key));
            assert_eq!(found, Some(&value), "{operation}");
        }
        ("remove", Value::Array(items)) => drop(items.remove(key.parse().unwrap())),
        ("remove", Value::Object(fields)) => drop(fields.remove(&key).unwrap()),
        ("add", Value::Array(items)) if key == "-" => items.push(value),
        ("add" | "replace", Value::Object(fields)) => drop(fields.insert(key, value)),
        ("replace", Value::Array(items)) => items[key.parse::<usize>().unwrap()] = value,
        _ => panic!("{operation} is none of those that fixtures use"),
    }
}

/// Merges each document into the object of its kind and name: maps field by field, everything else as a whole.
fn merge_documents(manifests: &mut Vec<Manifest>, text: &str) {
    for patch in parse_part(Path::new("patch.yaml"), text).unwrap() {
        let is_same = |one: &Manifest| one.kind() == patch.kind() && one.name() == patch.name();
        let position = manifests.iter().position(is_same).unwrap_or_else(|| panic!("{patch:?} patches nothing"));
        if patch.object.get("$patch").is_some_and(|directive| directive == "delete") {
            manifests.remove(position);
        } else {
            merge(&mut manifests[position].object, &patch.object);
        }
    }
}

fn merge(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (Value::Object(fields), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(fields.entry(key).or_insert_with(|| Value::Object(Map::new())), value);
            }
        }
        (object, patch) => *object = patch.clone(),
    }
}

/// The files of the control plane: those of a directory, or of the reference configuration.
fn control_plane(directory: &Path) -> Vec<Manifest> {
    let read_all = |directory: &Path| -> Vec<Manifest> {
        let Ok(entries) = fs::read_dir(directory.join(CONTROL_PLANE)) else { return Vec::new() };
        let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.iter().flat_map(|path| parse_program_configuration(path, &read(path)).unwrap()).collect()
    };
    Some(read_all(directory)).filter(|files| !files.is_empty()).unwrap_or_else(|| read_all(&reference()))
}

fn reference() -> PathBuf {
    fixtures().join("central-secret-store")
}

fn lint(directory: &Path) -> Vec<Finding> {
    let manifests = build(directory);
    let intent = directory.join(INTENT);
    let intent = intent.is_file().then(|| Intent::parse(&intent, &read(&intent)).unwrap());
    check_all(manifests, &control_plane(directory), intent.as_ref())
}

/// All but charts, which only helm renders.
fn twins() -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(fixtures().join("broken")).unwrap().map(|entry| entry.unwrap());
    let entries = entries.filter(|entry| entry.path().join("kustomization.yaml").is_file());
    let mut twins: Vec<_> = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path())).collect();
    twins.sort();
    twins
}

#[test]
fn no_rule_finds_anything_in_the_reference_configuration() {
    assert_eq!(control_plane(&reference()).len(), 2);
    assert_eq!(output::text(&lint(&reference())), "");
}

#[test]
fn no_rule_finds_a_fault_in_the_vaults_of_which_broken_ones_are_patches() {
    for world in ["vault-kv-v1", "vault-kv-v2", "vault-token"] {
        let findings = lint(&fixtures().join("right").join(world));
        assert!(!findings.iter().any(Finding::fails), "{}", output::text(&findings));
    }
}

#[test]
fn a_login_at_vault_that_ends_is_a_note_at_its_store() {
    for (world, ends) in [
        ("vault-kv-v1", "ClusterSecretStore ledger: logs in at Vault with AppRole ledger, which is refused after 720h"),
        ("vault-token", "ClusterSecretStore search: logs in at Vault with a token, which is refused after 768h"),
    ] {
        let findings = lint(&fixtures().join("right").join(world));
        assert_eq!(rules(&findings), ["vault-login-ends"]);
        let text = output::text(&findings);
        assert!(text.contains(ends), "{text}");
    }
}

#[test]
fn each_broken_configuration_is_found_by_the_rule_of_its_name_alone() {
    let mut wrong = Vec::new();
    for (name, directory) in twins().iter().filter(|(name, _)| !NOT_TO_BE_READ.contains(&name.as_str())) {
        // A note fails nothing.
        let mut findings = lint(directory);
        findings.retain(Finding::fails);
        let rule = OF_RULES.iter().find(|(twin, _)| twin == name).map_or(name.as_str(), |(_, rule)| rule);
        if rules(&findings) != [rule] {
            wrong.push(format!("{name}:\n{}", output::text(&findings)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_finding_names_the_file_and_line_of_its_object() {
    for (name, directory) in twins() {
        for finding in lint(&directory) {
            let text = read(&finding.file);
            let line = text.lines().nth(finding.line.unwrap() - 1).unwrap();
            assert!(line.starts_with("apiVersion:"), "{name}: {}:{:?} is {line}", finding.file.display(), finding.line);
        }
    }
}

#[test]
fn what_cannot_be_read_has_no_finding_and_no_rule() {
    for name in NOT_TO_BE_READ {
        assert_eq!(output::text(&lint(&fixtures().join("broken").join(name))), "");
        assert!(!RULES.iter().any(|rule| rule.id == name));
    }
}
