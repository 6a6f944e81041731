//! p02: a labelled namespace gets exactly its secrets, an unlabelled one none.
//!
//! A case labels namespaces in every way that must ask and must not ask, protected namespaces too. Those that must
//! stay empty are labelled first; the positive twin is labelled last and asks for everything that the others have a
//! label of, so that its copies prove that ESO was at work on each after the others had their labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use credence_harness::observe::View;
use credence_harness::wait::{self, Progress, WaitError};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use tokio::time::Instant;

use crate::copies::{self, Expected, Names};
use crate::driver::{Observation, Property};
use crate::environment::{self, Environment, HOLD, agent, expected_in};
use crate::generate::{Pick, label_value, pick};
use crate::known::{self, EXTERNAL_SECRET_STAYS};
use crate::model::Model;
use crate::namespaces::{self, Lease, NamespaceError, RUN_LABEL};
use crate::report::PropertyMeta;
use crate::verdict::{CaseId, Outcome, PropertyId, Requirement, Violation};

/// The property.
pub struct Provisioning;

/// Labels of one namespace; a key that is absent here is absent there.
type Labels = BTreeMap<String, String>;

/// The namespaces of one case.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Namespaces with any labels.
    pub(crate) others: Vec<Labels>,
    /// A namespace that is not ours, such as kube-system or that of the sources, labelled like the twin: by its place
    /// in the list of them.
    pub(crate) foreign: Option<Pick>,
    /// Labels that ask for one target at least.
    pub(crate) twin: Labels,
}

impl Property for Provisioning {
    type Shared = ();
    type Case = World;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(2),
        title: "provisioning",
        claim: "a labelled namespace gets exactly its secrets, an unlabelled one none",
        requirements: &[Requirement::new(2, 1), Requirement::new(2, 2)],
    };
    const LANES: usize = 10;

    fn shared(&self, model: &Model, _slot: u32) -> Option<BoxedStrategy<()>> {
        asking_labels(model).map(|_| Just(()).boxed())
    }

    fn case(&self, model: &Model) -> BoxedStrategy<World> {
        let Some(twin) = asking_labels(model) else { return Just(World::default()).boxed() };
        let keys: Vec<String> = model.label_vocabulary().into_iter().map(str::to_owned).collect();
        let foreign = prop_oneof![7 => Just(None), 1 => pick().prop_map(Some)];
        (vec(any_labels(&keys), 0..=2), foreign, twin)
            .prop_map(|(others, foreign, twin)| World { others, foreign, twin })
            .boxed()
    }

    fn is_telling(&self, model: &Model, (): &(), case: &World) -> bool {
        !expected_in(model, "twin", &case.twin).is_empty()
    }

    async fn run(&self, env: &Arc<Environment>, (): &(), cases: &[(CaseId, World)]) -> Vec<Observation> {
        let mut observations = Vec::with_capacity(cases.len());
        for (id, world) in cases {
            observations.push(provision(env, *id, world).await.unwrap_or_else(Observation::from));
        }
        observations
    }
}

/// Label maps that ask for at least one target, one alternative for each way of asking.
pub(crate) fn asking_labels(model: &Model) -> Option<BoxedStrategy<Labels>> {
    let ways: Vec<Labels> = model.targets.iter().flat_map(environment::asking_labels).collect();
    (!ways.is_empty()).then(|| prop::sample::select(ways).boxed())
}

/// Each key absent, asking, or with a value that must not ask.
pub(crate) fn any_labels(keys: &[String]) -> BoxedStrategy<Labels> {
    let values = vec(label_value(), keys.len());
    let keys = keys.to_vec();
    values
        .prop_map(move |values| {
            let pairs = keys.iter().cloned().zip(values);
            pairs.filter_map(|(key, value)| value.map(|value| (key, value.to_owned()))).collect()
        })
        .boxed()
}

