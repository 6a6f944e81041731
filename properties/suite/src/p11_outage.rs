//! p11: source gone, copies unchanged and working; back again, converged within the bound.
//!
//! The cases of a slot live through the same outages, each with namespaces of its own. Before the first, an update is
//! seen to arrive. An outage begins with a fault, of the way to the source, of the source itself, of the store's
//! rights, of External Secrets Operator or of the API server, and counts once a sign of it was seen at each copy.
//! Meanwhile the source gets new values, and namespaces come and go. Every change of every copy is recorded: until the
//! outage is over there may be none, and none of them may ever be deleted, emptied or filled with anything else than
//! one of the two versions of its source. Afterwards everything must come to what its labels and the new values ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::capability::Capability;
use credence_core::id::{CaseId, PropertyId, Requirement};
use credence_model::model::{Distribution, Model};
use credence_model::values::World;
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::copy::Reached;
use credence_report::report::PropertyMeta;
use credence_report::unknown::Cause;
use credence_report::verdict::CheckRecord;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use crate::coverage::Judges;
use crate::driver::{Check, Property};
use crate::events::Events;
use crate::generate::{Pick, pick};
use crate::observation::Observation;
use crate::p07_credential_types::{Issue, Placement};
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::stop::Stop;
use crate::supplies::Need;
use crate::testbed::TestBed;

mod breakage;
mod fault;
mod fixture;
mod live;
mod login;
mod loss;
mod place;
mod plan;
mod rights;
mod scope;
mod slot;
mod webhook;

pub(crate) use fault::Fault;
use fault::FaultKind;
pub(crate) use fixture::Outages;
use plan::Plan;

pub(crate) use scope::Scope;

pub(crate) struct Outage;

/// Time that an outage goes on at most after it has shown. A failed refresh comes back after 1, 2, 4 s and so on, so that
/// what follows an outage takes as long as the outage once more.
const LONGEST: Duration = Duration::from_millis(1500);

/// Checks that are made once, after the cases.
const WEBHOOK_OUTAGE: &str = "outage of the webhook";

/// Faults that are not tried, and why not.
const CLOCKS: &str = "programs whose clocks differ";
const NO_CLOCKS: &str = "all programs here read the clock of this machine, which is not changed for a test, and which no \
     namespace of Linux shifts; what a clock that is ahead sees of certificates is tried";

/// Lives of the credentials of a slot, which its cases go through with them.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// Sources, stores and distributions that the faults are about.
    scope: Scope,
    /// True if no other slot may run meanwhile.
    alone: bool,
    /// The distributions whose copies feel it, by name.
    distributions: Vec<String>,
    /// The values at the beginning.
    initial: World,
    /// The values that arrive before the first outage.
    control: World,
    episodes: Vec<Episode>,
    /// The credential that somebody logs in with, if a source holds one that a server here issues, and how.
    login: Option<(Issue, Placement)>,
}

/// One outage, and the change of values that falls into it.
#[derive(Debug, Clone)]
pub(crate) struct Episode {
    fault: Fault,
    /// Time for which it goes on after it has shown.
    lasts: Duration,
    /// Time at which the new values are written, after it has shown.
    rotates: Duration,
    values: World,
}

/// The namespaces of a case. Each has a distribution, by its place among those of the slot, and a way to ask.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    /// Hold a copy before the first outage.
    settled: Vec<(Pick, Pick)>,
    /// Asks for a copy during an outage.
    joins: Option<Move>,
    /// Holds a copy before and stops asking during an outage.
    leaves: Option<Move>,
}

/// Change of the labels of a namespace during an outage.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    place: (Pick, Pick),
    /// During which of the outages.
    outage: Pick,
    /// Time that after the outage has shown.
    after: Duration,
}

const CLAIMS: [Claim; 1] = [Claim::new(
    1,
    5,
    "no recorded change deletes, empties or garbles a copy while an outage was seen to be felt, somebody logs in with one \
         meanwhile, and all is as labels and new values ask within the bound after it",
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
    const NEEDS: &'static [Need] = &[Need::StoreProxies, Need::Forge, Need::Renderings];
    const CHECKS: &'static [Check] = &[
        Check { what: "outage of External Secrets Operator", needs: Capability::Outages, weakens: &CLAIMS },
        Check { what: "outage of the API server", needs: Capability::Outages, weakens: &CLAIMS },
        Check { what: "rolling update of External Secrets Operator", needs: Capability::Replicas, weakens: &CLAIMS },
        Check {
            what: "change of the leader of External Secrets Operator",
            needs: Capability::LeaderElection,
            weakens: &CLAIMS,
        },
        Check { what: "full etcd, and loss of the control plane", needs: Capability::ControlPlane, weakens: &CLAIMS },
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
        // Two that hold a copy, one that joins and one that leaves; two for who logs in; and no scope has two slots.
        product(Self::LANES.min(Scope::all(model).len()), 4 * Self::CASES_PER_SLOT + 2)
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
        let login = scope.login(model, slot);
        let worlds = (scope.world(model), scope.world(model), episodes, login);
        let scenario = worlds.prop_map(move |(initial, control, episodes, login)| Scenario {
            scope: scope.clone(),
            alone,
            distributions: distributions.clone(),
            initial,
            control,
            episodes,
            login,
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
        skipped.push(SkippedCheck::new(CLOCKS, NO_CLOCKS));
        skipped.extend(webhook::skipped(env).map(|why| SkippedCheck::new(WEBHOOK_OUTAGE, why)));
        let left_out = model.distributions.iter().filter(|distribution| distribution.can_be_selected());
        skipped.extend(left_out.filter_map(|distribution| {
            let why = scope::untold(model, distribution)?;
            Some(SkippedCheck::new(format!("outages of what {} is made of", distribution.secret), why).weakens(&CLAIMS))
        }));
        skipped
    }

    fn not_covered(&self, _model: &Model, reached: &BTreeSet<&Reached>) -> BTreeMap<Requirement, String> {
        let has_logged_in = reached.iter().any(|one| one.consumer.is_some());
        let why = "nobody logged in with a copy during an outage, so that none was seen to work";
        let missing = (!has_logged_in && !reached.is_empty()).then(|| (CLAIMS[0].requirement, why.to_owned()));
        missing.into_iter().collect()
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
        let slot = slot::play(Arc::clone(env), Arc::clone(&outages.means), scenario.clone(), cases.to_vec());
        let observations = outages.under_way.to_the_end(slot).await;
        observations.unwrap_or_else(|| vec![Observation::unknown(Cause::Panicked, "the slot panicked"); cases.len()])
    }
}

fn moment() -> BoxedStrategy<Duration> {
    (0..=LONGEST.as_millis() as u64).prop_map(Duration::from_millis).boxed()
}

#[cfg(test)]
mod tests;
