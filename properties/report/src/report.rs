//! The report of a run: one value, and the formats that it is written in. Pure: the suite writes the files.
//!
//! Everything that was selected or left out appears, skipped parts with their reason. Reasons arrive without
//! credential values; nothing here could add any.

use std::collections::BTreeMap;
use std::time::Duration;

use credence_core::adjustments::{LeftOut, OverlayField};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::copy::CopyName;
use crate::verdict::{ExitCode, Verdict};

mod check;
mod claim;
pub mod coverage;
mod finding;
mod html;
mod json;
mod junit;
mod known_bug;
mod latency;
mod missed;
mod orphan;
mod property;
mod reproduced;
mod requirement;
mod rfc3339;
pub mod routes;
mod tally;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
mod unfinished;
mod writer;

pub use check::CheckReport;
pub use claim::ClaimReport;
pub use coverage::CopyReport;
pub use finding::Finding;
pub use known_bug::KnownBug;
pub use latency::{Latency, percentile};
pub use missed::Missed;
pub use orphan::Orphan;
pub use property::{CaseCounts, Execution, PropertyMeta, PropertyReport};
pub use reproduced::Reproduced;
pub use requirement::{REQUIREMENTS, RequirementReport, UNPROVED};
pub use tally::{ClaimTally, Tally};
pub use text::{Millis, printable};
pub use unfinished::{State, Unfinished, UnreadConfig};
pub use writer::{EncodeError, Writer};

/// Every format, in the order in which the command names their files.
pub const WRITERS: [&dyn Writer; 3] = [&json::Json, &junit::Junit, &html::Html];

/// Name and version of the schema of `report.json`; a change that breaks readers changes it.
pub const SCHEMA: &str = "credence.report/v2";

/// Everything about one run, as `report.json` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`], by which readers tell whether they know the fields.
    pub schema: String,
    /// [`State::Finished`]: for any other state there is [`Unfinished`].
    #[serde(default)]
    pub state: State,
    /// Version of credence itself, as `credence --version` says.
    pub credence_version: String,
    /// Inputs from which every generated case follows.
    pub seed: u64,
    /// True if documented upstream bugs count as failures.
    pub strict: bool,
    /// Time at which the run began, before its set-up.
    #[serde(with = "rfc3339")]
    pub started: Timestamp,
    /// End of the last property.
    #[serde(with = "rfc3339")]
    pub finished: Timestamp,
    /// Configuration under test, and what of it was changed or left out.
    pub config: Config,
    /// The cluster that it ran on.
    pub cluster: Cluster,
    /// The steps of set-up, in order, and the properties, which overlap.
    pub phases: Vec<Phase>,
    /// Every property there is, executed or skipped, in order.
    pub properties: Vec<PropertyReport>,
    /// Every requirement there is, in order.
    pub requirements: Vec<RequirementReport>,
    /// Every copy of the configuration, and what judged it.
    #[serde(default)]
    pub copies: Vec<CopyReport>,
    /// True if properties or cases were left out on request, so that copies may be without a judge.
    #[serde(default)]
    pub is_partial: bool,
    /// Counts over all of it.
    pub totals: Totals,
    /// Cost of the run to this machine, the cluster's own processes excluded.
    pub resources: Resources,
}

/// Facts that are known of a run beside its properties.
#[derive(Debug, Clone)]
pub struct Run {
    /// Inputs from which every generated case follows.
    pub seed: u64,
    /// True if documented upstream bugs count as failures.
    pub strict: bool,
    /// Time at which the run began, before its set-up.
    pub started: Timestamp,
    /// End of the last property.
    pub finished: Timestamp,
    /// Configuration under test, and what of it was changed or left out.
    pub config: Config,
    /// The cluster that it ran on.
    pub cluster: Cluster,
    /// The steps of set-up, in order, and the properties, which overlap.
    pub phases: Vec<Phase>,
    /// Every copy of the configuration.
    pub copies: Vec<CopyName>,
    /// True if properties or cases were left out on request.
    pub is_partial: bool,
    /// Cost of the run to this machine.
    pub resources: Resources,
}

/// The configuration under test, and what of it was changed or left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Path of the directory, as given.
    pub path: String,
    /// Digest of its manifests before the overlay.
    pub digest: String,
    /// Fields that were changed to run it; nothing else was touched.
    pub overlay: Vec<OverlayField>,
    /// Its objects that were not applied, since they would do more than distribute.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// Parts of it that no property judges, each with its place and the reason.
    #[serde(default)]
    pub not_judged: Vec<String>,
}

