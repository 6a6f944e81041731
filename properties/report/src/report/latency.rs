//! Measured latencies, summed up.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::text::Millis;
use crate::verdict::CaseRecord;

/// Measured latencies, nearest-rank percentiles, against what the configuration allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: Millis,
    /// Nineteen in twenty took no longer.
    pub p95: Millis,
    /// The longest that was measured.
    pub max: Millis,
    /// The longest that any case was allowed; none if the property has no bound.
    pub bound: Option<Millis>,
}

impl Latency {
    pub(super) fn of(records: &[CaseRecord]) -> Option<Self> {
        let mut sorted: Vec<_> = records.iter().flat_map(|record| &record.latencies).copied().collect();
        sorted.sort_unstable();
        Some(Self {
            p50: percentile(&sorted, 50)?.into(),
            p95: percentile(&sorted, 95)?.into(),
            max: percentile(&sorted, 100)?.into(),
            bound: records.iter().filter_map(|record| record.bound).max().map(Millis::from),
        })
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {}, p95 {}, max {}", self.p50, self.p95, self.max)?;
        self.bound.map_or(Ok(()), |bound| write!(f, " of {bound} allowed"))
    }
}

/// The nearest-rank percentile: the smallest value that at least `percent` in a hundred do not exceed.
///
/// `percent` is 1 to 100; an empty slice has none.
pub fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::percentile;

    #[rstest]
    #[case::none(0, 50, None)]
    #[case::one(1, 95, Some(1))]
    #[case::two(2, 50, Some(1))]
    #[case::median_of_odd(5, 50, Some(3))]
    #[case::hundred(100, 95, Some(95))]
    #[case::rounds_up(10, 95, Some(10))]
    #[case::longest(10, 100, Some(10))]
    fn percentiles_are_nearest_rank(#[case] count: u64, #[case] percent: usize, #[case] expected: Option<u64>) {
        let sorted: Vec<_> = (1..=count).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, percent), expected.map(Duration::from_millis));
    }
}
