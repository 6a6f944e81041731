//! Events of a run, told while they happen to whoever shows or keeps them.

use std::time::{Duration, Instant};

use credence_core::id::PropertyId;
use credence_programs::supply::Progress;
use credence_report::report::{Phase, PropertyReport};
use credence_report::verdict::CaseRecord;

/// Something that happened in a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step of set-up begins.
    PhaseStarted {
        /// Its name, by which its end is told.
        name: &'a str,
    },
    /// A step of set-up ended.
    PhaseEnded {
        /// Name of the step, as at its start.
        name: &'a str,
        /// Wall-clock time from the start of the step to now.
        took: Duration,
        /// True if it came to its end. If not, it was stopped.
        is_done: bool,
    },
    /// A property begins, before its set-up.
    PropertyStarted {
        /// Id of the property, such as `p01`.
        id: PropertyId,
        /// Title of the property, as in the heading of its report.
        title: &'a str,
        /// Number of cases that it has to run.
        planned: u32,
    },
    /// A case ended, with its record as reports have it.
    CaseEnded(&'a CaseRecord),
    /// A property ended, or was skipped without a start.
    PropertyEnded(&'a PropertyReport),
}

/// A sink of events, shared by all lanes. Events come at any rate, and telling them must not block. Notes and the steps of
/// programs that are obtained go to it as well, as to any [`Progress`].
pub trait Events: Progress {
    /// Is called once for each event, from any thread, and returns at once.
    fn event(&self, event: &Event<'_>);
}

/// A step of set-up that is under way: it ends with [`finish`](Self::finish), or as stopped when it is dropped.
pub struct PhaseTimer<'a> {
    events: &'a dyn Events,
    name: &'a str,
    started: Instant,
    is_done: bool,
}

impl<'a> PhaseTimer<'a> {
    /// Tells `events` that the step `name` begins, and takes the time from now on.
    pub fn begin(events: &'a dyn Events, name: &'a str) -> Self {
        events.event(&Event::PhaseStarted { name });
        Self { events, name, started: Instant::now(), is_done: false }
    }

    /// Ends the step; its name and how long it took, for the report.
    pub fn finish(mut self) -> Phase {
        self.is_done = true;
        Phase::new(self.name, self.started.elapsed())
    }
}

impl Drop for PhaseTimer<'_> {
    fn drop(&mut self) {
        let Self { name, is_done, .. } = *self;
        self.events.event(&Event::PhaseEnded { name, took: self.started.elapsed(), is_done });
    }
}
