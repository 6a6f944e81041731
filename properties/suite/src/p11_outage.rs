//! p11: source gone, copies unchanged and working; back again, converged within the bound.
//!
//! The cases of a slot live through the same outages, each with namespaces of its own. Before the first, an update is
//! seen to arrive. An outage begins with a fault, of the way to the source, of the source itself, of the store's
//! rights, of External Secrets Operator or of the API server, and counts once a sign of it was seen at each copy.
//! Meanwhile the source gets new values, and namespaces come and go. Every change of every copy is recorded: until the
//! outage is over there may be none, and none of them may ever be deleted, emptied or filled with anything else than
//! one of the two versions of its source. Afterwards everything must come to what its labels and the new values ask for.

use std::sync::Arc;
use std::time::Duration;

use credence_cluster::capability::Capability;
use credence_core::id::{CaseId, PropertyId};
use credence_model::model::{Distribution, Model};
use credence_model::values::World;
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::report::PropertyMeta;
use credence_report::unknown::Cause;
use credence_report::verdict::CheckRecord;
use credence_watch::wait;
use futures::future::{join, join_all};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use tokio::time::Instant;

use crate::coverage::Judges;
use crate::driver::{Check, Property};
use crate::events::Events;
use crate::generate::{Pick, pick};
use crate::observation::{self, Observation};
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::stop::Stop;
use crate::supplies::{FaultProxies, Need};
use crate::testbed::TestBed;
use crate::testbed::operator_resync::until_operator_sees_copies;

mod breakage;
mod fault;
mod fixture;
mod live;
mod place;
mod rights;
mod scope;
mod webhook;

use breakage::{Broken, Leases};

pub use fault::Fault;
use fault::{FaultKind, Plan};
pub use fixture::Outages;
use live::OutageCase;

pub use scope::Scope;

/// The property.
pub struct Outage;

/// Time that an outage goes on at most after it has shown. A failed refresh comes back after 1, 2, 4 s and so on, so that
/// what follows an outage takes as long as the outage once more.
const LONGEST: Duration = Duration::from_millis(1500);

/// What the checks do that are made once, after the cases.
const WEBHOOK_OUTAGE: &str = "outage of the webhook";

/// What the cases of a slot live through.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The failure.
    scope: Scope,
    /// True if no other slot may run meanwhile.
    alone: bool,
    /// The distributions whose copies feel it, by name.
    distributions: Vec<String>,
    /// The values at the beginning.
    initial: World,
    /// The values that arrive before the first outage.
    control: World,
    /// The outages.
    episodes: Vec<Episode>,
}

/// One outage.
#[derive(Debug, Clone)]
pub struct Episode {
    fault: Fault,
    /// Time for which it goes on after it has shown.
    lasts: Duration,
    /// When the new values are written, after it has shown.
    rotates: Duration,
    values: World,
}

/// The namespaces of a case. Each has a distribution, by its place among those of the slot, and a way to ask.
#[derive(Debug, Clone)]
pub struct Population {
    /// Hold a copy before the first outage.
    settled: Vec<(Pick, Pick)>,
    /// Asks for a copy during an outage.
    joins: Option<Move>,
    /// Holds a copy before and stops asking during an outage.
    leaves: Option<Move>,
}

/// A change of labels.
#[derive(Debug, Clone)]
pub struct Move {
    place: (Pick, Pick),
    /// During which of the outages.
    outage: Pick,
    /// Time that after the outage has shown.
    after: Duration,
}

/// Its claims on requirements.
const CLAIMS: [Claim; 1] = [Claim::new(
    1,
    5,
    "no recorded change deletes, empties or garbles a copy while an outage was seen to be felt, and all is as \
         labels and new values ask within the bound after it",
)];

