//! The kill table: each fault, the property that must find it and by which route, and what came of it in this run.
//!
//! It is written beside other results of the build, as `kill-table.json` and `kill-table.md`; `CREDENCE_KILL_TABLE` names
//! another directory.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use credence_report::report::PropertyReport;
use credence_report::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::fault::{Route, When};
use crate::faults;
use crate::own_faults::{self, OWN_FAULTS};

/// The variable that names the directory.
pub(crate) const DIRECTORY: &str = "CREDENCE_KILL_TABLE";
const JSON: &str = "kill-table.json";
const MARKDOWN: &str = "kill-table.md";

/// Outcome of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It was found by the route that is due, and by no other.
    Found,
    /// It was found in another way, or in another way as well.
    FoundOtherwise,
    /// It was not found.
    Survived,
    /// It was not looked for in this run.
    NotRun,
}

/// A fault before a property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The name of the fault.
    pub(crate) fault: String,
    /// Place at which it is injected.
    pub(crate) place: String,
    /// Part that is at fault.
    pub(crate) kind: String,
    /// The property that must find it, or the test.
    pub(crate) property: String,
    /// True if it is looked for at every push.
    pub(crate) at_every_push: bool,
    /// Text that the reason has to have.
    pub(crate) route: String,
    /// Outcome of it.
    pub(crate) state: State,
    /// The reason that was found, or why there is none.
    pub(crate) said: Option<String>,
    /// Time that the property ran until then.
    pub(crate) seconds: f64,
    /// Number of cases that it ran until then.
    pub(crate) cases: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Table {
    /// Rows that were looked for in this run.
    run: usize,
    /// Of those, the ones that were found by the route that is due.
    found: usize,
    rows: Vec<Row>,
}

static RUN: Mutex<Vec<Row>> = Mutex::new(Vec::new());

impl Row {
    /// Row of a property and a fault.
    pub(crate) fn of(due: Self, report: Option<&PropertyReport>, route: Route) -> Self {
        let Some(report) = report else {
            return Self { state: State::Survived, said: Some("it did not run".to_owned()), ..due };
        };
        let (seconds, cases) = (report.seconds, report.cases.run);
        let reasons = violations(report);
        let due_one = reasons.iter().find(|reason| route.is_of(reason));
        let other = reasons.iter().find(|reason| !route.tolerates(reason));
        let (state, said) = match (due_one, other.or(reasons.first())) {
            (Some(reason), _) if other.is_none() => (State::Found, reason.clone()),
            (_, Some(reason)) => (State::FoundOtherwise, reason.clone()),
            (_, None) => {
                let why = report.reason.as_deref().unwrap_or("all cases held");
                (State::Survived, format!("{}: {why}", report.verdict))
            }
        };
        Self { state, said: Some(said), seconds, cases, ..due }
    }

    /// True if the fault was found, by whatever route.
    pub(crate) fn was_found(&self) -> bool {
        matches!(self.state, State::Found | State::FoundOtherwise)
    }

    /// Fault of it, if something is.
    pub(crate) fn problem(&self) -> Option<String> {
        let said = self.said.as_deref().unwrap_or_default();
        match self.state {
            State::Found | State::NotRun => None,
            State::FoundOtherwise => {
                Some(format!("{} finds it otherwise than by {:?}: {said}", self.property, self.route))
            }
            State::Survived => Some(format!("{} does not find it: {said}", self.property)),
        }
    }
}

/// The reasons of all that a property found, but for known upstream bugs.
fn violations(report: &PropertyReport) -> Vec<String> {
    let is_violated = |verdict| verdict == Verdict::Violated;
    let cases = report.findings.iter().filter(|one| is_violated(one.verdict)).map(|one| one.reason.clone());
    let checks = report.checks.iter().filter(|one| is_violated(one.verdict)).filter_map(|one| one.reason.clone());
    let left = report.leftovers.iter().filter(|one| is_violated(one.verdict)).map(|one| one.reason.clone());
    cases.chain(checks).chain(left).collect()
}

/// Keeps a row of this run.
pub(crate) fn keep(row: Row) {
    RUN.lock().unwrap_or_else(PoisonError::into_inner).push(row);
}

/// All rows that there should be, as those that nothing has come of yet.
fn due() -> Vec<Row> {
    let configured = faults::all().flat_map(|fault| {
        fault.found_by.iter().map(|found| Row {
            fault: fault.name.to_owned(),
            place: format!("fixtures/broken/{}", fault.name),
            kind: fault.kind.to_owned(),
            property: found.property.to_owned(),
            at_every_push: found.when == When::Day,
            route: found.by.text(),
            state: State::NotRun,
            said: None,
            seconds: 0.0,
            cases: 0,
        })
    });
    configured.chain(OWN_FAULTS.iter().map(own_faults::due)).collect()
}

/// The row of a fault before a property, as one that nothing has come of yet.
pub(crate) fn due_of(fault: &str, property: &str) -> Row {
    let mut rows = due().into_iter();
    let row = rows.find(|row| row.fault == fault && row.property == property);
    row.unwrap_or_else(|| panic!("{fault} before {property} is in no table"))
}

/// The directory that it is written to.
fn directory() -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("credence");
    std::env::var_os(DIRECTORY).map_or_else(beside, PathBuf::from)
}

/// Writes what this run came to; nothing if it looked for no fault.
///
/// # Errors
/// When the files cannot be written.
pub(crate) fn write() -> io::Result<Option<PathBuf>> {
    let run = std::mem::take(&mut *RUN.lock().unwrap_or_else(PoisonError::into_inner));
    if run.is_empty() {
        return Ok(None);
    }
    let as_run = |due: Row| {
        let is_it = |row: &&Row| (&row.fault, &row.property) == (&due.fault, &due.property);
        run.iter().find(is_it).cloned().unwrap_or(due)
    };
    let rows: Vec<Row> = due().into_iter().map(as_run).collect();
    let found = rows.iter().filter(|row| row.state == State::Found).count();
    let table = Table { run: run.len(), found, rows };
    let directory = directory();
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(JSON), serde_json::to_vec_pretty(&table)?)?;
    fs::write(directory.join(MARKDOWN), markdown(&table))?;
    Ok(Some(directory.join(MARKDOWN)))
}

/// The rows of a table that another run wrote.
///
/// # Errors
/// When there is none in the directory.
pub(crate) fn read(directory: &std::path::Path) -> io::Result<Vec<Row>> {
    let table: Table = serde_json::from_slice(&fs::read(directory.join(JSON))?)?;
    Ok(table.rows)
}

fn markdown(table: &Table) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    let mut text = format!(
        "# Kill table\n\n{} of {} faults that were looked for in this run were found by the route that is due.\n\n\
         | fault | kind | found by | route | state | seconds | cases | said |\n|-|-|-|-|-|-|-|-|\n",
        table.found, table.run
    );
    for row in &table.rows {
        let state = match row.state {
            State::Found => "found",
            State::FoundOtherwise => "found otherwise",
            State::Survived => "survived",
            State::NotRun if row.at_every_push => "not run",
            State::NotRun => "not run, at night",
        };
        let (seconds, cases) = match row.state {
            State::NotRun => (String::new(), String::new()),
            _ => (format!("{:.1}", row.seconds), row.cases.to_string()),
        };
        let said = cell(row.said.as_deref().unwrap_or_default());
        let cells = [&row.fault, &row.kind, &row.property, &row.route].map(|text| cell(text)).join(" | ");
        writeln!(text, "| {cells} | {state} | {seconds} | {cases} | {said} |").expect("a String takes all");
    }
    text
}
