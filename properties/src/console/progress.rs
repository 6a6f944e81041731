//! Progress of one property.

use std::fmt;
use std::time::{Duration, Instant};

use credence_core::id::PropertyId;
use credence_report::report::{Millis, percentile};
use credence_report::verdict::{CaseRecord, Verdict};

/// The longest silence between two plain lines of a property whose cases keep ending.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Counts and latencies of one property so far.
pub(super) struct Progress {
    id: PropertyId,
    title: String,
    planned: u32,
    run: u32,
    violated: u32,
    known: u32,
    unknown: u32,
    latencies: Vec<Duration>,
    last_line: Instant,
}

/// Change of the state that one more case calls for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StateChange {
    /// A quarter of the cases is done, or the last line is old.
    pub(super) line_is_due: bool,
    /// No case of this property had ended with this verdict, which is not held, before.
    pub(super) first_of_its_verdict: bool,
}

impl Progress {
    pub(super) fn new(id: PropertyId, title: &str, planned: u32, now: Instant) -> Self {
        Self {
            id,
            title: title.into(),
            planned,
            run: 0,
            violated: 0,
            known: 0,
            unknown: 0,
            latencies: Vec::new(),
            last_line: now,
        }
    }

    /// Counts a case that ended at `now`.
    pub(super) fn record(&mut self, record: &CaseRecord, now: Instant) -> StateChange {
        for latency in &record.latencies {
            // Kept sorted, so that each redraw can read the percentiles off.
            let place = self.latencies.partition_point(|other| other <= latency);
            self.latencies.insert(place, *latency);
        }
        let count = match Verdict::from(&record.outcome) {
            Verdict::Violated => Some(&mut self.violated),
            Verdict::KnownViolated => Some(&mut self.known),
            Verdict::Unknown => Some(&mut self.unknown),
            Verdict::Held | Verdict::Skipped => None,
        };
        let first_of_its_verdict = count.is_some_and(|count| {
            *count += 1;
            *count == 1
        });
        let quarter = |run: u32| u64::from(run) * 4 / u64::from(self.planned.max(1));
        let line_is_due = quarter(self.run) < quarter(self.run + 1) || now.duration_since(self.last_line) >= LINE_EVERY;
        self.run += 1;
        if line_is_due {
            self.last_line = now;
        }
        StateChange { line_is_due, first_of_its_verdict }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}  {}/{}", self.id, self.title, self.run, self.planned)?;
        for (count, what) in [(self.violated, "violated"), (self.known, "violated (known)"), (self.unknown, "unknown")]
        {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        for percent in [50, 95] {
            if let Some(latency) = percentile(&self.latencies, percent) {
                write!(f, "  p{percent} {}", Millis::from(latency))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use credence_report::report::testing::{META, known, record};
    use credence_report::verdict::Outcome;

    use super::Progress;

    #[test]
    fn lines_are_due_at_each_quarter_and_after_ten_seconds() {
        let start = Instant::now();
        let mut progress = Progress::new(META.id, META.title, 100, start);
        let mut due = Vec::new();
        for index in 0..100 {
            // One case a second up to the thirtieth, then all at once.
            let now = start + Duration::from_secs(u64::from(index.min(29)) + 1);
            if progress.record(&record(index, Outcome::Held), now).line_is_due {
                due.push(index + 1);
            }
        }
        assert_eq!(due, [10, 20, 25, 50, 75, 100]);
    }

    #[test]
    fn only_the_first_case_of_a_verdict_is_news() {
        let now = Instant::now();
        let mut progress = Progress::new(META.id, META.title, 3, now);
        let news = [record(0, Outcome::Held), known(1), known(2)];
        assert_eq!(news.map(|record| progress.record(&record, now).first_of_its_verdict), [false, true, false]);
        assert_eq!(progress.to_string(), "p03 label distribution  3/3, 2 violated (known)  p50 100 ms  p95 400 ms");
    }
}
