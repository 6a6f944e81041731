//! Every field of a manifest against the table.

use credence_core::manifest::Manifest;
use credence_core::text::nearest;
use serde_json::{Map, Value};

use super::table::{Object, Shape};
use super::unrendered::{self, Template};
use super::{Fault, Schema, versions};

/// The most fields that a message lists.
const LISTED: usize = 12;

/// The faults of a manifest that is due to be such an object.
pub(super) fn faults(schema: &Schema, manifest: &Manifest, object: &Object) -> Vec<Fault> {
    let mut check = Check { schema, manifest, faults: Vec::new() };
    if let Some(fields) = manifest.object.as_object() {
        check.object(fields, object, &Path::default());
    }
    check.faults
}

/// The way to a value, in both forms.
#[derive(Clone, Default)]
struct Path {
    /// The JSON pointer.
    pointer: String,
    /// The notation for people: `spec.data[0].remoteRef`.
    shown: String,
    /// The same without indices, which is how fields of later versions are listed.
    listed: String,
}

impl Path {
    fn field(&self, name: &str) -> Self {
        let step = name.replace('~', "~0").replace('/', "~1");
        let join = |path: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        Self { pointer: format!("{}/{step}", self.pointer), shown: join(&self.shown), listed: join(&self.listed) }
    }

    fn item(&self, index: usize) -> Self {
        Self {
            pointer: format!("{}/{index}", self.pointer),
            shown: format!("{}[{index}]", self.shown),
            listed: format!("{}[]", self.listed),
        }
    }
}

