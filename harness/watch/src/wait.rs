//! Waiting: the only place that sleeps. Each wait has a deadline, a reason and the last thing seen.
//!
//! A deadline is set for a program that runs. The time that it stands still, because it is stopped or its machine is
//! suspended, is not counted (see [`crate::paused_time`]).

use std::future::Future;
use std::time::Duration;

use credence_core::text::Reason;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use crate::observer::{Observer, Versions, View};

pub mod pause;
#[cfg(test)]
mod tests;

pub use pause::{pass, pass_until};

/// Why what was not seen between two looks may have been there.
const MISSED: &str = "a watch was interrupted meanwhile, or the API server did not answer";

/// Outcome of a step of a wait.
#[derive(Debug)]
pub enum Progress<T> {
    /// It is there, and the wait ends with this.
    Done(T),
    /// It is not there yet; what was seen instead.
    NotYet(String),
    /// It cannot come any more, and why.
    Never(String),
}

/// An objection may still go away, so that nothing is final.
impl<T> From<Result<T, Reason>> for Progress<T> {
    fn from(seen: Result<T, Reason>) -> Self {
        seen.map_or_else(|why| Self::NotYet(why.into()), Self::Done)
    }
}

/// A wait did not end with what it waited for.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum WaitError {
    #[error("{what} did not happen within {within:.1?}; last seen: {last}")]
    TimedOut { what: String, within: Duration, last: String },
    /// It can no longer happen.
    #[error("{what} can no longer happen: {why}")]
    Impossible { what: String, why: String },
    /// The shared watch cannot see the cluster, so nothing that it shows is evidence.
    #[error("{what} is unknown, because the watches of the cluster are stale: {why}")]
    WatchStale { what: String, why: String },
}

