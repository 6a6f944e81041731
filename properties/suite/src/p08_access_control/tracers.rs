//! Values of sources that cannot occur by chance, so that a search for them proves what it finds.

use std::collections::BTreeSet;

use credence_core::credential::Credential;
use credence_core::labels::Labels;
use credence_core::leak_scan::Leak;
use credence_model::config::SourceRef;
use credence_model::model::{ExpectedKeys, Model, expected_in};
use credence_model::values::Values;
use kube::Client;

use crate::testbed::TestBed;
use crate::testbed::sources::{SharedLease, SourceError};

/// Waits until nobody rotates a source, and gives every source values that can be searched for, once for all cases:
/// what other properties write can be short, or equal in two places.
pub(super) async fn share(env: &TestBed, client: &Client, manager: &str) -> Result<SharedLease, SourceError> {
    loop {
        let lease = env.sources.share(&env.sources.names().collect()).await?;
        let names: Vec<SourceRef> = env.sources.names().cloned().collect();
        let unfit: Vec<&SourceRef> = names.iter().filter(|name| !lease.values(name).is_some_and(are_tracers)).collect();
        if unfit.is_empty() {
            return Ok(lease);
        }
        drop(lease);
        for name in unfit {
            let Some(mut lease) = env.sources.rotate(name).await else { continue };
            // Another case may have been faster.
            if !are_tracers(lease.values()) {
                let keys = env.model.sources.get(name).into_iter().flat_map(|source| source.keys.iter().cloned());
                let values: Values = keys.map(|key| (key, Credential::random())).collect();
                lease.write(client, manager, &values).await?;
            }
        }
    }
}

/// True if all values are as [`Credential::random`] makes them.
fn are_tracers(values: &Values) -> bool {
    let is_tracer = |value: &Credential| value.expose().len() == 32 && value.expose().iter().all(u8::is_ascii_hexdigit);
    values.values().all(is_tracer)
}

/// The name of the tenant's own value among those that are looked for; it must be found.
pub(super) const OWN_VALUE: &str = "its own";

/// The first value that is not the tenant's own.
pub(super) fn foreign<'a>(found: &BTreeSet<Leak<'a>>) -> Option<Leak<'a>> {
    found.iter().find(|leak| leak.label != OWN_VALUE).copied()
}

/// A value of a source, by the source and the key.
pub(super) type SourceKey = (SourceRef, String);

/// The values that a namespace with these labels is given.
pub(super) fn entitled(model: &Model, namespace: &str, labels: &Labels) -> BTreeSet<SourceKey> {
    let mut entitled = BTreeSet::new();
    for distribution in expected_in(model, namespace, labels).into_values() {
        for field in &distribution.fields {
            match &field.property {
                Some(key) => drop(entitled.insert((field.source.clone(), key.clone()))),
                None => entitled.extend(all_of(model, &field.source)),
            }
        }
        // Where only the controller knows what is read, it can be all that the stores can.
        if matches!(distribution.keys, ExpectedKeys::Unknown { .. }) {
            let stores = distribution.stores.iter().filter_map(|store| store.kubernetes.as_ref());
            for namespace in stores.map(|store| &store.remote_namespace) {
                let sources = model.sources.keys().filter(|source| source.namespace == *namespace);
                entitled.extend(sources.flat_map(|source| all_of(model, source)));
            }
            let stood_in: BTreeSet<&str> =
                distribution.stores.iter().filter_map(|store| Some(store.stand_in.as_ref()?.store.as_str())).collect();
            let of_these = |source: &&SourceRef| source.at.as_ref().is_some_and(|at| stood_in.contains(&*at.store));
            let sources = model.sources.keys().filter(of_these);
            entitled.extend(sources.flat_map(|source| all_of(model, source)));
        }
    }
    entitled
}

/// Values that copies in a namespace with these labels read singly, without what is among `own`: the store, the source
/// and the key.
pub(super) fn granted_beyond(
    model: &Model,
    (namespace, labels): (&str, &Labels),
    own: &BTreeSet<SourceKey>,
) -> BTreeSet<(String, SourceRef, String)> {
    let authorised = expected_in(model, namespace, labels);
    let fields = authorised.into_values().flat_map(|distribution| &distribution.fields);
    let fields = fields.filter_map(|field| Some((field.store.clone(), field.source.clone(), field.property.clone()?)));
    fields.filter(|(_, source, key)| !own.contains(&(source.clone(), key.clone()))).collect()
}

fn all_of<'a>(model: &'a Model, source: &'a SourceRef) -> impl Iterator<Item = SourceKey> + 'a {
    let keys = model.sources.get(source).into_iter().flat_map(|about| &about.keys);
    keys.map(|key| (source.clone(), key.clone()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use credence_model::config::Config;

    use super::*;

    const CONFIGURATION: &str = "
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: s}
spec:
  provider: {kubernetes: {remoteNamespace: central, auth: {serviceAccount: {name: s, namespace: central}}}}
  conditions: [{namespaceSelector: {matchLabels: {one: 'true'}}}, {namespaces: [never]}]
---
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: one}
spec:
  namespaceSelectors: [{matchLabels: {one: 'true'}}]
  externalSecretSpec:
    secretStoreRef: {kind: ClusterSecretStore, name: s}
    data: [{secretKey: a, remoteRef: {key: source, property: a}}]
---
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: two}
spec:
  namespaceSelectors: [{matchLabels: {two: 'true'}}]
  externalSecretSpec:
    secretStoreRef: {kind: ClusterSecretStore, name: s}
    data: [{secretKey: b, remoteRef: {key: source, property: b}}]
";

    #[test]
    fn a_namespace_is_entitled_to_what_it_asks_for_and_its_stores_admit() {
        let manifests = parse_documents(Path::new("a.yaml"), CONFIGURATION).unwrap();
        let model = Model::derive(&Config::from_manifests(manifests).unwrap());
        let of = |key: &str| entitled(&model, "n", &Labels::from([(key.to_owned(), "true".to_owned())]));
        let source = SourceRef::secret("central", "source");
        assert_eq!(of("one"), [(source, "a".to_owned())].into());
        assert_eq!(of("two"), BTreeSet::new());
        assert_eq!(of("three"), BTreeSet::new());
    }

    #[test]
    fn only_values_that_cannot_occur_by_chance_are_tracers() {
        let values = |value: Credential| Values::from([("a".to_owned(), value)]);
        assert!(are_tracers(&values(Credential::random())));
        assert!(!are_tracers(&values(Credential::new("0".repeat(31)))));
        assert!(!are_tracers(&values(Credential::new("{{ .token }}"))));
    }
}
