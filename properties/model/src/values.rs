//! The values of a source.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::credential::Credential;

/// The values of a source, by key.
pub type Values = BTreeMap<String, Credential>;

/// Every way to take each key's value from one of the `sets`. ESO reads the keys of a source one by one, so a copy that is
/// refreshed meanwhile can be any of them. A source has a few keys, so these are few.
pub fn mixtures(sets: &[&Values]) -> Vec<Values> {
    let keys: BTreeSet<&String> = sets.iter().flat_map(|set| set.keys()).collect();
    keys.into_iter().fold(vec![Values::new()], |mixtures, key| {
        let mut all: Vec<&Credential> = sets.iter().filter_map(|set| set.get(key)).collect();
        all.dedup();
        let with = |mixture: &Values, value: &Credential| {
            let mut mixture = mixture.clone();
            mixture.insert(key.clone(), value.clone());
            mixture
        };
        mixtures.iter().flat_map(|mixture| all.iter().map(move |value| with(mixture, value))).collect()
    })
}
