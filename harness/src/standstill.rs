//! The time that a program stands still, so that no deadline for its work counts it.
//!
//! Whoever stops a program for a while (a signal, a debugger, a frozen machine) delays its work and does not make it
//! fail. A deadline that ran on meanwhile would call the delay a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::process::Process;
use crate::wait;

/// How often is looked: the kernel tells nobody but a parent that a process was stopped.
const EVERY: Duration = Duration::from_millis(100);

/// Counts the time that a program stands still. Ends when dropped.
#[derive(Debug)]
pub struct Standstill {
    milliseconds: Arc<AtomicU64>,
    _task: JoinSet<()>,
}

impl Standstill {
    /// Watches whatever process is the latest. One that does not run does not stand still.
    pub(crate) fn of(process: watch::Receiver<Option<Arc<Process>>>) -> Self {
        let milliseconds = Arc::<AtomicU64>::default();
        let mut task = JoinSet::new();
        task.spawn(count(process, Arc::clone(&milliseconds)));
        Self { milliseconds, _task: task }
    }

    /// All of that time since the beginning.
    pub fn total(&self) -> Duration {
        Duration::from_millis(self.milliseconds.load(Ordering::Relaxed))
    }
}

async fn count(process: watch::Receiver<Option<Arc<Process>>>, milliseconds: Arc<AtomicU64>) {
    let mut looked = Instant::now();
    loop {
        wait::pass(EVERY).await;
        let since = looked.elapsed();
        looked += since;
        if process.borrow().as_ref().is_some_and(|process| process.stands_still()) {
            milliseconds.fetch_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}
