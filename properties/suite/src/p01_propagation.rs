//! p01: an updated source reaches every dependent copy within the computed bound.
//!
//! The cases of a slot live through the same rotations of one source, each with namespaces of its own: some that hold
//! a copy before, some that are born while the rotations are under way. Of several rotations inside one refresh
//! interval, the last wins.

use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::FIELD_MANAGER;
use credence_core::id::{CaseId, PropertyId};
use credence_model::model::{Bound, Distribution, Model};
use credence_model::overlay::COMPRESSED_SECONDS;
use credence_report::claim::Claim;
use credence_report::report::PropertyMeta;
use credence_report::unknown::{Cause, Unknown};
use credence_report::verdict::{self, Outcome};
use credence_watch::wait;
use futures::future::{join, join_all};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use tokio::time::Instant;
use tracing::instrument;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::generate::{Pick, pick};
use crate::observation::{self, Observation};
use crate::oracle::Known;
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::supplies::Need;
use crate::testbed::TestBed;
use crate::testbed::rotation::{self, Dependent, Rotation, copied_sources, targets_of};

pub(crate) struct Propagation;

/// Longest pause between two rotations, and until a namespace is born: one compressed refresh interval, so that two
/// rotations often fall into one interval whatever time the configuration keeps.
const LONGEST_PAUSE: Duration = Duration::from_secs(COMPRESSED_SECONDS);

/// Time that the initial values stay before the first rotation. ESO takes the values of a new ExternalSecret over twice: its
/// cache does not have the status of the first time yet when that status calls for the second. Seen to begin 5 ms and to
/// end 100 ms after the copy was made; a value written meanwhile arrives even if ESO never refreshes.
const TAKEN_OVER_TWICE: Duration = Duration::from_millis(500);

/// The namespaces of one case. A distribution is named by its place among those of the source.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    /// Hold a copy before the first rotation.
    settled: Vec<(Pick, Pick)>,
    /// Ask for a copy only after the first rotation, by that much.
    born: Vec<(Pick, Pick, Duration)>,
}

const CLAIMS: [Claim; 2] = [
    Claim::new(1, 1, "each copy comes to hold the last values of its source, and keeps them"),
    Claim::new(1, 2, "after each rotation every copy of a case holds the new values within its bound"),
];

impl Property for Propagation {
    type Shared = Rotation;
    type Case = Population;
    type Fixture = ();

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(1),
        title: "propagation",
        claim: "an updated source reaches every dependent copy within the computed bound",
        claims: &CLAIMS,
    };
    const NEEDS: &'static [Need] = &[Need::Renderings];
    const CASES_PER_SLOT: u32 = 5;
    const NOTHING: &'static str = "neither a ClusterExternalSecret nor an ExternalSecret reads a source";
    const LANES: usize = 4;
    const SHARES: Shares =
        Shares { cluster: ClusterUse::Own, sources: SourceUse::Rotated, policies: PolicyUse::Passed };

    fn namespaces(&self, model: &Model) -> u32 {
        // Two that hold a copy and one that is born, and no source has two slots.
        product(Self::LANES.min(model.sources.len()), 3 * Self::CASES_PER_SLOT)
    }

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Rotation>> {
        let sources = copied_sources(model);
        Rotation::strategy(model, &sources, slot, 1..=3, LONGEST_PAUSE)
    }

    fn case(&self, _model: &Model, _rotation: &Rotation) -> BoxedStrategy<Population> {
        let moment = (0..=LONGEST_PAUSE.as_millis() as u64).prop_map(Duration::from_millis);
        let settled = vec((pick(), pick()), 1..=2);
        let born = vec((pick(), pick(), moment), 0..=1);
        (settled, born).prop_map(|(settled, born)| Population { settled, born }).boxed()
    }

    fn judges(&self, model: &Model, distribution: &Distribution) -> Judges {
        Judges::of_values(model, distribution)
    }

    fn is_telling(&self, _model: &Model, rotation: &Rotation, case: &Population) -> bool {
        let (before, after) = rotation.last_two();
        !rotation.steps.is_empty() && before != after && !case.settled.is_empty()
    }

    async fn run(
        &self,
        env: &Arc<TestBed>,
        (): &(),
        rotation: &Rotation,
        cases: &[(CaseId, Population)],
    ) -> Vec<Observation> {
        let client = &env.cluster.client;
        let begun = rotation::begin(env, client, FIELD_MANAGER, &rotation.source, &rotation.initial);
        let mut lease = match begun.await {
            Ok(lease) => lease,
            Err(observation) => return vec![observation; cases.len()],
        };
        let live =
            join_all(cases.iter().map(|(id, population)| PropagationCase::settle(env, *id, rotation, population)))
                .await;
        let begin = Instant::now();
        let births = join_all(live.into_iter().map(|live| live.give_birth(env, begin)));
        let (written, live) = join(rotation::write(env, &rotation.steps, &mut lease), births).await;
        join_all(live.into_iter().map(|live| live.judge(env, rotation, written.clone()))).await
    }
}

