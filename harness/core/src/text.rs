//! Text of errors, and what the name in one was meant to be.

/// Words for people that say why something is not so: why a check cannot run here, or what was missing in what was seen.
/// It goes into a report or into a message as it is. What a program has to tell apart is a variant of its module's error
/// instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{0}")]
pub struct Reason(String);

impl Reason {
    /// An error with its causes.
    pub fn of(error: impl std::error::Error) -> Self {
        Self(chain(&error))
    }

    /// The words as they are, for a message that quotes them.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Reason {
    fn from(words: String) -> Self {
        Self(words)
    }
}

impl From<&str> for Reason {
    fn from(words: &str) -> Self {
        Self(words.to_owned())
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// An address without user, password and parameters, as messages may show it.
pub fn without_login(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").map_or(("", address), |(scheme, rest)| (scheme, rest));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let rest = rest[..end].rfind('@').map_or(rest, |at| &rest[at + 1..]);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") }
}

/// The name of `known` that is most like `written`: another case, or one letter in three different at most.
pub fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    let limit = (written.chars().count() / 3).max(1);
    let ranked = known.map(|name| (distance(&lower, &name.to_lowercase()), name));
    ranked.filter(|(distance, _)| *distance <= limit).min().map(|(_, name)| name)
}

/// Number of letters that must be put in, left out, replaced or exchanged with the next one (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (i, letter) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, against) in other.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(letter != against);
            let mut least = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && one[i - 1] == *against && *letter == other[j - 1] {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::login("https://bot:hunter2@git.example.org/a//b?ref=main&token=x", "https://git.example.org/a//b")]
    #[case::of_ssh("git@github.com:a/b.git", "github.com:a/b.git")]
    #[case::none("github.com/a/b@v1", "github.com/a/b@v1")]
    fn an_address_is_shown_without_a_login(#[case] address: &str, #[case] shown: &str) {
        assert_eq!(without_login(address), shown);
    }

    #[rstest]
    #[case::letter("immutible", Some("immutable"))]
    #[case::case("Immutable", Some("immutable"))]
    #[case::exchanged("tepmlate", Some("template"))]
    #[case::plural("namespaceSelectors", Some("namespaceSelector"))]
    #[case::nothing_like_it("secretStore", None)]
    #[case::short("nam", Some("name"))]
    fn the_nearest_name_is_what_was_meant(#[case] written: &str, #[case] expected: Option<&str>) {
        let known = ["immutable", "template", "namespaceSelector", "name"];
        assert_eq!(nearest(written, known.into_iter()), expected);
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("outside")]
        struct Outside(#[source] Reason);
        let reason = Reason::of(Outside(Reason::from("inside")));
        assert_eq!((reason.as_str(), String::from(reason.clone())), ("outside: inside", "outside: inside".to_owned()));
    }

    #[rstest]
    #[case::nothing("", "", 0)]
    #[case::put_in("ac", "abc", 1)]
    #[case::left_out("abc", "ac", 1)]
    #[case::replaced("abc", "axc", 1)]
    #[case::exchanged("abcd", "acbd", 1)]
    #[case::exchanged_at_the_beginning("ba", "ab", 1)]
    #[case::nothing_in_common("abc", "xyz", 3)]
    #[case::all_of_it("", "abc", 3)]
    #[case::two_apart("abcd", "badc", 2)]
    #[case::not_next_to_each_other("abc", "cba", 2)]
    fn the_distance_counts_letters(#[case] one: &str, #[case] other: &str, #[case] expected: usize) {
        assert_eq!((distance(one, other), distance(other, one)), (expected, expected));
    }

    #[test]
    fn one_letter_in_three_may_differ() {
        assert_eq!(nearest("abcdxx", ["abcdef"].into_iter()), Some("abcdef"));
        assert_eq!(nearest("abcxxx", ["abcdef"].into_iter()), None);
        assert_eq!(nearest("ab", ["xb", "ab"].into_iter()), Some("ab"));
    }
}
