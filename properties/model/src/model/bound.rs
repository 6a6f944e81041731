//! Time within which the configuration promises its effects.

use std::num::NonZero;
use std::time::Duration;

use super::{Distribution, Model};
use crate::config::CreationPolicy;

/// Cost of one refresh of one ExternalSecret to a worker of the controller: a token, a read for each value, a write.
///
/// Measured at 6 ms of processor time; the rest is room for round trips on a machine that is busy otherwise.
pub(crate) const REFRESH_COST: Duration = Duration::from_millis(100);

/// Time that a propagation may take beside the interval and the queue.
///
/// The controller keeps the time of a refresh in whole seconds, so it may wake a second early and come back; the
/// rest is for a busy machine.
pub const PROPAGATION_SLACK: Duration = Duration::from_secs(10);

/// Refresh interval, in whole seconds, that compressed time sets. ESO keeps the time of a refresh in whole seconds,
/// so that one second would mean anything from none to one.
pub const COMPRESSED_SECONDS: u64 = 2;

/// Number of namespaces that one ClusterExternalSecret visits in a second: it is reconciled serially, and visits all its
/// namespaces at each event. Measured at 7 to 8.
pub(crate) const NAMESPACES_PER_SECOND: u32 = 7;

/// Time that a provisioning may take beside the visits. It is set off by an event; alone, it was measured at half a second.
///
/// ClusterExternalSecrets that serve the same namespace at once conflict when they put their finalizers on it, and ESO
/// comes back to a conflict after 1, 2, 4 and 8 s (`common.go`, `BuildRateLimiter`): 15 s, and the rest is for a busy
/// machine.
pub(crate) const PROVISIONING_SLACK: Duration = Duration::from_secs(20);

/// The first and the longest pause that the controller makes after a failure; each is twice the one before.
///
/// Source: `BuildRateLimiter` (pkg/controllers/common/common.go), as the two constants below.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(7));
/// Number of retries that the controller begins in a second, after the first [`RETRY_BURST`].
const RETRIES_PER_SECOND: u32 = 10;
/// Number of retries that the controller begins at once.
const RETRY_BURST: u32 = 100;

/// Time within which a change of rights or of an admission policy must be in force.
///
/// The API server looks for changed policies every second (k8s.io/apiserver
/// pkg/admission/plugin/policy/generic/policy_source.go, `policyRefreshIntervalDefault`), and sees changed rights
/// through a watch; the rest is for a busy machine.
pub const POLICY_BOUND: Duration = Duration::from_secs(11);

/// The longest pause that the controller can be in after it has failed at something for that long: the pauses until then
/// add up to no more than that time, and the next is their sum and one second more.
fn pause_after(failing: Duration) -> Duration {
    failing.saturating_add(PAUSES.0).min(PAUSES.1)
}

/// Delay by which an outage that lasted for `outage` costs each of `dependents` copies after its end, at most: two pauses, one of
/// what the controller depends on and one of the copy that fails until then, and the turns of all retries.
fn lateness(outage: Duration, dependents: u32) -> Duration {
    let first = pause_after(outage);
    let failing = outage.saturating_add(first);
    let pauses = first.saturating_add(pause_after(failing));
    // At 0, 1, 3, 7 … seconds.
    let attempts = u64::BITS - failing.as_secs().saturating_add(1).leading_zeros();
    let retries = dependents.saturating_mul(attempts).saturating_sub(RETRY_BURST);
    pauses.saturating_add(Duration::from_secs(1).saturating_mul(retries) / RETRIES_PER_SECOND)
}

/// Time within which an update of a source must reach a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// This long after the source was written, at most.
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

/// Changes of a copy by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    /// Its data, or that it exists.
    Data,
    /// Anything else: labels, owner, settings.
    Metadata,
}

impl Model {
    /// Time within which a copy of `distribution` must be what it was after it was changed by hand; the other arguments
    /// are those of [`propagation_bound`](Self::propagation_bound).
    ///
    /// ESO refreshes a copy at once when its data no longer has the hash that is written beside it, or when it is gone
    /// (`externalsecret_controller.go`, `isSecretValid`); copies with `creationPolicy: Orphan` count as valid always. All
    /// else shows only at the next refresh.
    pub fn healing_bound(
        &self,
        distribution: &Distribution,
        tampering: Tampering,
        dependents: u32,
        workers: NonZero<u32>,
    ) -> Bound {
        if tampering == Tampering::Data && distribution.creation_policy != CreationPolicy::Orphan {
            return Bound::Within((REFRESH_COST.saturating_mul(dependents) / workers.get()) + PROPAGATION_SLACK);
        }
        self.propagation_bound(distribution, dependents, workers)
    }

