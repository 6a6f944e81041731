//! A failed case again, alone: first as it is, then smaller. What is smaller is searched on the model first, then confirmed
//! on the cluster.

use std::sync::Arc;

use credence_core::id::CaseId;
use credence_core::text::Reason;
use credence_model::model::Model;
use credence_report::report::Reproduced;
use credence_report::verdict::CaseRecord;
use proptest::strategy::ValueTree;
use tokio::time::{Instant, timeout_at};

use super::{Plan, Property, Tree, case_tree, is_new_violation, run_cases, shared_tree};
use crate::testbed::TestBed;

/// Steps that the model walks at most; it walks a million of them in less time than one case takes on a cluster.
const MOST_STEPS: usize = 20_000;

/// Runs of the unchanged case, at most, until it fails again.
const MOST_REPETITIONS: u32 = 3;

/// Outcome of running a failed case again.
pub(super) struct Again {
    /// Number of times that it failed again; none if no run of it could tell.
    pub(super) reproduced: Option<Reproduced>,
    /// The smallest case found that fails, or why there is none; none if the case itself did not fail again.
    pub(super) smallest: Option<String>,
}

impl Again {
    /// The record of a case that was not tried again, with the reason.
    pub(super) fn not_run(why: &str) -> Self {
        Self { reproduced: None, smallest: Some(format!("no smaller case: {why}")) }
    }
}

/// A case with its shared part, on the way to something smaller.
struct Walk<'a, P: Property> {
    property: &'a P,
    model: &'a Model,
    shared: Tree<P::Shared>,
    case: Tree<P::Case>,
}

impl<'a, P: Property> Walk<'a, P> {
    fn start(property: &'a P, model: &'a Model, plan: &Plan, id: CaseId) -> Result<Self, Reason> {
        let shared = shared_tree(property, model, plan.seed, id.index / P::CASES_PER_SLOT)?;
        let case = case_tree(property, model, &shared.current(), id)?;
        Ok(Self { property, model, shared, case })
    }

    /// Takes a step to a smaller case that the model still finds telling; false if there is none.
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

    /// Number of steps until nothing smaller is left, at most [`MOST_STEPS`].
    fn length(mut self) -> usize {
        (0..MOST_STEPS).take_while(|_| self.step()).count()
    }

    /// The case after some steps. The road is the same each time, so it is walked again and not kept.
    fn after(
        property: &'a P,
        model: &'a Model,
        plan: &Plan,
        id: CaseId,
        steps: usize,
    ) -> Result<(P::Shared, P::Case), Reason> {
        let mut walk = Self::start(property, model, plan, id)?;
        for _ in 0..steps {
            walk.step();
        }
        Ok((walk.shared.current(), walk.case.current()))
    }
}

/// Runs a failed case again and searches a smaller one, within the plan's time. Values appear as length and fingerprint
/// only.
pub(super) async fn again<P: Property>(
    property: &P,
    env: &Arc<TestBed>,
    fixture: &P::Fixture,
    plan: &Plan,
    id: CaseId,
) -> Again {
    let alone = Alone { property, env, fixture, plan, id, deadline: Instant::now() + plan.shrink };
    let reproduced = match alone.reproduce().await {
        Ok(reproduced) if reproduced.runs == 0 => return Again::not_run("no run of the case alone could tell in time"),
        Ok(reproduced) => reproduced,
        Err(why) => return Again::not_run(why.as_str()),
    };
    let smallest = match reproduced.failed {
        // What does not fail again as it is cannot be told from what is too small to fail.
        0 => None,
        _ => {
            let found = alone.search().await;
            Some(found.unwrap_or_else(|why| format!("no smaller case: {why}")))
        }
    };
    Again { reproduced: Some(reproduced), smallest }
}

/// A failed case that is run by itself, until the time for it is over.
struct Alone<'a, P: Property> {
    property: &'a P,
    env: &'a Arc<TestBed>,
    fixture: &'a P::Fixture,
    plan: &'a Plan,
    id: CaseId,
    deadline: Instant,
}

impl<P: Property> Alone<'_, P> {
    /// The case after some steps to something smaller, with its shared part.
    fn after(&self, steps: usize) -> Result<(P::Shared, P::Case), Reason> {
        Walk::after(self.property, &self.env.model, self.plan, self.id, steps)
    }

    /// Runs the case after so many steps; none when the time is over.
    async fn run(&self, steps: usize) -> Result<Option<Vec<CaseRecord>>, Reason> {
        let (shared, case) = self.after(steps)?;
        let alone = [(self.id, case)];
        let run = run_cases(self.property, self.env, self.fixture, &shared, &alone);
        Ok(timeout_at(self.deadline, run).await.ok())
    }

    /// Runs the case as it is until it fails again.
    async fn reproduce(&self) -> Result<Reproduced, Reason> {
        let mut reproduced = Reproduced::default();
        for _ in 0..MOST_REPETITIONS {
            let Some(records) = self.run(0).await? else { break };
            records.iter().for_each(|record| reproduced.count(&record.outcome));
            if reproduced.failed > 0 {
                break;
            }
        }
        Ok(reproduced)
    }

    async fn search(&self) -> Result<String, Reason> {
        let steps = Walk::start(self.property, &self.env.model, self.plan, self.id)?.length();
        let (mut range, mut tries) = (Range::of(steps), 0);
        while let Some(candidate) = range.candidate {
            let Some(records) = self.run(candidate).await? else { break };
            tries += 1;
            // A run that could not tell says nothing about the candidate and counts as not smaller.
            range.narrow(candidate, records.iter().any(|record| is_new_violation(&record.outcome)));
        }
        let best = range.fails;
        let (shared, case) = self.after(best)?;
        let shared = match format!("{shared:?}").as_str() {
            "()" => String::new(),
            shared => format!(" with {shared}"),
        };
        Ok(format!("{case:?}{shared} ({best} of {steps} steps, {tries} runs)"))
    }
}

/// Range of the walk in which the smallest case that fails must be. The whole walk is on the model; on the cluster its end
/// is tried
/// first, then points half-way back to the smallest one that is known to fail.
struct Range {
    /// Steps after which the case is known to fail.
    fails: usize,
    /// Steps after which it does not.
    holds: usize,
    /// Steps to try next; none at the end.
    candidate: Option<usize>,
}

impl Range {
    /// A walk of so many steps, at whose start the case fails.
    fn of(steps: usize) -> Self {
        Self { fails: 0, holds: steps + 1, candidate: (steps > 0).then_some(steps) }
    }

    fn narrow(&mut self, candidate: usize, failed: bool) {
        *(if failed { &mut self.fails } else { &mut self.holds }) = candidate;
        let (low, high) = (self.fails + 1, self.holds);
        self.candidate = (low < high).then(|| low.midpoint(high - 1));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Range;

    #[rstest]
    #[case::nothing_smaller(0, 0, 0)]
    #[case::the_end_of_the_walk(9, 9, 1)]
    #[case::no_step_at_all(9, 0, 4)]
    #[case::somewhere(9, 6, 4)]
    #[case::one_step(1, 0, 1)]
    fn the_last_step_that_fails_is_found_in_few_runs(
        #[case] steps: usize,
        #[case] last: usize,
        #[case] most_runs: usize,
    ) {
        let (mut range, mut runs) = (Range::of(steps), 0);
        while let Some(candidate) = range.candidate {
            range.narrow(candidate, candidate <= last);
            runs += 1;
        }
        assert_eq!(range.fails, last);
        assert!(runs <= most_runs, "{runs} runs");
    }
}
