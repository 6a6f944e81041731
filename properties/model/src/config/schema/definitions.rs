//! The table that the definitions of another version of External Secrets Operator make.

use std::collections::BTreeMap;

use serde_json::Value;

use super::GROUPS;
use super::table::{Field, Form, Object, Shape, Table};
use super::versions::group;

/// The kinds that `definitions` serve, beside those of Kubernetes in `pinned`.
pub(super) fn table(pinned: &Table, definitions: &[Value]) -> Table {
    let of_kubernetes = pinned.kinds.iter().filter(|((version, _), _)| !GROUPS.contains(&group(version)));
    let mut kinds: BTreeMap<_, _> = of_kubernetes.map(|(key, object)| (key.clone(), object.clone())).collect();
    // Metadata is the same in each kind, and definitions do not say more of it than that it is an object.
    let metadata = pinned.kind("v1", "Namespace").and_then(|namespace| namespace.fields.get("metadata"));
    for definition in definitions {
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for version in spec["versions"].as_array().into_iter().flatten().filter(|version| version["served"] == true) {
            let mut object = object(&version["schema"]["openAPIV3Schema"], &pinned.forms);
            object.fields.extend(metadata.map(|metadata| ("metadata".to_owned(), metadata.clone())));
            let name = (format!("{}/{}", text(&spec["group"]), text(&version["name"])), text(&spec["names"]["kind"]));
            kinds.insert(name, object);
        }
    }
    Table { forms: pinned.forms.clone(), shared: pinned.shared.clone(), kinds }
}

fn object(schema: &Value, forms: &BTreeMap<String, Form>) -> Object {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let fields = properties.map(|(name, schema)| {
        let is_required = required.contains(&name.as_str());
        (name.clone(), Field { is_required, shape: shape(schema, forms) })
    });
    let count = match (bound(schema, "minProperties"), bound(schema, "maxProperties")) {
        (None, None) => None,
        (least, most) => Some((least.unwrap_or(0), most.unwrap_or(usize::MAX))),
    };
    Object { fields: fields.collect(), count }
}

fn shape(schema: &Value, forms: &BTreeMap<String, Form>) -> Shape {
    let inner = |schema: &Value| Box::new(shape(schema, forms));
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return Shape::Any;
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return Shape::IntegerOrText;
    }
    match schema["type"].as_str() {
        Some("array") => Shape::List(inner(&schema["items"])),
        Some("object") if schema["properties"].is_object() => Shape::Object(object(schema, forms)),
        Some("object") if schema["additionalProperties"].is_object() => {
            Shape::Map(inner(&schema["additionalProperties"]))
        }
        Some("string") => text(schema, forms),
        Some("boolean") => Shape::Boolean,
        Some("integer") => Shape::Integer,
        Some("number") => Shape::Number,
        _ => Shape::Any,
    }
}

fn bound(schema: &Value, name: &str) -> Option<usize> {
    schema[name].as_u64().and_then(|bound| usize::try_from(bound).ok())
}

/// The form that a text has to have, if it is one of those that there are words for.
fn text(schema: &Value, forms: &BTreeMap<String, Form>) -> Shape {
    let asked = (bound(schema, "minLength"), bound(schema, "maxLength"), schema["pattern"].as_str());
    let form = forms.iter().find(|(_, form)| asked == (Some(form.least), Some(form.most), Some(form.pattern.as_str())));
    let allowed = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    form.map_or_else(|| Shape::Text(allowed.collect()), |(name, _)| Shape::Form(name.clone()))
}
