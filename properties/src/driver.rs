//! From a property and a seed to case records: generation, lanes, shrinking.
//!
//! Cases run in *slots*. Cases of a slot share what cannot be private to a case: the values and the rotation of a
//! source (see [`sources`](crate::sources)). A slot's shared part follows from the seed and the slot's number, a
//! case's own part from the seed and its index, so `p01:SEED:INDEX` names a case whole.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use tokio::time::Instant;

use crate::console::Console;
use crate::environment::Environment;
use crate::generate;
use crate::model::Model;
use crate::report::{Execution, PropertyMeta};
use crate::stop::Stop;
use crate::verdict::{CaseId, CaseRecord, CheckRecord, Outcome, Requirement};

mod shrink;

/// A claim, and how to test it.
pub trait Property: Send + Sync + 'static {
    /// What the cases of a slot share.
    type Shared: Debug + Clone + Send + Sync;
    /// What a case has for itself.
    type Case: Debug + Clone + Send + Sync;

    /// Name, claim and requirements.
    const META: PropertyMeta;
    /// Cases that share a slot.
    const CASES_PER_SLOT: u32 = 1;
    /// Slots that run at the same time.
    const LANES: usize;

    /// Generator of the shared part of slot number `slot`. `None`: this configuration has nothing to test here.
    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Self::Shared>>;

    /// Generator of a case in a slot with this shared part.
    fn case(&self, model: &Model, shared: &Self::Shared) -> BoxedStrategy<Self::Case>;

    /// The same for the case with this place in its slot, from 0: for properties that take something in turn.
    fn case_at(&self, model: &Model, shared: &Self::Shared, _place: u32) -> BoxedStrategy<Self::Case> {
        self.case(model, shared)
    }

    /// Whether the model says that this case can show anything at all. Asked before a smaller case is tried on the
    /// cluster, which costs seconds, while the model costs nothing.
    fn is_telling(&self, model: &Model, shared: &Self::Shared, case: &Self::Case) -> bool;

    /// The environment that it is told in: for a property that needs more than a cluster with the configuration, which may
    /// have to be waited for.
    fn environment(&self, env: &Arc<Environment>) -> impl Future<Output = Arc<Environment>> + Send {
        std::future::ready(Arc::clone(env))
    }

    /// Whether it can be told on this cluster with this configuration at all.
    ///
    /// # Errors
    /// Why it is skipped, and what would enable it.
    fn applies(&self, _env: &Environment) -> Result<(), String> {
        Ok(())
    }

    /// Requirements that it traces to but cannot exercise here, each with the reason.
    fn not_covered(&self, _model: &Model) -> BTreeMap<Requirement, String> {
        BTreeMap::new()
    }

    /// Checks of it that cannot run here, by what they do, each with the reason.
    fn skipped_checks(&self, _env: &Environment) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Tries once, after the cases, what is not generated: what only some clusters have, so that the cases stay the same on
    /// all. Must leave the cluster as it was, also when `stop` ends it early.
    fn checks(
        &self,
        _env: &Arc<Environment>,
        _console: &Console,
        _stop: &Stop,
    ) -> impl Future<Output = Vec<CheckRecord>> + Send {
        std::future::ready(Vec::new())
    }

    /// Runs once before the first slot, for what all cases need.
    fn prepare(&self, _env: &Arc<Environment>) -> impl Future<Output = Result<(), String>> + Send {
        std::future::ready(Ok(()))
    }

    /// Runs the cases of one slot and gives the end of each, in their order.
    fn run(
        &self,
        env: &Arc<Environment>,
        shared: &Self::Shared,
        cases: &[(CaseId, Self::Case)],
    ) -> impl Future<Output = Vec<Observation>> + Send;
}

/// What a case saw.
#[derive(Debug, Clone)]
pub struct Observation {
    /// How it ended.
    pub outcome: Outcome,
    /// Operations that it carried out, by kind. A case without any did not test its claim.
    pub operations: BTreeMap<String, u64>,
    /// How long the things that it awaited took.
    pub latencies: Vec<Duration>,
    /// How long the configuration allows for them.
    pub bound: Option<Duration>,
}

impl Observation {
    /// A case that could not tell.
    pub fn unknown(why: impl ToString) -> Self {
        Self::from(Outcome::Unknown(why.to_string()))
    }

