//! Properties side by side, each when the [`Schedule`](crate::schedule) says so.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::schedule::{Next, Participant, Schedule};

/// Somebody who goes on only when nothing else runs, and how to tell them.
type Waiting = (usize, oneshot::Sender<()>);

/// Turn of a property, which it holds while it runs.
#[derive(Debug, Clone)]
pub struct Turn {
    number: usize,
    lanes: Arc<Semaphore>,
    waiting: mpsc::UnboundedSender<Waiting>,
}

impl Turn {
    /// Waits until no other property runs. From then on, none does until this one has ended. Whoever waits may hold nothing
    /// that others need.
    pub(crate) async fn alone(&self) {
        let (go_on, told) = oneshot::channel();
        // Both channels live until this property has ended.
        if self.waiting.send((self.number, go_on)).is_ok() {
            told.await.ok();
        }
    }

    /// Waits for one of the lanes that all properties share.
    pub(crate) async fn lane(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.lanes).acquire_owned().await.ok()
    }
}

/// Runs all participants, each once `ready` has resolved for its number and the schedule lets it begin, and gives what came
/// of them in their order. At most `lanes` slots run at the same time, and no more properties than that.
pub(crate) async fn run<T, Ready: Future<Output = ()>, Running: Future<Output = T>>(
    participants: Vec<Participant>,
    lanes: usize,
    ready: impl Fn(usize) -> Ready,
    run: impl Fn(usize, Turn) -> Running,
) -> Vec<T> {
    let count = participants.len();
    let mut schedule = Schedule::new(participants, lanes);
    let lanes = Arc::new(Semaphore::new(lanes.max(1)));
    let (waiting, mut asks) = mpsc::unbounded_channel::<Waiting>();
    let mut unready: FuturesUnordered<_> = (0..count).map(|number| numbered(number, ready(number))).collect();
    let mut running = FuturesUnordered::new();
    let mut told_later = BTreeMap::new();
    let mut ended = BTreeMap::new();
    loop {
        while let Some(next) = schedule.next() {
            match next {
                Next::Begin(number) => {
                    let turn = Turn { number, lanes: Arc::clone(&lanes), waiting: waiting.clone() };
                    running.push(numbered(number, run(number, turn)));
                }
                Next::GoOnAlone(number) => {
                    if let Some(go_on) = told_later.remove(&number) {
                        tell(go_on);
                    }
                }
            }
        }
        if schedule.is_over() {
            return ended.into_values().collect();
        }
        tokio::select! {
            Some((number, ())) = unready.next() => schedule.is_ready(number),
            Some((number, outcome)) = running.next() => {
                schedule.has_ended(number);
                ended.insert(number, outcome);
            }
            Some((number, go_on)) = asks.recv() => {
                if schedule.is_alone(number) {
                    tell(go_on);
                } else {
                    schedule.waits_alone(number);
                    told_later.insert(number, go_on);
                }
            }
        }
    }
}

fn tell(go_on: oneshot::Sender<()>) {
    // One that waits no more, because it was asked to end, hears nothing.
    go_on.send(()).ok();
}

async fn numbered<T>(number: usize, future: impl Future<Output = T>) -> (usize, T) {
    (number, future.await)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse};

    fn participants(clusters: &[ClusterUse]) -> Vec<Participant> {
        let shares = |cluster| Shares { cluster, sources: SourceUse::Exist, policies: PolicyUse::Passed };
        let all = clusters.iter().map(|cluster| Participant { shares: shares(*cluster), namespaces: 0, first: false });
        all.collect()
    }

    async fn at_once(_: usize) {}

    #[tokio::test]
    async fn what_needs_the_cluster_for_itself_has_it_whenever_it_says_so() {
        let (now, seen) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let run_one = |number: usize, turn: Turn| {
            let (now, seen) = (&now, &seen);
            async move {
                now.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                if number < 2 {
                    // What waits holds nothing, so others may run meanwhile.
                    now.fetch_sub(1, Ordering::SeqCst);
                    turn.alone().await;
                    now.fetch_add(1, Ordering::SeqCst);
                    turn.alone().await;
                }
                if number < 3 {
                    seen.lock().unwrap().push((number, now.load(Ordering::SeqCst)));
                    tokio::task::yield_now().await;
                    assert_eq!(now.load(Ordering::SeqCst), 1, "{number}");
                }
                now.fetch_sub(1, Ordering::SeqCst);
                number
            }
        };
        let own = ClusterUse::Own;
        let all = participants(&[own, own, ClusterUse::All, own, own]);
        assert_eq!(run(all, 10, at_once, run_one).await, [0, 1, 2, 3, 4]);
        assert_eq!(*seen.lock().unwrap(), [(0, 1), (1, 1), (2, 1)]);
    }

    #[tokio::test]
    async fn all_properties_together_have_so_many_lanes() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let run_one = |_, turn: Turn| {
            let (now, most) = (&now, &most);
            async move {
                let slots = (0..5).map(|_| async {
                    let _lane = turn.lane().await;
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                });
                futures::future::join_all(slots).await;
            }
        };
        run(participants(&[ClusterUse::Own; 4]), 3, at_once, run_one).await;
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn one_whose_needs_come_late_is_not_waited_for() {
        let (late, told) = oneshot::channel::<()>();
        let (late, told) = (Mutex::new(Some(late)), Mutex::new(Some(told)));
        let ready = |number: usize| {
            let told = told.lock().unwrap().take_if(|_| number == 0);
            async move {
                if let Some(told) = told {
                    told.await.ok();
                }
            }
        };
        let run_one = |number: usize, _| {
            // The last one provides what the first one needs.
            let late = late.lock().unwrap().take_if(|_| number == 2);
            async move { late.into_iter().for_each(tell) }
        };
        let all = participants(&[ClusterUse::Own, ClusterUse::Own, ClusterUse::All]);
        assert_eq!(run(all, 1, ready, run_one).await.len(), 3);
    }
}
