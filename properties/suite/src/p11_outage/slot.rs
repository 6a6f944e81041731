//! Life of the cases of a slot, from rest to rest.

use std::sync::Arc;
use std::time::Duration;

use credence_cluster::cluster::{Component, Replacement};
use credence_core::id::CaseId;
use credence_model::values::World;
use credence_report::unknown::{Cause, Unknown};
use credence_watch::wait;
use futures::future::{join, join_all};
use tokio::time::Instant;

use super::breakage::{self, BreakageError, Broken, Leases};
use super::fault::Fault;
use super::fixture::Means;
use super::live::OutageCase;
use super::login::Login;
use super::{Episode, Population, Scenario};
use crate::observation::{self, Observation};
use crate::testbed::TestBed;
use crate::testbed::operator_resync::until_operator_sees_copies;

/// Time that a refresh may be late by itself: External Secrets Operator keeps its times in whole seconds.
const LATE: Duration = Duration::from_secs(1);

struct Slot<'a> {
    env: &'a Arc<TestBed>,
    means: &'a Means,
    scenario: &'a Scenario,
    leases: Leases,
    live: Vec<OutageCase<'a>>,
    /// Whoever logs in with a copy of one of its sources.
    login: Login<'a>,
}

/// Plays a scenario with all cases of a slot.
pub(super) async fn play(
    env: Arc<TestBed>,
    means: Arc<Means>,
    scenario: Scenario,
    cases: Vec<(CaseId, Population)>,
) -> Vec<Observation> {
    let mut leases = Leases::new();
    // In the order of all sources, so that no two slots can wait for each other.
    for source in &scenario.scope.sources {
        match env.sources.rotate(source).await {
            Some(lease) => drop(leases.insert(source.clone(), lease)),
            None => {
                let why = format!("there is no source {source}");
                return vec![Observation::unknown(Cause::SetUpFailed, why); cases.len()];
            }
        }
    }
    if scenario.alone {
        // Whoever held a lease has given its namespaces back by now.
        env.namespaces.cleaned().await;
    }
    let Some((first, _)) = cases.first() else { return Vec::new() };
    let login = Login::begin(&env, means.consumers.as_ref().ok(), &scenario, *first).await;
    let slot = Slot { env: &env, means: &means, scenario: &scenario, leases, live: Vec::new(), login };
    slot.play(&cases).await
}

impl<'a> Slot<'a> {
    async fn play(mut self, cases: &'a [(CaseId, Population)]) -> Vec<Observation> {
        let initial = self.login.issued(&self.scenario.initial);
        if let Err(error) = breakage::write(self.env, &mut self.leases, &initial).await {
            return vec![Observation::from(error); cases.len()];
        }
        self.settle(cases, &initial).await;
        let mut old = self.login.issued(&self.scenario.control);
        for (number, episode) in self.scenario.episodes.iter().enumerate() {
            if self.live.iter().all(OutageCase::is_over) {
                break;
            }
            match self.outage(number, episode, &old).await {
                Ok(new) => old = new,
                Err(error) => self.give_up(&observation::unknown(&error).about(episode.fault)),
            }
        }
        let env = self.env;
        join_all(self.live.iter_mut().map(|live| live.stay(env, &old))).await;
        let mut observations: Vec<Observation> = self.live.into_iter().map(|live| live.finish(env)).collect();
        if let Some(first) = observations.first_mut() {
            self.login.end(first).await;
        }
        observations
    }

    fn give_up(&mut self, why: &Unknown) {
        self.live.iter_mut().for_each(|live| live.give_up(why.clone()));
    }

    /// Brings all namespaces to rest on the `initial` values, and sees an update arrive.
    async fn settle(&mut self, cases: &'a [(CaseId, Population)], initial: &World) {
        let (env, scenario) = (self.env, self.scenario);
        let settled = cases.iter().map(|(id, population)| OutageCase::settle(env, *id, scenario, population, initial));
        self.live = join_all(settled).await;
        self.login.settle(Duration::ZERO).await;
        self.login.rotate().await;
        let control = self.login.issued(&scenario.control);
        match breakage::write(env, &mut self.leases, &control).await {
            Ok(written) => drop(join_all(self.live.iter_mut().map(|live| live.arrive(env, &control, written))).await),
            Err(error) => self.give_up(&observation::unknown(&error)),
        }
        self.login.settle(Duration::ZERO).await;
        self.login.must_work("before an outage").await;
    }

