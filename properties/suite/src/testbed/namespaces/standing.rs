//! Namespaces that get copies by what they are called. There is one of each name, so each asks from the beginning of a run to its
//! end, and every case may look at it: two cases that waited for each other's would never go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use credence_cluster::apply::FIELD_MANAGER;
use credence_core::labels::Labels;
use credence_model::model::Model;
use kube::Client;

use super::{NamespaceError, remove_labels, set_labels};

/// The labels with which each name gets its copies.
///
/// Where several ways need different values of one label, the first of them has it.
pub(super) fn labels_by_name(model: &Model) -> BTreeMap<String, Labels> {
    let ways = model.distributions.iter().flat_map(|distribution| distribution.named_ways());
    let mut all: BTreeMap<String, Labels> = BTreeMap::new();
    for (names, labels) in ways {
        for name in names {
            let own = all.entry(name).or_default();
            for (key, value) in &labels {
                own.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }
    all
}

/// The standing namespaces of a run.
#[derive(Default)]
pub(super) struct Standing {
    /// Labels that each has, among others.
    labels: Mutex<BTreeMap<String, Labels>>,
    /// Labels that were set in namespaces of somebody else, which get rid of them at the end.
    lent: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl Standing {
    /// Notes that a namespace has `labels`, which nobody takes off.
    pub(super) fn note(&self, name: &str, labels: &Labels) {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), labels.clone());
    }

    /// Adds what is missing of `labels` to those that a namespace has, unless it has other values for them.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(super) async fn join(
        &self,
        client: &Client,
        name: &str,
        has: &Labels,
        labels: &Labels,
    ) -> Result<(), NamespaceError> {
        if labels.iter().any(|(key, value)| has.get(key).is_some_and(|own| own != value)) {
            self.note(name, has);
            return Ok(());
        }
        let missing: Labels = labels.iter().filter(|(key, _)| !has.contains_key(*key)).map(cloned).collect();
        if !missing.is_empty() {
            set_labels(client, FIELD_MANAGER, name, &missing).await?;
            let keys = missing.into_keys().collect();
            self.lent.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), keys);
        }
        self.note(name, labels);
        Ok(())
    }

    /// True if a namespace has `labels` as long as the run goes on.
    pub(super) fn has(&self, name: &str, labels: &Labels) -> bool {
        let all = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name).is_some_and(|own| labels.iter().all(|(key, value)| own.get(key) == Some(value)))
    }

    /// Takes the labels off again that namespaces of somebody else were lent.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(super) async fn give_back(&self, client: &Client) -> Result<(), NamespaceError> {
        let lent = std::mem::take(&mut *self.lent.lock().unwrap_or_else(PoisonError::into_inner));
        for (name, keys) in &lent {
            remove_labels(client, FIELD_MANAGER, name, keys).await?;
        }
        Ok(())
    }
}

fn cloned((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(all: &[(&str, &str)]) -> Labels {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_namespace_stands_for_every_part_of_the_labels_that_it_was_made_with() {
        let standing = Standing::default();
        standing.note("shop", &labels(&[("a", "x"), ("b", "y")]));
        assert!(standing.has("shop", &labels(&[("b", "y")])) && standing.has("shop", &Labels::new()));
        assert!(!standing.has("shop", &labels(&[("b", "z")])) && !standing.has("blog", &Labels::new()));
    }
}
