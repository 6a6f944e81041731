//! Names of runs.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

/// The time that named the last run of this process, in microseconds.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A name for a run, unique on this machine: short enough to be part of a namespace's name.
pub(super) fn run_name() -> String {
    let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default();
    // Two threads can ask within the same microsecond.
    let next = |last: u64| now.max(last + 1);
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
    let micros = last.map_or(now, next);
    format!("{:x}", micros ^ (u64::from(std::process::id()) << 40))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::run_name;

    #[test]
    fn runs_that_begin_at_the_same_time_have_different_names() {
        let threads: Vec<_> =
            (0..4).map(|_| std::thread::spawn(|| (0..1_000).map(|_| run_name()).collect::<Vec<_>>())).collect();
        let names: BTreeSet<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(names.len(), 4_000);
    }
}
