//! The way from a source to the value that ESO reads of it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Field;
use super::value_kind::Alphabet;
use crate::config::spec_in;

/// Reading of a value.
pub(super) struct Remote {
    /// The property as it is written: a key, or a path below one.
    pub(super) property: Option<String>,
    /// The base64 that is taken off it.
    pub(super) decoding: Option<Alphabet>,
    /// True if it is something else than values under their keys: labels and annotations, or fields of the document that one
    /// value is.
    pub(super) is_other: bool,
    /// True if a value with a NUL byte in it fails the ExternalSecret, after it is decoded.
    ///
    /// Source: External Secrets Operator from 2.3.0 on, `validateFetchedSecretValue`
    /// (pkg/controllers/externalsecret/externalsecret_controller_secret.go).
    pub(super) refuses_nul: bool,
}

impl Remote {
    /// Reading of `field` by the ExternalSecret that an object distributes, or is.
    pub(super) fn of(object: &Value, field: &Field) -> Self {
        let spec = spec_in(object);
        let entries = |name: &str| spec[name].as_array().map(Vec::as_slice).unwrap_or_default();
        // Single values win over whole sources, and the last of each over those before it.
        let single = entries("data").iter().rfind(|entry| entry["secretKey"] == field.secret_key.as_str());
        let single = single.map(|entry| &entry["remoteRef"]);
        let whole = entries("dataFrom").iter().rfind(|entry| entry["extract"]["key"] == field.source.name.as_str());
        let whole = whole.map(|entry| &entry["extract"]).filter(|_| single.is_none());
        let reference = single.or(whole);
        let is = |name: &str, value: &str| reference.is_some_and(|reference| reference[name] == value);
        let decoding = if is("decodingStrategy", "Base64") {
            Some(Alphabet::Standard)
        } else {
            is("decodingStrategy", "Base64URL").then_some(Alphabet::UrlSafe)
        };
        let is_part = whole.is_some_and(|extract| extract["property"].is_string());
        let property = single.and_then(|reference| reference["property"].as_str()).map(str::to_owned);
        Self {
            property,
            decoding,
            is_other: is_part || is("metadataPolicy", "Fetch"),
            refuses_nul: is("nullBytePolicy", "Fail"),
        }
    }
}

/// The keys of the source `name` whose values are documents of which each field becomes a value.
pub(super) fn extracted_documents<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    let entries = spec_in(object)["dataFrom"].as_array().map(Vec::as_slice).unwrap_or_default();
    let extracts = entries.iter().map(|entry| &entry["extract"]).filter(move |extract| extract["key"] == name);
    extracts.filter(|extract| extract["metadataPolicy"] != "Fetch").filter_map(|extract| extract["property"].as_str())
}

/// The key of a source that a property is read from, when the source has these keys, and the path into the document under that
/// key, if there is one.
///
/// Source: ESO, `getFromSecretData` (pkg/provider/kubernetes/client.go), which takes the whole property for a key first.
pub(super) fn key_of<'a>(keys: &BTreeSet<String>, property: &'a str) -> (&'a str, Option<&'a str>) {
    let parts = property.split_once('.').filter(|(key, path)| !key.is_empty() && !path.is_empty());
    match parts {
        Some((key, path)) if !keys.contains(property) && (keys.contains(key) || !is_key(property)) => (key, Some(path)),
        _ => (property, None),
    }
}

/// The most characters of a key of a Secret.
pub(crate) const LONGEST_KEY: usize = 253;

/// True if a Secret can have a key of this name.
///
/// Source: Kubernetes, `IsConfigMapKey` (k8s.io/apimachinery pkg/util/validation).
pub(crate) fn is_key(name: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    (1..=LONGEST_KEY).contains(&name.len()) && name != "." && !name.starts_with("..") && name.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::key(&["a"], "a", ("a", None))]
    #[case::key_with_a_dot(&["a", "a.b"], "a.b", ("a.b", None))]
    #[case::path(&["a"], "a.b.c", ("a", Some("b.c")))]
    #[case::of_a_source_that_is_not_known(&[], "tls.crt", ("tls.crt", None))]
    #[case::what_no_key_is_called(&[], "a.b.#.c", ("a", Some("b.#.c")))]
    #[case::dots_at_the_ends(&["a"], "a.", ("a.", None))]
    fn a_property_is_a_key_or_a_path_below_one(
        #[case] keys: &[&str],
        #[case] property: &str,
        #[case] expected: (&str, Option<&str>),
    ) {
        assert_eq!(key_of(&keys.iter().map(|key| (*key).to_owned()).collect(), property), expected);
    }

    #[test]
    fn keys_are_what_the_api_server_takes() {
        assert!([".a", "a.b", "A-b_c"].into_iter().all(is_key));
        assert!(!["", ".", "..", "..a", "a b", "a/b", "é"].into_iter().any(is_key));
    }
}