struct Check<'a> {
    schema: &'a Schema,
    manifest: &'a Manifest,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn add(&mut self, path: &Path, message: String) {
        self.faults.push(Fault::new(self.manifest, &path.pointer, message));
    }

    fn value(&mut self, value: &Value, shape: &Shape, path: &Path) {
        match (shape, value) {
            // A field that is null counts as absent, as in the API server.
            (Shape::Any, _) | (_, Value::Null) => {}
            (Shape::Object(object), Value::Object(fields)) => self.object(fields, object, path),
            (Shape::Shared(name), Value::Object(fields)) => {
                if let Some(object) = self.schema.table.shared(name) {
                    self.object(fields, object, path);
                }
            }
            (Shape::List(shape), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, shape, &path.item(index));
                }
            }
            (Shape::Map(shape), Value::Object(fields)) => {
                for (name, value) in fields {
                    self.value(value, shape, &path.field(name));
                }
            }
            (Shape::Boolean, Value::Bool(_)) | (Shape::Number | Shape::IntegerOrText, Value::Number(_)) => {}
            (Shape::Integer, Value::Number(number)) if !number.is_f64() => {}
            (Shape::Text(_) | Shape::Form(_) | Shape::IntegerOrText, Value::String(text)) => {
                self.text(text, shape, path)
            }
            _ => self.add(path, mismatch(&path.shown, value, shape)),
        }
    }

    fn text(&mut self, text: &str, shape: &Shape, path: &Path) {
        if let Some(template) = unrendered::find(self.manifest, &path.shown, text) {
            return self.add(path, template_message(&path.shown, &template));
        }
        match shape {
            // Whoever leaves `manifest` out, as another fault says, has to mend the path as well, and is told then.
            Shape::Text(_) if is_path_in_other_object(self.manifest, path) => {}
            Shape::Text(allowed) if !allowed.is_empty() && allowed.iter().all(|allowed| allowed != text) => {
                let meant = nearest(text, allowed.iter().map(String::as_str));
                let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
                let shown = |allowed: &String| if allowed.is_empty() { "\"\"".to_owned() } else { allowed.clone() };
                let allowed: Vec<String> = allowed.iter().map(shown).collect();
                self.add(
                    path,
                    match &allowed[..] {
                        [only] => format!("{} has to be {only}", path.shown),
                        _ => format!("{} is none of {}{meant}", path.shown, allowed.join(", ")),
                    },
                );
            }
            Shape::Form(name) => {
                let Some(form) = self.schema.table.form(name) else { return };
                let length = text.len();
                if length < form.least || length > form.most {
                    let message = format!(
                        "{} has {length} characters, and {} to {} are allowed",
                        path.shown, form.least, form.most
                    );
                    self.add(path, message);
                } else if !form.pattern.is_match(text) {
                    let next = unrendered::placeholder(text).map(|found| format!("; replace {found}"));
                    let next = next.unwrap_or_default();
                    self.add(path, format!("{} is not {}{next}", path.shown, described(name)));
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, object: &Object, path: &Path) {
        for (name, value) in fields {
            match object.fields.get(name.as_str()) {
                Some(field) => self.value(value, &field.shape, &path.field(name)),
                None if is_of_sops(self.manifest, path, name) => {}
                None => self.unknown(name, object, &path.field(name)),
            }
        }
        let is_written = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
        for (name, field) in &object.fields {
            if field.is_required && !is_written(name) {
                self.add(path, format!("{} is missing", path.field(name).shown));
            }
        }
        let count = fields.values().filter(|value| !value.is_null()).count();
        if let Some((least, most)) = object.count.filter(|(least, most)| !(*least..=*most).contains(&count)) {
            let due = if least == most { format!("exactly {least}") } else { format!("{least} to {most}") };
            self.add(path, format!("{} has {count} fields, and {due} must be there", path.shown));
        }
    }

    fn unknown(&mut self, name: &str, object: &Object, path: &Path) {
        let manifest = self.manifest;
        if let Some(message) = versions::of_another(self.schema, manifest, &path.listed, &path.shown) {
            let fault = Fault::new(manifest, &path.pointer, message);
            return self.faults.push(Fault { is_of_another_version: true, ..fault });
        }
        let known = || object.fields.keys().map(String::as_str);
        let next = match nearest(name, known()) {
            Some(meant) => format!("did you mean {meant}?"),
            None if object.fields.len() <= LISTED => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
            // Without one nothing is read.
            None if path.listed.rsplit_once('.').is_some_and(|(around, _)| around == "spec.provider") => {
                "write the name of a provider that it has, such as vault or aws".to_owned()
            }
            None => "remove it".to_owned(),
        };
        let server = self.schema.server(manifest.group());
        self.add(path, format!("{} is no field of {} in {server}; {next}", path.shown, manifest.kind()));
    }
}

/// Additions of SOPS to a Secret whose values it encrypts; its controllers remove them again.
fn is_of_sops(manifest: &Manifest, path: &Path, name: &str) -> bool {
    manifest.kind() == "Secret" && path.pointer.is_empty() && name == "sops"
}

/// True for the path at which a template is put into an object that is no Secret. Versions of External Secrets Operator without
/// `target.manifest` allow three words there, none of which is meant.
fn is_path_in_other_object(manifest: &Manifest, path: &Path) -> bool {
    let target = path.pointer.split_once("/template/templateFrom/").map(|(target, _)| format!("{target}/manifest"));
    path.listed.ends_with(".templateFrom[].target") && target.is_some_and(|one| manifest.object.pointer(&one).is_some())
}

fn template_message(shown: &str, template: &Template) -> String {
    match template {
        Template::Flux(name) => format!(
            "{shown} has ${{{name}}}, which Flux replaces when it applies, and no value is given for it; pass \
             --substitute {name}=VALUE"
        ),
        Template::Helm => format!(
            "{shown} is a template of Helm, which nothing has rendered; give the directory with its Chart.yaml as the \
             configuration"
        ),
    }
}

fn mismatch(shown: &str, value: &Value, shape: &Shape) -> String {
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    let (due, next) = match shape {
        Shape::Any => ("anything", ""),
        Shape::Boolean => ("true or false", "; write it without quotes"),
        Shape::Integer => ("a whole number", "; write it without quotes"),
        Shape::Number => ("a number", "; write it without quotes"),
        Shape::IntegerOrText => ("a number or text", ""),
        Shape::Text(_) | Shape::Form(_) if matches!(value, Value::Bool(_) | Value::Number(_)) => ("text", "; quote it"),
        Shape::Text(_) | Shape::Form(_) => ("text", ""),
        Shape::List(_) => ("a list", "; begin each item with a hyphen"),
        Shape::Map(_) | Shape::Object(_) | Shape::Shared(_) => ("a mapping", ""),
    };
    format!("{shown} is {is}, and {due} is due{next}")
}

/// Values that a form takes, in words.
fn described(form: &str) -> &'static str {
    match form {
        "subdomain" => "made of lower-case letters, digits, hyphens and dots, with a letter or digit first and last",
        "label" => "made of lower-case letters, digits and hyphens, with a letter or digit first and last",
        "key" => "made of letters, digits, hyphens, underscores and dots",
        _ => "made of lower-case letters, digits and hyphens",
    }
}
