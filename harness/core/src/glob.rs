//! Patterns of file names, as Go's `path.Match` reads them.
//!
//! Source: Go, `path/match.go`. `filepath.Match`, which the kubelet uses, is the same but for Windows.

use std::iter::Peekable;
use std::str::Chars;

/// A piece of a pattern.
enum Piece {
    /// `*`: any text without a slash.
    Any,
    /// `?`: one character that is no slash.
    One,
    /// `[a-z]`, or `[^a-z]`: one character of these ranges, or of none of them.
    Class { is_negated: bool, ranges: Vec<(char, char)> },
    /// A character that stands for itself.
    Literal(char),
}

impl Piece {
    /// True if it stands for this one character.
    fn takes(&self, found: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => found != '/',
            Self::Class { is_negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&found)) != *is_negated
            }
            Self::Literal(own) => *own == found,
        }
    }
}

/// True if `pattern` matches the whole of `text`. One that Go calls malformed matches nothing.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some(pieces) = pieces(pattern) else { return false };
    let text: Vec<char> = text.chars().collect();
    let (mut piece, mut at) = (0, 0);
    // The piece after the last star, and the end of the text that the star stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while piece < pieces.len() || at < text.len() {
        match pieces.get(piece) {
            Some(Piece::Any) => {
                piece += 1;
                star = Some((piece, at));
                continue;
            }
            Some(one) if text.get(at).is_some_and(|found| one.takes(*found)) => {
                piece += 1;
                at += 1;
                continue;
            }
            _ => {}
        }
        match star {
            Some((after, end)) if text.get(end).is_some_and(|found| *found != '/') => {
                star = Some((after, end + 1));
                (piece, at) = (after, end + 1);
            }
            _ => return false,
        }
    }
    true
}

/// The pieces of a pattern; none if it is malformed.
fn pieces(pattern: &str) -> Option<Vec<Piece>> {
    let mut rest = pattern.chars().peekable();
    let mut pieces = Vec::new();
    while let Some(first) = rest.next() {
        pieces.push(match first {
            '*' => Piece::Any,
            '?' => Piece::One,
            '[' => class(&mut rest)?,
            '\\' => Piece::Literal(rest.next()?),
            own => Piece::Literal(own),
        });
    }
    Some(pieces)
}

/// The class whose bracket has just been read.
fn class(rest: &mut Peekable<Chars<'_>>) -> Option<Piece> {
    let is_negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
        let first = member(rest)?;
        let last = if rest.next_if_eq(&'-').is_some() { member(rest)? } else { first };
        ranges.push((first, last));
    }
    Some(Piece::Class { is_negated, ranges })
}

fn member(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        own => Some(own),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // From Go's own table (path/match_test.go).
    #[rstest]
    #[case("abc", "abc", true)]
    #[case("*", "abc", true)]
    #[case("*c", "abc", true)]
    #[case("a*", "a", true)]
    #[case("a*", "ab/c", false)]
    #[case("a*/b", "abc/b", true)]
    #[case("a*/b", "a/c/b", false)]
    #[case("a*b*c*d*e*/f", "axbxcxdxe/f", true)]
    #[case("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false)]
    #[case("a*b?c*x", "abxbbxdbxebxczzx", true)]
    #[case("a*b?c*x", "abxbbxdbxebxczzy", false)]
    #[case("ab[c]", "abc", true)]
    #[case("ab[b-d]", "abc", true)]
    #[case("ab[e-g]", "abc", false)]
    #[case("ab[^c]", "abc", false)]
    #[case("ab[^b-d]", "abc", false)]
    #[case("ab[^e-g]", "abc", true)]
    #[case(r"a\*b", "a*b", true)]
    #[case(r"a\*b", "ab", false)]
    #[case("a?b", "a☺b", true)]
    #[case("a[^a]b", "a☺b", true)]
    #[case("a???b", "a☺b", false)]
    #[case("[a-ζ]*", "α", true)]
    #[case("a?b", "a/b", false)]
    #[case("a*b", "a/b", false)]
    #[case(r"[\]a]", "]", true)]
    #[case("[]a]", "]", false)]
    #[case("[-]", "-", false)]
    #[case("[x-]", "x", false)]
    #[case("[", "a", false)]
    #[case("[^", "a", false)]
    #[case("a[", "ab", false)]
    #[case(r"\", "a", false)]
    #[case("*x", "xxx", true)]
    #[case("", "", true)]
    #[case("*", "", true)]
    #[case("?", "", false)]
    fn a_pattern_matches_what_it_matches_in_go(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(matches(pattern, text), expected);
    }
}