impl Property for Outage {
    type Shared = Scenario;
    type Case = Population;
    type Fixture = Outages;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(11),
        title: "outage",
        claim: "source gone, copies unchanged and working; back again, converged within the bound",
        claims: &CLAIMS,
    };
    const NEEDS: &'static [Need] = &[Need::StoreProxies];
    const CHECKS: &'static [Check] = &[
        Check { what: "outage of External Secrets Operator", needs: Capability::Outages, weakens: &CLAIMS },
        Check { what: "outage of the API server", needs: Capability::Outages, weakens: &CLAIMS },
        Check { what: "wrong answers of the source", needs: Capability::StoreProxies, weakens: &CLAIMS },
        // What the webhook does is no part of what the configuration asks for.
        Check { what: WEBHOOK_OUTAGE, needs: Capability::Webhook, weakens: &[] },
    ];
    const CASES_PER_SLOT: u32 = 10;
    const NOTHING: &'static str = "neither a ClusterExternalSecret nor an ExternalSecret reads a source";
    const LANES: usize = 4;
    // It takes sources, rights and programs away, and a source that does not answer holds up the copies of all others.
    const SHARES: Shares =
        Shares { cluster: ClusterUse::All, sources: SourceUse::Rotated, policies: PolicyUse::Passed };

    fn namespaces(&self, model: &Model) -> u32 {
        // Two that hold a copy, one that joins and one that leaves, and no scope has two slots.
        product(Self::LANES.min(Scope::all(model).len()), 4 * Self::CASES_PER_SLOT)
    }

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Scenario>> {
        let Plan { scope, alone, kinds, distributions } = Plan::of(model, slot)?;
        let episodes: Vec<BoxedStrategy<Episode>> = kinds
            .into_iter()
            .map(|kind| {
                (kind.strategy(), moment(), moment(), scope.world(model))
                    .prop_map(|(fault, lasts, rotates, values)| Episode { fault, lasts, rotates, values })
                    .boxed()
            })
            .collect();
        let worlds = (scope.world(model), scope.world(model), episodes);
        let scenario = worlds.prop_map(move |(initial, control, episodes)| Scenario {
            scope: scope.clone(),
            alone,
            distributions: distributions.clone(),
            initial,
            control,
            episodes,
        });
        Some(scenario.boxed())
    }

    fn case(&self, _model: &Model, _scenario: &Scenario) -> BoxedStrategy<Population> {
        let place = || (pick(), pick());
        let change = || (place(), pick(), moment()).prop_map(|(place, outage, after)| Move { place, outage, after });
        let settled = prop_oneof![3 => vec(place(), 1..=1), 1 => vec(place(), 2..=2)];
        (settled, option::weighted(0.35, change()), option::weighted(0.25, change()))
            .prop_map(|(settled, joins, leaves)| Population { settled, joins, leaves })
            .boxed()
    }

    fn judges(&self, model: &Model, distribution: &Distribution) -> Judges {
        match scope::untold(model, distribution) {
            None => Judges::Copies,
            Some(why) => Judges::NotHere(why.to_owned()),
        }
    }

    fn is_telling(&self, _model: &Model, scenario: &Scenario, case: &Population) -> bool {
        // Each update must be one.
        let worlds = [&scenario.initial, &scenario.control].into_iter();
        let worlds: Vec<&World> = worlds.chain(scenario.episodes.iter().map(|episode| &episode.values)).collect();
        !case.settled.is_empty() && worlds.windows(2).all(|pair| pair[0] != pair[1])
    }

    fn skipped_checks(&self, env: &TestBed) -> Vec<SkippedCheck> {
        let model = &env.model;
        let mut skipped = Vec::new();
        let whole = Scope::whole(model);
        if !whole
            .distributions(model)
            .into_iter()
            .any(|distribution| FaultKind::RightsRevoked.concerns(model, distribution))
        {
            let why = "no store authenticates as a ServiceAccount of its own";
            skipped.push(SkippedCheck::new("revoked rights of a store", why).weakens(&CLAIMS));
        }
        skipped.extend(webhook::skipped(env).map(|why| SkippedCheck::new(WEBHOOK_OUTAGE, why)));
        let left_out = model.distributions.iter().filter(|distribution| distribution.can_be_selected());
        skipped.extend(left_out.filter_map(|distribution| {
            let why = scope::untold(model, distribution)?;
            Some(SkippedCheck::new(format!("outages of what {} is made of", distribution.secret), why).weakens(&CLAIMS))
        }));
        skipped
    }

    async fn checks(
        &self,
        env: &Arc<TestBed>,
        outages: &Outages,
        events: &dyn Events,
        stop: &Stop,
    ) -> Vec<CheckRecord> {
        if webhook::skipped(env).is_some() {
            return Vec::new();
        }
        events.note("p11: takes the operator's webhook away, and sees what goes all the same; some minutes at most");
        webhook::checks(env, &outages.under_way, stop).await
    }

    async fn run(
        &self,
        env: &Arc<TestBed>,
        outages: &Outages,
        scenario: &Scenario,
        cases: &[(CaseId, Population)],
    ) -> Vec<Observation> {
        let slot = play(Arc::clone(env), Arc::clone(&outages.proxies), scenario.clone(), cases.to_vec());
        let observations = outages.under_way.to_the_end(slot).await;
        observations.unwrap_or_else(|| vec![Observation::unknown(Cause::Panicked, "the slot panicked"); cases.len()])
    }
}

fn moment() -> BoxedStrategy<Duration> {
    (0..=LONGEST.as_millis() as u64).prop_map(Duration::from_millis).boxed()
}

