//! Part of the report about a check that is made once in a run, beside the generated cases.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::text::{Millis, printable};
use crate::unknown::Cause;
use crate::verdict::{CheckRecord, Outcome, Verdict, Violation};

/// A check of a property beside its cases, as the report has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Act that was tried, for a person.
    pub what: String,
    /// Verdict of the check, which counts for its property.
    pub verdict: Verdict,
    /// Expected and observed state, or why nothing can be said; none if it held.
    pub reason: Option<String>,
    /// The sort of obstacle that kept the check from telling, if one did.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// The documented upstream bug that this is, by its short name.
    pub known: Option<String>,
    /// Time that things took, and how long they may take, by what they are.
    pub times_ms: BTreeMap<String, Millis>,
}

impl CheckReport {
    pub(super) fn of(record: &CheckRecord) -> Self {
        let (reason, known) = match &record.outcome {
            Outcome::Held => (None, None),
            Outcome::Violated(Violation { reason, known }) => (Some(reason), known.map(|known| known.id.to_owned())),
            Outcome::Unknown(unknown) => (Some(&unknown.reason), None),
        };
        Self {
            what: record.what.clone(),
            verdict: Verdict::from(&record.outcome),
            reason: reason.map(|reason| printable(reason)),
            cause: record.outcome.cause(),
            known,
            times_ms: record.times.iter().map(|(what, time)| (what.clone(), Millis::from(*time))).collect(),
        }
    }

    /// Why it did not hold, and its times: `reason (webhook away 20.3 s)`.
    pub fn text(&self) -> String {
        let times: Vec<String> = self.times_ms.iter().map(|(what, time)| format!("{what}: {time}")).collect();
        let reason = self.reason.as_deref().unwrap_or_default();
        match (reason.is_empty(), times.is_empty()) {
            (_, true) => reason.to_owned(),
            (true, false) => times.join(", "),
            (false, false) => format!("{reason} ({})", times.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::unknown::Unknown;

    #[test]
    fn a_check_says_why_and_with_which_times() {
        let record = CheckRecord {
            times: BTreeMap::from([("away".to_owned(), Duration::from_secs(20))]),
            ..CheckRecord::unknown("namespace deleted", Unknown::new(Cause::RequestFailed, "no answer"))
        };
        let check = CheckReport::of(&record);
        assert_eq!((check.verdict, check.text()), (Verdict::Unknown, "no answer (away: 20.0 s)".to_owned()));
        let held = CheckReport::of(&CheckRecord { outcome: Outcome::Held, ..record });
        assert_eq!(held.text(), "away: 20.0 s");
    }
}
