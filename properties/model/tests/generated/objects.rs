//! Configurations over the fields of the schema: most values are what the field may have, and some are not.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, Union};
use serde_json::{Map, Value, json};

use crate::fields::{CLUSTER_EXTERNAL_SECRET, EXTERNAL_SECRET, Field, STORE, Values};

/// A value of a Secret, which nothing may show.
pub(crate) const HIDDEN: &str = "value-that-nothing-shows";

/// Providers that are not Kubernetes.
const PROVIDERS: [&str; 4] = ["vault", "aws", "fake", "webhook"];

/// Fields that a right object has.
const NEEDED: [&str; 11] = [
    "data",
    "externalSecretSpec",
    "key",
    "kind",
    "kubernetes",
    "name",
    "provider",
    "remoteRef",
    "secretKey",
    "secretStoreRef",
    "source",
];

/// The fields below one place of the schema.
#[derive(Default)]
struct Node {
    leaf: Option<Values>,
    children: BTreeMap<&'static str, Self>,
}

impl Node {
    fn of(fields: &[Field]) -> Self {
        let mut root = Self::default();
        for field in fields {
            let mut node = &mut root;
            for name in field.path.split('.') {
                node = node.children.entry(name).or_default();
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
            let names =
                select(vec!["username", "token", ".dockerconfigjson", "tls.crt", "team", "kargo.akuity.io/cred-type"]);
            let entries = btree_map(names, value.strategy(), 0..3);
            return entries
                .prop_map(|all| all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
                .boxed();
        }
        if self.children.contains_key("operator") {
            return expression();
        }
        let mut object = Just(Map::new()).boxed();
        for (name, child) in &self.children {
            let often = if NEEDED.contains(name) { 0.98 } else { 0.25 };
            object = (object, prop::option::weighted(often, child.strategy()))
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

/// A value for a field, and now and then something that it may not have.
fn scalar(values: Values) -> BoxedStrategy<Value> {
    let wrong = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!([])),
        Just(json!({ "a": [{}] })),
        hostile().prop_map(Value::from),
    ];
    prop_oneof![400 => right(values), 1 => wrong].boxed()
}

fn hostile() -> BoxedStrategy<String> {
    let long = any::<char>().prop_map(|letter| String::from(letter).repeat(10_000));
    let nested = select(vec!["(", "{{ (", "[", "(a*)*", "{{ .a.b", "..", "a.#(b==\"c\").d", "|"])
        .prop_map(|text| text.repeat(100));
    prop_oneof![3 => any::<String>(), 1 => long, 1 => nested].boxed()
}

fn right(values: Values) -> BoxedStrategy<Value> {
    let one_of = |all: &'static [&'static str]| select(all).prop_map(Value::from).boxed();
    match values {
        Values::Name => one_of(&["a", "copy", "gh-docker-registry", "a.b"]),
        Values::Key => one_of(&["username", "token", "a", "a.b", ".dockerconfigjson", "tls.crt", "tls.key", "id_rsa"]),
        Values::Text => {
            prop_oneof![3 => one_of(&["", "a", "true", "12", "é"]), 1 => any::<String>().prop_map(Value::from)].boxed()
        }
        Values::Template => template(),
        Values::Regex => one_of(&["^team-", ".*", "^a$", "[a-z]+-(x|y)", "", "argocd"]),
        Values::Property => one_of(&["username", "token", "a", "a.b", "a.b.0.c", "tls.crt", "a.#.b", "doc.x"]),
        Values::Duration => one_of(&["1h", "0", "0s", "5m", "1h30m", "1.5s", "10ms"]),
        Values::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Values::Number => (0..1000_i64).prop_map(Value::from).boxed(),
        Values::Label => one_of(&["true", "false", "payments", "", "a-b"]),
        Values::Source => one_of(&["listed", "pat", "oauth", "absent"]),
        Values::Store => {
            prop_oneof![300 => Just("store"), 100 => Just("other"), 1 => Just("absent")].prop_map(Value::from).boxed()
        }
        Values::StoreKind => {
            prop_oneof![400 => Just("ClusterSecretStore"), 1 => Just("SecretStore")].prop_map(Value::from).boxed()
        }
        Values::Namespace => one_of(&["shop", "argocd", "kube-system", "central", "team-a"]),
        Values::OneOf(all) => one_of(all),
        Values::Opaque => Just(json!({ "a": 1 })).boxed(),
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
    (key, values, select(vec!["In", "NotIn", "Exists", "DoesNotExist"]), prop::bool::weighted(0.005))
        .prop_map(|(key, values, operator, is_wrong)| match operator {
            "In" | "NotIn" if !is_wrong => json!({ "key": key, "operator": operator, "values": values }),
            _ if is_wrong => {
                json!({ "key": key, "operator": operator, "values": if operator == "In" { vec![] } else { values } })
            }
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
    let version = prop_oneof![200 => Just("v1"), 2 => Just("v1beta1"), 1 => Just("v9")];
    let object = (version, spec, prop::option::weighted(0.5, Just("shop")));
    vec(object, least..=names.len())
        .prop_map(move |objects| {
            let named = objects.into_iter().zip(names);
            let object = named.map(|((version, spec, namespace), name)| {
                let namespace = namespace.filter(|_| !kind.starts_with("Cluster"));
                json!({
                    "apiVersion": format!("external-secrets.io/{version}"), "kind": kind,
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
    Node::of(EXTERNAL_SECRET).strategy()
}

fn store() -> BoxedStrategy<Value> {
    (Node::of(STORE).strategy(), prop::option::weighted(0.02, select(PROVIDERS.to_vec())))
        .prop_map(|(mut spec, other)| {
            if let Some(other) = other {
                spec["provider"] = json!({ other: { "a": 1 } });
            }
            spec
        })
        .boxed()
}

fn secrets() -> BoxedStrategy<Vec<Value>> {
    let keys = select(vec!["username", "token", "a", "tls.crt", "tls.key", ".dockerconfigjson", "doc"]);
    let types = select(vec![
        "Opaque",
        "kubernetes.io/tls",
        "kubernetes.io/dockerconfigjson",
        "kubernetes.io/service-account-token",
    ]);
    let data = btree_map(keys, Just(HIDDEN), 0..4);
    let secret = (data, types, scalar(Values::Label), prop::bool::weighted(0.01));
    vec(secret, 0..=3)
        .prop_map(|secrets| {
            let named = secrets.into_iter().zip(["listed", "pat", "oauth"]);
            let secret = named.map(|((data, secret_type, label, is_broken), name)| {
                // As text it is no base64.
                let field = if is_broken { "data" } else { "stringData" };
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
        objects("ClusterSecretStore", &["store", "other"], 1, store()),
        objects("ClusterExternalSecret", &["one", "two", "three"], 1, cluster_external_secret()),
        objects("ExternalSecret", &["plain", "plainer"], 0, external_secret()),
        objects("SecretStore", &["near"], 0, store()),
        secrets(),
        namespaces(),
    ];
    let all = parts
        .into_iter()
        .fold(Just(Vec::new()).boxed(), |all, part| (all, part).prop_map(|(all, part)| [all, part].concat()).boxed());
    let written = Union::new([json_text as fn(&[Value]) -> String, yaml_text].map(Just));
    (all, written).prop_map(|(objects, written)| written(&objects)).boxed()
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