    /// Counts an operation.
    pub fn count(&mut self, operation: &str) {
        *self.operations.entry(operation.to_owned()).or_default() += 1;
    }
}

impl From<Outcome> for Observation {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, operations: BTreeMap::new(), latencies: Vec::new(), bound: None }
    }
}

/// How much of a property to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What all cases follow from.
    pub seed: u64,
    /// Number of cases.
    pub cases: u32,
    /// Run this case alone, instead.
    pub only: Option<u32>,
    /// How long a failing case may be made smaller.
    pub shrink: Duration,
    /// What `credence replay` needs beside the case to test the same configuration.
    pub replay_flags: String,
}

/// What came of a property.
pub enum Executed {
    /// It was tried.
    Ran {
        /// One record for each case that ran.
        records: Vec<CaseRecord>,
        /// What is known beside them.
        execution: Execution,
    },
    /// It cannot be told here, and why.
    Skipped(String),
}

/// A property in the registry, whatever its types.
pub trait Registered: Send + Sync {
    /// Name, claim and requirements.
    fn meta(&self) -> PropertyMeta;

    /// Runs it. `stop` ends it early: what has not begun then does not run.
    fn execute<'a>(
        &'a self,
        env: &'a Arc<Environment>,
        console: &'a Console,
        plan: &'a Plan,
        stop: &'a Stop,
    ) -> Pin<Box<dyn Future<Output = Executed> + Send + 'a>>;
}

impl<P: Property> Registered for P {
    fn meta(&self) -> PropertyMeta {
        P::META
    }

    fn execute<'a>(
        &'a self,
        env: &'a Arc<Environment>,
        console: &'a Console,
        plan: &'a Plan,
        stop: &'a Stop,
    ) -> Pin<Box<dyn Future<Output = Executed> + Send + 'a>> {
        Box::pin(execute(self, env, console, plan, stop))
    }
}

async fn execute<P: Property>(
    property: &P,
    env: &Arc<Environment>,
    console: &Console,
    plan: &Plan,
    stop: &Stop,
) -> Executed {
    let env = &tokio::select! {
        biased;
        // Nobody waits any more for what is not there yet.
        () = stop.requested() => Arc::clone(env),
        death = env.cluster.died() => {
            env.bury(death);
            Arc::clone(env)
        }
        env = property.environment(env) => env,
    };
    if let Err(why) = property.applies(env) {
        return Executed::Skipped(why);
    }
    let began = Instant::now();
    let planned = if plan.only.is_some() { 1 } else { plan.cases };
    console.property_started(P::META.id, P::META.title, planned);
    let stopped = || "stopped before all cases had run".to_owned();
    let mut trouble = match env.death() {
        Some(death) => Some(death),
        None if stop.is_requested() => Some(stopped()),
        None => property.prepare(env).await.err(),
    };
    let found_violation = AtomicBool::new(false);
    let mut records = Vec::new();
    if trouble.is_none() {
        let ended = || stop.is_requested() || found_violation.load(Ordering::Relaxed);
        let running = stream::iter(slots::<P>(plan))
            // A slot that has not begun when a violation is found does not begin: the time is for the smaller case.
            .take_while(|_| std::future::ready(!ended()))
            .map(|slot| run_slot(property, env, plan, slot))
            .buffer_unordered(P::LANES);
        futures::pin_mut!(running);
        loop {
            // A part of the cluster that dies ends the property at once: what its cases would see then is no evidence.
            let slot = tokio::select! {
                biased;
                death = env.cluster.died() => Err(env.bury(death)),
                slot = running.next() => match slot {
                    Some(slot) => slot,
                    None => break,
                },
            };
            let slot = match slot {
                Ok(slot) => slot,
                Err(why) => {
                    trouble = Some(why);
                    break;
                }
            };
            for record in slot {
                console.case_done(&record);
                if is_new_violation(&record.outcome) {
                    found_violation.store(true, Ordering::Relaxed);
                }
                records.push(record);
            }
        }
    }
    records.sort_by_key(|record| record.id);
    let mut checks = Vec::new();
    // One case alone is no run.
    if trouble.is_none() && plan.only.is_none() && !stop.is_requested() {
        tokio::select! {
            biased;
            death = env.cluster.died() => trouble = Some(env.bury(death)),
            made = property.checks(env, console, stop) => checks = made,
        }
    }
    if stop.is_requested() {
        trouble.get_or_insert_with(stopped);
    }
    let first = records.iter_mut().find(|record| is_new_violation(&record.outcome));
    if let Some(first) = first.filter(|_| trouble.is_none()) {
        console.note(&format!("{}: looking for a smaller case, at most {:?}", first.id, plan.shrink));
        first.smallest = Some(shrink::smallest(property, env, plan, first.id).await);
    }
    let execution = Execution {
        planned,
        took: began.elapsed(),
        trouble,
        checks,
        not_covered: property.not_covered(&env.model),
        skipped_checks: property.skipped_checks(env),
        replay_flags: plan.replay_flags.clone(),
    };
    Executed::Ran { records, execution }
}