/// The cluster of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Id of the provider that started it, such as `embedded`.
    pub provider: String,
    /// Version of each part, by its name.
    pub versions: BTreeMap<String, String>,
}

/// One step of set-up, or one property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Name of the step, or id of the property.
    pub name: String,
    /// Wall time in seconds.
    pub seconds: f64,
}

impl Phase {
    /// A step that took this long.
    pub fn new(name: &str, took: Duration) -> Self {
        Self { name: name.into(), seconds: text::seconds(took) }
    }
}

/// Cost of the run to this machine, the cluster's own processes excluded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Processor time of credence itself, user and system, in seconds.
    pub cpu_seconds: f64,
    /// The same in percent of the run's wall time; 100 is one core kept busy.
    pub cpu_percent: f64,
    /// Largest resident set of credence itself, in bytes.
    pub peak_rss_bytes: u64,
    /// The most watches that were open at once.
    pub open_watches: u64,
}

impl Resources {
    /// Share and sums of `cpu` of processor time over `wall` of run time.
    pub fn new(cpu: Duration, wall: Duration, peak_rss_bytes: u64, open_watches: u64) -> Self {
        let cpu_percent = if wall.is_zero() { 0.0 } else { (cpu.div_duration_f64(wall) * 1_000.0).round() / 10.0 };
        Self { cpu_seconds: text::seconds(cpu), cpu_percent, peak_rss_bytes, open_watches }
    }
}

/// Counts over a whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Exit code of the process.
    pub exit_code: u8,
    /// Number of properties by verdict.
    pub properties: Tally,
    /// Number of requirements by verdict.
    pub requirements: ClaimTally,
    /// Sums over the cases of all properties.
    pub cases: CaseCounts,
}

impl Report {
    /// Puts a run and all properties, executed and skipped, together; requirements and totals follow from them.
    pub fn new(run: Run, mut properties: Vec<PropertyReport>) -> Self {
        properties.iter_mut().for_each(|property| property.leave_out(&run.copies));
        let rows: Vec<_> = properties.iter().map(|property| (property.id, property.coverage.as_slice())).collect();
        let copies = coverage::copies(&run.copies, &rows);
        let requirements = requirement::trace(&properties);
        let totals = Totals {
            exit_code: exit_code(&properties, open_copies(&copies, run.is_partial), run.strict).code(),
            properties: Tally::of(properties.iter().map(|property| property.verdict)),
            requirements: ClaimTally::of(requirements.iter().map(|requirement| requirement.verdict)),
            cases: sum(properties.iter().map(|property| property.cases)),
        };
        Self {
            schema: SCHEMA.into(),
            state: State::Finished,
            credence_version: env!("CARGO_PKG_VERSION").into(),
            seed: run.seed,
            strict: run.strict,
            started: run.started,
            finished: run.finished,
            config: run.config,
            cluster: run.cluster,
            phases: run.phases,
            properties,
            requirements,
            copies,
            is_partial: run.is_partial,
            totals,
            resources: run.resources,
        }
    }

    /// Exit code of the process after this run.
    pub fn exit_code(&self) -> ExitCode {
        exit_code(&self.properties, open_copies(&self.copies, self.is_partial), self.strict)
    }

    /// True if copies keep the run from being green: those that a property could have judged, and none did.
    pub(crate) fn has_open_copies(&self) -> bool {
        coverage::open(open_copies(&self.copies, self.is_partial)).next().is_some()
    }

    /// Wall time from start to finish.
    pub fn took(&self) -> Millis {
        Duration::try_from(self.finished.duration_since(self.started)).unwrap_or_default().into()
    }
}

/// The copies that keep a run from being green. Of a partial one nobody expects that it judges all.
fn open_copies(copies: &[CopyReport], is_partial: bool) -> &[CopyReport] {
    if is_partial { &[] } else { copies }
}

fn exit_code(properties: &[PropertyReport], copies: &[CopyReport], strict: bool) -> ExitCode {
    // A known violation may stand behind a heavier unknown; a strict run must still see it.
    let counted = |property: &PropertyReport| {
        if strict && !property.known.is_empty() { Verdict::Violated } else { property.verdict }
    };
    ExitCode::of(properties.iter().map(counted).chain(coverage::open(copies)))
}

fn sum(counts: impl Iterator<Item = CaseCounts>) -> CaseCounts {
    counts.fold(CaseCounts::default(), |sum, one| CaseCounts {
        planned: sum.planned + one.planned,
        run: sum.run + one.run,
        held: sum.held + one.held,
        violated: sum.violated + one.violated,
        unknown: sum.unknown + one.unknown,
    })
}

#[cfg(test)]
mod tests;
