//! Makes the table of fields that the model checks configurations by, from the definitions of External Secrets Operator and the
//! OpenAPI documents of Kubernetes:
//!
//! ```sh
//! cargo run -p credence-model --example fields -- BUNDLE.yaml OPENAPI.json… > properties/model/src/config/schema/fields.txt
//! ```
//!
//! Of the pinned versions: `deploy/crds/bundle.yaml` of the module of External Secrets Operator, and of that of Kubernetes
//! `api/openapi-spec/v3` with `api__v1_openapi.json`, `apis__admissionregistration.k8s.io__v1_openapi.json` and
//! `apis__rbac.authorization.k8s.io__v1_openapi.json`. `go mod download -json MODULE@VERSION` says where they are. The form is
//! that of `properties/model/src/config/schema/table.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use serde::Deserialize;
use serde_json::Value;

/// The first line, which names the versions.
const HEADER: &str = "# Fields of External Secrets Operator 0.20.4 and of Kubernetes 1.36.3. Made by properties/model/examples/fields.rs.";

/// Kinds of Kubernetes, by the last part of the names of their definitions.
const KINDS: [(&str, &[&str]); 3] = [
    ("v1", &["core.v1.ConfigMap", "core.v1.Namespace", "core.v1.Secret", "core.v1.ServiceAccount"]),
    (
        "rbac.authorization.k8s.io/v1",
        &["rbac.v1.ClusterRole", "rbac.v1.ClusterRoleBinding", "rbac.v1.Role", "rbac.v1.RoleBinding"],
    ),
    (
        "admissionregistration.k8s.io/v1",
        &[
            "admissionregistration.v1.ValidatingAdmissionPolicy",
            "admissionregistration.v1.ValidatingAdmissionPolicyBinding",
        ],
    ),
];

