//! Every change of the Secrets of a namespace, and whether there were more than those that were seen.

use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::{Observer, SecretEvent};
use crate::wait::{self, WaitError};

/// Changes that are recorded of a namespace. Ends when dropped.
#[derive(Debug)]
pub struct Recording {
    events: UnboundedReceiver<SecretEvent>,
    /// Number of times that a watch had been interrupted when it began.
    interruptions: u64,
}

impl Observer {
    /// Every change to the Secrets of a namespace from now on.
    pub fn record(&self, namespace: &str) -> Recording {
        let (sender, events) = mpsc::unbounded_channel();
        let mut state = self.state();
        state.recordings.entry(namespace.to_owned()).or_default().push(sender);
        Recording { events, interruptions: state.interruptions }
    }
}

impl Recording {
    /// The next change, if there is one that was not taken yet.
    pub fn next_event(&mut self) -> Option<SecretEvent> {
        self.events.try_recv().ok()
    }

    /// Waits until all that has been written so far is in it.
    ///
    /// # Errors
    /// `WatchStale` when the watches do not show a write of our own, or when one of them was interrupted since it
    /// began: what came and went meanwhile is in no recording.
    pub async fn complete(&self, observer: &Observer, what: &str) -> Result<(), WaitError> {
        wait::fence(observer, what).await?;
        if self.has_gap(observer) {
            Err(WaitError::WatchStale {
                what: what.to_owned(),
                why: "a watch was interrupted while it was recorded".to_owned(),
            })
        } else {
            Ok(())
        }
    }

    /// True if a watch was interrupted since it began.
    pub fn has_gap(&self, observer: &Observer) -> bool {
        observer.interruptions() != self.interruptions
    }
}
