//! The time that a program stands still, so that no deadline for its work counts it.
//!
//! Whoever stops a program for a while (a signal, a debugger, a frozen machine) delays its work and does not make it
//! fail. A deadline that ran on meanwhile would call the delay a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::wait::pause;

/// Time between two polls: the kernel tells nobody but a parent that a process was stopped.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Counts the time that a program stands still. Ends when dropped.
#[derive(Debug)]
pub struct PausedTime {
    milliseconds: Arc<AtomicU64>,
    _task: JoinSet<()>,
}

impl PausedTime {
    /// Asks every 100 ms whether the program stands still. One that does not run does not.
    pub fn of(stands_still: impl Fn() -> bool + Send + 'static) -> Self {
        let milliseconds = Arc::<AtomicU64>::default();
        let mut task = JoinSet::new();
        task.spawn(count(stands_still, Arc::clone(&milliseconds)));
        Self { milliseconds, _task: task }
    }

    /// Time during which it was stopped so far.
    pub fn total(&self) -> Duration {
        Duration::from_millis(self.milliseconds.load(Ordering::Relaxed))
    }
}

async fn count(stands_still: impl Fn() -> bool, milliseconds: Arc<AtomicU64>) {
    let mut looked = Instant::now();
    loop {
        pause::pass(POLL_INTERVAL).await;
        let since = looked.elapsed();
        looked += since;
        if stands_still() {
            milliseconds.fetch_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}
