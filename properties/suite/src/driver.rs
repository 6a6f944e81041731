//! From a property and a seed to case records: generation, lanes, shrinking.
//!
//! Cases run in *slots*. Cases of a slot share what cannot be private to a case: the values and the rotation of a
//! source (see [`sources`](crate::testbed::sources)). A slot's shared part follows from the seed and the slot's number, a
//! case's own part from the seed and its index, so `p01:SEED:INDEX` names a case whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::capability::Capability;
use credence_core::id::{CaseId, Requirement};
use credence_core::text::Reason;
use credence_model::model::{Distribution, Model};
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::copy::{Declared, Reached};
use credence_report::report::{Execution, PropertyMeta};
use credence_report::route::DeclaredRoute;
use credence_report::unknown::Cause;
use credence_report::verdict::{self, CaseRecord, CheckRecord, Outcome};
use futures::FutureExt;
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use tokio::time::Instant;
use tracing::Instrument;

use crate::coverage::{self, Judges};
use crate::events::Events;
use crate::fixture::Fixture;
use crate::generate;
use crate::observation::Observation;
use crate::schedule::{Participant, Shares};
use crate::side_by_side::Turn;
use crate::stop::Stop;
use crate::supplies::{Need, Supplies};
use crate::testbed::TestBed;
use crate::trail;

mod execute;
#[cfg(test)]
mod golden;
mod shrink;

/// A check that only clusters with a capability can show.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Name of what is tried, as reports and `doctor` show it when it is skipped.
    pub what: &'static str,
    /// Capability without which it is skipped.
    pub needs: Capability,
    /// The claims of which less is proved without it.
    pub weakens: &'static [Claim],
}

/// A claim, and how to test it.
pub trait Property: Send + Sync + 'static {
    /// Everything that the cases of a slot share.
    type Shared: Debug + Clone + Send + Sync;
    /// Part of a case that it has for itself.
    type Case: Debug + Clone + Send + Sync;
    /// Set-up for all of its cases, and for nobody else.
    type Fixture: Fixture;

    /// Name, claim, and what proves which requirement.
    const META: PropertyMeta;
    /// Supplies that it needs of those that a run sets up only where a property needs them.
    const NEEDS: &'static [Need] = &[];
    /// Checks of it that only clusters with a capability can show. Elsewhere the report has them as skipped,
    /// with the reason of the cluster.
    const CHECKS: &'static [Check] = &[];
    /// Lack of a configuration that has nothing for it, as the report says it.
    const NOTHING: &'static str = "no ClusterExternalSecret selects namespaces of any name by their labels";
    /// Cases that share a slot.
    const CASES_PER_SLOT: u32 = 1;
    /// Slots that run at the same time.
    const LANES: usize;
    /// True if it begins before all others that could begin as well: the one that takes longest ends last otherwise.
    const BEGINS_FIRST: bool = false;
    /// Demands of its cases on what they share with the cases of others, and their effects on it.
    const SHARES: Shares;

    /// Namespaces that all its lanes change at the same time, at most: the bounds of all that run beside it allow for them.
    fn namespaces(&self, model: &Model) -> u32;

    /// Generator of the shared part of slot number `slot`. `None`: this configuration has nothing to test here.
    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Self::Shared>>;

    /// Generator of a case in a slot with this shared part.
    fn case(&self, model: &Model, shared: &Self::Shared) -> BoxedStrategy<Self::Case>;

    /// The same for the case with this place in its slot, from 0: for properties that take something in turn.
    fn case_at(&self, model: &Model, shared: &Self::Shared, _place: u32) -> BoxedStrategy<Self::Case> {
        self.case(model, shared)
    }

    /// True if the model says that this case can show anything at all. Asked before a smaller case is tried on the
    /// cluster, which costs seconds, while the model costs nothing.
    fn is_telling(&self, model: &Model, shared: &Self::Shared, case: &Self::Case) -> bool;

    /// Its judgement on the copies of a distribution that some namespace can get. There is no default: a copy that
    /// nothing judges has to be said.
    fn judges(&self, model: &Model, distribution: &Distribution) -> Judges;

    /// Succeeds if it can be told on this cluster with this configuration at all.
    ///
    /// # Errors
    /// Why it is skipped, and what would enable it.
    fn applies(&self, _env: &TestBed) -> Result<(), Reason> {
        Ok(())
    }

    /// Requirements that it claims but did not exercise with what its cases reached, each with the reason.
    fn not_covered(&self, _model: &Model, _reached: &BTreeSet<&Reached>) -> BTreeMap<Requirement, String> {
        BTreeMap::new()
    }

    /// Further checks of it that cannot run here, each with the reason and the claims of which less is proved without it.
    fn skipped_checks(&self, _env: &TestBed) -> Vec<SkippedCheck> {
        Vec::new()
    }

    /// Checks of it that so many cases do not get to, by what they do, each with the reason.
    fn not_reached(&self, _model: &Model, _cases: u32) -> Vec<SkippedCheck> {
        Vec::new()
    }

    /// The routes that it knows, if it tries any: each has a row in the report, also where no case went by it.
    fn routes(&self) -> Vec<DeclaredRoute> {
        Vec::new()
    }

    /// Tries once, after the cases, what is not generated: what only some clusters have, so that the cases stay the same on
    /// all. Must leave the cluster as it was, also when `stop` ends it early.
    fn checks(
        &self,
        _env: &Arc<TestBed>,
        _fixture: &Self::Fixture,
        _events: &dyn Events,
        _stop: &Stop,
    ) -> impl Future<Output = Vec<CheckRecord>> + Send {
        std::future::ready(Vec::new())
    }

    /// Runs the cases of one slot and gives the end of each, in their order.
    fn run(
        &self,
        env: &Arc<TestBed>,
        fixture: &Self::Fixture,
        shared: &Self::Shared,
        cases: &[(CaseId, Self::Case)],
    ) -> impl Future<Output = Vec<Observation>> + Send;
}

