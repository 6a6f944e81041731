//! Letting time pass.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// Lets time pass where a case's plan says so, for instance between two rotations of a source.
pub async fn pass(duration: Duration) {
    sleep(duration).await;
}

/// Lets time pass until an instant of a case's plan.
pub async fn pass_until(instant: Instant) {
    sleep_until(instant).await;
}
