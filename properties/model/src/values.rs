//! The values of sources.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::credential::Credential;

use crate::config::SourceRef;

/// The values of a source, by key.
pub type Values = BTreeMap<String, Credential>;

/// The values of several sources, by source.
pub type World = BTreeMap<SourceRef, Values>;

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

/// The same of several sources.
pub fn mixed_worlds(one: &World, other: &World) -> Vec<World> {
    let sources: BTreeSet<&SourceRef> = one.keys().chain(other.keys()).collect();
    sources.into_iter().fold(vec![World::new()], |worlds, source| {
        let sets: Vec<&Values> = [one, other].into_iter().filter_map(|world| world.get(source)).collect();
        let all = mixtures(&sets);
        let with = |world: &World, values: &Values| {
            let mut world = world.clone();
            world.insert(source.clone(), values.clone());
            world
        };
        worlds.iter().flat_map(|world| all.iter().map(move |values| with(world, values))).collect()
    })
}