/// Forms of texts: name, least and most characters, pattern.
const FORMS: [(&str, u64, u64, &str); 4] = [
    ("subdomain", 1, 253, r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
    ("label", 1, 63, r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
    ("key", 1, 253, r"^[-._a-zA-Z0-9]+$"),
    ("slug", 1, 50, r"^[a-z0-9-]+$"),
];

/// The fewest lines of fields that are written once and named where they are.
const SHARED: usize = 4;

/// A field, or what a list or a map holds: what it is, and its own fields.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    /// `[]` and `{}` in front, for a list and a map.
    containers: String,
    shape: String,
    fields: Vec<(String, bool, Node)>,
}

impl Node {
    fn lines(&self) -> usize {
        1 + self.fields.iter().map(|(_, _, node)| node.lines()).sum::<usize>()
    }

    /// Parts that may be shared: the shape and the fields.
    fn inner(&self) -> Self {
        Self { containers: String::new(), ..self.clone() }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths = std::env::args().skip(1);
    let bundle = std::fs::read_to_string(paths.next().ok_or("the bundle of definitions is missing")?)?;
    let mut schemas = serde_json::Map::new();
    for path in paths {
        let document: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        schemas.extend(document["components"]["schemas"].as_object().cloned().unwrap_or_default());
    }
    let kinds = kinds(&bundle, &schemas)?;
    print!("{}", Table::new(&kinds).text(&kinds));
    Ok(())
}

/// Every kind, by version and name.
fn kinds(bundle: &str, schemas: &serde_json::Map<String, Value>) -> Result<BTreeMap<String, Node>, Box<dyn Error>> {
    let mut kinds = BTreeMap::new();
    for (version, names) in KINDS {
        for name in names {
            let schema = schemas.get(&format!("io.k8s.api.{name}")).ok_or_else(|| format!("{name} is not there"))?;
            let kind = name.rsplit('.').next().unwrap_or_default();
            kinds.insert(format!("{version} {kind}"), node(schema, schemas));
        }
    }
    let metadata =
        serde_json::json!({ "$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" });
    for document in serde_yaml::Deserializer::from_str(bundle) {
        let definition = Value::deserialize(document)?;
        let spec = &definition["spec"];
        for version in spec["versions"].as_array().into_iter().flatten().filter(|version| version["served"] == true) {
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            schema["properties"]["metadata"] = metadata.clone();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let name = format!("{}/{} {}", text(&spec["group"]), text(&version["name"]), text(&spec["names"]["kind"]));
            kinds.insert(name, node(&schema, schemas));
        }
    }
    Ok(kinds)
}

fn node(schema: &Value, schemas: &serde_json::Map<String, Value>) -> Node {
    let leaf = |shape: &str| Node { containers: String::new(), shape: shape.to_owned(), fields: Vec::new() };
    let inside = |schema: &Value, container: &str| {
        let inner = node(schema, schemas);
        Node { containers: format!("{container} {}", inner.containers).trim_end().to_owned(), ..inner }
    };
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return node(schemas.get(name).unwrap_or(&Value::Null), schemas);
    }
    if let (Some([only]), None) = (schema["allOf"].as_array().map(Vec::as_slice), schema.get("properties")) {
        return node(only, schemas);
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return leaf("any");
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return leaf("int-or-text");
    }
    match schema["type"].as_str() {
        Some("array") => inside(&schema["items"], "[]"),
        Some("object") if schema.get("properties").is_some() => object(schema, schemas),
        Some("object") if schema["additionalProperties"].is_object() => inside(&schema["additionalProperties"], "{}"),
        Some("string") => leaf(&text(schema)),
        Some("boolean") => leaf("bool"),
        Some("integer") => leaf("int"),
        Some("number") => leaf("number"),
        _ => leaf("any"),
    }
}

fn object(schema: &Value, schemas: &serde_json::Map<String, Value>) -> Node {
    let required: BTreeSet<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties: BTreeMap<&String, &Value> = schema["properties"].as_object().into_iter().flatten().collect();
    let fields = properties.into_iter();
    let fields = fields.map(|(name, schema)| (name.clone(), required.contains(name.as_str()), node(schema, schemas)));
    let count = |name: &str| schema[name].as_u64();
    let shape = match (count("minProperties"), count("maxProperties")) {
        (None, None) => String::new(),
        (least, most) => format!("{}..{}", least.unwrap_or(0), most.map(|most| most.to_string()).unwrap_or_default()),
    };
    Node { containers: String::new(), shape, fields: fields.collect() }
}

fn text(schema: &Value) -> String {
    let (least, most) = (schema["minLength"].as_u64(), schema["maxLength"].as_u64());
    let form = FORMS.iter().find(|(_, from, to, pattern)| {
        (least, most, schema["pattern"].as_str()) == (Some(*from), Some(*to), Some(*pattern))
    });
    let allowed: Vec<&str> = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match form {
        Some((name, ..)) => (*name).to_owned(),
        None => format!("text {}", allowed.join("|")).trim_end().to_owned(),
    }
}

/// Fields that several kinds have, each with a name.
struct Table {
    shared: BTreeMap<Node, String>,
}

impl Table {
    fn new(kinds: &BTreeMap<String, Node>) -> Self {
        let mut found: Vec<(Node, String, usize)> = Vec::new();
        for (name, _, node) in kinds.values().flat_map(|kind| &kind.fields) {
            count(node, name, &mut found);
        }
        let mut names = BTreeSet::new();
        let mut shared = BTreeMap::new();
        for (node, name, _) in found.into_iter().filter(|(_, _, count)| *count > 1) {
            let mut numbered = (1..).map(|number| if number == 1 { name.clone() } else { format!("{name}-{number}") });
            // There is no end of numbers.
            let name = numbered.find(|name| !names.contains(name)).unwrap_or_default();
            names.insert(name.clone());
            shared.insert(node, name);
        }
        Self { shared }
    }

    fn text(&self, kinds: &BTreeMap<String, Node>) -> String {
        let mut lines = vec![HEADER.to_owned()];
        lines.extend(FORMS.map(|(name, least, most, pattern)| format!("= {name} {least}..{most} {pattern}")));
        let by_name: BTreeMap<&String, &Node> = self.shared.iter().map(|(node, name)| (name, node)).collect();
        for (name, node) in by_name {
            lines.push(format!("* {name} {}", node.shape).trim_end().to_owned());
            self.fields(node, 1, &mut lines);
        }
        for (name, node) in kinds {
            lines.push(format!("> {name}"));
            self.fields(node, 1, &mut lines);
        }
        lines.join("\n") + "\n"
    }

    fn fields(&self, node: &Node, depth: usize, lines: &mut Vec<String>) {
        for (name, is_required, node) in &node.fields {
            let shared = self.shared.get(&node.inner());
            let shape = shared.map_or_else(|| node.shape.clone(), |name| format!("*{name}"));
            let words = [&node.containers, &shape].into_iter().filter(|word| !word.is_empty());
            let words: String = words.map(|word| format!(" {word}")).collect();
            lines.push(format!("{}{name}{}{words}", " ".repeat(depth), if *is_required { "!" } else { "" }));
            if shared.is_none() {
                self.fields(node, depth + 1, lines);
            }
        }
    }
}

/// Counts how often the same fields are somewhere, in the order in which they are found, with the name that they have there.
fn count(node: &Node, name: &str, found: &mut Vec<(Node, String, usize)>) {
    let inner = node.inner();
    if !inner.fields.is_empty() && inner.lines() >= SHARED {
        if let Some((_, _, count)) = found.iter_mut().find(|(other, ..)| *other == inner) {
            *count += 1;
            return;
        }
        found.push((inner, name.to_owned(), 1));
    }
    for (name, _, node) in &node.fields {
        count(node, name, found);
    }
}
