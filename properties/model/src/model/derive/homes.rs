//! The namespaces of plain ExternalSecrets, and the stores as they serve these.

use std::collections::BTreeMap;

use credence_core::labels::Labels;

use super::references;
use crate::config::{ClusterSecretStore, Config, DeclaredDistribution, ExternalSecret};
use crate::selector::{NamespaceSelection, effective_labels, opt_ins};

/// The namespaces of plain ExternalSecrets that no manifest makes, each with the labels that the conditions of its stores want: whoever
/// makes them has to give them these.
pub(super) fn assumed(config: &Config) -> BTreeMap<String, Labels> {
    let namespaces = config.external_secrets.iter().map(|plain| plain.namespace.as_str());
    let missing = namespaces.filter(|namespace| !config.namespaces.contains_key(*namespace));
    missing.map(|namespace| (namespace.to_owned(), labels(config, namespace))).collect()
}

/// The labels of a namespace: those that the configuration gives it, or those that it is assumed to have.
pub(super) fn labels(config: &Config, namespace: &str) -> Labels {
    if let Some(labels) = config.namespaces.get(namespace) {
        return labels.clone();
    }
    let plain = config.external_secrets.iter().filter(|plain| plain.namespace == namespace);
    let stores = plain.flat_map(|ExternalSecret { spec, .. }| references::stores(config, spec));
    stores.fold(Labels::new(), |labels, store| admitted(store, namespace, &labels).unwrap_or(labels))
}

/// `labels` and as many more as a store wants to admit the namespace; none if no labels will do.
fn admitted(store: &ClusterSecretStore, namespace: &str, labels: &Labels) -> Option<Labels> {
    let selectors = store.conditions.iter().filter_map(|condition| condition.namespace_selector.as_ref());
    let ways = selectors
        .flat_map(|selector| opt_ins(&NamespaceSelection { selectors: vec![selector.clone()], names: Vec::new() }))
        .map(|way| labels.iter().map(|(key, value)| (key.clone(), value.clone())).chain(way.labels).collect());
    let mut ways = std::iter::once(labels.clone()).chain(ways);
    ways.find(|labels| store.admits(&effective_labels(namespace, labels)))
}

/// The stores that a distribution reads through, as they serve it: for a plain ExternalSecret with the ServiceAccount that they take in
/// its namespace, and without conditions that admit that.
pub(super) fn stores(config: &Config, declared: &DeclaredDistribution<'_>) -> Vec<ClusterSecretStore> {
    let stores = references::stores(config, declared.spec).into_iter().cloned();
    let Some(namespace) = declared.namespace else { return stores.collect() };
    let labels = effective_labels(namespace, &labels(config, namespace));
    let serving = stores.map(|store| {
        let mut store = store.serving(namespace);
        if store.admits(&labels) {
            store.conditions.clear();
        }
        store
    });
    serving.collect()
}
