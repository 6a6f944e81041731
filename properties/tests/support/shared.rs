//! Trials that share one system: the first of them starts it, and each has it whole.

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

use crate::took;

pub(crate) type Ended = Result<(), Failed>;
pub(crate) type Pinned<'a> = Pin<Box<dyn Future<Output = Ended> + 'a>>;

/// The system that all trials share.
pub(crate) trait System: Send + Sized + 'static {
    async fn start() -> Result<Self, Failed>;

    /// Waits until a trial that has ended disturbs no other.
    async fn settle(&self) -> Ended {
        Ok(())
    }
}

pub(crate) struct Shared<S> {
    runtime: Runtime,
    system: Mutex<Option<S>>,
}

impl<S: System> Shared<S> {
    /// Runs the trials that are wanted, one after the other.
    pub(crate) fn run(trials: fn(&Arc<Self>) -> Vec<Trial>) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads = Some(1);
        let runtime = Runtime::new().expect("a runtime can be started");
        let shared = Arc::new(Self { runtime, system: Mutex::default() });
        let conclusion = libtest_mimic::run(&arguments, trials(&shared));
        took::print_slowest();
        let system = shared.system.lock().unwrap_or_else(PoisonError::into_inner).take();
        // What it started ends inside the runtime.
        shared.runtime.block_on(async { drop(system) });
        conclusion.exit_code()
    }

    pub(crate) fn trial(self: &Arc<Self>, name: &str, run: for<'a> fn(&'a S) -> Pinned<'a>) -> Trial {
        let shared = Arc::clone(self);
        took::trial(name, move || shared.with_system(run))
    }

    fn with_system(&self, run: for<'a> fn(&'a S) -> Pinned<'a>) -> Ended {
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        self.runtime.block_on(async {
            let system = match system.as_mut() {
                Some(system) => system,
                None => system.insert(S::start().await?),
            };
            let ended = run(system).await;
            system.settle().await?;
            ended
        })
    }
}