fn is_new_violation(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Violated(violation) if violation.known.is_none())
}

/// A slot: its number and the indices of its cases.
struct Slot {
    number: u32,
    indices: Vec<u32>,
}

fn slots<P: Property>(plan: &Plan) -> Vec<Slot> {
    let indices: Vec<u32> = match plan.only {
        Some(index) => vec![index],
        None => (0..plan.cases).collect(),
    };
    indices
        .chunk_by(|a, b| a / P::CASES_PER_SLOT == b / P::CASES_PER_SLOT)
        .map(|chunk| Slot { number: chunk[0] / P::CASES_PER_SLOT, indices: chunk.to_vec() })
        .collect()
}

/// Runs the cases of a slot. An error means that no case can be generated for this configuration.
async fn run_slot<P: Property>(
    property: &P,
    env: &Arc<Environment>,
    plan: &Plan,
    slot: Slot,
) -> Result<Vec<CaseRecord>, String> {
    let shared = shared_tree(property, &env.model, plan.seed, slot.number)?.current();
    let mut cases = Vec::with_capacity(slot.indices.len());
    for index in slot.indices {
        let id = CaseId { property: P::META.id, seed: plan.seed, index };
        cases.push((id, case_tree(property, &env.model, &shared, id)?.current()));
    }
    Ok(run_cases(property, env, &shared, &cases).await)
}

async fn run_cases<P: Property>(
    property: &P,
    env: &Arc<Environment>,
    shared: &P::Shared,
    cases: &[(CaseId, P::Case)],
) -> Vec<CaseRecord> {
    let began = Instant::now();
    let run = AssertUnwindSafe(property.run(env, shared, cases)).catch_unwind();
    // A panic is a fault of ours and no evidence; its message is on standard error already.
    let observations = run.await.unwrap_or_else(|_| vec![Observation::unknown("the case panicked"); cases.len()]);
    let took = began.elapsed();
    cases.iter().zip(observations).map(|((id, _), observation)| record(*id, observation, took)).collect()
}

fn record(id: CaseId, observation: Observation, took: Duration) -> CaseRecord {
    let Observation { outcome, operations, latencies, bound } = observation;
    let outcome = match outcome {
        Outcome::Held if operations.is_empty() => Outcome::Unknown("the case carried out no operation".to_owned()),
        outcome => outcome,
    };
    CaseRecord { id, outcome, operations, latencies, took, bound, smallest: None }
}

type Tree<T> = Box<dyn ValueTree<Value = T>>;

fn shared_tree<P: Property>(property: &P, model: &Model, seed: u64, slot: u32) -> Result<Tree<P::Shared>, String> {
    let strategy = property
        .shared(model, slot)
        .ok_or_else(|| format!("the configuration has nothing that {} could be tested on", P::META.id))?;
    let mut runner = generate::runner(seed, &format!("{}/slot", P::META.id), slot);
    strategy.new_tree(&mut runner).map_err(|reason| reason.to_string())
}

fn case_tree<P: Property>(
    property: &P,
    model: &Model,
    shared: &P::Shared,
    id: CaseId,
) -> Result<Tree<P::Case>, String> {
    let mut runner = generate::runner(id.seed, &id.property.to_string(), id.index);
    let place = id.index % P::CASES_PER_SLOT;
    property.case_at(model, shared, place).new_tree(&mut runner).map_err(|reason| reason.to_string())
}
