//! Durations as Go writes them.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no duration: {reason}")]
pub struct GoDurationError {
    text: String,
    reason: &'static str,
}

/// Units and their nanoseconds. Both code points for micro are accepted.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// More digits of a fraction than this are below a nanosecond in every unit.
const FRACTION_DIGITS: usize = 18;

/// Parses a duration by the grammar of Go's `time.ParseDuration`: `1h30m`, `0`, `1.5s`, `300ms`.
///
/// A negative duration becomes zero, since External Secrets Operator treats every interval of at most zero alike.
///
/// # Errors
/// A text outside the grammar, and one that exceeds Go's greatest duration (about 292 years).
pub(crate) fn parse_go_duration(text: &str) -> Result<Duration, GoDurationError> {
    let fail = |reason| GoDurationError { text: text.to_owned(), reason };
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(fail("it is empty"));
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        if whole.is_empty() && fraction.is_empty() {
            return Err(fail("a number is missing"));
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let nanoseconds = UNITS
            .iter()
            .find_map(|(name, nanoseconds)| (*name == unit).then_some(*nanoseconds))
            .ok_or_else(|| fail("a number has no unit of ns, us, ms, s, m, h"))?;
        let part = scaled(whole, fraction, nanoseconds);
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(|| fail("it is too long"))?;
        rest = after;
    }
    match i64::try_from(total) {
        Ok(_) if negative => Ok(Duration::ZERO),
        Ok(nanoseconds) => Ok(Duration::from_nanos(nanoseconds.unsigned_abs())),
        Err(_) => Err(fail("it is too long")),
    }
}

/// The leading digits, and what follows.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// `whole.fraction` times a unit, in nanoseconds; `None` on overflow.
fn scaled(whole: &str, fraction: &str, nanoseconds: u128) -> Option<u128> {
    let number = |digits: &str| match digits {
        "" => Some(0),
        digits => digits.parse::<u128>().ok(),
    };
    let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS)];
    let scale = fraction.bytes().fold(1, |scale: u128, _| scale * 10);
    let whole = number(whole)?.checked_mul(nanoseconds)?;
    // Eighteen digits times an hour in nanoseconds fit easily.
    whole.checked_add(number(fraction)? * nanoseconds / scale)
}

/// Reads an optional duration of a manifest.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    Option::<String>::deserialize(deserializer)?
        .map(|text| parse_go_duration(&text).map_err(serde::de::Error::custom))
        .transpose()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1h", 3_600_000)]
    #[case("5m", 300_000)]
    #[case("1h30m", 5_400_000)]
    #[case("1h0m0s", 3_600_000)]
    #[case("0", 0)]
    #[case("+0", 0)]
    #[case("0s", 0)]
    #[case("300ms", 300)]
    #[case("1.5h", 5_400_000)]
    #[case(".5s", 500)]
    #[case("1.s", 1_000)]
    #[case("+5s", 5_000)]
    #[case("-5s", 0)]
    #[case("1000us", 1)]
    #[case("1000µs", 1)]
    #[case("1000\u{3bc}s", 1)]
    #[case("0.3333333333333333333h", 1_199_999)]
    #[case("1s1s", 2_000)]
    fn go_durations_are_read(#[case] text: &str, #[case] milliseconds: u128) {
        assert_eq!(parse_go_duration(text).unwrap().as_millis(), milliseconds);
    }

    #[rstest]
    #[case("")]
    #[case("-")]
    #[case("3")]
    #[case("1d")]
    #[case("1H")]
    #[case("s")]
    #[case(".")]
    #[case(".s")]
    #[case("1 h")]
    #[case(" 1h")]
    #[case("--1s")]
    #[case("1h-5m")]
    #[case("3000000h")]
    #[case("99999999999999999999999999999999999999999s")]
    fn what_go_refuses_is_refused(#[case] text: &str) {
        let error = parse_go_duration(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{text:?} is no duration: ")), "{error}");
    }

    #[test]
    fn the_longest_duration_of_go_is_read() {
        let longest = parse_go_duration("2562047h47m16.854775807s").unwrap();
        assert_eq!(longest.as_nanos(), i64::MAX.unsigned_abs().into());
        parse_go_duration("2562047h47m16.854775808s").unwrap_err();
    }
}
