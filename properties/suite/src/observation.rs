//! What a case saw.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use credence_core::consumer::Consumer;
use credence_core::text::chain;
use credence_model::model::Distribution;
use credence_report::copy::Reached;
use credence_report::route::RouteEnd;
use credence_report::verdict::{Outcome, violated};
use credence_watch::wait::WaitError;
use tracing::debug;

use crate::coverage::name_of;

/// What a case saw.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Outcome.
    pub outcome: Outcome,
    /// Evidence that it came to, by kind. A case without any did not test its claim.
    pub operations: BTreeMap<String, u64>,
    /// What else it did or looked at, by kind.
    pub context: BTreeMap<String, u64>,
    /// The copies that it had before it, and that its outcome is about.
    pub reached: BTreeSet<Reached>,
    /// Number of times that a route that it tried came to which end.
    pub routes: BTreeMap<(String, RouteEnd), u64>,
    /// Time that the things that it awaited took.
    pub latencies: Vec<Duration>,
    /// Time that the configuration allows for them.
    pub bound: Option<Duration>,
}

impl Observation {
    /// A case that has carried out nothing so far.
    pub fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            operations: BTreeMap::new(),
            context: BTreeMap::new(),
            reached: BTreeSet::new(),
            routes: BTreeMap::new(),
            latencies: Vec::new(),
            bound: None,
        }
    }

    /// A case that could not tell.
    pub fn unknown(why: impl ToString) -> Self {
        Self::of(Outcome::Unknown(why.to_string()))
    }

    /// Counts evidence: something that would have come out otherwise if the claim were false.
    pub fn count(&mut self, evidence: &str) {
        debug!("evidence: {evidence}");
        *self.operations.entry(evidence.to_owned()).or_default() += 1;
    }

    /// Counts what was done or looked at and tells nothing by itself.
    pub fn add_context(&mut self, what: &str, times: u64) {
        *self.context.entry(what.to_owned()).or_default() += times;
    }

    /// Counts what came of trying a route.
    pub fn end_route(&mut self, route: &str, end: RouteEnd) {
        *self.routes.entry((route.to_owned(), end)).or_default() += 1;
    }

    /// Counts what a namespace was found to hold, which must be exactly these copies, by Secret name.
    pub fn settled(&mut self, expected: &BTreeMap<String, &Distribution>) {
        expected.values().for_each(|distribution| self.reach(distribution));
        if self.outcome != Outcome::Held {
            return;
        }
        match expected.is_empty() {
            true => self.count("namespace without copies, which asks for none"),
            false => expected.iter().for_each(|_| self.count("copy that is asked for")),
        }
    }

    /// Says that the outcome is about copies of a distribution.
    pub fn reach(&mut self, distribution: &Distribution) {
        self.reached.insert(Reached { copy: name_of(distribution), consumer: None });
    }

    /// Says that the outcome is about what a consumer makes of copies of a distribution.
    pub fn reach_as(&mut self, distribution: &Distribution, consumer: Consumer) {
        self.reached.insert(Reached { copy: name_of(distribution), consumer: Some(consumer) });
    }
}

/// Ends a case at an error of ours.
impl<E: std::error::Error> From<E> for Observation {
    fn from(error: E) -> Self {
        Self::unknown(chain(&error))
    }
}

/// What a wait that failed says about the claim. A wait that ran its time while the cluster was in sight is a
/// violation; one that lost sight is not.
pub fn failed(error: &WaitError) -> Outcome {
    match error {
        WaitError::TimedOut { .. } | WaitError::Impossible { .. } => violated(error.to_string()),
        WaitError::WatchStale { .. } => Outcome::Unknown(error.to_string()),
    }
}
