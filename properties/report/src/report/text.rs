//! Text that every output shares: durations for people, and strings that no output can choke on.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A duration in whole milliseconds, rounded up; a plain number in JSON, `412 ms`, `1.2 s` or `1 h 00 m 10 s` for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            millis @ 0..1_000 => format!("{millis} ms"),
            millis @ 1_000..100_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
            millis @ 100_000..3_600_000 => format!("{} m {:02} s", millis / 60_000, millis % 60_000 / 1_000),
            millis => {
                let seconds = millis / 1_000;
                format!("{} h {:02} m {:02} s", seconds / 3_600, seconds % 3_600 / 60, seconds % 60)
            }
        };
        f.pad(&text)
    }
}

/// Seconds to three decimals, which survive JSON unchanged.
pub(super) fn seconds(duration: Duration) -> f64 {
    // Below 2^53 milliseconds, which is 285 thousand years, the conversion is exact.
    duration.as_millis() as f64 / 1_000.0
}

/// Replaces what a terminal would obey and XML 1.0 forbids: control characters but tab and newline, and the two
/// noncharacters U+FFFE and U+FFFF.
pub fn printable(text: &str) -> String {
    let forbidden = |c: char| (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.replace(forbidden, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::{Millis, printable};

    #[rstest]
    #[case(Duration::from_nanos(1), "1 ms")]
    #[case(Duration::from_millis(999), "999 ms")]
    #[case(Duration::from_millis(1_250), "1.2 s")]
    #[case(Duration::from_secs(99), "99.0 s")]
    #[case(Duration::from_secs(125), "2 m 05 s")]
    #[case(Duration::from_secs(3_610), "1 h 00 m 10 s")]
    fn durations_read_naturally(#[case] duration: Duration, #[case] expected: &str) {
        assert_eq!(Millis::from(duration).to_string(), expected);
    }

    #[test]
    fn control_characters_are_replaced_and_layout_and_letters_stay() {
        assert_eq!(
            printable("a\u{1b}[31m\0\r\u{85}\u{ffff}ü\n\t]"),
            "a\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}\u{fffd}ü\n\t]"
        );
    }
}
