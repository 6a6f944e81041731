//! Origin of a value of a copy, where that follows from the values of the sources alone.
//!
//! Source: External Secrets Operator, `Client` of the Kubernetes provider (pkg/provider/kubernetes/client.go), and `Decode`
//! and `RewriteMerge` (pkg/esutils/utils.go).

use std::fmt;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use credence_core::credential::Credential;
use serde_json::{Map, Value};

use crate::config::{DecodingStrategy, SourceRef};
use crate::values::Values;

/// A value as a function of the values of the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The value of a key, as it is.
    Value {
        /// Source that has the key.
        source: SourceRef,
        /// Key of the source.
        key: String,
    },
    /// All values of these sources as one JSON object of texts; what several have is the last one's.
    Document {
        /// The sources, in the order in which they are merged.
        sources: Vec<SourceRef>,
    },
    /// Part of a JSON document at a path of names and indices.
    Part {
        /// Origin of the document.
        of: Box<Self>,
        /// Names and indices from the outermost to the innermost, each as a text.
        path: Vec<String>,
    },
    /// A value that is decoded.
    Decoded {
        /// Origin of the value before it is decoded.
        of: Box<Self>,
        /// The way to decode it.
        strategy: DecodingStrategy,
    },
    /// A text that the configuration has itself.
    Text(Credential),
}

impl Origin {
    /// The value of a key, as it is.
    pub fn value(source: &SourceRef, key: &str) -> Self {
        Self::Value { source: source.clone(), key: key.to_owned() }
    }

