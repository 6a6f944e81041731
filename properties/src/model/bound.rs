//! How soon the configuration promises its effects.

use std::num::NonZero;
use std::time::Duration;

use super::{Model, Target};
use crate::bundle::{CreationPolicy, ExternalSecretSpec};

/// What one refresh of one ExternalSecret costs a worker of the controller: a token, a read for each value, a write.
///
/// Measured at 6 ms of processor time; the rest is room for round trips on a machine that is busy otherwise.
pub const REFRESH_COST: Duration = Duration::from_millis(100);

/// What a propagation may take beside the interval and the queue.
///
/// The controller keeps the time of a refresh in whole seconds, so it may wake a second early and come back; the
/// rest is for a busy machine.
pub const PROPAGATION_SLACK: Duration = Duration::from_secs(10);

/// How many namespaces one ClusterExternalSecret visits in a second: it is reconciled serially, and visits all its
/// namespaces at each event. Measured at 7 to 8.
pub const NAMESPACES_PER_SECOND: u32 = 7;

/// What a provisioning may take beside the visits. It is set off by an event; alone, it was measured at half a second.
///
/// ClusterExternalSecrets that serve the same namespace at once conflict when they put their finalizers on it, and ESO
/// comes back to a conflict after 1, 2, 4 and 8 s (`common.go`, `BuildRateLimiter`): 15 s, and the rest is for a busy
/// machine.
pub const PROVISIONING_SLACK: Duration = Duration::from_secs(20);

/// How soon an update of a source must reach a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// Within this time.
    Within(Duration),
    /// The configuration itself says never. That is a fault, so the claim is still tested.
    Never {
        /// The part of the configuration that says so.
        why: &'static str,
        /// The time that would hold without it.
        assumed: Duration,
    },
}

impl Bound {
    /// The time to wait for.
    pub fn limit(&self) -> Duration {
        match self {
            Self::Within(limit) | Self::Never { assumed: limit, .. } => *limit,
        }
    }
}

/// What somebody changed in a copy by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    /// Its data, or that it exists.
    Data,
    /// Anything else: labels, owner, settings.
    Metadata,
}

impl Model {
    /// How soon a copy of `target` must be what it was after it was changed by hand; the other arguments are those of
    /// [`propagation_bound`](Self::propagation_bound).
    ///
    /// ESO refreshes a copy at once when its data no longer has the hash that is written beside it, or when it is gone
    /// (`externalsecret_controller.go`, `isSecretValid`); copies with `creationPolicy: Orphan` count as valid always. All
    /// else shows only at the next refresh.
    pub fn healing_bound(
        &self,
        target: &Target,
        tampering: Tampering,
        dependents: u32,
        workers: NonZero<u32>,
    ) -> Bound {
        if tampering == Tampering::Data && target.creation_policy != CreationPolicy::Orphan {
            return Bound::Within((REFRESH_COST.saturating_mul(dependents) / workers.get()) + PROPAGATION_SLACK);
        }
        self.propagation_bound(target, dependents, workers)
    }

    /// How soon an update of a source must reach each of `dependents` copies of `target`, when the controller has
    /// `workers` (`--concurrent`) and refreshes nothing else meanwhile.
    ///
    /// The refresh interval, the time that the queue of all dependents takes, and [`PROPAGATION_SLACK`]. It does not
    /// hold after failed refreshes, which are retried with a backoff of up to 7 minutes. Where the
    /// configuration says never, the greatest interval of the targets that do refresh is assumed, or else the
    /// default of an hour.
    pub fn propagation_bound(&self, target: &Target, dependents: u32, workers: NonZero<u32>) -> Bound {
        let queue = REFRESH_COST.saturating_mul(dependents) / workers.get();
        let after = |interval: Duration| interval.saturating_add(queue).saturating_add(PROPAGATION_SLACK);
        match target.never_updates() {
            None => Bound::Within(after(target.refresh_interval)),
            Some(why) => Bound::Never { why, assumed: after(self.greatest_interval()) },
        }
    }

    /// How soon a change of labels must show in each of `namespaces` namespaces that change at once: the visits at
    /// [`NAMESPACES_PER_SECOND`], and [`PROVISIONING_SLACK`].
    pub fn provisioning_bound(namespaces: u32) -> Duration {
        PROVISIONING_SLACK + Duration::from_secs(1).saturating_mul(namespaces) / NAMESPACES_PER_SECOND
    }

    fn greatest_interval(&self) -> Duration {
        self.targets
            .iter()
            .filter(|target| target.never_updates().is_none())
            .map(|target| target.refresh_interval)
            .max()
            .unwrap_or(ExternalSecretSpec::DEFAULT_REFRESH_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::reference;
    use super::*;

    #[tokio::test]
    async fn what_is_changed_by_hand_is_healed_at_once_or_at_the_next_refresh() {
        let model = reference().await;
        let owned = model.targets[0].clone();
        let orphan = Target { creation_policy: CreationPolicy::Orphan, ..owned.clone() };
        let cases = [(&owned, Tampering::Data, 0), (&owned, Tampering::Metadata, 300), (&orphan, Tampering::Data, 300)];
        for (target, tampering, interval) in cases {
            let bound = model.healing_bound(target, tampering, 40, NonZero::new(4).unwrap());
            // 40 refreshes of 100 ms by four workers.
            assert_eq!(bound, Bound::Within(Duration::from_secs(interval + 1) + PROPAGATION_SLACK));
        }
    }
}
