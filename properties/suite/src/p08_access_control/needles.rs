//! Finds values wherever they may have ended up: as they are, and in base64 at any place, more than once over.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, BuildError};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use credence_core::credential::Credential;
use serde_json::Value;

/// Fewer bytes than this occur by chance.
const SHORTEST: usize = 16;
/// How many layers of base64 are taken off.
const LAYERS: u8 = 2;

/// Values to look for.
pub(super) struct Needles {
    automaton: AhoCorasick,
    /// What each pattern is of.
    names: Vec<String>,
}

impl Needles {
    /// Looks for `values`, each under a name that may be shown.
    ///
    /// # Errors
    /// When there are too many patterns.
    pub(super) fn new<'a>(values: impl IntoIterator<Item = (String, &'a Credential)>) -> Result<Self, BuildError> {
        let (mut names, mut patterns) = (Vec::new(), Vec::new());
        for (name, value) in values {
            for pattern in patterns_of(value.expose()) {
                patterns.push(pattern);
                names.push(name.clone());
            }
        }
        Ok(Self { automaton: AhoCorasick::new(patterns)?, names })
    }

    /// The names of the values in `bytes`.
    pub(super) fn within(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        self.add_bytes(bytes, LAYERS, &mut found);
        found
    }

    /// The names of the values in any text of `value`, keys included.
    pub(super) fn within_object(&self, value: &Value) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        self.add_object(value, &mut found);
        found
    }

    fn add_object<'a>(&'a self, value: &Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::String(text) => self.add_bytes(text.as_bytes(), LAYERS, found),
            Value::Array(items) => items.iter().for_each(|item| self.add_object(item, found)),
            Value::Object(fields) => {
                for (key, field) in fields {
                    self.add_bytes(key.as_bytes(), LAYERS, found);
                    self.add_object(field, found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn add_bytes<'a>(&'a self, bytes: &[u8], layers: u8, found: &mut BTreeSet<&'a str>) {
        let matches = self.automaton.find_overlapping_iter(bytes);
        found.extend(matches.map(|one| self.names[one.pattern().as_usize()].as_str()));
        if let (Some(layers), Ok(decoded)) = (layers.checked_sub(1), STANDARD.decode(bytes)) {
            self.add_bytes(&decoded, layers, found);
        }
    }
}

/// A value as it is, and the part of its base64 that does not depend on what stands around it, for each of the three
/// places that it can have in a group of three bytes.
fn patterns_of(value: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut patterns = BTreeSet::new();
    if value.len() < SHORTEST {
        return patterns;
    }
    patterns.insert(value.to_vec());
    for before in 0..3 {
        let padded = [&vec![0; before], value].concat();
        for encoded in [STANDARD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            // The characters that also hold bits of the bytes before and behind.
            let first = [0, 2, 3][before];
            let last = padded.len() / 3 * 4 + [0, 1, 2][padded.len() % 3];
            patterns.insert(encoded.as_bytes()[first..last].to_vec());
        }
    }
    patterns
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const VALUE: &str = "0123456789abcdef>>>>ABCDEF?";

    fn needles() -> Needles {
        Needles::new([("it".to_owned(), &Credential::new(VALUE))]).unwrap()
    }

    #[rstest]
    fn a_value_is_found_in_base64_wherever_it_stands(
        #[values("", "u", "us", "user", "user:")] before: &str,
        #[values("", "}", "}}", "\"}}")] behind: &str,
    ) {
        let text = format!("{before}{VALUE}{behind}");
        for haystack in [text.clone(), STANDARD.encode(&text), format!("x.{}", URL_SAFE_NO_PAD.encode(&text))] {
            assert_eq!(needles().within(haystack.as_bytes()), ["it"].into(), "{haystack}");
        }
    }

    #[test]
    fn a_pull_secret_shows_its_password() {
        let auth = STANDARD.encode(format!("name:{VALUE}"));
        let config = STANDARD.encode(json!({ "auths": { "h": { "auth": auth } } }).to_string());
        let secret = json!({ "data": { ".dockerconfigjson": config } });
        assert_eq!(needles().within_object(&secret), ["it"].into());
    }

    #[test]
    fn keys_count_and_other_values_do_not() {
        assert_eq!(needles().within_object(&json!({ VALUE: 1 })), ["it"].into());
        assert!(needles().within_object(&json!({ "a": [VALUE[1..].to_owned(), true, null] })).is_empty());
    }

    #[test]
    fn what_is_too_short_to_be_told_apart_is_not_looked_for() {
        let needles = Needles::new([("short".to_owned(), &Credential::new("abc"))]).unwrap();
        assert!(needles.within(b"abc").is_empty());
    }
}
