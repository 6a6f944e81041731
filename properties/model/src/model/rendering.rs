//! Templates as External Secrets Operator's own engine renders them, for the keys that they compose.

use std::collections::BTreeSet;

use credence_core::consumer::Consumer;
use credence_core::formats::{Role, unambiguous_roles};
use serde_json::{Map, Value, json};

use super::{Distribution, Origin};
use crate::config::spec_in;

/// Functions that make something else each time, or that need the cluster.
///
/// Source: Sprig's functions, and those of pkg/template/v2. PKCS#12 has salts; keys and values of a map have no order.
const FICKLE: &[&str] = &[
    "ago",
    "bcrypt",
    "encryptAES",
    "fullPemToPkcs12",
    "fullPemToPkcs12Pass",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "getHostByName",
    "getSecretKey",
    "htpasswd",
    "keys",
    "now",
    "pemToPkcs12",
    "pemToPkcs12Pass",
    "pemTruststoreToPKCS12",
    "pemTruststoreToPKCS12Pass",
    "randAlpha",
    "randAlphaNum",
    "randAscii",
    "randBytes",
    "randInt",
    "randNumeric",
    "shuffle",
    "uuidv4",
    "values",
];

impl Distribution {
    /// The keys that a template composes and that no consumer is known to read.
    pub(super) fn unread(&self) -> BTreeSet<&str> {
        let read = Consumer::keys_read(&self.shape()).unwrap_or_default();
        self.composed.iter().map(String::as_str).filter(|key| !read.contains(key)).collect()
    }

    /// True if a template composes keys of which the operator's own engine alone can tell what they must hold: no consumer is
    /// known to read them, or no part of the credential is known that it finds there.
    pub fn needs_rendering(&self) -> bool {
        let by_name = unambiguous_roles(self.composed.iter().map(String::as_str));
        let mut named = by_name.keys().filter(|role| !matches!(role, Role::Other(_)));
        let tells_another = named.any(|role| !self.roles.contains_key(role));
        let composes =
            !self.composed.is_empty() && (self.roles.is_empty() || tells_another || !self.unread().is_empty());
        composes && self.rendering().is_ok()
    }

    /// Succeeds if something in each copy tells which values of its sources it was made of.
    ///
    /// # Errors
    /// Why nothing does, so that a copy that was never updated looks like one that was.
    pub fn tells_values(&self) -> Result<(), &'static str> {
        let is_made_of_a_source = |origin: &Origin| !matches!(origin, Origin::Text(_));
        let is_read = self.composed.len() > self.unread().len() && !self.roles.is_empty();
        if self.origins.values().any(is_made_of_a_source) || is_read || self.needs_rendering() {
            return Ok(());
        }
        Err(self.rendering().err().unwrap_or("nothing in it follows from a value of its sources"))
    }

    /// The template of each copy, with the CRD's defaults, for what it composes.
    ///
    /// # Errors
    /// Why nothing can be compared with what it makes.
    pub fn rendering(&self) -> Result<Value, &'static str> {
        let template = spec_in(&self.object).pointer("/target/template");
        let mut template = template.cloned().unwrap_or_else(|| json!({}));
        if self.generated.values().any(Option::is_none) {
            return Err("it reads what a generator makes, which differs each time");
        }
        if self.fields.iter().any(|field| field.origin.is_none()) {
            return Err("it reads values that do not follow from those of a source");
        }
        if self.sources().len() > 1 {
            return Err("it is made of several sources, of which a case knows one");
        }
        if !self.takes_over_texts(&mut template) {
            return Err("its template is in another object");
        }
        if is_fickle(&template) {
            return Err("its template makes something else each time, or asks the cluster");
        }
        let from = template.get_mut("templateFrom").and_then(Value::as_array_mut);
        from.into_iter().flatten().for_each(|from| default(from, "target", "Data"));
        default(&mut template, "engineVersion", "v2");
        Ok(template)
    }
}

impl Distribution {
    /// Puts the templates that ConfigMaps have beside those of `data`, which the operator renders alike and which win over them.
    /// False if some are not known.
    fn takes_over_texts(&self, template: &mut Value) -> bool {
        let Some(from) = template.get_mut("templateFrom").and_then(Value::as_array_mut) else { return true };
        let is_there = |value: &Value| !value.is_null();
        let (elsewhere, own): (Vec<Value>, Vec<Value>) =
            from.drain(..).partition(|from| is_there(&from["configMap"]) || is_there(&from["secret"]));
        *from = own;
        let mut texts = Map::new();
        for from in &elsewhere {
            let is_data = from["target"].as_str().is_none_or(|target| target == "Data");
            if is_there(&from["secret"]) || is_there(&from["literal"]) || !is_data {
                return false;
            }
            for item in from["configMap"]["items"].as_array().into_iter().flatten() {
                let is_value = item["templateAs"].as_str().is_none_or(|scope| scope == "Values");
                let key = item["key"].as_str().filter(|_| is_value);
                let Some((key, text)) = key.and_then(|key| self.templates_elsewhere.get_key_value(key)) else {
                    return false;
                };
                texts.insert(key.clone(), Value::from(text.as_str()));
            }
        }
        if let Some(Value::Object(own)) = template.get("data") {
            texts.extend(own.clone());
        }
        if !elsewhere.is_empty() {
            template["data"] = Value::Object(texts);
        }
        true
    }
}

fn default(object: &mut Value, field: &str, value: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.entry(field).or_insert_with(|| json!(value));
    }
}

/// True if an action somewhere in a template calls a function whose result cannot be known.
fn is_fickle(template: &Value) -> bool {
    match template {
        Value::Object(fields) => fields.values().any(is_fickle),
        Value::Array(items) => items.iter().any(is_fickle),
        Value::String(text) => text.split("{{").skip(1).any(|rest| {
            let action = rest.split("}}").next().unwrap_or(rest);
            action
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
                .any(|word| FICKLE.contains(&word))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::text("now and keys", false)]
    #[case::value("{{ .now }} {{ .keys | b64enc }}", false)]
    #[case::time("{{ now | date \"2006\" }}", true)]
    #[case::in_a_call("{{ printf \"%s\" (randAlphaNum 8) }}", true)]
    #[case::salted("{{ htpasswd .user .password }}", true)]
    fn a_template_is_fickle_by_what_it_calls(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_fickle(&json!({ "data": { "a": text } })), expected);
    }
}
