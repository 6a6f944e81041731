//! A property from its first slot to its last check: beside others what may have neighbours, alone what may not.
//!
//! A slot that sees or changes all of the cluster waits until nothing else runs, and so does the search for a smaller case:
//! what it tries again must not fail, or hold, because of a neighbour.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use credence_core::id::CaseId;
use credence_core::text::Reason;
use credence_report::claim::SkippedCheck;
use credence_report::copy::Reached;
use credence_report::report::{Execution, Reproduced};
use credence_report::verdict::CaseRecord;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use proptest::strategy::ValueTree;
use tokio::time::Instant;

use super::{Executed, Plan, Property, Registered, Run, case_tree, is_new_violation, run_cases, shared_tree, shrink};
use crate::events::Event;
use crate::fixture::Fixture;
use crate::testbed::TestBed;
use crate::trail;

/// Runs a property in its turn.
pub(super) async fn execute<P: Property>(property: &P, run: Run<'_>) -> Executed {
    if let Some(why) = inapplicable(property, &run) {
        return Executed::Skipped(why);
    }
    let Run { env, events, plan, stop, .. } = run;
    let planned = if plan.only.is_some() { 1 } else { plan.cases };
    events.event(&Event::PropertyStarted { id: P::META.id, title: P::META.title, planned });
    let mut progress = Progress::default();
    let (started, began) = (Timestamp::now(), Instant::now());
    let (fixture, mut trouble) = match begin::<P>(&run, &mut progress.waited).await {
        Ok(fixture) => {
            let trouble = run_all(property, &run, &fixture, &mut progress).await.err();
            (Some(fixture), trouble)
        }
        Err(why) => (None, Some(why)),
    };
    let Progress { mut records, mut waited, .. } = progress;
    records.sort_by_key(|record| record.id);
    let mut checks = Vec::new();
    // One case alone is no run.
    if let Some(fixture) = &fixture
        && trouble.is_none()
        && plan.only.is_none()
        && !stop.is_requested()
    {
        tokio::select! {
            biased;
            death = env.cluster.died() => trouble = Some(env.cluster.mark_lost(death).into()),
            made = property.checks(env, fixture, events, stop) => checks = made,
        }
    }
    if stop.is_requested() {
        trouble.get_or_insert_with(stopped);
    }
    let mut reproduced = BTreeMap::new();
    if let Some(fixture) = &fixture
        && trouble.is_none()
        && !plan.shrink.is_zero()
    {
        reproduced.extend(reproduce(property, &run, fixture, &mut records, &mut waited).await);
    }
    let reached: BTreeSet<&Reached> = records.iter().flat_map(|record| &record.reached).collect();
    let execution = Execution {
        planned,
        started,
        took: began.elapsed().saturating_sub(waited),
        trouble: trouble.map(String::from),
        checks,
        reproduced,
        not_covered: property.not_covered(&env.model, &reached),
        skipped_checks: skipped_checks(property, &run, fixture.as_ref()),
        declared: property.declared(&env.model),
        routes: property.routes(),
        replay_flags: plan.replay_flags.clone(),
        trail: plan.leaves_trail.then_some(trail::DIRECTORY),
    };
    let fixture = fixture.map(|fixture| Box::new(fixture) as Box<dyn Fixture>);
    Executed::Ran { records, execution: Box::new(execution), fixture }
}

/// Why a property does not run on this cluster and this configuration, if so.
fn inapplicable<P: Property>(property: &P, run: &Run<'_>) -> Option<String> {
    let Run { env, supplies, .. } = run;
    if let Some(why) = supplies.missing(P::NEEDS) {
        return Some(why);
    }
    if let Err(why) = property.applies(env) {
        return Some(why.into());
    }
    // Slots are alike but for what they take in turn, so the first tells whether there is anything.
    let is_empty = property.shared(&env.model, 0).is_none();
    is_empty.then(|| format!("the configuration has nothing to test it on: {}", P::NOTHING))
}

/// Runs the first case that was violated again, and smaller. Gives how often it failed again, if it ran.
async fn reproduce<P: Property>(
    property: &P,
    run: &Run<'_>,
    fixture: &P::Fixture,
    records: &mut [CaseRecord],
    waited: &mut Duration,
) -> Option<(CaseId, Reproduced)> {
    let Run { env, events, plan, .. } = run;
    let first = records.iter_mut().find(|record| is_new_violation(&record.outcome))?;
    let again = match run.alone(waited).await {
        Ok(()) => {
            events.note(&format!("{}: running it again, and smaller, at most {:?}", first.id, plan.shrink));
            shrink::again(property, env, fixture, plan, first.id).await
        }
        Err(why) => shrink::Again::not_run(why.as_str()),
    };
    first.smallest = again.smallest;
    again.reproduced.map(|reproduced| (first.id, reproduced))
}

/// The checks that cannot run here: for want of a capability of the cluster, for reasons of the property's own, and for what
/// could not be set up. Cases that a whole run would reach are among them.
fn skipped_checks<P: Property>(property: &P, run: &Run<'_>, fixture: Option<&P::Fixture>) -> Vec<SkippedCheck> {
    let Run { env, plan, .. } = run;
    let lacking = P::CHECKS.iter().filter_map(|check| {
        let why = env.cluster.supports(check.needs).err()?;
        Some(SkippedCheck::new(check.what, why).weakens(check.weakens))
    });
    let mut skipped = property.skipped_checks(env);
    skipped.extend(lacking);
    skipped.extend(fixture.into_iter().flat_map(Fixture::skipped_checks));
    if plan.only.is_none() {
        skipped.extend(property.not_reached(&env.model, plan.cases));
    }
    skipped
}