/// Number of cases of a property, and which.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Inputs from which all cases follow.
    pub seed: u64,
    /// Number of cases, with the indices from 0 on.
    pub cases: u32,
    /// Run this case alone, instead.
    pub only: Option<u32>,
    /// Time that a failing case may be made smaller.
    pub shrink: Duration,
    /// Flags that `credence replay` needs beside the case to test the same configuration.
    pub replay_flags: String,
    /// True if each case leaves a trail, see [`trail`].
    pub leaves_trail: bool,
}

/// Outcome of a property in its turn, before a report is made of it.
pub enum Executed {
    /// Its set-up began; without a fixture there are no records.
    Ran {
        /// One record for each case that ran.
        records: Vec<CaseRecord>,
        /// Facts that are known beside them.
        execution: Box<Execution>,
        /// Set-up for them; none if it could not be made.
        fixture: Option<Box<dyn Fixture>>,
    },
    /// It cannot be told here, and why.
    Skipped(String),
}

/// A property in the registry, whatever its types.
pub trait Registered: Send + Sync {
    /// Name, claim, and what proves which requirement.
    fn meta(&self) -> PropertyMeta;

    /// Relation to the copies of a configuration.
    fn declared(&self, model: &Model) -> Vec<Declared>;

    /// Supplies that it needs of those that a run sets up only where a property needs them.
    fn needs(&self) -> &'static [Need];

    /// Checks of it that only clusters with a capability can show.
    fn checks(&self) -> &'static [Check];

    /// Demands of its cases on what they share with the cases of others.
    fn shares(&self) -> Shares;

    /// Its part among those that run beside it.
    fn participant(&self, model: &Model) -> Participant;

    /// Resolves when it can begin without waiting for anything but its turn, or when `stop` or the death of the cluster
    /// ends the wait.
    fn is_ready<'a>(
        &'a self,
        env: &'a TestBed,
        supplies: &'a Supplies,
        stop: &'a Stop,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

    /// Runs it in its turn.
    fn execute<'a>(&'a self, run: Run<'a>) -> Pin<Box<dyn Future<Output = Executed> + Send + 'a>>;
}

impl<P: Property> Registered for P {
    fn meta(&self) -> PropertyMeta {
        P::META
    }

    fn declared(&self, model: &Model) -> Vec<Declared> {
        coverage::declared(model, |distribution| self.judges(model, distribution))
    }

