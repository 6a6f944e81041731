//! Placeholder of a report until there is one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{SCHEMA, printable};

/// State of a run when its report was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// To its end; the verdicts say what came of it.
    #[default]
    Finished,
    /// The run is under way, or it was killed.
    Unfinished,
    /// The set-up failed, so that nothing was tested.
    Failed,
}

/// A run without a report: the fields that are known before anything has been tested, named as in [`Report`](super::Report).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// [`SCHEMA`], that of a whole report.
    pub schema: String,
    /// Anything but [`State::Finished`].
    pub state: State,
    /// Why there is no report.
    pub reason: String,
    /// Version of credence itself, as `credence --version` says.
    pub credence_version: String,
    /// Inputs from which every generated case follows.
    pub seed: u64,
    /// True if documented upstream bugs count as failures.
    pub strict: bool,
    /// Time at which the run began, before its set-up.
    #[serde(with = "super::rfc3339")]
    pub started: Timestamp,
    /// The configuration under test.
    pub config: UnreadConfig,
}

/// A configuration of which nothing is known but where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadConfig {
    /// Path of the directory, as given.
    pub path: String,
}

impl Unfinished {
    /// A run that has begun and has not ended, as it stands on disk until its report replaces it.
    pub fn begun(seed: u64, strict: bool, started: Timestamp, config: &str) -> Self {
        Self {
            schema: SCHEMA.into(),
            state: State::Unfinished,
            reason: "the run did not finish: it is still under way, or it was killed".into(),
            credence_version: env!("CARGO_PKG_VERSION").into(),
            seed,
            strict,
            started,
            config: UnreadConfig { path: printable(config) },
        }
    }

    /// The same run once its set-up has failed, and why.
    #[must_use]
    pub fn failed(self, why: &str) -> Self {
        Self { state: State::Failed, reason: printable(why), ..self }
    }
}