/// Plays a scenario with all cases of a slot.
async fn play(
    env: Arc<TestBed>,
    proxies: Arc<FaultProxies>,
    scenario: Scenario,
    cases: Vec<(CaseId, Population)>,
) -> Vec<Observation> {
    let mut leases = Leases::new();
    // In the order of all sources, so that no two slots can wait for each other.
    for source in &scenario.scope.sources {
        match env.sources.rotate(source).await {
            Some(lease) => drop(leases.insert(source.clone(), lease)),
            None => {
                return vec![
                    Observation::unknown(Cause::SetUpFailed, format!("there is no source {source}"));
                    cases.len()
                ];
            }
        }
    }
    if scenario.alone {
        // Whoever held a lease has given its namespaces back by now.
        env.namespaces.cleaned().await;
    }
    if let Err(error) = breakage::write(&env, &mut leases, &scenario.initial).await {
        return vec![Observation::from(error); cases.len()];
    }
    let settled = cases.iter().map(|(id, population)| OutageCase::settle(&env, *id, &scenario, population));
    let mut live = join_all(settled).await;
    match breakage::write(&env, &mut leases, &scenario.control).await {
        Ok(written) => drop(join_all(live.iter_mut().map(|live| live.arrive(&env, &scenario.control, written))).await),
        Err(error) => live.iter_mut().for_each(|live| live.give_up(observation::unknown(&error))),
    }
    let mut old = &scenario.control;
    for number in 0..scenario.episodes.len() {
        if live.iter().all(OutageCase::is_over) {
            break;
        }
        if let Err(error) = outage(&env, &proxies, &scenario, number, old, &mut leases, &mut live).await {
            let fault = scenario.episodes[number].fault;
            live.iter_mut().for_each(|live| live.give_up(observation::unknown(&error).about(fault)));
        }
        old = &scenario.episodes[number].values;
    }
    join_all(live.iter_mut().map(|live| live.stay(&env, old))).await;
    live.into_iter().map(|live| live.finish(&env)).collect()
}

/// One outage, from rest to rest.
async fn outage(
    env: &Arc<TestBed>,
    proxies: &Arc<FaultProxies>,
    scenario: &Scenario,
    number: usize,
    old: &World,
    leases: &mut Leases,
    live: &mut [OutageCase<'_>],
) -> Result<(), breakage::BreakageError> {
    let (scope, episode, of) = (&scenario.scope, &scenario.episodes[number], scenario.episodes.len());
    let Episode { fault, lasts, rotates, values } = episode;
    let (fault, updates) = (*fault, fault.lets_updates_through());
    join_all(live.iter_mut().map(|live| live.record(env, old))).await;
    let began = Instant::now();
    // Where nothing can be written meanwhile, or the fault is over at once, the changes come first and are overtaken.
    let overtaken = matches!(fault, Fault::ApiServerRestarted | Fault::OperatorRestarted);
    if overtaken {
        changes(env, number, of, episode, leases, live).await?;
    }
    let broken = Broken::make(env, proxies, scope, leases, fault).await?;
    join_all(live.iter_mut().map(|live| live.feel(env, &broken, fault))).await;
    let changed = if overtaken {
        wait::pass(*lasts).await;
        Ok(())
    } else {
        let until = Instant::now() + (*lasts).max(*rotates);
        let changed = changes(env, number, of, episode, leases, live).await;
        wait::pass_until(until).await;
        changed
    };
    if env.observer.staleness().is_none() {
        live.iter_mut().for_each(|live| live.check(fault, old, values, updates));
    }
    let healed = broken.heal(env, scope, leases, values).await?;
    changed?;
    let lasted = began.elapsed();
    join_all(live.iter_mut().map(|live| live.converge(env, episode, values, healed, lasted))).await;
    live.iter_mut().for_each(|live| live.check(fault, old, values, true));
    if fault == Fault::ApiServerRestarted
        && let Err(why) = until_operator_sees_copies(env).await
    {
        live.iter_mut().for_each(|live| live.give_up(why.clone()));
    }
    Ok(())
}

/// What happens beside an outage: new values for the source, if it is there, and other labels.
async fn changes(
    env: &TestBed,
    number: usize,
    of: usize,
    episode: &Episode,
    leases: &mut Leases,
    live: &mut [OutageCase<'_>],
) -> Result<(), breakage::BreakageError> {
    let fault = episode.fault;
    let relabelled = join_all(live.iter_mut().map(|live| live.relabel(env, number, of, fault)));
    let rotated = async {
        if !fault.takes_the_source() {
            wait::pass(episode.rotates).await;
            breakage::write(env, leases, &episode.values).await?;
        }
        Ok(())
    };
    join(rotated, relabelled).await.0
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use credence_model::config::Config;

    use super::*;

    /// The plain manifests of the reference configuration, which its kustomization only lists.
    pub(super) fn reference() -> Model {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/central-secret-store");
        let directories = ["stores", "secrets"].map(|part| std::fs::read_dir(root.join(part)).unwrap());
        let files = directories.into_iter().flatten().map(|entry| entry.unwrap().path());
        let manifests = files.chain([root.join("sources.yaml")]).flat_map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            parse_documents(&file, &text).unwrap()
        });
        Model::derive(&Config::from_manifests(manifests.collect()).unwrap())
    }

    #[test]
    fn every_slot_of_the_reference_configuration_has_a_scenario_that_tells() {
        use proptest::strategy::ValueTree;
        let model = reference();
        for slot in 0..10 {
            let mut runner = crate::generate::runner(7, "p11/slot", slot);
            let scenario = Outage.shared(&model, slot).unwrap().new_tree(&mut runner).unwrap().current();
            assert_eq!(scenario.episodes.len(), if scenario.alone { 3 } else { 2 }, "slot {slot}");
            assert!(!scenario.distributions.is_empty(), "slot {slot}");
            let case = Outage.case(&model, &scenario).new_tree(&mut runner).unwrap().current();
            assert!(Outage.is_telling(&model, &scenario, &case), "slot {slot}");
        }
    }
}