struct PropagationCase<'a> {
    id: CaseId,
    dependents: Vec<Dependent<'a>>,
    unborn: Vec<(Dependent<'a>, Duration)>,
    observation: Observation,
}

impl<'a> PropagationCase<'a> {
    /// Makes the namespaces and waits until the first ones hold the initial values.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %id))]
    async fn settle(
        env: &'a Arc<TestBed>,
        id: CaseId,
        rotation: &Rotation,
        population: &Population,
    ) -> PropagationCase<'a> {
        let mut live =
            Self { id, dependents: Vec::new(), unborn: Vec::new(), observation: Observation::of(Outcome::Held) };
        if let Err(failed) = live.populate(env, rotation, population).await {
            live.observation = failed;
        }
        live
    }

    async fn populate(
        &mut self,
        env: &'a Arc<TestBed>,
        rotation: &Rotation,
        population: &Population,
    ) -> Result<(), Observation> {
        let client = env.client_for(self.id);
        let distributions = targets_of(&env.model, &rotation.source);
        for (distribution, way) in &population.settled {
            let dependent =
                Dependent::lease(env, &client, distribution.of::<&Distribution>(&distributions), *way).await?;
            dependent.ask(&client, self.id).await?;
            self.dependents.push(dependent);
        }
        for (distribution, way, moment) in &population.born {
            let dependent =
                Dependent::lease(env, &client, distribution.of::<&Distribution>(&distributions), *way).await?;
            self.unborn.push((dependent, *moment));
        }
        let (bound, why) = bound(env, rotation);
        self.observation.bound = Some(bound);
        for dependent in &self.dependents {
            if let Err(error) = dependent.until_matches_source(env, &rotation.of_source(&rotation.initial), bound).await
            {
                // A new copy that was never right has nothing to say about updates; other properties judge it. In a
                // namespace that had its copy before, writing the initial values was itself an update.
                let outcome = no_update(observation::failed(&error), dependent.is_new(), &why);
                return Err(Observation { bound: Some(bound), ..Observation::of(outcome) });
            }
        }
        match self.stay(env, &rotation.of_source(&rotation.initial), TAKEN_OVER_TWICE).await {
            Outcome::Held => Ok(()),
            end => {
                let outcome = no_update(end, self.dependents.iter().all(Dependent::is_new), &why);
                Err(Observation { bound: Some(bound), ..Observation::of(outcome) })
            }
        }
    }

    /// Labels the namespaces that are born during the rotations, each at its moment after `begin`.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    async fn give_birth(mut self, env: &'a Arc<TestBed>, begin: Instant) -> PropagationCase<'a> {
        let client = env.client_for(self.id);
        self.unborn.sort_by_key(|(_, moment)| *moment);
        for (dependent, moment) in std::mem::take(&mut self.unborn) {
            if self.observation.outcome == Outcome::Held {
                wait::pass_until(begin + moment).await;
                match dependent.ask(&client, self.id).await {
                    Ok(()) => self.observation.add_context("namespace born", 1),
                    Err(error) => self.observation = error.into(),
                }
            }
            self.dependents.push(dependent);
        }
        self
    }

    /// Waits for the last values everywhere, and that they stay.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    async fn judge(
        mut self,
        env: &'a Arc<TestBed>,
        rotation: &Rotation,
        written: Result<Instant, Unknown>,
    ) -> Observation {
        match written {
            Err(why) => self.observation = Observation::of(Outcome::Unknown(why)),
            Ok(written) if self.observation.outcome == Outcome::Held => self.arrive(env, rotation, written).await,
            Ok(_) => {}
        }
        for dependent in self.dependents {
            dependent.give_back(env);
        }
        self.observation
    }

    async fn arrive(&mut self, env: &TestBed, rotation: &Rotation, written: Instant) {
        let (bound, why) = bound(env, rotation);
        let (_, last) = rotation.last_two();
        for _ in &rotation.steps {
            self.observation.add_context("rotate source", 1);
        }
        self.dependents.iter().for_each(|dependent| self.observation.reach(dependent.distribution));
        let arrivals = self.dependents.iter().map(|dependent| async move {
            let left = bound.saturating_sub(written.elapsed());
            dependent.until_matches_source(env, &rotation.of_source(last), left).await.map(|()| written.elapsed())
        });
        for arrival in join_all(arrivals).await {
            match arrival {
                Ok(latency) => {
                    self.observation.count("copy updated");
                    self.observation.latencies.push(latency);
                    if latency > bound {
                        self.observation.outcome =
                            verdict::violated(format!("a copy was updated only after {latency:.1?}"));
                    }
                }
                Err(error) => {
                    let end = explained(observation::failed(&error), &why);
                    self.observation.outcome = self.observation.outcome.clone().max(end);
                }
            }
        }
        if self.observation.outcome == Outcome::Held {
            self.observation.outcome = self.stay(env, &rotation.of_source(last), env.hold()).await;
        }
    }

    /// All copies keep these values for that long; an older one must not come back.
    async fn stay(&self, env: &TestBed, values: &impl Known, window: Duration) -> Outcome {
        let held = wait::hold(&env.observer, "the same values in all copies", window, |view| {
            self.dependents.iter().try_for_each(|dependent| dependent.look(env, view, values))
        });
        match held.await {
            Ok(()) => Outcome::Held,
            Err(error) => observation::failed(&error),
        }
    }
}

/// Outcome for updates of a copy that is wrong before the first rotation: nothing is said, if it is new.
fn no_update(outcome: Outcome, is_new: bool, remark: &str) -> Outcome {
    match outcome {
        Outcome::Violated(violation) if is_new => {
            verdict::unknown(Cause::TimedOut, format!("no copy to update: {}", violation.reason))
        }
        end => explained(end, remark),
    }
}

/// Adds a remark to the reason of a violation.
fn explained(outcome: Outcome, remark: &str) -> Outcome {
    match outcome {
        Outcome::Violated(mut violation) => {
            violation.reason.push_str(remark);
            Outcome::Violated(violation)
        }
        other => other,
    }
}

/// The bound of a rotation, and a remark for the reason of a violation if the configuration gives none.
fn bound(env: &TestBed, rotation: &Rotation) -> (Duration, String) {
    let mut longest = Duration::ZERO;
    let mut remark = String::new();
    for distribution in targets_of(&env.model, &rotation.source) {
        let bound = env.propagation_bound(distribution);
        longest = longest.max(bound.limit());
        if let Bound::Never { why, .. } = bound {
            remark = format!("; {}: {why}", distribution.name);
        }
    }
    (longest, remark)
}
