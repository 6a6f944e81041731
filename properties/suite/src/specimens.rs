//! Specimens that the pure parts of the suite must tell apart, each as a question with a right answer: a fault of the
//! suite must make
//! it wrong. Only tests have them, see [`faults`](crate::faults).

use std::time::Duration;

use credence_report::verdict::Verdict;
use credence_watch::wait::WaitError;

use crate::faults::OwnFault;
use crate::{observation, p12_encryption};

/// A question that the suite answers wrongly with one of its own faults, to prove that a test would notice.
#[derive(Debug, Clone, Copy)]
pub struct Specimen {
    /// The fault that makes the answer wrong.
    pub fault: OwnFault,
    /// Right answer, as a statement about the suite.
    pub claim: &'static str,
    /// True if the suite answers as claimed now; none where this machine cannot tell.
    pub holds: fn() -> Option<bool>,
}

/// All specimens, each for a fault of its own.
pub const SPECIMENS: &[Specimen] = &[
    Specimen {
        fault: OwnFault::TimeOutIsPass,
        claim: "a wait that ran its time while the cluster was in sight is a violation",
        holds: || Some(Verdict::from(&observation::failed(&timed_out())) == Verdict::Violated),
    },
    Specimen {
        fault: OwnFault::BlindWatch,
        claim: "a wait that lost sight of the cluster is no evidence",
        holds: || Some(Verdict::from(&observation::failed(&blind())) == Verdict::Unknown),
    },
    Specimen {
        fault: OwnFault::WeakLeakScan,
        claim: "a value in base64 in an Event is found in etcd",
        holds: || Some(p12_encryption::finds_base64()),
    },
    Specimen {
        fault: OwnFault::DroppedPackets,
        claim: "traffic that cannot be seen whole is not held to be free of values",
        holds: p12_encryption::sees_its_control,
    },
];

fn timed_out() -> WaitError {
    WaitError::TimedOut { what: "a copy".to_owned(), within: Duration::from_secs(1), last: "none".to_owned() }
}

fn blind() -> WaitError {
    WaitError::WatchStale { what: "no copy".to_owned(), why: "a watch was interrupted meanwhile".to_owned() }
}
