//! Configurations over the fields of the schema: most are what an API server takes, and some have faults.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, Union};
use serde_json::{Map, Value, json};

use crate::faults::{self, hostile};
use crate::fields::{CLUSTER_EXTERNAL_SECRET, EXTERNAL_SECRET, Field, STORE, Values};
use crate::table;

/// A value of a Secret, as text and as base64; nothing may show it.
pub(crate) const HIDDEN: [&str; 2] = ["value-that-nothing-shows", "dmFsdWUtdGhhdC1ub3RoaW5nLXNob3dz"];

/// The ends of paths to fields that an API server requires, and without which nothing is distributed.
const REQUIRED: [&str; 21] = [
    "caProvider.name",
    "caProvider.type",
    "generatorRef.kind",
    "generatorRef.name",
    "items",
    "key",
    "configMap.name",
    "provider",
    "provider.kubernetes",
    "regexp.source",
    "regexp.target",
    "remoteRef",
    "secret.name",
    "secretKey",
    "secretStoreRef",
    "secretStoreRef.kind",
    "secretStoreRef.name",
    "serviceAccount.name",
    "transform.template",
    "storeRef.kind",
    "storeRef.name",
];

/// The ends of paths to fields that most objects have.
const USUAL: [&str; 15] = [
    "auth",
    "configMap",
    "data",
    "extract",
    "find",
    "find.name",
    "namespaceSelectors",
    "property",
    "secret",
    "serviceAccount.namespace",
    "storeRef",
    "target",
    "target.template",
    "templateAs",
    "templateFrom",
];

/// The ends of paths to objects of which an API server takes exactly one field.
const ONE_OF: [&str; 3] = ["auth", "rewrite.[]", "sourceRef"];