/// Waits until `step`, asked at each change that the shared watch sees, is done.
///
/// That it did not happen in time is only believed if a write of our own came through every watch after the deadline, no watch
/// was interrupted since the beginning, and the API server answered all the while.
///
/// # Errors
/// When the deadline passes, when `step` says never, or `WatchStale` when the watches may not have shown it, or nobody could have
/// done it.
pub async fn until<T>(
    observer: &Observer,
    what: &str,
    within: Duration,
    mut step: impl FnMut(&View<'_>) -> Progress<T>,
) -> Result<T, WaitError> {
    let (began, continuity) = (Instant::now(), Continuity::begin(observer));
    let ended = match watch_until(observer, what, within, &mut step).await {
        Err(WaitError::TimedOut { .. }) => look_once_more(continuity, what, within, step).await,
        ended => ended,
    };
    tell(what, began, ended)
}

/// Waits at most that long. That it did not happen is no evidence then, and gives none.
///
/// # Errors
/// When `step` says never, or the watch cannot see the cluster at the end.
pub async fn at_most<T>(
    observer: &Observer,
    what: &str,
    within: Duration,
    step: impl FnMut(&View<'_>) -> Progress<T>,
) -> Result<Option<T>, WaitError> {
    match watch_until(observer, what, within, step).await {
        Ok(value) => Ok(Some(value)),
        Err(WaitError::TimedOut { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn watch_until<T>(
    observer: &Observer,
    what: &str,
    within: Duration,
    mut step: impl FnMut(&View<'_>) -> Progress<T>,
) -> Result<T, WaitError> {
    let handle = WatchHandle {
        changes: observer.changes(),
        staleness: || observer.staleness(),
        excluded: || observer.paused_time(),
    };
    until_changed(handle, what, within, || observer.look(&mut step)).await
}

/// Asks `step` after the deadline, once all that was written until then is in sight.
async fn look_once_more<T>(
    continuity: Continuity<'_>,
    what: &str,
    within: Duration,
    step: impl FnMut(&View<'_>) -> Progress<T>,
) -> Result<T, WaitError> {
    fence(continuity.observer, what).await?;
    match continuity.observer.look(step) {
        // What is in sight is there, however much was missed before.
        Progress::Never(why) => Err(WaitError::Impossible { what: what.to_owned(), why }),
        Progress::Done(value) => continuity.check(what).map(|()| value),
        Progress::NotYet(last) => {
            continuity.check(what)?;
            Err(WaitError::TimedOut { what: what.to_owned(), within, last })
        }
    }
}

/// Time since which every watch must have shown all that happened.
#[derive(Clone, Copy)]
struct Continuity<'a> {
    observer: &'a Observer,
    interruptions: u64,
}

impl<'a> Continuity<'a> {
    fn begin(observer: &'a Observer) -> Self {
        Self { observer, interruptions: observer.interruptions() }
    }

    /// Fails with `WatchStale` if a watch may have missed something since.
    fn check(self, what: &str) -> Result<(), WaitError> {
        if self.observer.interruptions() == self.interruptions {
            return Ok(());
        }
        Err(WaitError::WatchStale { what: what.to_owned(), why: MISSED.to_owned() })
    }
}

/// Tells the trail of the case how a wait ended.
fn tell<T>(what: &str, began: Instant, ended: Result<T, WaitError>) -> Result<T, WaitError> {
    match &ended {
        Ok(_) => debug!("seen after {:.1?}: {what}", began.elapsed()),
        Err(error) => debug!("{error}"),
    }
    ended
}

/// A shared watch, as a wait uses it.
pub struct WatchHandle<Staleness, Excluded> {
    /// Changes whenever what is watched does.
    pub changes: watch::Receiver<u64>,
    /// Why the watch is blind, if it is.
    pub staleness: Staleness,
    /// Sum of the time so far that no deadline counts.
    pub excluded: Excluded,
}

/// Same as [`until`], for any shared watch.
pub async fn until_changed<T>(
    mut handle: WatchHandle<impl Fn() -> Option<String>, impl Fn() -> Duration>,
    what: &str,
    within: Duration,
    mut step: impl FnMut() -> Progress<T>,
) -> Result<T, WaitError> {
    let (end, before) = (Instant::now() + within, (handle.excluded)());
    let WatchHandle { changes, staleness, excluded } = &mut handle;
    loop {
        changes.mark_unchanged();
        let last = match step() {
            Progress::Done(value) => return Ok(value),
            Progress::Never(why) => return Err(WaitError::Impossible { what: what.to_owned(), why }),
            Progress::NotYet(last) => last,
        };
        // A cluster that never stops changing must not carry the wait past its deadline.
        let deadline = end + excluded().saturating_sub(before);
        let passed = Instant::now() >= deadline || timeout_at(deadline, changes.changed()).await.is_err();
        if passed && excluded().saturating_sub(before) <= deadline - end {
            return Err(match staleness() {
                Some(why) => WaitError::WatchStale { what: what.to_owned(), why },
                None => WaitError::TimedOut { what: what.to_owned(), within, last },
            });
        }
    }
}

/// Waits until `step` has had no objection for the whole of `window`, and gives the time until that window began.
///
/// For states that may be passed through on the way: what counts is what is reached and stays.
///
/// # Errors
/// When the window has not begun `within` the limit, or the watch lost sight of the cluster.
pub async fn settled(
    observer: &Observer,
    what: &str,
    within: Duration,
    window: Duration,
    mut step: impl FnMut(&View<'_>) -> Result<(), Reason>,
) -> Result<Duration, WaitError> {
    let (begin, before, continuity) = (Instant::now(), observer.paused_time(), Continuity::begin(observer));
    let counted = || begin.elapsed().saturating_sub(observer.paused_time().saturating_sub(before));
    loop {
        let left = within.saturating_sub(counted());
        until(observer, what, left, |view| step(view).into()).await?;
        let reached = begin.elapsed();
        if counted() > within {
            continuity.check(what)?;
            let last = "reached too late, after states that did not last".to_owned();
            return Err(WaitError::TimedOut { what: what.to_owned(), within, last });
        }
        match hold(observer, what, window, &mut step).await {
            Ok(()) => return Ok(reached),
            // It was on its way to something else; the time left goes on.
            Err(WaitError::Impossible { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Watches for the whole of `window` and ends at once when `step` objects. Absence is only believed in this way: a write of our
/// own must come through at the end, and no watch may have been interrupted since the beginning.
///
/// # Errors
/// `Impossible` with the objection; `WatchStale` when the watch lost sight of the cluster, or may have missed something.
pub async fn hold(
    observer: &Observer,
    what: &str,
    window: Duration,
    step: impl FnMut(&View<'_>) -> Result<(), Reason>,
) -> Result<(), WaitError> {
    let ended = watch_window(observer, what, window, step).await;
    match &ended {
        Ok(()) => debug!("stayed for {window:.1?}, with every watch in sight of it: {what}"),
        Err(error) => debug!("{error}"),
    }
    ended
}

async fn watch_window(
    observer: &Observer,
    what: &str,
    window: Duration,
    mut step: impl FnMut(&View<'_>) -> Result<(), Reason>,
) -> Result<(), WaitError> {
    let (end, before) = (Instant::now() + window, observer.paused_time());
    let continuity = Continuity::begin(observer);
    let mut changes = observer.changes();
    let mut is_over = false;
    loop {
        changes.mark_unchanged();
        if let Err(why) = observer.look(&mut step) {
            return Err(WaitError::Impossible { what: what.to_owned(), why: why.into() });
        }
        if is_over {
            return match observer.staleness() {
                Some(why) => Err(WaitError::WatchStale { what: what.to_owned(), why }),
                None => continuity.check(what),
            };
        }
        let paused_time = || observer.paused_time().saturating_sub(before);
        let until = end + paused_time();
        if timeout_at(until, changes.changed()).await.is_err() && paused_time() <= until - end {
            fence(observer, what).await?;
            // What came before that write is in sight now, so one more look decides.
            is_over = true;
        }
    }
}

/// Waits until a write that begins now has come through the watches; at once where there is nothing to write to.
///
/// # Errors
/// `WatchStale` when it does not come through.
pub async fn fence(observer: &Observer, what: &str) -> Result<(), WaitError> {
    let Some(objects) = observer.fence() else { return Ok(()) };
    let stale = |why: String| WaitError::WatchStale { what: what.to_owned(), why };
    let show = |versions: Versions, within| async move {
        let shown = |view: &View<'_>| match view.not_shown(&versions) {
            None => Progress::Done(()),
            Some(kind) => Progress::NotYet(format!("the watch of {kind} did not show it")),
        };
        let came = watch_until(observer, "a write came through the watches", within, shown);
        came.await.map_err(|error| stale(error.to_string()))
    };
    objects.pass(show, stale).await
}

/// Asks `probe` every `every` until it is done: for things that offer no watch, such as a server that is starting.
///
/// # Errors
/// When the deadline passes or `probe` says never.
pub async fn poll<T, F: Future<Output = Progress<T>>>(
    what: &str,
    within: Duration,
    every: Duration,
    probe: impl FnMut() -> F,
) -> Result<T, WaitError> {
    tell(what, Instant::now(), ask(what, within, every, probe).await)
}

/// As [`poll`], for what is asked of the cluster: that it did not happen in time is only believed as in [`until`].
///
/// # Errors
/// When the deadline passes, `probe` says never, or the API server did not answer all the while.
pub async fn poll_cluster<T, F: Future<Output = Progress<T>>>(
    observer: &Observer,
    what: &str,
    within: Duration,
    every: Duration,
    probe: impl FnMut() -> F,
) -> Result<T, WaitError> {
    let continuity = Continuity::begin(observer);
    let ended = poll(what, within, every, probe).await;
    if matches!(ended, Err(WaitError::TimedOut { .. })) {
        fence(observer, what).await?;
        continuity.check(what)?;
    }
    ended
}

async fn ask<T, F: Future<Output = Progress<T>>>(
    what: &str,
    within: Duration,
    every: Duration,
    mut probe: impl FnMut() -> F,
) -> Result<T, WaitError> {
    let deadline = Instant::now() + within;
    let mut last = "nothing yet".to_owned();
    loop {
        match timeout_at(deadline, probe()).await {
            Ok(Progress::Done(value)) => return Ok(value),
            Ok(Progress::Never(why)) => return Err(WaitError::Impossible { what: what.to_owned(), why }),
            Ok(Progress::NotYet(seen)) => last = seen,
            Err(_) => last = format!("{last}, and then no answer"),
        }
        if Instant::now() + every >= deadline {
            return Err(WaitError::TimedOut { what: what.to_owned(), within, last });
        }
        sleep(every).await;
    }
}
