//! A case under way: the namespaces of one case, and what has been seen of them.

use std::sync::Arc;
use std::time::Duration;

use credence_core::id::CaseId;
use credence_model::model::Distribution;
use credence_model::values::World;
use credence_report::unknown::{Cause, Unknown};
use credence_report::verdict::{self, Outcome, Violation};
use credence_watch::observer::ExternalSecretSeen;
use credence_watch::wait::{self, Progress};
use futures::future::join_all;
use kube::Client;
use tokio::time::Instant;
use tracing::instrument;

use super::breakage::Broken;
use super::fault::Fault;
use super::place::{Harm, OutageNamespace};
use super::{Episode, Move, Population, Scenario};
use crate::observation::{self, Observation, cause_of};
use crate::oracle::Expected;
use crate::testbed::TestBed;
use crate::testbed::rotation::Dependent;
use crate::testbed::settle::{Past, settle};

pub(super) struct OutageCase<'a> {
    id: CaseId,
    client: Client,
    places: Vec<OutageNamespace<'a>>,
    /// The namespace that asks during an outage, and when.
    joining: Option<(Dependent<'a>, Move)>,
    /// The namespace that stops asking during an outage, and when.
    leaving: Option<Move>,
    left: Vec<Dependent<'a>>,
    observation: Observation,
}

impl<'a> OutageCase<'a> {
    /// Makes the namespaces and waits until the first ones hold the initial values.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %id))]
    pub(super) async fn settle(
        env: &'a Arc<TestBed>,
        id: CaseId,
        scenario: &Scenario,
        population: &Population,
        initial: &World,
    ) -> Self {
        let mut live = Self {
            id,
            client: env.client_for(id),
            places: Vec::new(),
            joining: None,
            leaving: None,
            left: Vec::new(),
            observation: Observation::of(Outcome::Held),
        };
        if let Err(failed) = live.populate(env, scenario, population, initial).await {
            live.observation = failed;
        }
        live
    }

    async fn populate(
        &mut self,
        env: &'a Arc<TestBed>,
        scenario: &Scenario,
        population: &Population,
        initial: &World,
    ) -> Result<(), Observation> {
        let distributions: Vec<&Distribution> = env
            .model
            .distributions
            .iter()
            .filter(|distribution| scenario.distributions.contains(&distribution.name))
            .collect();
        for (distribution, way) in population.settled.iter().chain(population.leaves.iter().map(|leaves| &leaves.place))
        {
            let dependent =
                Dependent::lease(env, &self.client, distribution.of::<&Distribution>(&distributions), *way).await?;
            dependent.ask(&self.client, self.id).await?;
            self.places.push(OutageNamespace { dependent, events: None, before: None });
        }
        self.leaving.clone_from(&population.leaves);
        if let Some(joins) = &population.joins {
            let (distribution, way) = joins.place;
            let dependent =
                Dependent::lease(env, &self.client, distribution.of::<&Distribution>(&distributions), way).await?;
            self.joining = Some((dependent, joins.clone()));
        }
        for OutageNamespace { dependent, .. } in &self.places {
            let bound = env.provisioning_bound().max(env.propagation_bound(dependent.distribution).limit());
            // A copy that was never right has nothing to say about outages; other properties judge it.
            let settled = dependent.until_matches_source(env, initial, bound).await;
            settled.map_err(|error| Observation::unknown(cause_of(&error), format!("no copy to keep: {error}")))?;
        }
        Ok(())
    }

    /// True if the case has its verdict.
    pub(super) fn is_over(&self) -> bool {
        self.observation.outcome != Outcome::Held
    }

    fn end_with(&mut self, outcome: Outcome) {
        self.observation.outcome = self.observation.outcome.clone().max(outcome);
    }

    /// Ends the case without a verdict.
    pub(super) fn give_up(&mut self, why: Unknown) {
        self.end_with(Outcome::Unknown(why));
    }