    /// The key of the one source whose value this is, as it is, for any value that is text.
    pub(crate) fn source_key(&self) -> Option<(&SourceRef, &str)> {
        match self {
            Self::Value { source, key } => Some((source, key)),
            Self::Part { of, path } => match (&**of, path.as_slice()) {
                (Self::Document { sources }, [key]) => match sources.as_slice() {
                    [source] => Some((source, key)),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn decoded(self, strategy: DecodingStrategy) -> Self {
        match (strategy, &self) {
            (DecodingStrategy::None, _) => self,
            // No JSON object is base64, and what is not stays as it is.
            (DecodingStrategy::Auto, Self::Document { .. }) => self,
            _ => Self::Decoded { of: Box::new(self), strategy },
        }
    }

    /// The value that the controller makes of the values of the sources; none if one of them is not known, or the controller
    /// would refuse to make it of this one.
    pub fn made_of<'a>(&self, values_of: &dyn Fn(&SourceRef) -> Option<&'a Values>) -> Option<Made> {
        match self {
            Self::Value { source, key } => Some(Made::bytes(values_of(source)?.get(key)?.expose())),
            Self::Text(text) => Some(Made::bytes(text.expose())),
            Self::Document { sources } => {
                let mut all = Map::new();
                for source in sources {
                    let values = values_of(source)?.iter();
                    all.extend(values.map(|(key, value)| (key.clone(), Value::String(like_go(value.expose())))));
                }
                Some(Made(Form::Json(Value::Object(all))))
            }
            Self::Part { of, path } => {
                let whole = match of.made_of(values_of)?.0 {
                    Form::Json(whole) => whole,
                    Form::Bytes(bytes) => serde_json::from_slice(bytes.expose()).ok()?,
                };
                part(at(&whole, path)?)
            }
            Self::Decoded { of, strategy } => match of.made_of(values_of)?.0 {
                Form::Json(_) => None,
                Form::Bytes(bytes) => decode(*strategy, bytes.expose()).map(Made::bytes),
            },
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source_key() {
            Some((source, "")) => return write!(f, "{source}"),
            Some((source, key)) => return write!(f, "{key} of {source}"),
            None => {}
        }
        match self {
            Self::Value { source, key } => write!(f, "{key} of {source}"),
            Self::Document { sources } => {
                let sources: Vec<String> = sources.iter().map(SourceRef::to_string).collect();
                write!(f, "all of {} as JSON", sources.join(" and "))
            }
            Self::Part { of, path } => write!(f, "{} in {of}", path.join(".")),
            Self::Decoded { of, strategy } => write!(f, "{of} decoded as {strategy:?}"),
            Self::Text(_) => f.write_str("a text of the configuration"),
        }
    }
}

/// A value that the controller makes, to be compared with the one that a copy has.
#[derive(Clone)]
pub struct Made(Form);

#[derive(Clone)]
enum Form {
    Bytes(Credential),
    /// The order of its members and the way in which texts are escaped are the controller's.
    Json(Value),
}

impl Made {
    fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Form::Bytes(Credential::new(bytes)))
    }

    /// True if `found` is this value: the same bytes, or the same JSON document.
    pub fn is(&self, found: &Credential) -> bool {
        match &self.0 {
            Form::Bytes(bytes) => bytes == found,
            Form::Json(value) => serde_json::from_slice::<Value>(found.expose()).is_ok_and(|found| found == *value),
        }
    }

    /// The value as the controller has it before templates, where that can be written down.
    pub fn into_bytes(self) -> Option<Credential> {
        match self.0 {
            Form::Bytes(bytes) => Some(bytes),
            Form::Json(value) => Some(Credential::new(go_json(&value)?)),
        }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Bytes(bytes) => bytes.fmt(f),
            Form::Json(Value::Object(members)) => write!(f, "‹JSON with {} members›", members.len()),
            Form::Json(_) => f.write_str("‹JSON›"),
        }
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text as Go's JSON encoder writes it: each byte that is no UTF-8 becomes U+FFFD.
fn like_go(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// A document of texts as Go writes it without HTML escapes: members in order, U+2028 and U+2029 escaped.
fn go_json(value: &Value) -> Option<String> {
    let text = serde_json::to_string(value).ok()?;
    Some(text.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"))
}

/// Part at a path; none if there is nothing.
fn at<'a>(whole: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(whole, |value, name| match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

/// A part of a document as gjson gives it (`Result.String`); fractions are written in ways of Go's own.
fn part(value: &Value) -> Option<Made> {
    match value {
        Value::String(text) => Some(Made::bytes(text.as_bytes())),
        Value::Bool(yes) => Some(Made::bytes(yes.to_string())),
        Value::Null => Some(Made::bytes("")),
        Value::Number(number) => (number.is_i64() || number.is_u64()).then(|| Made::bytes(number.to_string())),
        Value::Object(_) | Value::Array(_) => Some(Made(Form::Json(value.clone()))),
    }
}

fn decode(strategy: DecodingStrategy, bytes: &[u8]) -> Option<Vec<u8>> {
    match strategy {
        DecodingStrategy::None => Some(bytes.to_vec()),
        DecodingStrategy::Base64 => base64_like_go(&STANDARD, bytes),
        DecodingStrategy::Base64Url => base64_like_go(&URL_SAFE, bytes),
        DecodingStrategy::Auto => base64_like_go(&STANDARD, bytes)
            .or_else(|| base64_like_go(&URL_SAFE, bytes))
            .or_else(|| Some(bytes.to_vec())),
    }
}

/// Base64 with padding, by Go's decoder: it passes over line breaks and does not mind spare bits.
fn base64_like_go(alphabet: &Alphabet, bytes: &[u8]) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true);
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::values::World;

    fn source(name: &str) -> SourceRef {
        SourceRef::secret("central", name)
    }

    /// Sources by name, each with its values by key.
    type Sources<'a> = &'a [(&'a str, &'a [(&'a str, &'a [u8])])];

    fn world(sources: Sources<'_>) -> World {
        let values = |all: &[(&str, &[u8])]| {
            all.iter().map(|(key, value)| ((*key).to_owned(), Credential::new(*value))).collect::<Values>()
        };
        sources.iter().map(|(name, all)| (source(name), values(all))).collect()
    }

    #[rstest]
    #[case::none(DecodingStrategy::None, b"aGk=", Some("aGk="))]
    #[case::standard(DecodingStrategy::Base64, b"aGk=", Some("hi"))]
    #[case::folded(DecodingStrategy::Base64, b"aG\nk=\n", Some("hi"))]
    #[case::spare_bits(DecodingStrategy::Base64, b"aGl=", Some("hi"))]
    #[case::without_padding(DecodingStrategy::Base64, b"aGk", None)]
    #[case::of_urls(DecodingStrategy::Base64, b"_-8=", None)]
    #[case::url(DecodingStrategy::Base64Url, b"fn5-", Some("~~~"))]
    #[case::auto_takes_what_decodes(DecodingStrategy::Auto, b"aGk=", Some("hi"))]
    #[case::auto_takes_urls_too(DecodingStrategy::Auto, b"fn5-", Some("~~~"))]
    #[case::auto_leaves_the_rest(DecodingStrategy::Auto, b"a b", Some("a b"))]
    fn values_are_decoded_as_the_controller_does(
        #[case] strategy: DecodingStrategy,
        #[case] value: &[u8],
        #[case] expected: Option<&str>,
    ) {
        let world = world(&[("a", &[("k", value)])]);
        let made = Origin::value(&source("a"), "k").decoded(strategy).made_of(&|source| world.get(source));
        assert_eq!(made.is_some(), expected.is_some());
        assert!(expected.is_none_or(|expected| made.unwrap().is(&Credential::new(expected))));
    }

    #[test]
    fn a_document_is_compared_member_by_member() {
        let world = world(&[("a", &[("x", b"1"), ("y", b"\xff\xfe")]), ("b", &[("x", b"<2>")])]);
        let document = Origin::Document { sources: vec![source("a"), source("b")] };
        let made = document.made_of(&|source| world.get(source)).unwrap();
        assert!(made.is(&Credential::new(r#"{"y": "\ufffd\ufffd", "x":"\u003c2\u003e"}"#)));
        assert!(!made.is(&Credential::new(r#"{"y":"\ufffd\ufffd","x":"1"}"#)), "the last has it");
        assert!(!made.is(&Credential::new(r#"{"x":"<2>"}"#)), "nothing may be missing");
        assert_eq!(made.into_bytes().unwrap(), Credential::new("{\"x\":\"<2>\",\"y\":\"\u{fffd}\u{fffd}\"}"));
        assert!(document.made_of(&|_| None).is_none());
    }

    #[rstest]
    #[case::text("text", Some("a\"b"))]
    #[case::number("number", Some("12"))]
    #[case::fraction("fraction", None)]
    #[case::yes("yes", Some("true"))]
    #[case::null("null", Some(""))]
    #[case::item("list.1", Some("z"))]
    #[case::object("object", Some("{ \"k\": 1 }"))]
    #[case::nothing("nothing", None)]
    fn a_part_of_a_document_is_what_gjson_makes_of_it(#[case] path: &str, #[case] expected: Option<&str>) {
        let json =
            br#"{"text":"a\"b","number":12,"fraction":1.50,"yes":true,"null":null,"list":["y","z"],"object":{"k":1}}"#;
        let path = path.split('.').map(str::to_owned).collect();
        let origin = Origin::Part { of: Box::new(Origin::value(&source("a"), "k")), path };
        let world = world(&[("a", &[("k", json)])]);
        let made = origin.made_of(&|source| world.get(source));
        assert_eq!(made.is_some(), expected.is_some());
        assert!(expected.is_none_or(|expected| made.unwrap().is(&Credential::new(expected))));
    }

    #[test]
    fn what_was_made_is_never_shown() {
        let world = world(&[("a", &[("k", b"hunter2")])]);
        for origin in [Origin::value(&source("a"), "k"), Origin::Document { sources: vec![source("a")] }] {
            let made = origin.made_of(&|source| world.get(source)).unwrap();
            let shown = format!("{made} {made:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
