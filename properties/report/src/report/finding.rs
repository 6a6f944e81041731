//! Part of the report about a case that did not hold.

use std::collections::BTreeMap;

use credence_core::id::CaseId;
use serde::{Deserialize, Serialize};

use super::reproduced::Reproduced;
use super::text::{printable, seconds};
use crate::unknown::Cause;
use crate::verdict::{CaseRecord, Outcome, Verdict};

/// One case that did not hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Id of the case that found it, such as `p01:42:7`.
    pub case: CaseId,
    /// The command that repeats it.
    pub replay: String,
    /// Violated, by a documented upstream bug or not, or unknown.
    pub verdict: Verdict,
    /// Expected and observed state, or why nothing can be said.
    pub reason: String,
    /// The sort of obstacle that kept the case from telling; none if it was violated.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// The documented upstream bug that this is, by its short name.
    pub known: Option<String>,
    /// The smallest case found that fails in the same way.
    pub smallest: Option<String>,
    /// Number of times that it failed again when it was run alone; none if it was not.
    #[serde(default)]
    pub reproduced: Option<Reproduced>,
    /// The file, beside the report, that tells what happened to it: requests, waits and evidence, with their times.
    #[serde(default)]
    pub trail: Option<String>,
    /// Number of times that it had each kind of evidence.
    #[serde(default)]
    pub operations: BTreeMap<String, u64>,
    /// Other operations and observations, of each kind.
    #[serde(default)]
    pub context: BTreeMap<String, u64>,
    /// Wall time in seconds.
    pub seconds: f64,
}

impl Finding {
    /// Of a case's record; none if it held. `replay_flags` is what `credence replay` needs beside the case, `trail` the
    /// directory of the cases' trails.
    pub(super) fn of(
        record: &CaseRecord,
        replay_flags: &str,
        reproduced: Option<Reproduced>,
        trail: Option<&str>,
    ) -> Option<Self> {
        let (reason, known) = match &record.outcome {
            Outcome::Held => return None,
            Outcome::Violated(violation) => (&violation.reason, violation.known),
            Outcome::Unknown(unknown) => (&unknown.reason, None),
        };
        Some(Self {
            case: record.id,
            replay: printable(&format!("credence replay {}{replay_flags}", record.id)),
            verdict: Verdict::from(&record.outcome),
            reason: printable(reason),
            cause: record.outcome.cause(),
            known: known.map(|known| known.id.into()),
            smallest: record.smallest.as_deref().map(printable),
            reproduced,
            trail: trail.map(|directory| format!("{directory}/{}.log", record.id.file_stem())),
            operations: record.operations.clone(),
            context: record.context.clone(),
            seconds: seconds(record.took),
        })
    }
}
