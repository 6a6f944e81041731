//! The cases that could not tell, and the causes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// No evidence either way, with the obstacle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The sort of obstacle, which decides what to do next.
    pub cause: Cause,
    /// The obstacle in words, without credential values.
    pub reason: String,
}

impl Unknown {
    /// Without evidence for this reason.
    pub fn new(cause: Cause, reason: impl Into<String>) -> Self {
        Self { cause, reason: reason.into() }
    }

    /// The same, with what it is about before the reason.
    #[must_use]
    pub fn about(self, subject: impl fmt::Display) -> Self {
        Self { reason: format!("{subject}: {}", self.reason), ..self }
    }
}

/// Shows the reason.
impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.reason)
    }
}

/// The sort of obstacle that kept a case from telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A watch of the cluster was interrupted or late, so that nothing it shows or does not show counts.
    WatchStale,
    /// Something that the case builds on did not happen in time, and other properties judge that.
    TimedOut,
    /// A part of the cluster, a consumer or the forge ended or cannot be reached.
    PartLost,
    /// The audit log, etcd, a capture or a server's log does not show what happened.
    EvidenceLost,
    /// The API server, the forge or a consumer answered a request of the suite with an error.
    RequestFailed,
    /// A control failed: an absence or a refusal tells nothing then.
    ControlFailed,
    /// The configuration or the machine lacks something that the case starts from.
    SetUpFailed,
    /// The case ran to its end and came to no evidence.
    NoEvidence,
    /// The run was stopped before it could be told.
    Interrupted,
    /// A case panicked, which is a fault of the suite and no evidence.
    Panicked,
}

impl Cause {
    /// All causes, in the order of the enum.
    pub const ALL: [Self; 10] = [
        Self::WatchStale,
        Self::TimedOut,
        Self::PartLost,
        Self::EvidenceLost,
        Self::RequestFailed,
        Self::ControlFailed,
        Self::SetUpFailed,
        Self::NoEvidence,
        Self::Interrupted,
        Self::Panicked,
    ];

    /// The stable machine name, as in `report.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::WatchStale => "watch_stale",
            Self::TimedOut => "timed_out",
            Self::PartLost => "part_lost",
            Self::EvidenceLost => "evidence_lost",
            Self::RequestFailed => "request_failed",
            Self::ControlFailed => "control_failed",
            Self::SetUpFailed => "set_up_failed",
            Self::NoEvidence => "no_evidence",
            Self::Interrupted => "interrupted",
            Self::Panicked => "panicked",
        }
    }

    /// The next step of whoever reads the report.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::WatchStale => "replay the case; if it stays, give the cluster more processors or run fewer at once",
            Self::TimedOut => "see what the properties that judge the wait say; if they held, replay the case",
            Self::PartLost => "read the last lines of the part's log in the reason, mend it, and run again",
            Self::EvidenceLost => "see whether the log or the capture was cut off or rotated, and run again",
            Self::RequestFailed => "read the answer in the reason and in the trail of the case, then replay it",
            Self::ControlFailed => "make the control work by hand: it needs no credential of the configuration",
            Self::SetUpFailed => "supply what the reason names, or leave the property out",
            Self::NoEvidence => "run more cases, or report a case that can never come to evidence",
            Self::Interrupted => "run it again to its end",
            Self::Panicked => "report it with the replay line: it is a defect of credence",
        }
    }
}

/// The name in words: `watch stale`.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name().replace('_', " "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Cause, Unknown};

    #[test]
    fn each_cause_has_a_name_of_its_own_as_in_json_and_a_next_step() {
        let names: BTreeSet<&str> = Cause::ALL.iter().map(|cause| cause.name()).collect();
        assert_eq!(names.len(), Cause::ALL.len());
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.name());
            assert_eq!(cause.to_string().replace(' ', "_"), cause.name());
            assert!(!cause.to_string().contains('_') && cause.next_step().split(' ').count() > 4, "{cause}");
        }
    }

    #[test]
    fn a_reason_keeps_its_cause_when_it_is_told_about_something() {
        let unknown = Unknown::new(Cause::WatchStale, "the list failed").about("no copy to keep");
        assert_eq!(
            (unknown.cause, unknown.to_string()),
            (Cause::WatchStale, "no copy to keep: the list failed".into())
        );
    }
}
