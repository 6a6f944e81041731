//! p02: a labelled namespace gets exactly its secrets, an unlabelled one none.
//!
//! A case labels namespaces in every way that must ask and must not ask, protected namespaces too. Those that must
//! stay empty are labelled first; the positive control is labelled last and asks for everything that the others have a
//! label of, so that its copies prove that ESO was at work on each after the others had their labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use credence_cluster::apply::RUN_LABEL;
use credence_core::id::{CaseId, PropertyId, agent};
use credence_model::model::{Conflict, Distribution, Model, expected_in};
use credence_report::claim::Claim;
use credence_report::report::PropertyMeta;
use credence_report::verdict::Outcome;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::generate::{Pick, any_labels, opt_in_labels, pick};
use crate::observation::Observation;
use crate::oracle::Expected;
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, Lease, NamespaceError};
use crate::testbed::settle::{Past, control_labels, settle};

pub(crate) struct Provisioning;

/// Labels of one namespace; a key that is absent here is absent there.
type Labels = BTreeMap<String, String>;

/// The namespaces of one case.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) others: Vec<Labels>,
    /// A namespace that is not ours, such as kube-system or that of the sources, labelled like the control: by its place
    /// in the list of them.
    pub(crate) foreign: Option<Pick>,
    /// Labels that ask for one distribution at least.
    pub(crate) control: Labels,
}

const CLAIMS: [Claim; 2] = [
    Claim::new(2, 1, "a namespace that is labelled holds its copies within the bound, whatever its name"),
    Claim::new(
        2,
        2,
        "namespaces with other labels, labelled at the same time, hold exactly what these ask for, and none where \
         they ask for nothing",
    ),
];

impl Property for Provisioning {
    type Shared = ();
    type Case = World;
    type Fixture = ();

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(2),
        title: "provisioning",
        claim: "a labelled namespace gets exactly its secrets, an unlabelled one none",
        claims: &CLAIMS,
    };
    const LANES: usize = 10;
    // Names and types of copies stay the same under any values.
    const SHARES: Shares = Shares { cluster: ClusterUse::Own, sources: SourceUse::Exist, policies: PolicyUse::Passed };

    fn namespaces(&self, _model: &Model) -> u32 {
        // Two with any labels, a foreign one, and the control.
        product(Self::LANES, 4)
    }

    fn shared(&self, model: &Model, _slot: u32) -> Option<BoxedStrategy<()>> {
        opt_in_labels(model).map(|_| Just(()).boxed())
    }

    fn case(&self, model: &Model, (): &()) -> BoxedStrategy<World> {
        let Some(control) = opt_in_labels(model) else { return Just(World::default()).boxed() };
        let foreign = prop_oneof![7 => Just(None), 1 => pick().prop_map(Some)];
        (vec(any_labels(model), 0..=2), foreign, control)
            .prop_map(|(others, foreign, control)| World { others, foreign, control })
            .boxed()
    }

    fn judges(&self, _model: &Model, distribution: &Distribution) -> Judges {
        Judges::by_labels(distribution)
    }

    fn is_telling(&self, model: &Model, (): &(), case: &World) -> bool {
        !expected_in(model, "twin", &case.control).is_empty()
    }

    async fn run(&self, env: &Arc<TestBed>, (): &(), (): &(), cases: &[(CaseId, World)]) -> Vec<Observation> {
        let mut observations = Vec::with_capacity(cases.len());
        for (id, world) in cases {
            observations.push(provision(env, *id, world).await.unwrap_or_else(Observation::from));
        }
        observations
    }
}

/// Labels the namespaces of a case and judges what they then hold.
pub(crate) async fn provision(env: &Arc<TestBed>, id: CaseId, world: &World) -> Result<Observation, NamespaceError> {
    let client = env.client_for(id);
    let mut observation = Observation::of(Outcome::Held);
    let mut leases: Vec<(Lease, Labels)> = Vec::new();
    if let Some(pick) = world.foreign {
        let foreign = env.observer.look(|view| {
            let foreign = view.namespaces().filter(|(_, seen)| !seen.labels.contains_key(RUN_LABEL));
            foreign
                .filter(|(name, seen)| is_decided(&env.model, name, &seen.labels, &world.control))
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        });
        if !foreign.is_empty() {
            let lease = env.namespaces.lease_named(pick.of::<String>(&foreign), &env.observer).await;
            leases.push((lease, world.control.clone()));
        }
    }
    let touched: BTreeSet<&str> = world.others.iter().flat_map(|labels| labels.keys().map(String::as_str)).collect();
    let control_labels = control_labels(&env.model, &touched, &world.control);
    for labels in world.others.iter().chain([&control_labels]) {
        leases.push((env.namespaces.lease(&client).await?, labels.clone()));
    }
    for (lease, labels) in &leases {
        namespaces::set_labels(&client, &agent(id), &lease.name, labels).await?;
        observation.add_context("label namespace", 1);
    }
    let bound = env.provisioning_bound();
    observation.bound = Some(bound);
    let worlds: Vec<(&str, Expected<'_>)> = leases
        .iter()
        .map(|(lease, labels)| {
            // A namespace of somebody else keeps the labels that it has.
            let all = lease.labels().clone().into_iter().chain(labels.clone()).collect();
            (lease.name.as_str(), expected_in(&env.model, &lease.name, &all))
        })
        .collect();
    observation.outcome = settle(env, &worlds, bound, Past::Fresh, &mut observation.latencies).await;
    for (_, expected) in &worlds {
        observation.settled(expected);
    }
    for (lease, labels) in leases {
        env.namespaces.give_back(env, lease, labels.into_keys().collect::<BTreeSet<_>>());
    }
    Ok(observation)
}

/// True if the configuration says what a namespace gets with the labels of `control` beside its own: one that never asks, such as
/// those of Kubernetes, and that no selector keeps out, is for the platform to leave alone and tells nothing.
fn is_decided(model: &Model, namespace: &str, own: &Labels, control: &Labels) -> bool {
    let labels: Labels = own.clone().into_iter().chain(control.clone()).collect();
    let one = BTreeMap::from([(namespace.to_owned(), labels)]);
    !model.expectation(&one).conflicts.iter().any(|conflict| matches!(conflict, Conflict::Protected { .. }))
}
