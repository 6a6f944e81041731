//! The JSON schema of intents, which is also what a file is checked by: the parser takes what it says, and nothing else.
//!
//! Knows those words of JSON Schema that [`SCHEMA`] uses, and no others.

use std::sync::LazyLock;

use credence_core::manifest::Manifest;
use credence_core::text::nearest;
use serde_json::Value;

use super::IntentFault;

/// The schema, for editors: a JSON Schema of the draft 2020-12.
pub const SCHEMA: &str = include_str!("schema.json");

// The text is a part of this program, and a test reads it.
static ROOT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(SCHEMA).expect("the schema is JSON"));

/// Everything in which a document differs from the schema.
pub(super) fn faults(manifest: &Manifest) -> Vec<IntentFault> {
    let mut check = Check { manifest, faults: Vec::new() };
    check.value(&manifest.object, &ROOT, &Path::default());
    check.faults
}

/// The way to a value: as a JSON pointer, and as people write it.
#[derive(Clone, Default)]
struct Path {
    pointer: String,
    shown: String,
}

impl Path {
    fn field(&self, name: &str) -> Self {
        let step = name.replace('~', "~0").replace('/', "~1");
        let shown = if self.shown.is_empty() { name.to_owned() } else { format!("{}.{name}", self.shown) };
        Self { pointer: format!("{}/{step}", self.pointer), shown }
    }

    fn item(&self, index: usize) -> Self {
        Self { pointer: format!("{}/{index}", self.pointer), shown: format!("{}[{index}]", self.shown) }
    }
}

struct Check<'a> {
    manifest: &'a Manifest,
    faults: Vec<IntentFault>,
}

impl Check<'_> {
    fn add(&mut self, path: &Path, message: String) {
        self.faults.push(IntentFault { at: self.manifest.location(&path.pointer), message });
    }

    fn value(&mut self, value: &Value, schema: &Value, path: &Path) {
        match (schema["type"].as_str(), value) {
            (Some("object"), Value::Object(fields)) => {
                for (name, value) in fields {
                    self.field(name, value, schema, &path.field(name));
                }
                for name in texts(&schema["required"]).filter(|name| !fields.contains_key(*name)) {
                    self.add(path, format!("{} is missing; add it", path.field(name).shown));
                }
            }
            (Some("array"), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, &schema["items"], &path.item(index));
                }
            }
            (Some("string"), Value::String(text)) => self.text(text, schema, path),
            (Some("integer"), Value::Number(number)) if number.is_u64() => {}
            (due, value) => self.add(path, mismatch(&path.shown, value, due.unwrap_or_default())),
        }
    }

    fn field(&mut self, name: &str, value: &Value, schema: &Value, path: &Path) {
        if let Some(of_field) = schema["properties"].get(name) {
            return self.value(value, of_field, path);
        }
        if schema["additionalProperties"].is_object() {
            return self.value(value, &schema["additionalProperties"], path);
        }
        let known =
            || schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str));
        let next = match nearest(name, known()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
        };
        self.add(path, format!("{} is no field of an intent; {next}", path.shown));
    }

    fn text(&mut self, text: &str, schema: &Value, path: &Path) {
        let allowed = || texts(&schema["enum"]);
        if allowed().next().is_some() && !allowed().any(|one| one == text) {
            let meant = nearest(text, allowed()).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
            self.add(path, format!("{} is none of {}{meant}", path.shown, allowed().collect::<Vec<_>>().join(", ")));
        }
        if schema["minLength"].is_u64() && text.is_empty() {
            self.add(path, format!("{} is empty; write what is meant, or remove the field", path.shown));
        }
    }
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn mismatch(shown: &str, value: &Value, due: &str) -> String {
    let is = match value {
        Value::Null => "empty",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    let next = match (due, value) {
        (_, Value::Null) => "write what is meant, or remove the field",
        ("string", Value::Bool(_) | Value::Number(_)) => "text is due; quote it",
        ("string", _) => "text is due",
        ("array", _) => "a list is due; begin each item with a hyphen",
        ("integer", _) => "a whole number is due, of 0 or more",
        _ => "a mapping is due",
    };
    let shown = if shown.is_empty() { "the document" } else { shown };
    format!("{shown} is {is}: {next}")
}
