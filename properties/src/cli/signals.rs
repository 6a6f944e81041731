//! Ctrl-C and SIGTERM: the first ends a run early, with a report, and the second at once.

use credence_suite::run::Stop;

/// At the first Ctrl-C or SIGTERM the set-up ends, or no further case begins and the report says so.
pub(super) fn stop_on_signal(stop: Stop) -> impl Future<Output = ()> + Send {
    // Not by the task that awaits it: a signal before that is first polled would end the process without a report.
    let first = signal();
    async move {
        first.await;
        eprintln!("credence: stopping after the cases that are running; again to stop at once");
        stop.request();
    }
}

/// Resolves at the signal after that.
pub(super) async fn second_signal(first: tokio::task::JoinHandle<()>) {
    // The task neither panics nor is cancelled.
    first.await.ok();
    signal().await;
}

/// Resolves at the next Ctrl-C or SIGTERM after the call.
pub(super) fn signal() -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{SignalKind, signal};
    // Handlers for these two can always be installed.
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
    async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
