//! A long-running program that can be stopped and started again on purpose.

use std::sync::Arc;

use tokio::sync::watch;

use crate::process::{Death, Process, ProcessError, Program};

/// A program of a cluster, and the process that it is now.
#[derive(Debug)]
pub struct Service {
    program: Program,
    /// The process; none while it is stopped on purpose.
    process: watch::Sender<Option<Arc<Process>>>,
}

impl Service {
    /// Starts `program`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: Program) -> Result<Self, ProcessError> {
        let process = Process::start(&program)?;
        Ok(Self { program, process: watch::Sender::new(Some(Arc::new(process))) })
    }

    /// The process, unless it is stopped.
    pub fn process(&self) -> Option<Arc<Process>> {
        self.process.borrow().clone()
    }

    /// The process, whatever it is at any time.
    pub fn processes(&self) -> watch::Receiver<Option<Arc<Process>>> {
        self.process.subscribe()
    }

    /// Kills it, and waits until it is gone. Does nothing if it is stopped.
    pub async fn stop(&self) {
        self.end_by(Process::kill).await;
    }

    /// Asks it to end, and waits until it is gone. Does nothing if it is stopped.
    pub async fn end(&self) {
        self.end_by(Process::terminate).await;
    }

    async fn end_by(&self, signal: fn(&Process)) {
        // Whoever watches for its death must learn first that this end is meant.
        let process = self.process.send_replace(None);
        if let Some(process) = process {
            signal(&process);
            process.ended().await;
        }
    }

    /// Puts another process of it in the place of the present one, which it gives back and whose end is no death any more.
    pub fn succeed(&self, successor: Arc<Process>) -> Option<Arc<Process>> {
        self.process.send_replace(Some(successor))
    }

    /// The program, as it is started.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Starts it again if it is stopped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_again(&self) -> Result<Arc<Process>, ProcessError> {
        if let Some(running) = self.process() {
            return Ok(running);
        }
        let process = Arc::new(Process::start(&self.program)?);
        self.process.send_replace(Some(Arc::clone(&process)));
        Ok(process)
    }

    /// Resolves when it ends by itself.
    pub async fn died(&self) -> Death {
        let mut changes = self.process.subscribe();
        loop {
            let process = changes.borrow_and_update().clone();
            let ended = async {
                match &process {
                    Some(process) => Death::of(process, process.ended().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // The sender lives as long as this, so the channel cannot be closed.
                Ok(()) = changes.changed() => {}
                death = ended => return death,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use credence_watch::paused_time::PausedTime;
    use credence_watch::wait::{self, Progress};
    use tokio::time::{Duration, timeout};

    use super::*;

    fn service(directory: &Path, script: &str) -> Service {
        let program = Program {
            name: "service".into(),
            executable: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: BTreeMap::new(),
            log: directory.join("service.log"),
        };
        Service::start(program).unwrap()
    }

    #[tokio::test]
    async fn an_end_on_purpose_is_no_death_and_the_next_process_is_watched() {
        let directory = tempfile::tempdir().unwrap();
        let service = service(directory.path(), "exec sleep 600");
        let first = service.process().unwrap();
        let (second, death) = tokio::join!(
            async {
                service.stop().await;
                assert!(first.exit().is_some() && service.process().is_none());
                let second = service.start_again().unwrap();
                // Killed by somebody else, as far as the service knows.
                second.kill();
                second
            },
            timeout(Duration::from_secs(10), service.died())
        );
        assert_ne!(first.pid(), second.pid());
        assert_eq!(death.unwrap().name, "service");
    }

    #[tokio::test]
    async fn time_counts_as_paused_only_while_the_program_is_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let service = service(directory.path(), "exec sleep 600");
        let latest = service.processes();
        let stands_still = move || latest.borrow().as_ref().is_some_and(|process| process.stands_still());
        let paused_time = PausedTime::of(stands_still);
        let counted = async |from: Duration| {
            wait::poll("counted", Duration::from_secs(10), Duration::from_millis(20), async || {
                if paused_time.total() > from { Progress::Done(()) } else { Progress::NotYet(String::new()) }
            })
            .await
        };
        let paused = service.process().unwrap().pause();
        counted(Duration::ZERO).await.unwrap();
        drop(paused);
        service.stop().await;
        service.start_again().unwrap();
        let before = paused_time.total();
        wait::pass(Duration::from_millis(300)).await;
        assert_eq!(paused_time.total(), before);
        let _paused = service.process().unwrap().pause();
        counted(before).await.unwrap();
    }

    #[tokio::test]
    async fn a_program_that_ends_by_itself_has_died_and_its_last_lines_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let service = service(directory.path(), "echo reason; echo '{\"error\":\"value\"}'; exit 3");
        let death = service.died().await;
        assert_eq!((death.status.as_str(), death.tail.as_str()), ("exit status: 3", "reason"));
    }
}
