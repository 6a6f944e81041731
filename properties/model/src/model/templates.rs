//! The templates of a distribution, out of its object.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::spec_in;
use crate::template::{self, Reads, Step};

/// Inputs that all templates of a distribution read.
pub(crate) struct Templates {
    /// Templates of single keys.
    pub(super) data: Vec<Made>,
    pub(super) labels: Vec<Reads>,
    /// Templates of annotations, and those that make their own keys.
    pub(super) others: Vec<Reads>,
    /// True if the values that are read are in the copy as well, under their own names.
    pub(super) keep_values: bool,
}

/// The template of one key.
pub(super) struct Made {
    pub(super) key: String,
    /// The name of the value that it takes over as it is, if it does.
    pub(super) verbatim: Option<String>,
    pub(super) reads: Reads,
}

impl Templates {
    /// The templates of an object that distributes an ExternalSecret, or is one.
    pub(crate) fn of(object: &Value) -> Self {
        let template = &spec_in(object)["target"]["template"];
        let texts = |field: &Value| -> Vec<(String, String)> {
            let texts = field.as_object().into_iter().flatten();
            texts.filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned()))).collect()
        };
        let reads = |field: &Value| texts(field).iter().map(|(_, text)| template::reads(text)).collect::<Vec<_>>();
        let from = template["templateFrom"].as_array().map(Vec::as_slice).unwrap_or_default();
        let literals = from.iter().filter_map(|from| from["literal"].as_str()).map(template::reads);
        let data = texts(&template["data"]);
        let made = data.into_iter().map(|(key, text)| Made {
            key,
            verbatim: template::verbatim(&text),
            reads: template::reads(&text),
        });
        let data: Vec<Made> = made.collect();
        let keep_values = (data.is_empty() && from.is_empty()) || template["mergePolicy"] == "Merge";
        let others = reads(&template["metadata"]["annotations"]).into_iter().chain(literals).collect();
        Self { data, labels: reads(&template["metadata"]["labels"]), others, keep_values }
    }

    /// Values that each of them reads.
    pub(super) fn reads(&self) -> impl Iterator<Item = &Reads> {
        self.data.iter().map(|made| &made.reads).chain(&self.labels).chain(&self.others)
    }

    /// True if one of them reads all values at once.
    pub(super) fn read_all(&self) -> bool {
        self.reads().any(|reads| reads.all)
    }

    /// The names of all values that they read.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.reads().flat_map(|reads| &reads.values).map(|read| read.name.as_str()).collect()
    }

    /// The fields of the document that the value `name` is, as far as they are read.
    pub(super) fn members<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let reads = self.reads().flat_map(|reads| &reads.values).filter(move |read| read.name == name);
        reads.filter_map(|read| match read.steps.as_slice() {
            [Step::Json | Step::Yaml, Step::Member(member), ..] => Some(member.as_str()),
            _ => None,
        })
    }
}