    /// One outage, from rest on the values of `old` to rest on others, which it gives.
    async fn outage(&mut self, number: usize, episode: &Episode, old: &World) -> Result<World, BreakageError> {
        let (env, scope) = (self.env, &self.scenario.scope);
        let Episode { fault, lasts, rotates, .. } = episode;
        let (fault, updates) = (*fault, fault.lets_updates_through());
        join_all(self.live.iter_mut().map(|live| live.record(env, old))).await;
        let began = Instant::now();
        let mut new = self.login.issued(&episode.values);
        // Where nothing can be written meanwhile, or the fault is over at once, the changes come first and are overtaken.
        if fault.comes_after_changes() {
            self.changes(number, episode, &new).await?;
        }
        let broken = Broken::make(env, self.means, scope, &self.leases, fault).await?;
        join_all(self.live.iter_mut().map(|live| live.feel(env, &broken, fault))).await;
        self.login.must_work(&format!("during an outage: {fault}")).await;
        let until = Instant::now() + if fault.comes_after_changes() { *lasts } else { (*lasts).max(*rotates) };
        let changed = if fault.comes_after_changes() {
            Ok(())
        } else {
            self.login.rotate().await;
            new = self.login.issued(&episode.values);
            self.changes(number, episode, &new).await
        };
        wait::pass_until(until).await;
        let is_recorded = self.see_it_out(fault).await;
        if is_recorded {
            self.live.iter_mut().for_each(|live| live.check(env, fault, (old, &new), updates));
        }
        let healed = broken.heal(env, scope, &mut self.leases, &new).await?;
        changed?;
        let lasted = began.elapsed();
        join_all(self.live.iter_mut().map(|live| live.converge(env, episode, &new, healed, lasted))).await;
        self.live.iter_mut().for_each(|live| live.check(env, fault, (old, &new), true));
        if !fault.interrupts_watches() {
            if !is_recorded && fault != Fault::EtcdFull {
                let why = format!("{fault}: the watches did not show what was written until its end");
                self.give_up(&Unknown::new(Cause::WatchStale, why));
            }
            self.live.iter_mut().for_each(|live| live.must_be_whole(env, fault));
        }
        self.login.settle(lasted).await;
        self.login.must_work(&format!("after an outage: {fault}")).await;
        self.recover(fault).await?;
        Ok(new)
    }

    /// Waits until what a fault does can be seen. True if what was written until then is in the recordings, to be judged as
    /// what it is.
    async fn see_it_out(&self, fault: Fault) -> bool {
        let (env, scope) = (self.env, &self.scenario.scope);
        if fault.outlasts_its_sign() {
            let refreshes =
                scope.distributions(&env.model).into_iter().map(|distribution| distribution.refresh_interval);
            wait::pass(refreshes.max().unwrap_or_default() + LATE).await;
        }
        if fault.interrupts_watches() || fault == Fault::EtcdFull {
            env.observer.staleness().is_none()
        } else {
            wait::fence(&env.observer, "all changes until the end of the outage").await.is_ok()
        }
    }

    /// Brings back what a fault leaves changed after it is healed, before the next outage.
    async fn recover(&mut self, fault: Fault) -> Result<(), BreakageError> {
        if fault == Fault::OperatorReplaced(Replacement::Elected) {
            // One that elects a leader ends when the API server is away for longer than it may renew its lease.
            breakage::restart(self.env, Component::ExternalSecrets).await?;
        }
        if fault.interrupts_watches()
            && let Err(why) = until_operator_sees_copies(self.env).await
        {
            self.give_up(&why);
        }
        Ok(())
    }

    /// Changes beside an outage: new values for the source, if it is there, and other labels.
    async fn changes(&mut self, number: usize, episode: &Episode, new: &World) -> Result<(), BreakageError> {
        let env = self.env;
        let Self { scenario, leases, live, .. } = self;
        let (fault, of) = (episode.fault, scenario.episodes.len());
        let relabelled = join_all(live.iter_mut().map(|live| live.relabel(env, number, of, fault)));
        let rotated = async {
            if !fault.takes_the_source() {
                wait::pass(episode.rotates).await;
                breakage::write(env, leases, new).await?;
            }
            Ok(())
        };
        join(rotated, relabelled).await.0
    }
}
