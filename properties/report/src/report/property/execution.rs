//! Run of a property, beside what its cases came to.

use std::collections::BTreeMap;
use std::time::Duration;

use credence_core::id::{CaseId, Requirement};
use jiff::Timestamp;

use crate::claim::SkippedCheck;
use crate::copy::Declared;
use crate::report::reproduced::Reproduced;
use crate::route::DeclaredRoute;
use crate::verdict::CheckRecord;

/// Facts that the driver knows about a property beside its cases.
#[derive(Debug, Clone)]
pub struct Execution {
    /// Number of cases that were to run.
    pub planned: u32,
    /// Time at which its first case could begin.
    pub started: Timestamp,
    /// Wall time, all lanes together, without the time in which it only waited until nothing else ran.
    pub took: Duration,
    /// Obstacle that kept it from running to its end, if something did; makes it at best unknown.
    pub trouble: Option<String>,
    /// Checks that were made once, beside the cases.
    pub checks: Vec<CheckRecord>,
    /// Cases that had failed and were run again, alone.
    pub reproduced: BTreeMap<CaseId, Reproduced>,
    /// Requirements it traces to but could not exercise on this cluster, each with the reason.
    pub not_covered: BTreeMap<Requirement, String>,
    /// Checks of it that could not run here.
    pub skipped_checks: Vec<SkippedCheck>,
    /// Relation to each copy of the configuration.
    pub declared: Vec<Declared>,
    /// The routes that it knows, if it tries any.
    pub routes: Vec<DeclaredRoute>,
    /// Flags that `credence replay` needs beside the case to test the same configuration; empty, or with a leading space.
    pub replay_flags: String,
    /// The directory, beside the reports, of the file that each case left of what happened to it; none if they left none.
    pub trail: Option<&'static str>,
}

impl Execution {
    /// An execution that could not begin `at` that time, and why.
    pub fn not_begun(planned: u32, at: Timestamp, why: String) -> Self {
        Self {
            planned,
            started: at,
            took: Duration::ZERO,
            trouble: Some(why),
            checks: Vec::new(),
            reproduced: BTreeMap::new(),
            not_covered: BTreeMap::new(),
            skipped_checks: Vec::new(),
            declared: Vec::new(),
            routes: Vec::new(),
            replay_flags: String::new(),
            trail: None,
        }
    }
}
