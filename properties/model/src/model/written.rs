//! Copies as their template writes them, and who uses them.

use std::collections::BTreeMap;

use credence_core::endpoints::Endpoints;
use credence_core::scope::{Written, WrittenCopy};
use credence_core::uses::{Use, uses};

use super::{Distribution, ExpectedKeys};
use crate::config::spec_in;

impl Distribution {
    /// Its copies as far as they are known beforehand: the texts of the template, and what is read from sources.
    pub fn written(&self) -> WrittenCopy<'_> {
        let templates = spec_in(&self.object).pointer("/target/template/data");
        let written = |key: &str| match templates.and_then(|templates| templates.get(key)?.as_str()) {
            Some(text) if text.contains("{{") => Written::Template(text),
            Some(text) => Written::Literal(text),
            None => Written::Read,
        };
        let keys = match &self.keys {
            ExpectedKeys::Exactly(keys) => {
                Some(keys.iter().map(|key| (key.as_str(), written(key))).collect::<BTreeMap<_, _>>())
            }
            ExpectedKeys::Unknown { .. } => None,
        };
        WrittenCopy { labels: &self.labels, keys }
    }

    /// Consumers of its copies and where they use them, or why they are not tried.
    pub fn uses<'a>(&self, endpoints: &'a Endpoints) -> Vec<Use<'a>> {
        uses(&self.shape(), &self.written(), endpoints)
    }
}

#[cfg(test)]
mod tests {
    use credence_core::formats::ARGO_CD;

    use super::*;
    use crate::model::testing::reference;

    #[test]
    fn texts_are_known_and_values_are_not() {
        let model = reference();
        let distribution =
            model.distributions.iter().find(|distribution| distribution.name == "argocd-git-credentials").unwrap();
        let written = distribution.written();
        assert_eq!(written.literal("url"), Some("https://github.com/example-org/"));
        assert_eq!(written.literal("password"), None);
        assert!(written.has("password"));
        assert_eq!(distribution.uses(&Endpoints::default())[0].consumer, ARGO_CD);
    }
}
