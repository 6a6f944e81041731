//! p04: label, name and expression selectors each pick exactly the namespaces that Kubernetes semantics say.
//!
//! Most cases put a generated ClusterExternalSecret of our own before a population of namespaces that is a full
//! truth table of two labels; the others put such a table before a distribution of the configuration. Lanes have
//! populations of their own: ESO's updates of one namespace for several ClusterExternalSecrets conflict, and a
//! conflict costs it a second.

use std::sync::Arc;

use credence_core::id::{CaseId, PropertyId};
use credence_model::model::{Distribution, Model, expected_in};
use credence_model::selector::{
    LabelSelector, NamespaceSelection, Operator, Requirement as LabelRequirement, effective_labels,
};
use credence_report::claim::Claim;
use credence_report::report::PropertyMeta;
use credence_report::verdict::{Outcome, Verdict};
use credence_watch::observer::View;
use credence_watch::wait::{self, Progress};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;
use tokio::time::Instant;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::generate::{Pick, any_labels, opt_in_labels, pick};
use crate::observation::{self, Observation};
use crate::p02_provisioning::{World, provision};
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::testbed::TestBed;

mod subject;

use subject::{KEYS, SCOPE_LABEL, SubjectError, VALUES, truth_table};

pub(crate) use subject::{Population, Populations};

pub(crate) struct SelectorPatterns;

#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    /// A generated selection before a population of ours.
    Generated {
        /// Selectors; the first is written to the deprecated field if `deprecated` says so.
        selectors: Vec<LabelSelector>,
        /// Members of the population that are also named.
        names: Vec<Pick>,
        /// True if the first selector goes to the deprecated `namespaceSelector`.
        deprecated: bool,
    },
    /// Labelled namespaces before the configuration's own selectors.
    Configured(World),
}

/// Namespaces that the selectors of a case can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A population of ours, to which they are limited.
    Population,
    /// All: cases before the rest of the cluster run alone, so there are few of them.
    WholeCluster,
    /// Those that a case labels for the configuration's own selectors.
    Configured,
}

impl Reach {
    /// One case in a hundred sees the whole cluster, one in eight is before the configuration's own selectors.
    fn of(slot: u32) -> Self {
        match slot {
            slot if slot % 100 == 50 => Self::WholeCluster,
            slot if slot % 8 == 4 => Self::Configured,
            _ => Self::Population,
        }
    }
}

const CLAIMS: [Claim; 2] = [
    Claim::new(2, 2, "selections of the configuration pick exactly the namespaces that their labels mean"),
    Claim::new(
        2,
        4,
        "generated selections by labels, names and expressions, each alone and together, pick from a full truth \
         table exactly what Kubernetes would",
    ),
];

impl Property for SelectorPatterns {
    type Shared = Reach;
    type Case = Pattern;
    type Fixture = Populations;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(4),
        title: "selector patterns",
        claim: "label, name and expression selectors each pick exactly the namespaces Kubernetes semantics say",
        claims: &CLAIMS,
    };
    const LANES: usize = subject::POPULATIONS;
    // A selection without limits reaches into the namespaces of all other cases, and sees those that come and go.
    const SHARES: Shares = Shares {
        cluster: ClusterUse::OwnExceptIn(|slot| matches!(Reach::of(slot), Reach::WholeCluster)),
        sources: SourceUse::Exist,
        policies: PolicyUse::Passed,
    };

    fn namespaces(&self, _model: &Model) -> u32 {
        // A case is before the configuration, with four namespaces and the control, or before a population.
        product(Self::LANES, u32::try_from(truth_table().len()).unwrap_or(u32::MAX).max(5))
    }

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Reach>> {
        opt_in_labels(model).map(|_| Just(Reach::of(slot)).boxed())
    }

    fn case(&self, model: &Model, reach: &Reach) -> BoxedStrategy<Pattern> {
        let control = opt_in_labels(model).filter(|_| *reach == Reach::Configured);
        if let Some(control) = control {
            return (vec(any_labels(model), 2..=4), control)
                .prop_map(|(others, control)| Pattern::Configured(World { others, foreign: None, control }))
                .boxed();
        }
        let reach = *reach;
        (vec(selector(), 0..=3), vec(pick(), 0..=2), any::<bool>())
            .prop_map(|(selectors, names, deprecated)| Pattern::Generated { selectors, names, deprecated })
            .prop_filter("picks at least one namespace", move |pattern| !pattern.picks_none(reach))
            .boxed()
    }

    fn judges(&self, _model: &Model, distribution: &Distribution) -> Judges {
        Judges::by_labels(distribution)
    }

    fn is_telling(&self, model: &Model, reach: &Reach, case: &Pattern) -> bool {
        match case {
            Pattern::Generated { .. } => !case.picks_none(*reach),
            Pattern::Configured(World { control, .. }) => !expected_in(model, "twin", control).is_empty(),
        }
    }

    async fn run(
        &self,
        env: &Arc<TestBed>,
        populations: &Populations,
        reach: &Reach,
        cases: &[(CaseId, Pattern)],
    ) -> Vec<Observation> {
        let mut observations = Vec::with_capacity(cases.len());
        for (id, pattern) in cases {
            let observation = match pattern {
                Pattern::Generated { .. } => {
                    generated(env, populations, *id, *reach, pattern).await.unwrap_or_else(Observation::from)
                }
                Pattern::Configured(world) => provision(env, *id, world).await.unwrap_or_else(Observation::from),
            };
            observations.push(observation);
        }
        observations
    }
}