    fn needs(&self) -> &'static [Need] {
        P::NEEDS
    }

    fn checks(&self) -> &'static [Check] {
        P::CHECKS
    }

    fn shares(&self) -> Shares {
        P::SHARES
    }

    fn participant(&self, model: &Model) -> Participant {
        Participant { shares: P::SHARES, namespaces: self.namespaces(model), first: P::BEGINS_FIRST }
    }

    fn is_ready<'a>(
        &'a self,
        env: &'a TestBed,
        supplies: &'a Supplies,
        stop: &'a Stop,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            // What cannot run at all is only to be said.
            if supplies.missing(P::NEEDS).is_none() && self.applies(env).is_ok() {
                tokio::select! {
                    biased;
                    () = stop.requested() => {}
                    death = env.cluster.died() => drop(env.cluster.mark_lost(death)),
                    () = supplies.ready(P::NEEDS, env) => {}
                }
            }
        })
    }

    fn execute<'a>(&'a self, run: Run<'a>) -> Pin<Box<dyn Future<Output = Executed> + Send + 'a>> {
        let env = run.supplies.bed(P::NEEDS, run.env);
        Box::pin(execute::execute(self, Run { env, ..run }))
    }
}

/// A run of a property: what it runs on, and its turn among the others.
pub struct Run<'a> {
    /// Test bed that all properties of the run share.
    pub env: &'a Arc<TestBed>,
    /// Supplies beside the test bed, for properties that need them.
    pub supplies: &'a Supplies,
    /// Sink that is told of the property and of each of its cases.
    pub events: &'a dyn Events,
    /// The number of cases, and which.
    pub plan: &'a Plan,
    /// Ends the run early: what has not begun then does not run.
    pub stop: &'a Stop,
    /// Permission to run, beside others or alone.
    pub turn: Turn,
}

fn is_new_violation(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Violated(violation) if violation.known.is_none())
}

async fn run_cases<P: Property>(
    property: &P,
    env: &Arc<TestBed>,
    fixture: &P::Fixture,
    shared: &P::Shared,
    cases: &[(CaseId, P::Case)],
) -> Vec<CaseRecord> {
    let began = Instant::now();
    let slot = trail::slot(cases.iter().map(|(id, _)| *id));
    let run = AssertUnwindSafe(property.run(env, fixture, shared, cases).instrument(slot.clone())).catch_unwind();
    // A panic is a fault of ours and no evidence; its message is on standard error already.
    let observations =
        run.await.unwrap_or_else(|_| vec![Observation::unknown(Cause::Panicked, "the case panicked"); cases.len()]);
    let took = began.elapsed();
    let records = cases.iter().zip(observations).map(|((id, _), observation)| record(*id, observation, took));
    slot.in_scope(|| records.inspect(trail::ended).collect())
}

fn record(id: CaseId, observation: Observation, took: Duration) -> CaseRecord {
    let Observation { outcome, operations, context, reached, routes, latencies, bound } = observation;
    let outcome = match outcome {
        Outcome::Held if operations.is_empty() => verdict::unknown(Cause::NoEvidence, "the case came to no evidence"),
        outcome => outcome,
    };
    CaseRecord { id, outcome, operations, context, reached, routes, latencies, took, bound, smallest: None }
}

type Tree<T> = Box<dyn ValueTree<Value = T>>;

fn shared_tree<P: Property>(property: &P, model: &Model, seed: u64, slot: u32) -> Result<Tree<P::Shared>, Reason> {
    let strategy = property
        .shared(model, slot)
        .ok_or_else(|| format!("the configuration has nothing that {} could be tested on", P::META.id))?;
    let mut runner = generate::runner(seed, &format!("{}/slot", P::META.id), slot);
    strategy.new_tree(&mut runner).map_err(|reason| reason.to_string().into())
}

fn case_tree<P: Property>(
    property: &P,
    model: &Model,
    shared: &P::Shared,
    id: CaseId,
) -> Result<Tree<P::Case>, Reason> {
    let mut runner = generate::runner(id.seed, &id.property.to_string(), id.index);
    let place = id.index % P::CASES_PER_SLOT;
    property.case_at(model, shared, place).new_tree(&mut runner).map_err(|reason| reason.to_string().into())
}
