//! Output for a person: live progress on standard error, the summary on standard output.
//!
//! On a terminal each property has one line that is redrawn; elsewhere a line is written when a property starts,
//! at every quarter of its cases or after ten seconds, and when it ends.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use credence_core::id::PropertyId;
use credence_programs::supply::{self, BarProgress, Part, PlainProgress, Progress as _, Step};
use credence_report::report::{Millis, PropertyReport, Report, printable};
use credence_report::unknown::Unknown;
use credence_report::verdict::{CaseRecord, Outcome, Verdict, Violation};
use credence_suite::events::{Event, Events};
use credence_suite::reports::Written;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

mod progress;
mod summary;

use progress::Progress;

pub use summary::render_summary;

/// Time between two drawings of the elapsed times on a terminal.
const REDRAW_EVERY: Duration = Duration::from_millis(500);

/// Shows one run to a person; shared by all lanes.
pub struct Console {
    output: Output,
    started: Instant,
    phases: Mutex<BTreeMap<String, ProgressBar>>,
    properties: Mutex<BTreeMap<PropertyId, Shown>>,
    components: Box<dyn supply::Progress>,
}

enum Output {
    Bars { bars: MultiProgress, colour: bool },
    Lines(Mutex<Box<dyn Write + Send>>),
}

struct Shown {
    progress: Progress,
    bar: Option<ProgressBar>,
}

impl Console {
    /// Progress on standard error: redrawn lines on a terminal, plain lines elsewhere.
    pub fn stderr() -> Self {
        if io::stderr().is_terminal() {
            Self::with(Output::Bars { bars: MultiProgress::new(), colour: wants_colour(&io::stderr()) })
        } else {
            Self::lines(Box::new(io::stderr()))
        }
    }

    /// Progress as plain lines on `writer`, none of which is redrawn.
    pub fn lines(writer: Box<dyn Write + Send>) -> Self {
        Self::with(Output::Lines(Mutex::new(writer)))
    }

    fn with(output: Output) -> Self {
        let components: Box<dyn supply::Progress> = match &output {
            Output::Bars { bars, .. } => Box::new(BarProgress::on(bars.clone())),
            Output::Lines(_) => Box::new(PlainProgress::new()),
        };
        Self { output, started: Instant::now(), phases: Mutex::default(), properties: Mutex::default(), components }
    }

    /// A step of set-up begins.
    fn phase_started(&self, name: &str) {
        match self.bar(name) {
            Some(bar) => drop(lock(&self.phases).insert(name.to_owned(), bar)),
            None => self.note(name),
        }
    }

    /// A step of set-up ended, or was stopped.
    fn phase_ended(&self, name: &str, took: Duration, is_done: bool) {
        let how = if is_done { "done" } else { "stopped" };
        let text = format!("{name}: {how} after {}", Millis::from(took));
        match lock(&self.phases).remove(name) {
            Some(bar) => bar.finish_with_message(text),
            None => self.note(&text),
        }
    }

    /// A property begins, with this many cases to run.
    fn property_started(&self, id: PropertyId, title: &str, planned: u32) {
        let progress = Progress::new(id, title, planned, Instant::now());
        let bar = self.bar(&progress.to_string());
        if bar.is_none() {
            self.note(&format!("{id} {title}: {planned} cases"));
        }
        lock(&self.properties).insert(id, Shown { progress, bar });
    }

    /// A case of a started property ended; a case of any other property is not shown.
    fn case_done(&self, record: &CaseRecord) {
        let mut properties = lock(&self.properties);
        let Some(shown) = properties.get_mut(&record.id.property) else { return };
        let change = shown.progress.record(record, Instant::now());
        match &shown.bar {
            Some(bar) => bar.set_message(shown.progress.to_string()),
            None if change.line_is_due => self.note(&shown.progress.to_string()),
            None => {}
        }
        let (reason, cause) = match &record.outcome {
            Outcome::Held => return,
            Outcome::Violated(Violation { reason, .. }) => (reason, String::new()),
            Outcome::Unknown(Unknown { cause, reason }) => (reason, format!(" ({cause})")),
        };
        if change.first_of_its_verdict {
            let verdict = self.painted(Verdict::from(&record.outcome));
            self.note(&format!("{} {verdict}{cause}: {}", record.id, printable(first_line(reason))));
        }
    }

    /// A property ended, or was skipped without a start.
    fn property_finished(&self, report: &PropertyReport) {
        let shown = lock(&self.properties).remove(&report.id);
        let mut text = format!("{} {}: {}", report.id, report.title, self.painted(report.verdict));
        if report.verdict != Verdict::Skipped {
            text.push_str(&format!(", cases {}", report.cases_text()));
        }
        if let Some(latency) = report.latency_ms {
            text.push_str(&format!(", {latency}"));
        }
        if let Some(reason) = &report.reason {
            text.push_str(&format!(": {}", first_line(reason)));
        }
        match shown.and_then(|shown| shown.bar) {
            Some(bar) => bar.finish_with_message(text),
            None => self.note(&text),
        }
    }

