//! Faults that show in few cases, and what so many cases that held say of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Rarity of the faults that a report gives the chance of.
const ONE_IN: [u32; 3] = [10, 20, 100];

/// The chance that a fault which shows in one of so many cases showed in none of those that were tried.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Missed {
    /// The fault shows in one of so many cases.
    pub one_in: u32,
    /// From 0 to 1, to six decimals.
    pub chance: f64,
}

impl Missed {
    /// The chances after `told` cases that ended with evidence; none after none, which say nothing of any fault.
    ///
    /// Cases are drawn apart from each other, so that all miss a fault of frequency f with the chance (1 − f)ⁿ.
    pub(super) fn after(told: u64) -> Vec<Self> {
        if told == 0 {
            return Vec::new();
        }
        let chance = |one_in: u32| (told as f64 * (-f64::from(one_in).recip()).ln_1p()).exp();
        ONE_IN.map(|one_in| Self { one_in, chance: (chance(one_in) * 1e6).round() / 1e6 }).into()
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.chance * 100.0;
        match percent {
            ..0.01 => write!(f, "under 0.01 % (1 of {} cases)", self.one_in),
            ..10.0 => write!(f, "{percent:.2} % (1 of {} cases)", self.one_in),
            _ => write!(f, "{percent:.0} % (1 of {} cases)", self.one_in),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Missed;

    #[test]
    fn a_fault_of_one_case_in_twenty_is_rarely_missed_by_a_hundred() {
        let told: Vec<String> = Missed::after(100).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["under 0.01 % (1 of 10 cases)", "0.59 % (1 of 20 cases)", "37 % (1 of 100 cases)"]);
    }

    #[test]
    fn no_case_says_nothing_of_any_fault() {
        assert_eq!(Missed::after(0), []);
        assert_eq!(Missed::after(1)[0].chance, 0.9);
    }
}
