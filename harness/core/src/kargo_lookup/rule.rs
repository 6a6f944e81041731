//! The repositories that a Secret says it is for.

use std::collections::BTreeMap;

use regex::Regex;

use super::{CredentialKind, normalise};
use crate::credential::Credential;

/// The repositories that a Secret is for: one, or all whose URL matches a pattern.
#[derive(Clone, Copy)]
pub struct Rule<'a> {
    kind: CredentialKind,
    repo_url: &'a str,
    is_regex: bool,
}

impl<'a> Rule<'a> {
    /// The rule of a Secret with this data; `None` if it has none, so that Kargo passes over it.
    ///
    /// A URL that is no UTF-8 is none: Kargo matches none that could be written down.
    pub fn of(kind: CredentialKind, data: &'a BTreeMap<String, Credential>) -> Option<Self> {
        let repo_url = data.get("repoURL")?.expose_str()?;
        // No other spelling of a boolean means yes.
        let is_regex = data.get("repoURLIsRegex").is_some_and(|value| value.expose() == b"true");
        Some(Self::new(kind, repo_url, is_regex))
    }

    /// The rule of a Secret with this `repoURL`, which is a pattern or a URL.
    pub fn new(kind: CredentialKind, repo_url: &'a str, is_regex: bool) -> Self {
        Self { kind, repo_url, is_regex }
    }

    /// True if the Secret is for the repository `url`.
    ///
    /// A pattern is searched for in the URL as it is and in its normal form; nothing anchors it. Kargo compiles it with
    /// Go's RE2 and passes over a Secret whose pattern does not compile. The syntax of the crate used here differs in
    /// corners that no such pattern needs. Only Go takes `\Q…\E`, octal escapes, and a lone `{` or a `[` in a class as
    /// themselves. Only this crate takes the flags `x`, `u` and `R`, repeated repetitions such as `a**`, repetitions of
    /// more than 1000, `\<` as a boundary, and set operations in classes. Here `\d`, `\s`, `\w` and `\b` know more than
    /// ASCII, which URLs do not show.
    pub fn accepts(&self, url: &str) -> bool {
        let normal = normalise(self.kind, url);
        if self.is_regex {
            return Regex::new(self.repo_url).is_ok_and(|regex| regex.is_match(url) || regex.is_match(&normal));
        }
        normalise(self.kind, self.repo_url) == normal
    }

    /// The URL of a repository that the Secret is for: the one that it names, or, for a pattern, the repository `name`
    /// of the owner that its beginning spells out. `None` where it spells out no host and owner, or goes on in a way
    /// that this name does not match.
    pub fn example(&self, name: &str) -> Option<String> {
        if !self.is_regex {
            return Some(self.repo_url.to_owned());
        }
        let beginning = beginning(self.repo_url);
        let scheme = if self.kind == CredentialKind::Git && !beginning.contains("://") { "https://" } else { "" };
        let owner = format!("{scheme}{}", beginning.trim_end_matches('/'));
        [format!("{owner}/{name}"), format!("{owner}/{name}.git")]
            .into_iter()
            .find(|url| has_host_and_owner(&owner) && self.accepts(url))
    }
}

/// True if it is `[SCHEME://]HOST/OWNER`, with or without more owners.
fn has_host_and_owner(url: &str) -> bool {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let mut segments = after_scheme.split('/');
    segments.clone().count() >= 2 && segments.all(|segment| !segment.is_empty())
}

/// A text that the beginning of a pattern matches, up to the first thing that is no single character. What may be
/// repeated or left out is there once.
fn beginning(pattern: &str) -> String {
    let pattern = pattern.strip_prefix('^').or_else(|| pattern.strip_prefix(r"\A")).unwrap_or(pattern);
    let mut text = String::new();
    let mut rest = pattern.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            // It takes a dot as well, which is what is meant.
            '.' if !rest.peek().is_some_and(|after| "?*+{".contains(*after)) => text.push('.'),
            '?' | '*' | '+' => {}
            '\\' => match rest.next() {
                Some(escaped) if escaped.is_ascii_punctuation() => text.push(escaped),
                _ => break,
            },
            '.' | '[' | ']' | '(' | ')' | '{' | '}' | '|' | '^' | '$' => break,
            literal => text.push(literal),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_pattern_ends_where_a_class_begins() {
        assert_eq!(beginning(r"^a\.b\d/c"), "a.b");
        assert_eq!(beginning(r"\Aa?b[c]"), "ab");
    }
}
