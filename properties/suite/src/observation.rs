//! Observations of cases.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::Duration;

use credence_cluster::cluster::ClusterError;
use credence_cluster::evidence::audit::AuditError;
use credence_cluster::evidence::capture::CaptureError;
use credence_cluster::evidence::etcd::EtcdError;
use credence_consumers::forge::ForgeError;
use credence_consumers::login::LoginError;
use credence_core::consumer::Consumer;
use credence_core::text::chain;
use credence_model::model::Distribution;
use credence_report::copy::Reached;
use credence_report::route::RouteEnd;
use credence_report::unknown::{Cause, Unknown};
use credence_report::verdict::{self, Outcome, violated};
use credence_watch::wait::WaitError;
use tokio::task::JoinError;
use tracing::debug;

use crate::coverage::name_of;
#[cfg(feature = "faults")]
use crate::faults::{self, OwnFault};

/// End of one case: its outcome, with what was done and seen on the way to it.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Held, violated or unknown, the latter two with the reason.
    pub outcome: Outcome,
    /// Evidence that it came to, by kind. A case without any did not test its claim.
    pub operations: BTreeMap<String, u64>,
    /// Other operations and observations, by kind.
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
    pub fn unknown(cause: Cause, reason: impl Into<String>) -> Self {
        Self::of(verdict::unknown(cause, reason))
    }

    /// Counts evidence: something that would have come out otherwise if the claim were false.
    pub fn count(&mut self, evidence: &str) {
        debug!("evidence: {evidence}");
        *self.operations.entry(evidence.to_owned()).or_default() += 1;
    }

    /// Counts what was done or looked at and tells nothing by itself.
    pub(crate) fn add_context(&mut self, what: &str, times: u64) {
        *self.context.entry(what.to_owned()).or_default() += times;
    }

    /// Counts what came of trying a route.
    pub(crate) fn end_route(&mut self, route: &str, end: RouteEnd) {
        *self.routes.entry((route.to_owned(), end)).or_default() += 1;
    }

    /// Counts what a namespace was found to hold, which must be exactly these copies, by Secret name.
    pub fn settled(&mut self, expected: &BTreeMap<String, &Distribution>) {
        expected.values().for_each(|distribution| self.reach(distribution));
        if self.outcome != Outcome::Held {
            return;
        }
        if expected.is_empty() {
            self.count("namespace without copies, which asks for none")
        } else {
            expected.iter().for_each(|_| self.count("copy that is asked for"))
        }
    }

    /// Says that the outcome is about copies of a distribution.
    pub fn reach(&mut self, distribution: &Distribution) {
        self.reached.insert(Reached { copy: name_of(distribution), consumer: None });
    }

    /// Says that the outcome is about what a consumer makes of copies of a distribution.
    pub(crate) fn reach_as(&mut self, distribution: &Distribution, consumer: Consumer) {
        self.reached.insert(Reached { copy: name_of(distribution), consumer: Some(consumer) });
    }
}

/// Ends a case at an error of ours.
impl<E: Error + 'static> From<E> for Observation {
    fn from(error: E) -> Self {
        Self::of(Outcome::Unknown(unknown(&error)))
    }
}

/// The reason of an error that keeps a case from telling.
pub(crate) fn unknown(error: &(dyn Error + 'static)) -> Unknown {
    Unknown::new(cause_of(error), chain(error))
}

/// The cause that an error has: that of the outermost error of its chain of which the cause is known. One that has none was met
/// by a login, or while the case was set up.
pub(crate) fn cause_of(error: &(dyn Error + 'static)) -> Cause {
    let mut next = Some(error);
    while let Some(one) = next {
        if let Some(cause) = known_cause(one) {
            return cause;
        }
        next = one.source();
    }
    if error.is::<LoginError>() { Cause::RequestFailed } else { Cause::SetUpFailed }
}

fn known_cause(error: &(dyn Error + 'static)) -> Option<Cause> {
    if let Some(wait) = error.downcast_ref::<WaitError>() {
        return Some(match wait {
            WaitError::TimedOut { .. } | WaitError::Impossible { .. } => Cause::TimedOut,
            WaitError::WatchStale { .. } => Cause::WatchStale,
        });
    }
    if error.is::<AuditError>() || error.is::<EtcdError>() || error.is::<CaptureError>() {
        return Some(Cause::EvidenceLost);
    }
    if error.is::<ClusterError>() {
        return Some(Cause::PartLost);
    }
    if error.is::<JoinError>() {
        return Some(Cause::Panicked);
    }
    // A source in a box is the box to those who ask for its type.
    let is_request = error.is::<kube::Error>() || error.is::<Box<kube::Error>>() || error.is::<ForgeError>();
    is_request.then_some(Cause::RequestFailed)
}

/// Outcome of a wait that failed. A wait that ran its time while the cluster was in sight is a
/// violation; one that lost sight is not.
pub fn failed(error: &WaitError) -> Outcome {
    #[cfg(feature = "faults")]
    if is_believed(error) {
        return Outcome::Held;
    }
    match error {
        WaitError::TimedOut { .. } | WaitError::Impossible { .. } => violated(error.to_string()),
        WaitError::WatchStale { .. } => Outcome::Unknown(Unknown::new(Cause::WatchStale, error.to_string())),
    }
}

/// True if a fault of the suite takes this for what was awaited.
#[cfg(feature = "faults")]
fn is_believed(error: &WaitError) -> bool {
    match error {
        WaitError::TimedOut { .. } => faults::is_on(OwnFault::TimeOutIsPass),
        WaitError::WatchStale { .. } => faults::is_on(OwnFault::BlindWatch),
        WaitError::Impossible { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use credence_cluster::api_error::ApiError;
    use kube::core::Status;
    use rstest::rstest;

    use super::*;

    /// An act of the suite, with the error that it met.
    #[derive(Debug, thiserror::Error)]
    #[error("failed to prepare a namespace")]
    struct Preparation<E: Error + 'static>(#[source] E);

    fn refused() -> ApiError {
        let status = Status::failure("no", "Forbidden").with_code(403).boxed();
        ApiError::of::<ApiError>("list", "Pods")(kube::Error::Api(status))
    }

    fn stale() -> WaitError {
        WaitError::WatchStale { what: "the copy".to_owned(), why: "the list failed".to_owned() }
    }

    fn timed_out() -> WaitError {
        WaitError::TimedOut { what: "the copy".to_owned(), within: Duration::ZERO, last: "none".to_owned() }
    }

    #[rstest]
    #[case::request(Preparation(refused()), Cause::RequestFailed)]
    #[case::watch(Preparation(stale()), Cause::WatchStale)]
    #[case::deadline(Preparation(timed_out()), Cause::TimedOut)]
    #[case::none_that_is_known(Preparation(io::Error::other("no space")), Cause::SetUpFailed)]
    fn the_cause_of_an_error_is_the_outermost_that_its_chain_has(
        #[case] error: impl Error + 'static,
        #[case] expected: Cause,
    ) {
        assert_eq!(cause_of(&error), expected);
        assert_eq!(Observation::from(error).outcome.cause(), Some(expected));
    }

    #[test]
    fn a_deadline_that_passed_is_a_violation_unless_the_watch_was_stale() {
        assert!(matches!(failed(&timed_out()), Outcome::Violated(_)));
        assert_eq!(failed(&stale()).cause(), Some(Cause::WatchStale));
    }
}
