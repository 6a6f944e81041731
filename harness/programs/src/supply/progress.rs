//! The look of progress: one line per part, with the time since it was asked for and what is being done.

use std::collections::BTreeMap;
use std::fmt;
use std::mem::{self, Discriminant};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

use super::{Origin, Part, Progress, Step};

/// Time that a plain line stands before the next that says the same kind of thing.
const QUIET: Duration = Duration::from_secs(10);
/// Time between two drawings of the elapsed time in a bar.
const TICK: Duration = Duration::from_millis(200);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => write!(f, "given"),
            Self::Image { reference } => write!(f, "image {reference}"),
            Self::Release { url } => write!(f, "official release {url}"),
            Self::Build => write!(f, "built from the pinned Go module"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { holder: Some(pid) } => write!(f, "waiting for process {pid}, which obtains it"),
            Self::Waiting { holder: None } => write!(f, "waiting for another process, which obtains it"),
            Self::Queued => write!(f, "waiting for its turn to build"),
            Self::Downloading { received, total: Some(total) } => {
                write!(f, "downloading, {} of {}", HumanBytes(*received), HumanBytes(*total))
            }
            Self::Downloading { received, total: None } => write!(f, "downloading, {}", HumanBytes(*received)),
            Self::Verifying => write!(f, "comparing with the published checksum"),
            Self::Building { what } => f.write_str(what),
            Self::Ready { from, .. } => write!(f, "ready, {from}"),
        }
    }
}

/// Lines on standard error, for logs: one at each change of activity, and one every 10 seconds at most in between.
#[derive(Debug, Default)]
pub struct PlainProgress {
    lines: Mutex<BTreeMap<Part, Line>>,
}

#[derive(Debug)]
struct Line {
    start: Instant,
    printed: Instant,
    kind: Discriminant<Step>,
}

impl PlainProgress {
    /// A progress that has printed nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The line to print at `now`, if one is due.
    fn due(&self, part: Part, step: &Step, now: Instant) -> Option<String> {
        let kind = mem::discriminant(step);
        // Times of lines are valid whatever happened to another holder.
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let start = lines.get(&part).map_or(now, |line| line.start);
        // What was in the cache is no progress.
        if matches!(step, Step::Ready { .. }) && !lines.contains_key(&part) {
            return None;
        }
        let is_due = lines.get(&part).is_none_or(|line| line.kind != kind || now - line.printed >= QUIET);
        if !is_due {
            return None;
        }
        lines.insert(part, Line { start, printed: now, kind });
        let elapsed = match step {
            Step::Ready { took, .. } => *took,
            _ => now - start,
        };
        Some(format!("{part} {}: {} s: {step}", part.version(), elapsed.as_secs()))
    }
}

impl Progress for PlainProgress {
    fn step(&self, part: Part, step: &Step) {
        if let Some(line) = self.due(part, step, Instant::now()) {
            eprintln!("{line}");
        }
    }

    fn note(&self, text: &str) {
        eprintln!("{text}");
    }
}

/// One line per part that changes in place, for terminals. Draws nothing where standard error is none.
#[derive(Debug, Default)]
pub struct BarProgress {
    screen: MultiProgress,
    bars: Mutex<BTreeMap<Part, ProgressBar>>,
}

impl BarProgress {
    /// Nothing drawn yet, on a screen that others draw on as well.
    pub fn on(screen: MultiProgress) -> Self {
        Self { screen, bars: Mutex::default() }
    }

    fn bar(&self, part: Part) -> ProgressBar {
        // A map of bars is valid whatever happened to another holder.
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(part).or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {prefix:32} {elapsed:>4} {wide_msg}");
            let style = style.expect("the template is a constant, which a test draws");
            let bar = self.screen.add(ProgressBar::new_spinner().with_style(style));
            bar.set_prefix(format!("{part} {}", part.version()));
            bar.enable_steady_tick(TICK);
            bar
        });
        bar.clone()
    }
}

impl BarProgress {
    fn is_shown(&self, part: Part) -> bool {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&part)
    }
}

impl Progress for BarProgress {
    fn step(&self, part: Part, step: &Step) {
        // What was in the cache is no progress.
        if matches!(step, Step::Ready { .. }) && !self.is_shown(part) {
            return;
        }
        let bar = self.bar(part);
        match step {
            Step::Ready { .. } => bar.finish_with_message(step.to_string()),
            _ => bar.set_message(step.to_string()),
        }
    }

    fn note(&self, text: &str) {
        // Losing a line, to a closed terminal for one, must not end what is being done.
        self.screen.println(text).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn building(what: &str) -> Step {
        Step::Building { what: what.to_owned() }
    }

    #[test]
    fn plain_progress_prints_changes_and_every_ten_seconds() {
        let (progress, start) = (PlainProgress::new(), Instant::now());
        let at = |seconds, step: &Step| progress.due(Part::Etcd, step, start + Duration::from_secs(seconds));
        assert_eq!(at(0, &Step::Queued).unwrap(), "etcd 3.6.8: 0 s: waiting for its turn to build");
        assert_eq!(at(1, &building("a")).unwrap(), "etcd 3.6.8: 1 s: a");
        assert_eq!(at(5, &building("b")), None);
        assert_eq!(at(11, &building("c")).unwrap(), "etcd 3.6.8: 11 s: c");
        let ready = Step::Ready { path: "/etcd".into(), from: Origin::Given, took: Duration::from_secs(12) };
        assert_eq!(at(12, &ready).unwrap(), "etcd 3.6.8: 12 s: ready, given");
    }

    #[test]
    fn parts_have_lines_of_their_own() {
        let (progress, now) = (PlainProgress::new(), Instant::now());
        assert!(progress.due(Part::Etcd, &building("a"), now).is_some());
        assert!(progress.due(Part::Helm, &building("a"), now).is_some());
    }

    #[test]
    fn a_bar_takes_every_step() {
        let progress = BarProgress::default();
        progress.step(Part::Etcd, &Step::Downloading { received: 1, total: None });
        progress.step(Part::Etcd, &Step::Downloading { received: 1024, total: Some(2048) });
        assert_eq!(progress.bar(Part::Etcd).message(), "downloading, 1.00 KiB of 2.00 KiB");
        let ready = Step::Ready { path: "/etcd".into(), from: Origin::Build, took: Duration::ZERO };
        progress.step(Part::Etcd, &ready);
        assert!(progress.bar(Part::Etcd).is_finished());
    }
}