fn is_one_of(path: &str, ends: &[&str]) -> bool {
    ends.iter().any(|end| path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// The fields below one place of the schema.
#[derive(Default)]
struct Node {
    path: String,
    leaf: Option<Values>,
    children: BTreeMap<&'static str, Self>,
}

impl Node {
    fn of(fields: &[Field]) -> Self {
        let mut root = Self::default();
        for field in fields {
            let mut node = &mut root;
            for name in field.path.split('.') {
                let path = format!("{}.{name}", node.path);
                node = node.children.entry(name).or_default();
                node.path = path;
            }
            node.leaf = Some(field.values);
        }
        root
    }

    fn strategy(&self) -> BoxedStrategy<Value> {
        if let Some(values) = self.leaf {
            return scalar(values);
        }
        if let Some(element) = self.children.get("[]") {
            return vec(element.strategy(), 0..3).prop_map(Value::Array).boxed();
        }
        if let Some(value) = self.children.get("{}") {
            return map(value);
        }
        if self.children.contains_key("operator") {
            return expression();
        }
        if is_one_of(&self.path, &ONE_OF) {
            let one = |(name, child): (&&'static str, &Self)| {
                let name = *name;
                child.strategy().prop_map(move |value| json!({ name: value }))
            };
            return Union::new(self.children.iter().map(one)).boxed();
        }
        let object = self.object();
        if self.path == ".dataFrom.[]" { object.prop_map(one_source).boxed() } else { object }
    }

    fn object(&self) -> BoxedStrategy<Value> {
        let mut object = Just(Map::new()).boxed();
        for (name, child) in &self.children {
            let likelihood = if is_one_of(&child.path, &USUAL) { 0.7 } else { 0.3 };
            let optional = || prop::option::weighted(likelihood, child.strategy()).boxed();
            let is_required = is_one_of(&child.path, &REQUIRED);
            let value = if is_required { child.strategy().prop_map(Some).boxed() } else { optional() };
            object = (object, value)
                .prop_map(|(mut object, value)| {
                    if let Some(value) = value {
                        object.insert((*name).to_owned(), value);
                    }
                    object
                })
                .boxed();
        }
        object.prop_map(Value::Object).boxed()
    }
}

/// A map of such values, under keys of labels or of data.
fn map(value: &Node) -> BoxedStrategy<Value> {
    let names = match value.leaf {
        Some(Values::Label | Values::LabelTemplate) => vec!["team", "env", "a.b/c", "kargo.akuity.io/cred-type"],
        _ => vec!["username", "token", ".dockerconfigjson", "tls.crt", "team", "a"],
    };
    let entries = btree_map(select(names), value.strategy(), 0..3);
    entries.prop_map(|all| all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).boxed()
}

/// An entry of `dataFrom` with one of extract, find and a generator, which the operator's webhook demands.
fn one_source(mut entry: Value) -> Value {
    let has = |pointer: &str| entry.pointer(pointer).is_some();
    let left: &[&str] = match (has("/sourceRef/generatorRef"), has("/extract")) {
        (true, _) => &["extract", "find"],
        (false, true) => &["find"],
        (false, false) => &[],
    };
    if let Some(entry) = entry.as_object_mut() {
        entry.retain(|name, _| !left.contains(&name.as_str()));
    }
    entry
}

/// A value for a field, which an API server takes.
fn scalar(values: Values) -> BoxedStrategy<Value> {
    let one_of = |all: &'static [&'static str]| select(all).prop_map(Value::from).boxed();
    let or_hostile =
        |right: BoxedStrategy<Value>| prop_oneof![80 => right, 1 => hostile().prop_map(Value::from)].boxed();
    match values {
        Values::Name => one_of(&["a", "copy", "gh-docker-registry", "a.b"]),
        Values::Key => one_of(&["username", "token", "a", "a.b", ".dockerconfigjson", "tls.crt", "tls.key", "id_rsa"]),
        Values::Text => {
            prop_oneof![3 => one_of(&["", "a", "true", "12", "é"]), 1 => any::<String>().prop_map(Value::from)].boxed()
        }
        Values::Template => or_hostile(template()),
        Values::LabelTemplate => prop_oneof![
            2 => scalar(Values::Label),
            1 => template().prop_map(|text| Value::from(format!("{{{{ .team }}}}{}", text.as_str().unwrap_or_default()))),
        ]
        .boxed(),
        Values::Regex => one_of(&["^team-", ".*", "^a$", "[a-z]+-(x|y)", "", "argocd"]),
        Values::AnyRegex => {
            or_hostile(one_of(&["^team-", ".*", "(.*)", "", "(", "(?P<a>.)", "\\pN", "[[:alpha:]]", "^(a|b)$", "a{1001}"]))
        }
        Values::Property => {
            or_hostile(one_of(&["username", "token", "a", "a.b", "a.b.0.c", "tls.crt", "a.#.b", "doc.x", "", "@this"]))
        }
        Values::Duration => one_of(&["1h", "0", "0s", "5m", "1h30m", "1.5s", "10ms", "-1h", "2540400h", "1h0.000000001s"]),
        Values::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Values::Number => prop_oneof![3 => 0..1000_i32, 1 => any::<i32>()].prop_map(Value::from).boxed(),
        Values::Label => one_of(&["true", "false", "payments", "", "a-b"]),
        Values::Source => or_hostile(one_of(&["listed", "pat", "oauth", "absent"])),
        Values::Store => prop_oneof![3 => Just("store"), 1 => Just("other")].prop_map(Value::from).boxed(),
        Values::StoreKind => one_of(&["ClusterSecretStore"]),
        Values::Namespace => one_of(&["shop", "argocd", "kube-system", "central", "team-a"]),
        Values::OneOf(all) => one_of(all),
    }
}

fn template() -> BoxedStrategy<Value> {
    let pieces = [
        "{{ .a }}",
        "{{ .username }}",
        "{{ index . \"tls.crt\" }}",
        "{{ (.a | fromJson).b.c }}",
        "{{ .token | b64dec | fromJson }}",
        "{{ range $k, $v := .a | fromJson }}{{ $k }}: {{ $v }}\n{{ end }}",
        "{{ with .a }}{{ .b }}{{ else }}-{{ end }}",
        "{{ .a | filterPEM \"CERTIFICATE\" }}",
        "{{ pkcs12key .a }}",
        "{{ . | toJson }}",
        "{{ end }}",
        "{{ .a",
        "}}",
        "\"",
        "a: b\n",
        "{{- /* */ -}}",
        "{{ $x := .a }}{{ $x }}",
        "{{ printf \"%s:%s\" .username .token | b64enc }}",
        "true",
        " ",
    ];
    vec(select(pieces.to_vec()), 1..4).prop_map(|pieces| Value::from(pieces.concat())).boxed()
}

fn expression() -> BoxedStrategy<Value> {
    let key = select(vec!["team", "env", "kubernetes.io/metadata.name", "a.b/c"]);
    let values = vec(select(vec!["true", "payments", "shop", "argocd", ""]), 1..3);
    (key, values, select(vec!["In", "NotIn", "Exists", "DoesNotExist"]))
        .prop_map(|(key, values, operator)| match operator {
            "In" | "NotIn" => json!({ "key": key, "operator": operator, "values": values }),
            _ => json!({ "key": key, "operator": operator }),
        })
        .boxed()
}

/// Objects of one kind, numbered from 0.
fn objects(
    kind: &'static str,
    names: &'static [&'static str],
    least: usize,
    spec: BoxedStrategy<Value>,
) -> BoxedStrategy<Vec<Value>> {
    let object = (spec, prop::option::weighted(0.5, Just("shop")));
    vec(object, least..=names.len())
        .prop_map(move |objects| {
            let named = objects.into_iter().zip(names);
            let object = named.map(|((spec, namespace), name)| {
                let namespace = namespace.filter(|_| !kind.starts_with("Cluster"));
                json!({
                    "apiVersion": "external-secrets.io/v1", "kind": kind,
                    "metadata": { "name": name, "namespace": namespace }, "spec": spec,
                })
            });
            object.collect()
        })
        .boxed()
}

