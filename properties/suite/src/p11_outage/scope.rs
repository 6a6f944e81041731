//! Sources that fail together.

use std::collections::BTreeSet;

use credence_model::config::SourceRef;
use credence_model::model::{Model, Target};
use credence_model::values::World;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use crate::generate;

/// Sources that are read through the same stores or by the same targets, so that what happens to one of them can be
/// felt by the copies of another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The sources.
    pub(super) sources: BTreeSet<SourceRef>,
    /// The stores that they are read through, by name.
    pub(super) stores: BTreeSet<String>,
    /// The targets that read them, by name.
    pub(super) targets: BTreeSet<String>,
}

impl Scope {
    /// The scopes of a configuration, in the order of their sources, of all targets of which an outage tells something.
    pub(super) fn all(model: &Model) -> Vec<Self> {
        let mut scopes: Vec<Self> = Vec::new();
        for target in model.targets.iter().filter(|target| target.can_be_asked() && untold(model, target).is_none()) {
            let mut scope = Self {
                sources: target.sources().into_iter().cloned().collect(),
                stores: target.stores.iter().map(|store| store.name.clone()).collect(),
                targets: BTreeSet::from([target.name.clone()]),
            };
            let (touching, apart): (Vec<Self>, Vec<Self>) = scopes.into_iter().partition(|other| scope.touches(other));
            touching.into_iter().for_each(|other| scope.absorb(other));
            scopes = apart;
            scopes.push(scope);
        }
        scopes.sort_by(|a, b| a.sources.cmp(&b.sources));
        scopes
    }

    /// All scopes as one.
    pub(super) fn whole(model: &Model) -> Self {
        let mut whole = Self::default();
        Self::all(model).into_iter().for_each(|scope| whole.absorb(scope));
        whole
    }

    fn touches(&self, other: &Self) -> bool {
        !self.sources.is_disjoint(&other.sources) || !self.stores.is_disjoint(&other.stores)
    }

    fn absorb(&mut self, other: Self) {
        self.sources.extend(other.sources);
        self.stores.extend(other.stores);
        self.targets.extend(other.targets);
    }

    /// The targets themselves.
    pub(super) fn targets<'a>(&self, model: &'a Model) -> Vec<&'a Target> {
        model.targets.iter().filter(|target| self.targets.contains(&target.name)).collect()
    }

    /// Values for all of its sources.
    pub(super) fn world(&self, model: &Model) -> BoxedStrategy<World> {
        let mut world = Just(World::new()).boxed();
        for source in &self.sources {
            let keys = model.sources.get(source).map(|source| source.keys.clone()).unwrap_or_default();
            let source = source.clone();
            world = (world, generate::values_of(model, &source, &keys))
                .prop_map(move |(mut world, values)| {
                    world.insert(source.clone(), values);
                    world
                })
                .boxed();
        }
        world
    }
}

/// Why an outage tells nothing of a target: one that never reads its source again has no part in it, and a source without
/// known keys cannot be given values.
pub(super) fn untold(model: &Model, target: &Target) -> Option<&'static str> {
    let known = |source: &&SourceRef| model.sources.get(*source).is_some_and(|source| !source.keys.is_empty());
    let sources = target.sources();
    if sources.is_empty() {
        return Some("it is made of no source");
    }
    let unknown = (!sources.iter().all(known)).then_some("the keys of its source are not known");
    target.never_updates().or(unknown)
}

#[cfg(test)]
mod tests {
    use super::super::tests::reference;
    use super::*;

    #[test]
    fn sources_of_the_reference_configuration_fail_alone() {
        let model = reference();
        let scopes = Scope::all(&model);
        let names: Vec<Vec<&str>> =
            scopes.iter().map(|scope| scope.sources.iter().map(|source| &*source.name).collect()).collect();
        assert_eq!(names, [["github-oauth"], ["github-pat"], ["wildcard-tls"]]);
        assert_eq!(scopes[1].targets.len(), 4);
        assert_eq!(Scope::whole(&model).sources.len(), 3);
    }

    #[test]
    fn a_target_of_which_an_outage_tells_nothing_is_in_no_scope_and_has_its_reason() {
        let mut model = reference();
        let target = &mut model.targets[0];
        target.refresh_interval = std::time::Duration::ZERO;
        let name = target.name.clone();
        assert!(!Scope::whole(&model).targets.contains(&name));
        assert_eq!(untold(&model, &model.targets[0]), Some("refreshInterval is 0"));
        assert!(model.targets[1..].iter().all(|target| untold(&model, target).is_none()));
    }

    #[test]
    fn sources_of_one_store_or_of_one_target_fail_together() {
        let mut model = reference();
        let tls = model.targets.iter().position(|target| target.name == "wildcard-tls").unwrap();
        let oauth = model.targets.iter().position(|target| target.name == "backstage-oauth-credentials").unwrap();
        let store = model.targets[oauth].stores[0].clone();
        model.targets[tls].stores.push(store);
        assert_eq!(Scope::all(&model).len(), 2);
        let field = model.targets[0].fields[0].clone();
        model.targets[tls].fields.push(field);
        assert_eq!(Scope::all(&model).len(), 1);
    }
}