/// Labels the namespaces of a case and judges what they then hold.
pub(crate) async fn provision(
    env: &Arc<Environment>,
    id: CaseId,
    world: &World,
) -> Result<Observation, NamespaceError> {
    let client = env.client_for(id);
    let _sources = env.sources.share().await;
    let mut observation = Observation::from(Outcome::Held);
    let mut leases: Vec<(Lease, Labels)> = Vec::new();
    if let Some(pick) = world.foreign {
        let foreign = env.observer.look(|view| {
            let foreign = view.namespaces().filter(|(_, seen)| !seen.labels.contains_key(RUN_LABEL));
            foreign.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        });
        let lease = env.namespaces.lease_named(pick.of::<String>(&foreign)).await;
        leases.push((lease, world.twin.clone()));
    }
    let canary = canary(&env.model, world);
    for labels in world.others.iter().chain([&canary]) {
        leases.push((env.namespaces.lease(&client).await?, labels.clone()));
    }
    for (lease, labels) in &leases {
        namespaces::set_labels(&client, &agent(id), &lease.name, labels).await?;
        observation.count("label namespace");
    }
    let bound = env.provisioning_bound();
    observation.bound = Some(bound);
    let worlds: Vec<(&str, Expected<'_>)> = leases
        .iter()
        .map(|(lease, labels)| (lease.name.as_str(), expected_in(&env.model, &lease.name, labels)))
        .collect();
    observation.outcome = settle(env, &worlds, bound, Past::Fresh, &mut observation.latencies).await;
    for (lease, labels) in leases {
        env.namespaces.give_back(env, lease, labels.into_keys().collect::<BTreeSet<_>>());
    }
    Ok(observation)
}

/// The twin's labels, and those that ask for each target that the other namespaces have a label of: every
/// ClusterExternalSecret works by itself, so each that must not serve them has to be seen at work after they had
/// their labels.
fn canary(model: &Model, world: &World) -> Labels {
    let mut canary = world.twin.clone();
    for ways in model.targets.iter().map(environment::asking_labels) {
        let looked_at =
            |way: &&Labels| way.keys().any(|key| world.others.iter().any(|labels| labels.contains_key(key)));
        for (key, value) in ways.iter().find(looked_at).into_iter().flatten() {
            canary.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    canary
}

/// What the namespaces of a case have been through before their last labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// Nothing: what appears, even for a moment, is due to their labels.
    Fresh,
    /// Other labels: ESO may still be at work on those, and pass through states of before.
    Relabelled,
}

/// Waits until each namespace holds exactly what is expected, and then for as long as an absence needs. Adds to the
/// latencies how long the first took.
pub(crate) async fn settle(
    env: &Environment,
    worlds: &[(&str, Expected<'_>)],
    bound: Duration,
    past: Past,
    latencies: &mut Vec<Duration>,
) -> Outcome {
    let first = match try_settle(env, worlds, bound, past).await {
        Ok(took) => {
            latencies.push(took);
            return Outcome::Held;
        }
        Err(error) => copies::failed(&error),
    };
    let Outcome::Violated(violation) = first else { return first };
    let asked = worlds.iter().map(|(name, expected)| {
        (*name, expected.values().map(|target| target.external_secret.as_str()).collect::<BTreeSet<_>>())
    });
    let forgotten = match known::forgotten(env, &asked.collect()).await {
        Ok(forgotten) if forgotten.is_empty() => return Outcome::Violated(violation),
        Ok(forgotten) => forgotten,
        Err(error) => return Outcome::Unknown(error.to_string()),
    };
    // They must be all that is wrong, now and once they are swept: a bug that is known excuses nothing else.
    let names = Names::of(&env.model).forgiving(&env.model, &forgotten);
    let rest = env
        .observer
        .look(|view| worlds.iter().try_for_each(|(name, expected)| copies::exact(view, name, expected, &names)));
    if rest.is_err() {
        return Outcome::Violated(violation);
    }
    if let Err(error) = known::sweep(&env.cluster.client, &forgotten).await {
        return Outcome::Unknown(error.to_string());
    }
    match try_settle(env, worlds, bound, Past::Relabelled).await {
        Ok(_) => Outcome::Violated(Violation { known: Some(EXTERNAL_SECRET_STAYS), ..violation }),
        Err(error) => copies::failed(&error),
    }
}

async fn try_settle(
    env: &Environment,
    worlds: &[(&str, Expected<'_>)],
    bound: Duration,
    past: Past,
) -> Result<Duration, WaitError> {
    let names = Names::of(&env.model);
    let what = "exactly the copies that the labels ask for";
    let look =
        |view: &View<'_>| worlds.iter().try_for_each(|(name, expected)| copies::exact(view, name, expected, &names));
    if past == Past::Relabelled {
        return wait::settled(&env.observer, what, bound, HOLD, look).await;
    }
    let begin = Instant::now();
    wait::until(&env.observer, what, bound, |view| look(view).map_or_else(Progress::NotYet, Progress::Done)).await?;
    let took = begin.elapsed();
    wait::hold(&env.observer, what, HOLD, look).await.map(|()| took)
}