fn cluster_external_secret() -> BoxedStrategy<Value> {
    (Node::of(CLUSTER_EXTERNAL_SECRET).strategy(), external_secret())
        .prop_map(|(mut spec, external_secret)| {
            spec["externalSecretSpec"] = external_secret;
            spec
        })
        .boxed()
}

fn external_secret() -> BoxedStrategy<Value> {
    let is_without_store = prop::bool::weighted(0.2);
    (Node::of(EXTERNAL_SECRET).strategy(), is_without_store)
        .prop_map(|(mut spec, is_without_store)| {
            let entries = ["data", "dataFrom"].into_iter().filter_map(|name| spec[name].as_array()).flatten();
            if is_without_store && entries.into_iter().all(|entry| entry.get("sourceRef").is_some()) {
                spec.as_object_mut().expect("a spec is an object").remove("secretStoreRef");
            }
            spec
        })
        .boxed()
}

/// A plain ExternalSecret's spec, which may name a store of its own namespace.
fn plain_external_secret() -> BoxedStrategy<Value> {
    let near = json!({ "name": "near", "kind": "SecretStore" });
    (external_secret(), prop::bool::weighted(0.3))
        .prop_map(move |(mut spec, is_near)| {
            if is_near {
                spec["secretStoreRef"] = near.clone();
            }
            spec
        })
        .boxed()
}

/// A store's spec, that of another provider for this part of them.
fn store(others: f64) -> BoxedStrategy<Value> {
    let other = select(vec![
        json!({ "aws": { "service": "SecretsManager", "region": "eu-central-1" } }),
        json!({ "fake": { "data": [{ "key": "a", "value": "b" }] } }),
        json!({ "vault": { "server": "https://vault.test" } }),
    ]);
    (Node::of(STORE).strategy(), prop::option::weighted(others, other))
        .prop_map(|(mut spec, other)| {
            if let Some(other) = other {
                spec["provider"] = other;
            }
            spec
        })
        .boxed()
}

