//! Searching bytes for credential values, in every form in which they usually travel.

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use credence_core::credential::Credential;

/// Bytes of a value that are looked for: the beginning of a longer one tells it as well and is found faster.
pub const LONGEST: usize = 48;
/// Fewer bytes occur by chance.
pub const SHORTEST: usize = 12;
/// How PEM begins.
const PEM: &[u8] = b"-----BEGIN ";
/// How a PEM block begins that is public, and much of it the same in all that one authority issues.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE";
/// Bytes that the PEM of all keys of a kind begins with.
const PEM_COMMON: usize = 100;
/// How a signed token begins, whatever it says: base64 of `{"alg":`.
const TOKEN: &[u8] = b"eyJhbGciOi";

/// Values that must not be found.
pub struct Canaries {
    needles: AhoCorasick,
    /// What each needle is, in words.
    what: Vec<String>,
}

impl Canaries {
    /// Looks for `values`. Those that are too short to be told from chance, and certificates, are left out.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a Credential>) -> Self {
        let found: Vec<(Vec<u8>, String)> = values.into_iter().flat_map(needles).collect();
        Self::new(found)
    }

    /// Looks for bearer tokens of any kind as well.
    pub fn and_tokens<'a>(values: impl IntoIterator<Item = &'a Credential>) -> Self {
        let mut found: Vec<(Vec<u8>, String)> = values.into_iter().flat_map(needles).collect();
        found.push((TOKEN.to_vec(), "a bearer token".to_owned()));
        Self::new(found)
    }

    fn new(found: Vec<(Vec<u8>, String)>) -> Self {
        let (needles, what): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        // Building fails only for more than 2^31 needles.
        let needles = AhoCorasick::new(needles).expect("there are not that many values");
        Self { needles, what }
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.what.is_empty()
    }

    /// What of it is in `bytes`, in words that do not show it.
    pub fn find(&self, bytes: &[u8]) -> Option<&str> {
        let found = self.needles.find(bytes)?;
        self.what.get(found.pattern().as_usize()).map(String::as_str)
    }
}

/// The forms of one value.
fn needles(value: &Credential) -> Vec<(Vec<u8>, String)> {
    let bytes = value.expose();
    let distinct = if bytes.starts_with(CERTIFICATE) {
        &[]
    } else if bytes.starts_with(PEM) {
        bytes.get(PEM_COMMON..).unwrap_or_default()
    } else {
        bytes
    };
    let distinct = &distinct[..distinct.len().min(LONGEST)];
    if distinct.len() < SHORTEST {
        return Vec::new();
    }
    let mut forms = vec![(distinct.to_vec(), "plain")];
    if let Ok(text) = std::str::from_utf8(distinct) {
        let escaped = serde_json::Value::from(text).to_string();
        let inside = escaped.as_bytes()[1..escaped.len() - 1].to_vec();
        if inside != distinct {
            forms.push((inside, "in JSON"));
        }
    }
    // A value may begin at any of three places inside of what was encoded.
    for before in 0..3 {
        let padded = [vec![0; before], distinct.to_vec()].concat();
        // Six bits a character: those of the bytes before, and those that depend on the bytes behind, are cut off.
        let range = (before * 8).div_ceil(6)..padded.len() * 8 / 6;
        let standard = STANDARD_NO_PAD.encode(&padded)[range.clone()].as_bytes().to_vec();
        let url_safe = URL_SAFE_NO_PAD.encode(&padded)[range].as_bytes().to_vec();
        if url_safe != standard {
            forms.push((url_safe, "as base64"));
        }
        forms.push((standard, "as base64"));
    }
    let name = |form: &str| format!("{value} {form}");
    forms.into_iter().map(|(needle, form)| (needle, name(form))).collect()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use rstest::rstest;

    use super::*;

    const VALUE: &str = "ghp_\"quoted\"\\and>long?enough~~~";

    fn inside(text: &str) -> String {
        format!("something before, {text}, and behind")
    }

    #[rstest]
    #[case::plain(inside(VALUE))]
    #[case::json(serde_json::json!({ "token": VALUE }).to_string())]
    #[case::base64(inside(&STANDARD.encode(VALUE)))]
    #[case::base64_inside_of_more(STANDARD.encode(inside(VALUE)))]
    #[case::base64_inside_at_another_place(STANDARD.encode(format!("x{}", inside(VALUE))))]
    #[case::base64_inside_at_the_third_place(STANDARD.encode(format!("xx{}", inside(VALUE))))]
    #[case::url_safe(URL_SAFE.encode(inside(VALUE)))]
    fn a_value_is_found_in_every_form_and_not_shown(#[case] text: String) {
        let canaries = Canaries::of([&Credential::new(VALUE)]);
        let found = canaries.find(text.as_bytes()).unwrap();
        assert!(!found.contains("quoted"), "{found}");
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let canaries = Canaries::of([&Credential::new(VALUE)]);
        assert_eq!(canaries.find(inside("ghp_another").as_bytes()), None);
    }

    #[rstest]
    #[case::short("short")]
    #[case::certificate("-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ\n-----END CERTIFICATE-----\n")]
    fn what_proves_nothing_is_not_looked_for(#[case] value: &str) {
        assert!(Canaries::of([&Credential::new(value)]).is_empty());
    }

    #[test]
    fn a_token_is_found_whoever_it_belongs_to() {
        let canaries = Canaries::and_tokens([]);
        assert_eq!(canaries.find(b"\"token\":\"eyJhbGciOiJSUzI1NiJ9.e30.c2ln\""), Some("a bearer token"));
    }
}
