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

#[cfg(test)]
mod tests {
    use super::*;

    fn values(written: &str) -> Values {
        let pairs = written.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), Credential::new(value))).collect()
    }

    #[test]
    fn a_mixture_takes_each_key_from_any_of_the_sets_that_have_it() {
        let (one, other) = (values("a=1 b=1"), values("a=2 b=1 c=2"));
        assert_eq!(mixtures(&[&one, &other]), [values("a=1 b=1 c=2"), values("a=2 b=1 c=2")]);
        assert_eq!(mixtures(&[&one]), std::slice::from_ref(&one));
        assert_eq!(mixtures(&[]), [Values::new()]);
    }

    #[test]
    fn a_mixed_world_takes_each_source_from_either_or_mixes_it() {
        let source = |name| SourceRef::secret("central", name);
        let one = World::from([(source("s"), values("a=1 b=1")), (source("t"), values("c=1"))]);
        let other = World::from([(source("s"), values("a=2 b=2")), (source("u"), values("d=2"))]);
        let of =
            |s| World::from([(source("s"), values(s)), (source("t"), values("c=1")), (source("u"), values("d=2"))]);
        let expected = ["a=1 b=1", "a=1 b=2", "a=2 b=1", "a=2 b=2"].map(of);
        let mixed = mixed_worlds(&one, &other);
        assert_eq!(mixed.len(), expected.len());
        assert!(expected.iter().all(|world| mixed.contains(world)));
    }
}