    /// The positive control of an outage: an update arrives.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn arrive(&mut self, env: &TestBed, world: &World, written: Instant) {
        if self.is_over() {
            return;
        }
        self.observation.count("rotate source before an outage");
        for OutageNamespace { dependent, .. } in &self.places {
            let left = env.propagation_bound(dependent.distribution).limit().saturating_sub(written.elapsed());
            if let Err(error) = dependent.until_matches_source(env, world, left).await {
                return self.give_up(Unknown::new(
                    cause_of(&error),
                    format!("updates do not arrive even before the outage: {error}"),
                ));
            }
        }
    }

    /// Begins to record every change, from a moment on at which all is well.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn record(&mut self, env: &TestBed, world: &World) {
        for OutageNamespace { dependent, events, before } in &mut self.places {
            let dependent = &*dependent;
            let Dependent { distribution, namespace, .. } = dependent;
            let what = format!("{namespace}/{} at rest", distribution.secret);
            let bound = env.propagation_bound(distribution).limit();
            let rest = wait::until(&env.observer, &what, bound, |view| {
                let ready = view.external_secret(namespace, &distribution.external_secret);
                match dependent.look(env, view, world) {
                    Err(why) => Progress::NotYet(why.into()),
                    Ok(()) if !ready.is_some_and(ExternalSecretSeen::says_ready) => {
                        Progress::NotYet("its ExternalSecret does not say that it is ready".to_owned())
                    }
                    Ok(()) => Progress::Done(()),
                }
            });
            match rest.await {
                Ok(()) => {
                    *events = Some(env.observer.record(namespace));
                    *before = env.observer.look(|view| view.secret(namespace, &distribution.secret).cloned());
                }
                Err(error) => return self.give_up(Unknown::new(cause_of(&error), error.to_string())),
            }
        }
    }

    /// Waits until the fault shows at every copy that it must reach. Without that sign, nothing was tested.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn feel(&mut self, env: &TestBed, broken: &Broken, fault: Fault) {
        if self.is_over() {
            return;
        }
        self.observation.count(&fault.to_string());
        let signs = self.places.iter().map(|place| place.feel(env, broken, fault.sign()));
        if let Some(error) = join_all(signs).await.into_iter().find_map(Result::err) {
            self.give_up(observation::unknown(&error).about(format!("{fault}: no sign of it")));
        }
    }

    /// Sets and removes the labels whose turn is during outage number `number`, each at its moment after now.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn relabel(&mut self, env: &TestBed, number: usize, of: usize, fault: Fault) {
        let now = Instant::now();
        let is_due = |change: &Move| change.outage.of(&(0..of).collect::<Vec<_>>()) == &number;
        if let Some((dependent, joins)) = self.joining.take_if(|(_, joins)| is_due(joins)) {
            wait::pass_until(now + joins.after).await;
            let events = Some(env.observer.record(&dependent.namespace));
            if let Err(error) = dependent.ask(&self.client, self.id).await {
                self.give_up(observation::unknown(&error));
            }
            self.observation.count("label namespace during an outage");
            self.places.push(OutageNamespace { dependent, events, before: None });
        }
        // The one that leaves is the last of those that were settled.
        let leaves = self.leaving.take_if(|leaves| is_due(leaves));
        let position = self.places.iter().rposition(|place| place.before.is_some() && place.dependent.is_new());
        if let (Some(leaves), Some(position)) = (leaves, position) {
            wait::pass_until(now + leaves.after).await;
            let mut place = self.places.remove(position);
            if !fault.lets_updates_through()
                && let Err(why) = place.unharmed(&Harm::Anything)
            {
                self.end_with(verdict::violated(format!("{fault}: {why}")));
            }
            if let Err(error) = place.dependent.opt_out(&self.client, self.id).await {
                self.give_up(observation::unknown(&error));
            }
            self.observation.count("remove labels during an outage");
            self.left.push(place.dependent);
        }
    }

    /// Checks what was recorded since the outage began, or since the last check.
    pub(super) fn check(&mut self, env: &TestBed, fault: Fault, (old, new): (&World, &World), updates: bool) {
        for place in &mut self.places {
            let harm = if updates { Harm::NeitherOf(old, new, env.sources.renderings()) } else { Harm::Anything };
            if let Err(why) = place.unharmed(&harm) {
                let violated = verdict::violated(format!("{fault}: {why}"));
                self.observation.outcome = self.observation.outcome.clone().max(violated);
            }
        }
    }

    /// Ends the case without a verdict where a watch was interrupted while its copies were recorded.
    pub(super) fn must_be_whole(&mut self, env: &TestBed, fault: Fault) {
        if self.places.iter().any(|place| place.has_gap(&env.observer)) {
            let why = format!("{fault}: a watch was interrupted while the copies were recorded");
            self.give_up(Unknown::new(Cause::WatchStale, why));
        }
    }

    /// Waits until every namespace holds what it asks for, made of the values of `new`, after an outage that lasted for
    /// `outage` and ended at `healed`.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn converge(
        &mut self,
        env: &TestBed,
        episode: &Episode,
        new: &World,
        healed: Instant,
        outage: Duration,
    ) {
        if self.is_over() {
            return;
        }
        let fault = episode.fault;
        self.observation.count("rotate source during an outage");
        let arrivals = self.places.iter().map(|place| async move {
            let Dependent { distribution, .. } = place.dependent;
            let provisioning = if place.before.is_none() { env.provisioning_bound() } else { Duration::ZERO };
            let bound = env.recovery_bound(distribution, outage).limit() + provisioning;
            let left = bound.saturating_sub(healed.elapsed());
            let arrived = place.dependent.until_matches_source(env, new, left).await;
            (bound, arrived.map(|()| healed.elapsed()))
        });
        for (bound, arrived) in join_all(arrivals).await {
            self.observation.bound = self.observation.bound.max(Some(bound));
            match arrived {
                Ok(latency) => self.observation.latencies.push(latency),
                Err(error) => {
                    let outcome = after(fault, outage, observation::failed(&error));
                    self.observation.outcome = self.observation.outcome.clone().max(outcome);
                }
            }
        }
        let worlds: Vec<(&str, Expected<'_>)> =
            self.left.iter().map(|left| (left.namespace.as_str(), Expected::new())).collect();
        if !worlds.is_empty() {
            let bound = self.observation.bound.unwrap_or_default() + env.provisioning_bound();
            let outcome = settle(env, &worlds, bound, Past::Relabelled, &mut Vec::new()).await;
            self.end_with(after(fault, outage, outcome));
        }
    }

    /// Holds that all copies keep the last values.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn stay(&mut self, env: &TestBed, world: &World) {
        if self.is_over() {
            return;
        }
        let held = wait::hold(&env.observer, "the last values in all copies", env.hold(), |view| {
            let mut places = self.places.iter();
            places.try_for_each(|place| place.dependent.look(env, view, world))
        });
        if let Err(error) = held.await {
            self.end_with(observation::failed(&error));
        }
    }

    /// Gives all namespaces back; the observation of the case with the copies that it reached.
    pub(super) fn finish(mut self, env: &Arc<TestBed>) -> Observation {
        let seen = self.places.iter().map(|place| &place.dependent).chain(&self.left);
        seen.for_each(|dependent| self.observation.reach(dependent.distribution));
        let places = self.places.into_iter().map(|place| place.dependent);
        for dependent in places.chain(self.left).chain(self.joining.map(|(dependent, _)| dependent)) {
            dependent.give_back(env);
        }
        self.observation
    }
}

/// Says of a violation what came before it.
fn after(fault: Fault, outage: Duration, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Violated(Violation { reason, known }) => {
            Outcome::Violated(Violation { reason: format!("after {fault} for {outage:.1?}: {reason}"), known })
        }
        other => other,
    }
}