    /// Prints the summary, and where the report is, to standard output; the live lines go.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn print_summary(&self, report: &Report, written: &Written) -> io::Result<()> {
        if let Output::Bars { bars, .. } = &self.output {
            bars.clear()?;
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(render_summary(report, wants_colour(&io::stdout())).as_bytes())?;
        for path in &written.files {
            writeln!(stdout, "report        {}", path.display())?;
        }
        stdout.flush()
    }

    fn bar(&self, message: &str) -> Option<ProgressBar> {
        let Output::Bars { bars, .. } = &self.output else { return None };
        let style = ProgressStyle::with_template("{msg}  {elapsed}").expect("the template is valid");
        let bar = bars.add(ProgressBar::new_spinner().with_style(style).with_message(message.to_owned()));
        bar.enable_steady_tick(REDRAW_EVERY);
        Some(bar)
    }

    fn painted(&self, verdict: Verdict) -> String {
        match self.output {
            Output::Bars { colour, .. } => summary::paint(verdict, &verdict.to_string(), colour),
            Output::Lines(_) => verdict.to_string(),
        }
    }
}

impl supply::Progress for Console {
    fn step(&self, part: Part, step: &Step) {
        self.components.step(part, step);
    }

    fn note(&self, text: &str) {
        // Losing progress output, to a closed pipe for one, must not end a run.
        match &self.output {
            Output::Bars { bars, .. } => bars.println(text).ok(),
            Output::Lines(writer) => {
                let elapsed = self.started.elapsed().as_secs();
                writeln!(lock(writer), "[{elapsed:>4} s] {text}").ok()
            }
        };
    }
}

impl Events for Console {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::PhaseStarted { name } => self.phase_started(name),
            Event::PhaseEnded { name, took, is_done } => self.phase_ended(name, *took, *is_done),
            Event::PropertyStarted { id, title, planned } => self.property_started(*id, title, *planned),
            Event::CaseEnded(record) => self.case_done(record),
            Event::PropertyEnded(report) => self.property_finished(report),
        }
    }
}

/// Live output is one line a fact; the summary and the report have the rest.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Colour is for terminals whose user did not refuse it, see <https://no-color.org>.
fn wants_colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking lane leaves behind is at worst a stale progress line.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use credence_report::report::PropertyReport;
    use credence_report::report::testing::{META, OTHER, property, record, unknown, violated};
    use credence_report::verdict::Outcome;
    use credence_suite::events::PhaseTimer;

    use super::{Console, lock};

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(show: impl FnOnce(&Console)) -> Vec<String> {
        fn must_be_shareable_by_lanes<T: Send + Sync>() {}
        must_be_shareable_by_lanes::<Console>();
        let captured = Captured::default();
        show(&Console::lines(Box::new(captured.clone())));
        let text = String::from_utf8(lock(&captured.0).clone()).expect("UTF-8");
        text.lines().map(|line| line.split_once("] ").expect("elapsed time in front").1.to_owned()).collect()
    }

    #[test]
    fn without_a_terminal_a_property_is_a_line_per_quarter_and_its_first_findings() {
        let records = [
            record(0, Outcome::Held),
            violated(1, "copy stayed\nin one namespace"),
            violated(2, "copy stayed too"),
            unknown(3, "no\u{1b}answer"),
        ];
        let shown = lines(|console| {
            console.property_started(META.id, META.title, 4);
            records.iter().for_each(|record| console.case_done(record));
            console.property_finished(&property(&records));
        });
        let quarter = |done: u32, rest: &str| format!("p03 label distribution  {done}/4{rest}  p50 100 ms  p95 400 ms");
        assert_eq!(
            shown,
            [
                "p03 label distribution: 4 cases".to_owned(),
                quarter(1, ""),
                quarter(2, ", 1 violated"),
                "p03:42:1 violated: copy stayed".into(),
                quarter(3, ", 2 violated"),
                quarter(4, ", 2 violated, 1 unknown"),
                "p03:42:3 unknown (request failed): no\u{fffd}answer".into(),
                "p03 label distribution: violated, cases 4/4, 2 violated, 1 unknown, \
                 p50 100 ms, p95 400 ms, max 400 ms of 20.0 s allowed: copy stayed"
                    .into(),
            ]
        );
    }

    #[test]
    fn a_phase_that_is_dropped_was_stopped() {
        let shown = lines(|console| {
            let phase = PhaseTimer::begin(console, "control plane").finish();
            assert_eq!(phase.name, "control plane");
            drop(PhaseTimer::begin(console, "node"));
        });
        assert_eq!((shown[0].as_str(), shown[2].as_str()), ("control plane", "node"));
        assert!(shown[1].starts_with("control plane: done after "), "{shown:?}");
        assert!(shown[3].starts_with("node: stopped after "), "{shown:?}");
    }

    #[test]
    fn a_skipped_property_says_why() {
        let shown = lines(|console| console.property_finished(&PropertyReport::skipped(&OTHER, "needs root")));
        assert_eq!(shown, ["p07 credential types: skipped: needs root"]);
    }
}
