//! Every store that an ExternalSecret names must be there, and be central.

use super::{Config, ConfigError, ExternalSecretSpec, SourcePosition, StoreRef};

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    for distributed in &config.cluster_external_secrets {
        let spec = &distributed.spec.external_secret_spec;
        require_stores(config, &distributed.place, spec)?;
        require_central_stores(&distributed.place, spec)?;
    }
    for plain in &config.external_secrets {
        require_stores(config, &plain.place, &plain.spec)?;
    }
    Ok(())
}

/// Refuses a spec that names no store or a missing one.
fn require_stores(config: &Config, place: &SourcePosition, spec: &ExternalSecretSpec) -> Result<(), ConfigError> {
    let own_store_is_used = spec.data.iter().any(|entry| entry.source_ref.is_none())
        || spec.data_from.iter().any(|entry| entry.source_ref.is_none());
    if own_store_is_used && spec.secret_store_ref.is_none() {
        return Err(ConfigError::NoStore { place: Box::new(place.clone()) });
    }
    for (field, store) in store_refs(spec) {
        if store.is_central() && !config.stores.contains_key(&store.name) {
            return Err(ConfigError::MissingStore {
                place: Box::new(place.clone()),
                field,
                store: store.name.clone(),
                known: config.stores.keys().cloned().collect(),
            });
        }
    }
    Ok(())
}

/// Refuses a distributed spec whose values come through anything but central stores.
fn require_central_stores(place: &SourcePosition, spec: &ExternalSecretSpec) -> Result<(), ConfigError> {
    for (field, store) in store_refs(spec) {
        if !store.is_central() {
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
