//! Labels and annotations that could exempt an object from a policy. Pure.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

/// Keys that Kubernetes lets anybody set.
static KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^([a-z0-9]([a-z0-9.-]{0,60}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,60}[A-Za-z0-9])?$")
        .expect("a constant expression")
});

/// A label or an annotation of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    field: &'static str,
    key: String,
    value: String,
}

impl Mark {
    /// All marks that could exempt an object from policies with these texts and, by its labels, with these specifications.
    pub(super) fn all(quoted: &BTreeSet<String>, specifications: &[Value]) -> BTreeSet<Self> {
        let mut marks = BTreeSet::new();
        let mut add = |field, key: &str, value: &str| {
            if KEY.is_match(key) && !key.contains("kubernetes.io/") && !key.contains("k8s.io/") {
                marks.insert(Self { field, key: key.to_owned(), value: value.to_owned() });
            }
        };
        for key in quoted {
            add("labels", key, "true");
            add("annotations", key, "true");
        }
        for requirement in specifications.iter().flat_map(object_requirements) {
            let key = requirement["key"].as_str().unwrap_or_default();
            match requirement["operator"].as_str() {
                Some("DoesNotExist") => add("labels", key, "true"),
                Some("NotIn") => add("labels", key, requirement["values"][0].as_str().unwrap_or_default()),
                _ => {}
            }
        }
        marks
    }

    /// Writes it on an object that has nothing under its key.
    pub(super) fn put_on(&self, object: &mut Value) {
        let place = &mut object["metadata"][self.field][&self.key];
        if place.is_null() {
            *place = json!(self.value);
        }
    }

    pub(super) fn text(&self) -> String {
        format!("{} {}: {}", self.field.trim_end_matches('s'), self.key, self.value)
    }
}

/// The requirements on labels of objects in the specification of a policy or of a binding.
fn object_requirements(specification: &Value) -> Vec<Value> {
    let parts = ["/matchConstraints", "/matchResources"];
    let selectors = parts.into_iter().filter_map(|part| specification.pointer(part)?.get("objectSelector"));
    let requirements = selectors.filter_map(|selector| selector.get("matchExpressions")?.as_array());
    requirements.flatten().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_what_a_selector_leaves_out_and_what_an_expression_quotes() {
        let quoted = ["exempt", "secrets/", "not a key"].map(str::to_owned).into();
        let selector = json!({ "matchConstraints": { "objectSelector": { "matchExpressions": [
            { "key": "a.example/out", "operator": "DoesNotExist" },
            { "key": "level", "operator": "NotIn", "values": ["low"] },
            { "key": "in", "operator": "Exists" },
        ] } } });
        let marks = Mark::all(&quoted, &[selector]);
        let texts: Vec<String> = marks.iter().map(Mark::text).collect();
        assert_eq!(
            texts,
            ["annotation exempt: true", "label a.example/out: true", "label exempt: true", "label level: low"]
        );
    }

    #[test]
    fn a_mark_leaves_what_an_object_has() {
        let mark = Mark { field: "labels", key: "a".to_owned(), value: "true".to_owned() };
        let mut object = json!({ "metadata": { "labels": { "a": "b" } } });
        mark.put_on(&mut object);
        assert_eq!(object["metadata"]["labels"]["a"], "b");
        let mut object = json!({ "metadata": { "name": "c" } });
        mark.put_on(&mut object);
        assert_eq!(object["metadata"]["labels"]["a"], "true");
    }
}
