//! Variables of Flux in an object: what Flux makes of it before it applies it.
//!
//! Flux replaces them in the object's YAML, so that a text that is nothing but `${REPLICAS}` becomes a number, also where it was
//! written in quotes: those are gone by then.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::location::{Position, escape};
use super::substitution::{SubstitutionError, substitute};
use super::{Manifest, ManifestError, events};

/// The label or annotation by which Flux leaves an object as it is.
const MARK: &str = "kustomize.toolkit.fluxcd.io/substitute";

impl Manifest {
    /// Replaces the variables of Flux in every text of the object, unless a label or an annotation says not to. The names of
    /// those that have a value are added to `used`. Places stay those of the text as it is written.
    ///
    /// # Errors
    /// Every variable that cannot be replaced, with the place of the field that has it.
    pub fn substitute(
        &mut self,
        values: &BTreeMap<String, String>,
        used: &mut BTreeSet<String>,
    ) -> Result<(), ManifestError> {
        let is_left = |field: &str| {
            let mark = self.object.pointer(&format!("/metadata/{field}/{}", escape(MARK)));
            mark.and_then(Value::as_str) == Some("disabled")
        };
        if is_left("labels") || is_left("annotations") {
            return Ok(());
        }
        let mut walk = Walk { values, used, faults: Vec::new() };
        let object = walk.value(&self.object, "");
        let mut faults: Vec<ManifestError> = walk
            .faults
            .into_iter()
            .map(|(pointer, source)| ManifestError::Substitution { at: self.location(&pointer), source })
            .collect();
        match faults.len() {
            0 => self.object = object,
            1 => return Err(faults.remove(0)),
            _ => return Err(ManifestError::Several(faults)),
        }
        Ok(())
    }
}

struct Walk<'a> {
    values: &'a BTreeMap<String, String>,
    used: &'a mut BTreeSet<String>,
    /// The fields that cannot be, by JSON pointer.
    faults: Vec<(String, SubstitutionError)>,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value, pointer: &str) -> Value {
        match value {
            Value::String(text) if text.contains('$') => self.scalar(text, pointer),
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, item)| self.value(item, &format!("{pointer}/{index}"))).collect()
            }
            Value::Object(fields) => {
                let mut replaced = Map::new();
                for (key, value) in fields {
                    let pointer = format!("{pointer}/{}", escape(key));
                    let key = self.text(key, &pointer);
                    replaced.insert(key, self.value(value, &pointer));
                }
                Value::Object(replaced)
            }
            other => other.clone(),
        }
    }

    /// A text after its variables are replaced; as it is if one cannot be.
    fn text(&mut self, text: &str, pointer: &str) -> String {
        substitute(text, self.values, self.used).unwrap_or_else(|error| {
            self.faults.push((pointer.to_owned(), error));
            text.to_owned()
        })
    }

    /// The text after its variables are replaced in its YAML.
    fn scalar(&mut self, text: &str, pointer: &str) -> Value {
        let replaced = self.text(text, pointer);
        let is_plain = serde_yaml::to_string(text).is_ok_and(|yaml| yaml.trim_end() == text);
        if !is_plain || replaced == text {
            return Value::String(replaced);
        }
        // What the values make of it may be no YAML, where Flux fails; as text it is at least told by who reads it.
        read_plain(&replaced).unwrap_or(Value::String(replaced))
    }
}

/// Value that kubectl reads where a text stands without quotes.
fn read_plain(text: &str) -> Option<Value> {
    let yaml = format!("value: {text}\n");
    let mut read: Value = serde_yaml::from_str(&yaml).ok()?;
    for (pointer, value) in events::read(&yaml, Position { line: 1, column: 1 }).read_otherwise {
        *read.pointer_mut(&pointer)? = value;
    }
    Some(read.get_mut("value")?.take())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;
    use crate::manifest::parse_documents;

    const STORE: &str = "\
# A store.
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata:
  name: ${TEAM}-store
  labels: {\"team/${TEAM}\": \"${FLAG}\"}
spec:
  retrySettings: {maxRetries: \"${COUNT}\"}
  conditions:
    - namespaces: [\"${NONE}\", a]
    - namespaces: [\"${NONE:-b}\"]
";

    fn substituted(text: &str) -> Result<(Value, BTreeSet<String>), ManifestError> {
        let values = [("TEAM", "shop"), ("FLAG", "yes"), ("COUNT", "3"), ("LIST", "[a, b]"), ("EMPTY", "")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut manifest = parse_documents(Path::new("a.yaml"), text)?.remove(0);
        let mut used = BTreeSet::new();
        manifest.substitute(&values, &mut used)?;
        Ok((manifest.object, used))
    }

    #[test]
    fn texts_and_keys_are_replaced_and_read_again_without_their_quotes() {
        let (object, used) =
            substituted(&STORE.replace("\"${NONE}\"", "${LIST}").replace("[${LIST}, a]", "${LIST}")).unwrap();
        assert_eq!(object["metadata"]["name"], "shop-store");
        assert_eq!(object["metadata"]["labels"]["team/shop"], true);
        assert_eq!(object["spec"]["retrySettings"]["maxRetries"], 3);
        assert_eq!(object["spec"]["conditions"][0]["namespaces"], serde_json::json!(["a", "b"]));
        assert_eq!(object["spec"]["conditions"][1]["namespaces"][0], "b");
        assert_eq!(used.into_iter().collect::<Vec<_>>(), ["COUNT", "FLAG", "LIST", "TEAM"]);
    }

    #[test]
    fn a_variable_without_a_value_is_refused_with_its_place() {
        let shown = crate::text::chain(&substituted(STORE).unwrap_err());
        let expected = "failed to replace the variable of Flux at a.yaml:10:20: ${NONE} has no value and no default; pass \
                        --substitute NONE=VALUE";
        assert!(shown.starts_with(expected), "{shown}");
    }

    #[rstest]
    #[case::label("labels")]
    #[case::annotation("annotations")]
    fn an_object_may_be_left_as_it_is(#[case] field: &str) {
        let marked = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  {field}: {{kustomize.toolkit.fluxcd.io/substitute: disabled}}\n\
             data: {{a: \"${{NONE}}\"}}\n"
        );
        assert_eq!(substituted(&marked).unwrap().0["data"]["a"], "${NONE}");
    }

    #[rstest]
    #[case::several_lines("\"${COUNT}\\n\"", "3\n".into())]
    #[case::beside_text("a ${COUNT}", "a 3".into())]
    #[case::quoted_for_a_reason("': ${COUNT}'", ": 3".into())]
    #[case::nothing("\"${EMPTY}\"", Value::Null)]
    fn a_text_stays_one_where_yaml_reads_one(#[case] written: &str, #[case] expected: Value) {
        let text = format!("apiVersion: v1\nkind: A\nmetadata: {{name: a}}\nvalue: {written}\n");
        assert_eq!(substituted(&text).unwrap().0["value"], expected);
    }
}
