//! Failures that came again when they were repeated.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::verdict::{Outcome, Verdict};

/// Number of times that a case that had failed did so again when it was run alone, unchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reproduced {
    /// Runs in which it failed again.
    pub failed: u32,
    /// All runs that could tell. A run that could not is no evidence either way.
    pub runs: u32,
}

impl Reproduced {
    /// Counts a run of the case that ended so.
    pub fn count(&mut self, outcome: &Outcome) {
        match Verdict::from(outcome) {
            Verdict::Unknown => {}
            verdict => {
                self.runs += 1;
                self.failed += u32::from(verdict == Verdict::Violated);
            }
        }
    }
}

/// `2 of 3`.
impl fmt::Display for Reproduced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.failed, self.runs)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{known, unknown, violated};
    use super::Reproduced;
    use crate::verdict::Outcome;

    #[test]
    fn only_runs_that_could_tell_count_and_a_known_bug_is_not_the_same_failure() {
        let mut reproduced = Reproduced::default();
        let outcomes = [unknown(0, "no answer").outcome, Outcome::Held, violated(0, "again").outcome, known(0).outcome];
        outcomes.iter().for_each(|outcome| reproduced.count(outcome));
        assert_eq!(reproduced.to_string(), "1 of 3");
    }
}
