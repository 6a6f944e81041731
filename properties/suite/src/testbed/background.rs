//! Work that goes on beside the cases.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use credence_cluster::cluster::Cluster;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::Instrument;

/// Work under way, which ends at the latest when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Background(Mutex<JoinSet<()>>);

impl Background {
    /// Goes on with `work` beside the cases.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Finished tasks are taken out here, so that their number does not grow with the number of cases.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    /// Carries `work` to its end even if nobody waits for its outcome any more, so that what it changes for a while is
    /// changed back. None if it panicked.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, outcome) = oneshot::channel();
        self.spawn(async move { drop(sender.send(work.await)) }.in_current_span());
        outcome.await.ok()
    }

    /// Waits for the work in `cluster` that is still going on.
    pub(crate) async fn settle(&self, cluster: &Cluster) {
        let mut tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if cluster.lost().is_some() {
            // There is nothing to change back any more, and nobody who would answer.
            return tasks.shutdown().await;
        }
        // A task that panicked has said so on standard error, and what it was to clean is swept with the run.
        while tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_to_its_end_when_nobody_waits_for_its_outcome_any_more() {
        let (background, go_on, ended) = (Background::default(), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (told, tells) = (Arc::clone(&go_on), Arc::clone(&ended));
        let work = background.to_the_end(async move {
            told.notified().await;
            tells.notify_one();
        });
        assert!(tokio::time::timeout(Duration::ZERO, work).await.is_err(), "it waits to be told");
        go_on.notify_one();
        ended.notified().await;
    }

    #[tokio::test]
    async fn work_that_panics_has_no_outcome() {
        let background = Background::default();
        assert_eq!(background.to_the_end(async { assert!(std::hint::black_box(false), "on purpose") }).await, None);
    }
}
