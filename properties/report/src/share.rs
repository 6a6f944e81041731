//! Shares of cases that may meet something that is met now and then.

/// The chance that is left to so many cases and more, where that many are no longer taken for chance: one in a million runs.
const BY_CHANCE: f64 = 1e-6;

/// A share of all cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    percent: u32,
}

impl Share {
    /// No case at all.
    pub const NONE: Self = Self { percent: 0 };

    /// A share of this many cases in a hundred.
    pub const fn percent(percent: u32) -> Self {
        Self { percent }
    }

    /// Number of so many cases that can be without being more than this share: each case is one by itself, so that their number
    /// has the binomial distribution.
    pub fn of(self, cases: u64) -> u64 {
        if self.percent >= 100 {
            return cases;
        }
        let share = f64::from(self.percent) / 100.0;
        // By logarithms: with many cases the chance of none of them is too small for a number.
        let mut exactly = cases as f64 * (-share).ln_1p();
        let mut at_most = exactly.exp();
        let mut met = 0;
        while met < cases && 1.0 - at_most > BY_CHANCE {
            exactly += (share / (1.0 - share) * (cases - met) as f64 / (met + 1) as f64).ln();
            at_most += exactly.exp();
            met += 1;
        }
        met
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Share;

    #[rstest]
    #[case::nothing_of_nothing(15, 0, 0)]
    #[case::one_case_can_always_be_it(15, 1, 1)]
    #[case::a_few_can_all_be_it(15, 5, 5)]
    #[case::some_of_a_hundred(15, 100, 34)]
    #[case::fewer_of_what_is_rarer(5, 100, 18)]
    #[case::close_to_the_share_of_many(15, 10_000, 1_672)]
    #[case::all_where_all_may(100, 7, 7)]
    fn more_than_chance_gives_is_more_than_the_share(#[case] percent: u32, #[case] cases: u64, #[case] allowed: u64) {
        assert_eq!(Share::percent(percent).of(cases), allowed);
    }

    #[test]
    fn none_is_none_of_any_number_of_cases() {
        assert_eq!([0, 1, 100, 10_000].map(|cases| Share::NONE.of(cases)), [0; 4]);
    }
}