/// A generator of any kind, or something that pushes, of which no property speaks.
fn others() -> BoxedStrategy<Vec<Value>> {
    const VERSIONS: [&str; 2] = ["generators.external-secrets.io/v1alpha1", "external-secrets.io/v1alpha1"];
    let kinds =
        VERSIONS.into_iter().flat_map(|version| table::kinds(version).into_iter().map(move |kind| (version, kind)));
    let object = |(version, kind): (&'static str, &'static str)| {
        let namespace = (!kind.starts_with("Cluster")).then_some("shop");
        let object = table::spec(version, kind, "").prop_map(move |spec| {
            let metadata = json!({ "name": "a", "namespace": namespace });
            json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec })
        });
        object.boxed()
    };
    prop::option::weighted(0.5, Union::new(kinds.map(object))).prop_map(Vec::from_iter).boxed()
}

fn secrets() -> BoxedStrategy<Vec<Value>> {
    let keys = select(vec!["username", "token", "a", "tls.crt", "tls.key", ".dockerconfigjson", "doc"]);
    let types = select(vec![
        "Opaque",
        "kubernetes.io/tls",
        "kubernetes.io/dockerconfigjson",
        "kubernetes.io/service-account-token",
    ]);
    let data = btree_map(keys, Just(()), 0..4);
    // As it is, the first of them is no base64.
    let form = prop_oneof![
        60 => Just(("stringData", HIDDEN[0])),
        39 => Just(("data", HIDDEN[1])),
        1 => Just(("data", HIDDEN[0])),
    ];
    let secret = (data, types, scalar(Values::Label), form);
    vec(secret, 0..=3)
        .prop_map(|secrets| {
            let named = secrets.into_iter().zip(["listed", "pat", "oauth"]);
            let secret = named.map(|((data, secret_type, label, (field, value)), name)| {
                let data: BTreeMap<_, _> = data.into_keys().map(|key| (key, value)).collect();
                json!({
                    "apiVersion": "v1", "kind": "Secret", "type": secret_type, field: data,
                    "metadata": { "name": name, "namespace": "central", "labels": { "team": label } },
                })
            });
            secret.collect()
        })
        .boxed()
}

fn namespaces() -> BoxedStrategy<Vec<Value>> {
    vec(btree_map(select(vec!["team", "env", "a.b/c"]), scalar(Values::Label), 0..3), 0..=3)
        .prop_map(|namespaces| {
            let named = namespaces.into_iter().zip(["shop", "argocd", "team-a"]);
            let namespace = named.map(|(labels, name)| {
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } })
            });
            namespace.collect()
        })
        .boxed()
}

/// A configuration as a text of YAML or JSON documents.
pub(crate) fn configuration() -> BoxedStrategy<String> {
    let parts = [
        objects("ClusterSecretStore", &["store", "other"], 2, store(0.01)),
        objects("ClusterExternalSecret", &["one", "two", "three"], 1, cluster_external_secret()),
        objects("ExternalSecret", &["plain", "plainer"], 0, plain_external_secret()),
        objects("SecretStore", &["near"], 0, store(0.3)),
        others(),
        secrets(),
        namespaces(),
    ];
    let all = parts
        .into_iter()
        .fold(Just(Vec::new()).boxed(), |all, part| (all, part).prop_map(|(all, part)| [all, part].concat()).boxed());
    let written = Union::new([json_text as fn(&[Value]) -> String, yaml_text].map(Just));
    (all, faults::faults(), written)
        .prop_map(|(objects, faults, written)| written(&faults::put(&faults, objects)))
        .boxed()
}

fn json_text(objects: &[Value]) -> String {
    objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n")
}

fn yaml_text(objects: &[Value]) -> String {
    // An object of JSON is YAML.
    objects
        .iter()
        .map(|object| serde_yaml::to_string(object).expect("JSON can be written as YAML"))
        .collect::<Vec<_>>()
        .join("---\n")
}
