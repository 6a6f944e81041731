//! What a case saw.

use std::collections::BTreeMap;
use std::time::Duration;

use credence_core::text::chain;
use credence_report::verdict::{Outcome, violated};
use credence_watch::wait::WaitError;

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
    /// A case that has carried out nothing so far.
    pub fn of(outcome: Outcome) -> Self {
        Self { outcome, operations: BTreeMap::new(), latencies: Vec::new(), bound: None }
    }

    /// A case that could not tell.
    pub fn unknown(why: impl ToString) -> Self {
        Self::of(Outcome::Unknown(why.to_string()))
    }

    /// Counts an operation.
    pub fn count(&mut self, operation: &str) {
        *self.operations.entry(operation.to_owned()).or_default() += 1;
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
        WaitError::Blind { .. } => Outcome::Unknown(error.to_string()),
    }
}