impl Pattern {
    /// The selection before a population, limited to it unless it sees the whole cluster. A pattern of the
    /// configuration has none.
    fn selection(&self, reach: Reach, population: &Population) -> NamespaceSelection {
        let Self::Generated { selectors, names, .. } = self else { return NamespaceSelection::default() };
        let members: Vec<&String> = population.members.keys().collect();
        let guard = (reach == Reach::Population).then_some(&population.id);
        NamespaceSelection {
            selectors: selectors.iter().map(|selector| limited(selector, guard)).collect(),
            names: names.iter().map(|pick| (*pick.of(&members)).clone()).collect(),
        }
    }

    fn picks_none(&self, reach: Reach) -> bool {
        let population = Population::example();
        let selection = self.selection(reach, &population);
        !population.members.iter().any(|(name, labels)| selection.matches(&effective_labels(name, labels)))
    }
}

/// A selector with one more requirement: the namespace is of this population.
fn limited(selector: &LabelSelector, population: Option<&String>) -> LabelSelector {
    let Some(id) = population else { return selector.clone() };
    // The guard is a valid key, and the id of a population a valid value.
    selector.clone().and_label(SCOPE_LABEL, id).expect("the guard is a valid label")
}

fn selector() -> BoxedStrategy<LabelSelector> {
    let value = || select(VALUES).prop_map(str::to_owned);
    let values = vec(value(), 1..=2);
    let expression = (select(KEYS), select(&[0, 1, 2, 3][..]), values).prop_map(|(key, operator, values)| {
        let (operator, values) = match operator {
            0 => (Operator::In, values),
            1 => (Operator::NotIn, values),
            2 => (Operator::Exists, Vec::new()),
            _ => (Operator::DoesNotExist, Vec::new()),
        };
        // Keys and values are the constants above, and the values go with the operator.
        LabelRequirement::new(key, operator, values).expect("generated requirements are valid")
    });
    let labels = proptest::collection::btree_map(select(KEYS).prop_map(str::to_owned), value(), 0..=1);
    (labels, vec(expression, 0..=2))
        .prop_map(|(labels, expressions)| LabelSelector::new(labels, expressions).expect("generated labels are valid"))
        .boxed()
}

async fn generated(
    env: &Arc<TestBed>,
    populations: &Populations,
    id: CaseId,
    reach: Reach,
    pattern: &Pattern,
) -> Result<Observation, SubjectError> {
    let taken = populations.take().await;
    let population = &taken.population;
    let client = env.client_for(id);
    let selection = pattern.selection(reach, population);
    let deprecated = matches!(pattern, Pattern::Generated { deprecated: true, .. });
    let name = format!("credence-{}-{}", id.property, id.index);
    let mut observation = Observation::of(Outcome::Held);
    let applied = Instant::now();
    subject::create(env, &client, &name, &selection, deprecated).await?;
    // As many as there are may be selected by a case before the whole cluster, and every population is small.
    let bound = match reach {
        Reach::WholeCluster => env.provisioning_bound_of(env.observer.look(|view| view.namespaces().count())),
        Reach::Population | Reach::Configured => env.provisioning_bound(),
    };
    observation.bound = Some(bound);
    let reached = wait::until(&env.observer, "exactly the selected namespaces hold a copy", bound, |view| {
        match differences(view, &selection, &name) {
            Some(difference) => Progress::NotYet(difference),
            None => Progress::Done(()),
        }
    });
    observation.outcome = match reached.await {
        Err(error) => observation::failed(&error),
        Ok(()) => {
            observation.latencies.push(applied.elapsed());
            let held = wait::hold(&env.observer, "exactly the selected namespaces", env.hold(), |view| {
                differences(view, &selection, &name).map_or(Ok(()), |difference| Err(difference.into()))
            });
            held.await.map_or_else(|error| observation::failed(&error), |()| Outcome::Held)
        }
    };
    if Verdict::from(&observation.outcome) != Verdict::Unknown {
        observation.count("select namespaces");
    }
    subject::delete(&client, &name).await?;
    subject::until_gone(env, &name, bound).await;
    Ok(observation)
}

/// Differences of the namespaces that hold the copy `name` from those that Kubernetes semantics select.
fn differences(view: &View<'_>, selection: &NamespaceSelection, name: &str) -> Option<String> {
    view.namespaces().filter(|(_, seen)| !seen.deleting).find_map(|(namespace, seen)| {
        let selected = selection.matches(&effective_labels(namespace, &seen.labels));
        let holds = view.secret(namespace, name).is_some();
        match (selected, holds) {
            (true, false) => Some(format!("{namespace} with {:?} is selected and has no copy", seen.labels)),
            (false, true) => Some(format!("{namespace} with {:?} is not selected and has a copy", seen.labels)),
            _ if !selected && view.external_secrets(namespace).contains(name) => {
                Some(format!("{namespace} with {:?} is not selected and has an ExternalSecret", seen.labels))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use credence_core::labels::Labels;

    use super::*;

    #[test]
    fn the_population_is_a_full_truth_table_of_the_labels_that_selectors_look_at() {
        let rows: BTreeSet<Labels> = truth_table().into_iter().collect();
        assert_eq!(rows.len(), (VALUES.len() + 1).pow(KEYS.len() as u32));
    }
}