/// State of a property so far.
#[derive(Default)]
struct Progress {
    records: Vec<CaseRecord>,
    found_violation: AtomicBool,
    /// Time in which it did nothing but wait until it was alone.
    waited: Duration,
}

impl Run<'_> {
    /// Waits until nothing else runs, and until what others did to the namespaces of the pool is undone.
    ///
    /// # Errors
    /// Why that will not be.
    async fn alone(&self, waited: &mut Duration) -> Result<(), Reason> {
        let began = Instant::now();
        let alone = async {
            self.turn.alone().await;
            self.env.namespaces.cleaned().await;
        };
        let ended = tokio::select! {
            biased;
            death = self.env.cluster.died() => Err(self.env.cluster.mark_lost(death).into()),
            () = self.stop.requested() => Err(stopped()),
            () = alone => Ok(()),
        };
        *waited += began.elapsed();
        ended
    }
}

fn stopped() -> Reason {
    "stopped before all cases had run".into()
}

/// Waits until it may begin, and sets up what its cases need.
///
/// # Errors
/// Obstacle that kept it from that.
async fn begin<P: Property>(run: &Run<'_>, waited: &mut Duration) -> Result<P::Fixture, Reason> {
    let Run { env, supplies, stop, .. } = run;
    if let Some(death) = env.cluster.lost() {
        return Err(death.into());
    }
    if stop.is_requested() {
        return Err(stopped());
    }
    if P::SHARES.needs_all() {
        run.alone(waited).await?;
    }
    P::Fixture::set_up(env, supplies).await.map_err(Reason::of)
}

/// Runs all slots: side by side those that may have neighbours, and then, one by one, those that may not.
///
/// # Errors
/// Obstacle that kept it from running to its end.
async fn run_all<P: Property>(
    property: &P,
    run: &Run<'_>,
    fixture: &P::Fixture,
    progress: &mut Progress,
) -> Result<(), Reason> {
    let (alone, beside): (Vec<Slot>, Vec<Slot>) =
        slots::<P>(run.plan).into_iter().partition(|slot| P::SHARES.is_alone(slot.number));
    run_slots(property, run, fixture, beside, P::LANES, progress).await?;
    if !alone.is_empty() && !progress.has_ended(run) {
        run.alone(&mut progress.waited).await?;
        run_slots(property, run, fixture, alone, 1, progress).await?;
    }
    Ok(())
}

impl Progress {
    /// True if no further slot begins. The time after a violation is for the smaller case.
    fn has_ended(&self, run: &Run<'_>) -> bool {
        run.stop.is_requested() || self.found_violation.load(Ordering::Relaxed)
    }
}

async fn run_slots<P: Property>(
    property: &P,
    run: &Run<'_>,
    fixture: &P::Fixture,
    slots: Vec<Slot>,
    lanes: usize,
    progress: &mut Progress,
) -> Result<(), Reason> {
    let Run { env, events, plan, turn, .. } = run;
    let Progress { records, found_violation, .. } = progress;
    let found_violation = &*found_violation;
    let has_ended = || run.stop.is_requested() || found_violation.load(Ordering::Relaxed);
    let running = stream::iter(slots)
        .take_while(|_| std::future::ready(!has_ended()))
        .map(|slot| async move {
            let _lane = turn.lane().await;
            // It may have waited for long.
            if has_ended() { Ok(Vec::new()) } else { run_slot(property, env, fixture, plan, slot).await }
        })
        .buffer_unordered(lanes);
    futures::pin_mut!(running);
    loop {
        // A part of the cluster that dies ends the property at once: what its cases would see then is no evidence.
        let slot = tokio::select! {
            biased;
            death = env.cluster.died() => return Err(env.cluster.mark_lost(death).into()),
            slot = running.next() => match slot {
                Some(slot) => slot?,
                None => return Ok(()),
            },
        };
        for record in slot {
            events.event(&Event::CaseEnded(&record));
            if is_new_violation(&record.outcome) {
                found_violation.store(true, Ordering::Relaxed);
            }
            records.push(record);
        }
    }
}

/// A slot: its number and the indices of its cases.
pub(super) struct Slot {
    pub(super) number: u32,
    pub(super) indices: Vec<u32>,
}

pub(super) fn slots<P: Property>(plan: &Plan) -> Vec<Slot> {
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
    env: &Arc<TestBed>,
    fixture: &P::Fixture,
    plan: &Plan,
    slot: Slot,
) -> Result<Vec<CaseRecord>, Reason> {
    let generate = || {
        let shared = shared_tree(property, &env.model, plan.seed, slot.number)?.current();
        let mut cases = Vec::with_capacity(slot.indices.len());
        for index in slot.indices {
            let id = CaseId { property: P::META.id, seed: plan.seed, index };
            cases.push((id, case_tree(property, &env.model, &shared, id)?.current()));
        }
        Ok::<_, String>((shared, cases))
    };
    // A panic is a fault of ours, which must not take the report of the others along; its message is on standard error.
    let generated = std::panic::catch_unwind(AssertUnwindSafe(generate));
    let (shared, cases) = generated.unwrap_or_else(|_| Err("generating a case panicked".into()))?;
    Ok(run_cases(property, env, fixture, &shared, &cases).await)
}