    /// Time within which an update of a source must reach each of `dependents` copies of `distribution`, when the controller has
    /// `workers` (`--concurrent`) and refreshes nothing else meanwhile.
    ///
    /// The refresh interval, the time that the queue of all dependents takes, and [`PROPAGATION_SLACK`], or what the intent
    /// allows in its place. It does not
    /// hold after failed refreshes, for which there is [`recovery_bound`](Self::recovery_bound). Where the
    /// configuration says never, the greatest interval of the distributions that do refresh is assumed, or else the
    /// default of an hour.
    pub fn propagation_bound(&self, distribution: &Distribution, dependents: u32, workers: NonZero<u32>) -> Bound {
        let queue = REFRESH_COST.saturating_mul(dependents) / workers.get();
        let slack = self.intended.slacks.get(&distribution.name).map_or(PROPAGATION_SLACK, |slack| slack.time);
        let after = |interval: Duration| interval.saturating_add(queue).saturating_add(slack);
        match distribution.never_updates() {
            None => Bound::Within(after(distribution.refresh_interval)),
            Some(why) => Bound::Never { why, assumed: after(self.assumed_interval(distribution)) },
        }
    }

    /// Time after an outage that lasted for `outage` within which each of `dependents` copies of `distribution` must be
    /// like its source again; the rest as in [`propagation_bound`](Self::propagation_bound).
    ///
    /// Two pauses of the backoff come on top: what the controller depends on (the store, its watches) is tried again
    /// after the first, and a copy that failed until then after the second. So do the retries of all copies, of which
    /// only so many begin in a second.
    pub fn recovery_bound(
        &self,
        distribution: &Distribution,
        outage: Duration,
        dependents: u32,
        workers: NonZero<u32>,
    ) -> Bound {
        let late = lateness(outage, dependents);
        match self.propagation_bound(distribution, dependents, workers) {
            Bound::Within(limit) => Bound::Within(limit.saturating_add(late)),
            Bound::Never { why, assumed } => Bound::Never { why, assumed: assumed.saturating_add(late) },
        }
    }

    /// Time within which a change of labels must show in each of `namespaces` namespaces that change at once: the visits at
    /// `NAMESPACES_PER_SECOND`, and `PROVISIONING_SLACK`.
    pub fn provisioning_bound(namespaces: u32) -> Duration {
        PROVISIONING_SLACK + Duration::from_secs(1).saturating_mul(namespaces) / NAMESPACES_PER_SECOND
    }

    /// The interval of a distribution that never updates its copies: its own if it has one, else the longest of the others. Where
    /// nothing is ever updated, any time is as good as another.
    fn assumed_interval(&self, distribution: &Distribution) -> Duration {
        let others = self.distributions.iter().filter(|other| other.never_updates().is_none());
        let own = Some(distribution.refresh_interval).filter(|interval| !interval.is_zero());
        own.or_else(|| others.map(|other| other.refresh_interval).max())
            .unwrap_or(Duration::from_secs(COMPRESSED_SECONDS))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::testing::reference;
    use super::*;

    #[test]
    fn what_is_changed_by_hand_is_healed_at_once_or_at_the_next_refresh() {
        let model = reference();
        let owned = model.distributions[0].clone();
        let orphan = Distribution { creation_policy: CreationPolicy::Orphan, ..owned.clone() };
        let cases = [(&owned, Tampering::Data, 0), (&owned, Tampering::Metadata, 300), (&orphan, Tampering::Data, 300)];
        for (distribution, tampering, interval) in cases {
            let bound = model.healing_bound(distribution, tampering, 40, NonZero::new(4).unwrap());
            // 40 refreshes of 100 ms by four workers.
            assert_eq!(bound, Bound::Within(Duration::from_secs(interval + 1) + PROPAGATION_SLACK));
        }
    }

    #[rstest]
    #[case::at_the_first_failure(0, 1)]
    #[case::after_attempts_at_0_1_and_3(3, 4)]
    #[case::never_longer_than_the_cap(3600, 420)]
    fn the_pause_is_as_long_as_all_before_it(#[case] failing: u64, #[case] pause: u64) {
        assert_eq!(pause_after(Duration::from_secs(failing)), Duration::from_secs(pause));
    }

    #[rstest]
    // Pauses of 6 and 12 s.
    #[case::one_copy(5, 1, 18)]
    // 40 copies fail at 0, 1, 3 and 7 s, which is 60 retries beyond the burst.
    #[case::many_copies(5, 40, 24)]
    #[case::a_long_outage(36_000, 1, 840)]
    fn an_outage_costs_two_pauses_and_the_turns_of_all_retries(
        #[case] outage: u64,
        #[case] dependents: u32,
        #[case] late: u64,
    ) {
        assert_eq!(lateness(Duration::from_secs(outage), dependents), Duration::from_secs(late));
    }
}
