//! Sources that fail together.

use std::collections::BTreeSet;

use credence_model::config::{DeletionPolicy, SourceRef};
use credence_model::model::{Distribution, Model};
use credence_model::values::World;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use crate::generate;
use crate::p07_credential_types::{Issue, Placement, issue_strategy};

/// Sources that are read through the same stores or by the same distributions, so that what happens to one of them can be
/// felt by the copies of another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(super) sources: BTreeSet<SourceRef>,
    /// The stores that they are read through, by name.
    pub(super) stores: BTreeSet<String>,
    /// The distributions that read them, by name.
    pub(super) distributions: BTreeSet<String>,
}

impl Scope {
    /// The scopes of a configuration, of all distributions of which an outage tells something: first those in which copies may go
    /// with their source, which few cases are to meet, then in the order of their sources.
    pub(super) fn all(model: &Model) -> Vec<Self> {
        let mut scopes: Vec<Self> = Vec::new();
        for distribution in model
            .distributions
            .iter()
            .filter(|distribution| distribution.can_be_selected() && untold(model, distribution).is_none())
        {
            let mut scope = Self {
                sources: distribution.sources().into_iter().cloned().collect(),
                stores: distribution.stores.iter().map(|store| store.name.clone()).collect(),
                distributions: BTreeSet::from([distribution.name.clone()]),
            };
            let (touching, apart): (Vec<Self>, Vec<Self>) = scopes.into_iter().partition(|other| scope.touches(other));
            touching.into_iter().for_each(|other| scope.absorb(other));
            scopes = apart;
            scopes.push(scope);
        }
        scopes.sort_by(|a, b| (!a.is_fragile(model), &a.sources).cmp(&(!b.is_fragile(model), &b.sources)));
        scopes
    }

    /// All scopes of the configuration as one.
    pub(super) fn whole(model: &Model) -> Self {
        let mut whole = Self::default();
        Self::all(model).into_iter().for_each(|scope| whole.absorb(scope));
        whole
    }

    /// True if a copy of it may go with its source.
    fn is_fragile(&self, model: &Model) -> bool {
        self.distributions(model).into_iter().any(may_go)
    }

    fn touches(&self, other: &Self) -> bool {
        !self.sources.is_disjoint(&other.sources) || !self.stores.is_disjoint(&other.stores)
    }

    fn absorb(&mut self, other: Self) {
        self.sources.extend(other.sources);
        self.stores.extend(other.stores);
        self.distributions.extend(other.distributions);
    }

    /// The distributions of the model that it names.
    pub(super) fn distributions<'a>(&self, model: &'a Model) -> Vec<&'a Distribution> {
        model.distributions.iter().filter(|distribution| self.distributions.contains(&distribution.name)).collect()
    }

    /// A credential for one of its sources that a server here issues, taken in turn by the number of the slot, and how somebody
    /// logs in with it. It stays good beside its successor.
    pub(super) fn login(&self, model: &Model, slot: u32) -> BoxedStrategy<Option<(Issue, Placement)>> {
        let of = |source: &SourceRef| issue_strategy(model, source, false);
        let mut issues: Vec<BoxedStrategy<Issue>> = self.sources.iter().filter_map(of).collect();
        let turn = usize::try_from(slot).unwrap_or_default();
        let Some(turn) = turn.checked_rem(issues.len()) else { return Just(None).boxed() };
        let issue = issues.swap_remove(turn).prop_map(Issue::with_tokens);
        (issue, Placement::strategy()).prop_map(Some).boxed()
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

/// True for a distribution whose copies the configuration has changed when a source is not found.
pub(super) fn may_go(distribution: &Distribution) -> bool {
    distribution.deletion_policy != DeletionPolicy::Retain
}

/// Why an outage tells nothing of a distribution: one that never reads its source again has no part in it, and a source without
/// known keys cannot be given values.
pub(super) fn untold(model: &Model, distribution: &Distribution) -> Option<&'static str> {
    let known = |source: &&SourceRef| model.sources.get(*source).is_some_and(|source| !source.keys.is_empty());
    let sources = distribution.sources();
    if sources.is_empty() {
        return Some("it is made of no source");
    }
    let unknown = (!sources.iter().all(known)).then_some("the keys of its source are not known");
    distribution.never_updates().or(unknown).or(distribution.tells_values().err())
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
        assert_eq!(scopes[1].distributions.len(), 4);
        assert_eq!(Scope::whole(&model).sources.len(), 3);
    }

    #[test]
    fn what_may_go_with_its_source_fails_first() {
        let mut model = reference();
        let tls = model.distributions.iter_mut().find(|distribution| distribution.name == "wildcard-tls").unwrap();
        tls.deletion_policy = DeletionPolicy::Delete;
        let scopes = Scope::all(&model);
        let first: Vec<&str> = scopes[0].sources.iter().map(|source| &*source.name).collect();
        assert_eq!((first, scopes.len()), (vec!["wildcard-tls"], 3));
    }

    #[test]
    fn a_target_of_which_an_outage_tells_nothing_is_in_no_scope_and_has_its_reason() {
        let mut model = reference();
        let distribution = &mut model.distributions[0];
        distribution.refresh_interval = std::time::Duration::ZERO;
        let name = distribution.name.clone();
        assert!(!Scope::whole(&model).distributions.contains(&name));
        assert_eq!(untold(&model, &model.distributions[0]), Some("refreshInterval is 0"));
        assert!(model.distributions[1..].iter().all(|distribution| untold(&model, distribution).is_none()));
    }

    #[test]
    fn sources_of_one_store_or_of_one_target_fail_together() {
        let mut model = reference();
        let tls = model.distributions.iter().position(|distribution| distribution.name == "wildcard-tls").unwrap();
        let oauth = model
            .distributions
            .iter()
            .position(|distribution| distribution.name == "backstage-oauth-credentials")
            .unwrap();
        let store = model.distributions[oauth].stores[0].clone();
        model.distributions[tls].stores.push(store);
        assert_eq!(Scope::all(&model).len(), 2);
        let field = model.distributions[0].fields[0].clone();
        model.distributions[tls].fields.push(field);
        assert_eq!(Scope::all(&model).len(), 1);
    }
}
