//! Classifies errors of git and registries without keeping their text, which can quote credentials.

/// Why a repository was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It wants a login, or another one: HTTP 401.
    Unauthenticated,
    /// It refuses this login: HTTP 403.
    Forbidden,
    /// It says that there is nothing: HTTP 404.
    NotFound,
    /// Anything else, such as a host that cannot be reached.
    Other,
}

/// A message of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The cause, by its own words about the repository.
    pub cause: Cause,
    /// Its text, in which everything but plain words is replaced by its length.
    pub text: String,
}

/// Beginnings of errors: by go-git's `transport` package, by git's own messages, and by the codes and statuses that
/// go-containerregistry quotes (`pkg/v1/remote/transport/error.go`).
const CAUSES: [(&str, Cause); 15] = [
    ("authentication required", Cause::Unauthenticated),
    ("authentication failed for", Cause::Unauthenticated),
    ("could not read username", Cause::Unauthenticated),
    ("could not read password", Cause::Unauthenticated),
    ("authorization failed", Cause::Forbidden),
    ("returned error: 403", Cause::Forbidden),
    ("repository not found", Cause::NotFound),
    ("fatal: repository '", Cause::NotFound),
    ("returned error: 404", Cause::NotFound),
    (": unauthorized: ", Cause::Unauthenticated),
    ("unexpected status code 401", Cause::Unauthenticated),
    (": denied: ", Cause::Forbidden),
    ("unexpected status code 403", Cause::Forbidden),
    (": name_unknown: ", Cause::NotFound),
    ("unexpected status code 404", Cause::NotFound),
];
/// No word of a message that is worth reading is longer.
const LONGEST_WORD: usize = 24;
/// Longer numbers than a status or a line are not worth reading either.
const LONGEST_NUMBER: usize = 4;

impl Message {
    pub(crate) fn new(message: &str) -> Self {
        Self { cause: cause(message), text: plain_words(message) }
    }
}

fn cause(message: &str) -> Cause {
    let message = message.to_lowercase();
    CAUSES.iter().find(|(text, _)| message.contains(text)).map_or(Cause::Other, |(_, cause)| *cause)
}

/// The message with each word that is neither short and of letters nor a short number replaced by its length.
fn plain_words(message: &str) -> String {
    let is_plain = |word: &str| {
        let bare = word.trim_matches(|c: char| c.is_ascii_punctuation());
        let letters = bare.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
        let digits = bare.bytes().all(|byte| byte.is_ascii_digit());
        word.len() <= LONGEST_WORD && (letters || (digits && bare.len() <= LONGEST_NUMBER))
    };
    let words = message
        .split_whitespace()
        .map(|word| if is_plain(word) { word.to_owned() } else { format!("‹{}›", word.chars().count()) });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("failed to list refs: authentication required: Unauthorized", Cause::Unauthenticated)]
    #[case("fatal: Authentication failed for 'https://github.com/org/app/'", Cause::Unauthenticated)]
    #[case(
        "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
        Cause::Unauthenticated
    )]
    #[case("failed to list refs: authorization failed: Forbidden", Cause::Forbidden)]
    #[case("The requested URL returned error: 403", Cause::Forbidden)]
    #[case("failed to list refs: repository not found: Not found.", Cause::NotFound)]
    #[case("remote: Not found.\nfatal: repository 'https://github.com/org/app.git/' not found", Cause::NotFound)]
    #[case("GET https://ghcr.io/v2/token?scope=a: UNAUTHORIZED: authentication required", Cause::Unauthenticated)]
    #[case("GET https://ghcr.io/v2/token?scope=a: unexpected status code 401 Unauthorized", Cause::Unauthenticated)]
    #[case("GET https://ghcr.io/v2/o/i/tags/list: DENIED: requested access is denied", Cause::Forbidden)]
    #[case("GET https://ghcr.io/v2/o/i/tags/list: NAME_UNKNOWN: unknown", Cause::NotFound)]
    #[case("connection refused", Cause::Other)]
    fn the_cause_is_read_from_the_message(#[case] message: &str, #[case] expected: Cause) {
        assert_eq!(cause(message), expected);
    }

    #[rstest]
    #[case::what_argo_cd_says(
        "Failed to load target state: rpc error: code = Unknown desc = failed to list refs: authentication required: 401",
        "Failed to load target state: rpc error: code = Unknown desc = failed to list refs: authentication required: 401"
    )]
    #[case::token("bad ghp_0123456789", "bad ‹14›")]
    #[case::url("at 'https://bot:hunter2@github.com/org/'", "at ‹37›")]
    #[case::long_word("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "‹30›")]
    #[case::long_number("12345", "‹5›")]
    #[case::many_symbols(r#"a"b\c"#, "‹5›")]
    #[case::not_ascii("pä", "‹2›")]
    fn only_plain_words_are_shown(#[case] message: &str, #[case] shown: &str) {
        assert_eq!(plain_words(message), shown);
    }
}
