//! Every ExternalSecret must name a store, and not one whose name is a mistake.
//!
//! A store that the configuration does not have may be made elsewhere, such as by the platform's own configuration. So a name is only
//! refused where the configuration has a store that was meant: one with a name that is like it, one that nothing names, or one of that
//! name and another kind.

use std::collections::BTreeSet;

use credence_core::text::nearest;

use super::{Config, ConfigError, ExternalSecretSpec, SourcePosition, StoreRef};

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let central = central_stores(config);
    for distributed in &config.cluster_external_secrets {
        let spec = &distributed.spec.external_secret_spec;
        require_stores(&central, &distributed.place, spec)?;
        require_central_stores(config, &distributed.place, spec)?;
    }
    for plain in &config.external_secrets {
        require_stores(&central, &plain.place, &plain.spec)?;
    }
    Ok(())
}

/// The names of the ClusterSecretStores, each with whether anything names it.
fn central_stores(config: &Config) -> Vec<(&str, bool)> {
    let specs = config.declared_distributions().map(|declared| declared.spec);
    let named: BTreeSet<&str> = specs.flat_map(store_refs).map(|(_, store)| store.name.as_str()).collect();
    let central = config.stores.values().filter(|store| store.namespace().is_none());
    central.map(|store| (store.name.as_str(), named.contains(store.name.as_str()))).collect()
}

/// Refuses a spec that names no store, or one that is missing where another was meant.
fn require_stores(
    central: &[(&str, bool)],
    place: &SourcePosition,
    spec: &ExternalSecretSpec,
) -> Result<(), ConfigError> {
    let own_store_is_used = spec.data.iter().any(|entry| entry.source_ref.is_none())
        || spec.data_from.iter().any(|entry| entry.source_ref.is_none());
    if own_store_is_used && spec.secret_store_ref.is_none() {
        return Err(ConfigError::NoStore { place: Box::new(place.clone()) });
    }
    let known = || central.iter().map(|(name, _)| *name);
    for (field, store) in store_refs(spec) {
        let is_missing = store.is_central() && known().all(|name| name != store.name);
        if is_missing && was_another_meant(central, &store.name) {
            return Err(ConfigError::MissingStore {
                place: Box::new(place.clone()),
                field,
                store: store.name.clone(),
                known: known().collect::<Vec<_>>().join(", "),
            });
        }
    }
    Ok(())
}

/// True if a name that no store has is most likely that of one of these.
fn was_another_meant(central: &[(&str, bool)], name: &str) -> bool {
    let mut known = central.iter().map(|(known, _)| *known);
    nearest(name, known.clone()).is_some()
        || known.any(|known| known.contains(name) || name.contains(known))
        || central.iter().any(|(_, is_named)| !is_named)
}

/// Refuses a distributed spec that names a central store and another kind.
fn require_central_stores(
    config: &Config,
    place: &SourcePosition,
    spec: &ExternalSecretSpec,
) -> Result<(), ConfigError> {
    for (field, store) in store_refs(spec) {
        if !store.is_central() && config.stores.contains_key(&store.name) {
            return Err(ConfigError::NotACentralStore {
                place: Box::new(place.clone()),
                field,
                kind: store.kind.clone(),
                store: store.name.clone(),
            });
        }
    }
    Ok(())
}

/// Every store that a spec names, with the field that names it.
fn store_refs(spec: &ExternalSecretSpec) -> Vec<(String, &StoreRef)> {
    let own = spec.secret_store_ref.iter().map(|store| ("secretStoreRef".to_owned(), store));
    let data = spec.data.iter().enumerate().filter_map(|(index, entry)| {
        let store = entry.source_ref.as_ref()?.store_ref.as_ref()?;
        Some((format!("data[{index}].sourceRef.storeRef"), store))
    });
    let data_from = spec.data_from.iter().enumerate().filter_map(|(index, entry)| {
        let store = entry.source_ref.as_ref()?.store_ref.as_ref()?;
        Some((format!("dataFrom[{index}].sourceRef.storeRef"), store))
    });
    own.chain(data).chain(data_from).collect()
}
