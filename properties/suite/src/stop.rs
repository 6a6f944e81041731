//! A request to end early, by Ctrl-C or by a part of the run that cannot go on.

use tokio::sync::watch;

/// Asked for at most once; shared by all that have to end.
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    /// Asks everybody who shares this to end.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// True if that was asked for.
    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when it is asked for.
    pub async fn requested(&self) {
        let mut asked = self.0.subscribe();
        // The sender lives as long as this, so the channel cannot be closed.
        asked.wait_for(|asked| *asked).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::Stop;

    #[tokio::test]
    async fn a_request_reaches_those_who_wait_and_those_who_look() {
        let stop = Stop::default();
        assert!(!stop.is_requested());
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { stop.requested().await }
        });
        stop.request();
        waiting.await.unwrap();
        assert!(stop.is_requested());
    }
}
