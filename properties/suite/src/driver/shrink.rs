//! A smaller case that fails in the same way: searched on the model first, then confirmed on the cluster.

use std::sync::Arc;

use credence_core::id::CaseId;
use credence_model::model::Model;
use proptest::strategy::ValueTree;
use tokio::time::{Instant, timeout_at};

use super::{Plan, Property, Tree, case_tree, is_new_violation, run_cases, shared_tree};
use crate::testbed::TestBed;

/// Steps that the model walks at most; it walks a million of them in less time than one case takes on a cluster.
const MOST_STEPS: usize = 20_000;

/// A case with its shared part, on the way to something smaller.
struct Walk<'a, P: Property> {
    property: &'a P,
    model: &'a Model,
    shared: Tree<P::Shared>,
    case: Tree<P::Case>,
}

impl<'a, P: Property> Walk<'a, P> {
    fn start(property: &'a P, model: &'a Model, plan: &Plan, id: CaseId) -> Result<Self, String> {
        let shared = shared_tree(property, model, plan.seed, id.index / P::CASES_PER_SLOT)?;
        let case = case_tree(property, model, &shared.current(), id)?;
        Ok(Self { property, model, shared, case })
    }

    /// One step to a smaller case that the model still finds telling. False at the end of the road.
    fn step(&mut self) -> bool {
        // The case shrinks first: fewer namespaces and operations say more than shorter values.
        for _ in 0..MOST_STEPS {
            let case_moved = self.case.simplify();
            if !case_moved && !self.shared.simplify() {
                return false;
            }
            if self.property.is_telling(self.model, &self.shared.current(), &self.case.current()) {
                return true;
            }
            let back = if case_moved { self.case.complicate() } else { self.shared.complicate() };
            if !back && !case_moved {
                return false;
            }
        }
        false
    }

    /// How many steps there are.
    fn length(mut self) -> usize {
        (0..MOST_STEPS).take_while(|_| self.step()).count()
    }

    /// What the case is after some steps. The road is the same each time, so it is walked again and not kept.
    fn after(
        property: &'a P,
        model: &'a Model,
        plan: &Plan,
        id: CaseId,
        steps: usize,
    ) -> Result<(P::Shared, P::Case), String> {
        let mut walk = Self::start(property, model, plan, id)?;
        for _ in 0..steps {
            walk.step();
        }
        Ok((walk.shared.current(), walk.case.current()))
    }
}

/// Describes the smallest case found in the plan's time. Values appear as length and fingerprint only.
pub(super) async fn smallest<P: Property>(
    property: &P,
    env: &Arc<TestBed>,
    fixture: &P::Fixture,
    plan: &Plan,
    id: CaseId,
) -> String {
    match search(property, env, fixture, plan, id).await {
        Ok(text) => text,
        Err(why) => format!("no smaller case: {why}"),
    }
}

async fn search<P: Property>(
    property: &P,
    env: &Arc<TestBed>,
    fixture: &P::Fixture,
    plan: &Plan,
    id: CaseId,
) -> Result<String, String> {
    let deadline = Instant::now() + plan.shrink;
    let steps = Walk::start(property, &env.model, plan, id)?.length();
    // The whole walk is on the model. On the cluster, the end of it is tried first, then points half-way back to the
    // smallest one that is known to fail.
    let (mut holds, mut fails, mut tries) = (None::<usize>, None::<usize>, 0);
    let mut candidate = steps;
    loop {
        let (shared, case) = Walk::after(property, &env.model, plan, id, candidate)?;
        let alone = [(id, case)];
        let run = run_cases(property, env, fixture, &shared, &alone);
        let Ok(records) = timeout_at(deadline, run).await else { break };
        tries += 1;
        // A run that could not tell says nothing about the candidate and counts as not smaller.
        let failed = records.iter().any(|record| is_new_violation(&record.outcome));
        if failed {
            fails = Some(fails.map_or(candidate, |best| best.max(candidate)));
        } else {
            holds = Some(holds.map_or(candidate, |best| best.min(candidate)));
        }
        let (low, high) = (fails.map_or(0, |best| best + 1), holds.unwrap_or(steps + 1));
        if low >= high || (fails.is_none() && candidate == 0) {
            break;
        }
        candidate = low.midpoint(high - 1);
    }
    let Some(best) = fails else {
        return Err(format!("the case did not fail again when run alone, {tries} smaller ones neither"));
    };
    let (shared, case) = Walk::after(property, &env.model, plan, id, best)?;
    let shared = match format!("{shared:?}").as_str() {
        "()" => String::new(),
        shared => format!(" with {shared}"),
    };
    Ok(format!("{case:?}{shared} ({best} of {steps} steps, {tries} runs)"))
}
