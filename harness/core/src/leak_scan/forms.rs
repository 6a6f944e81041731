//! The forms in which a value is written, as patterns that any text around the value leaves as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Bytes of a value that are looked for, and up to three more that complete a character: the beginning of a longer one
/// tells it as well.
pub const LONGEST: usize = 48;
/// Shorter values are not looked for. They occur by chance: `","auth":"` and `!!binary `, of which generated values are
/// made, stand in ordinary JSON and YAML.
pub const SHORTEST: usize = 12;

/// The name under which a report counts values that are not looked for.
pub const UNSEARCHABLE: &str = "value not searched for (a certificate, or too short)";

/// Beginning of a block of PEM .
const PEM: &[u8] = b"-----BEGIN ";
/// Beginning of a block of PEM that is public, and much of it the same in all that one authority issues.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE";
/// Bytes that the PEM of all keys of a kind begins with.
const PEM_COMMON: usize = 100;
/// Bytes of the longest character in UTF-8.
const CHARACTER: usize = 4;

/// A form in which a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Byte by byte as the value is.
    Plain,
    /// As text in which U+FFFD replaces what is not UTF-8.
    Replaced,
    /// Inside of a JSON string.
    Json,
    /// In a URL or a form.
    Percent,
    /// As hexadecimal digits.
    Hex,
    /// In base64, at any place.
    Base64,
    /// In base64 of JSON, at any place.
    Base64OfJson,
    /// In base64 of base64, at any place of both.
    Base64Twice,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "in plain",
            Self::Replaced => "as replaced text",
            Self::Json => "in JSON",
            Self::Percent => "percent-encoded",
            Self::Hex => "in hexadecimal",
            Self::Base64 => "in base64",
            Self::Base64OfJson => "in base64 of JSON",
            Self::Base64Twice => "in base64 of base64",
        })
    }
}

/// The reason why a value is not looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Less of it than [`SHORTEST`] is its own.
    TooShort,
    /// Certificates are public.
    Certificate,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "has fewer than {SHORTEST} bytes of its own"),
            Self::Certificate => f.write_str("is a certificate, which is public"),
        }
    }
}

/// The part of a value that no other has.
///
/// # Errors
/// When there is too little of it.
pub(super) fn distinct(value: &[u8]) -> Result<&[u8], Reason> {
    let distinct = if value.starts_with(PEM) {
        let blocks = value.windows(CERTIFICATE.len()).enumerate().filter(|(_, window)| window.starts_with(PEM));
        let secret = blocks.filter(|(_, window)| *window != CERTIFICATE).map(|(at, _)| at).next();
        let secret = secret.ok_or(Reason::Certificate)?;
        value.get(secret + PEM_COMMON..).unwrap_or_default()
    } else {
        value
    };
    if distinct.len() < SHORTEST { Err(Reason::TooShort) } else { Ok(distinct) }
}

/// The patterns of a value, and the form that each is of.
pub(super) fn patterns(value: &[u8]) -> BTreeMap<Vec<u8>, Form> {
    let mut patterns = BTreeMap::new();
    let mut add = |pattern: Vec<u8>, form| {
        patterns.entry(pattern).or_insert(form);
    };
    let units = units(value);
    let plain: Vec<u8> = units.iter().flat_map(|unit| unit.bytes()).copied().collect();
    add(plain.clone(), Form::Plain);
    // What many replacements leave is no value any more.
    let valid: usize = units.iter().map(|unit| if let Unit::Valid(_, bytes) = unit { bytes.len() } else { 0 }).sum();
    if valid >= SHORTEST {
        for replacement in Replacement::IN_TEXT {
            add(units.iter().fold(Vec::new(), |text, unit| unit.write_plain(text, replacement)), Form::Replaced);
        }
        let json =
            JsonRules::all().map(|rules| units.iter().fold(Vec::new(), |text, unit| unit.write_json(text, rules)));
        // Most rules agree on most values.
        for json in json.collect::<BTreeSet<_>>() {
            for encoded in base64(&json) {
                add(encoded, if json == plain { Form::Base64 } else { Form::Base64OfJson });
            }
            add(json, Form::Json);
        }
    }
    for keeps in PERCENT {
        for percent in [percent(&plain, keeps, Case::Upper), percent(&plain, keeps, Case::Lower)] {
            add(percent, Form::Percent);
        }
    }
    for case in [Case::Upper, Case::Lower] {
        add(plain.iter().flat_map(|byte| case.digits(*byte)).collect(), Form::Hex);
    }
    for encoded in base64(&plain) {
        for twice in base64(&encoded) {
            add(twice, Form::Base64Twice);
        }
        add(encoded, Form::Base64);
    }
    patterns
}

/// A unit that is escaped as a whole.
enum Unit<'a> {
    /// A character, with its bytes.
    Valid(char, &'a [u8]),
    /// Bytes that begin a character but do not complete it, or that none begins with.
    Invalid(&'a [u8]),
}

/// The units that a value begins with, for [`LONGEST`] bytes.
fn units(value: &[u8]) -> Vec<Unit<'_>> {
    // A unit that begins in the first bytes ends within these.
    let beginning = &value[..value.len().min(LONGEST + CHARACTER)];
    let mut units = Vec::new();
    for chunk in beginning.utf8_chunks() {
        let valid = chunk.valid();
        units.extend(
            valid.char_indices().map(|(at, char)| Unit::Valid(char, &valid.as_bytes()[at..at + char.len_utf8()])),
        );
        if !chunk.invalid().is_empty() {
            units.push(Unit::Invalid(chunk.invalid()));
        }
    }
    let mut length = 0;
    let taken = units.iter().take_while(|unit| {
        let is_taken = length < LONGEST;
        length += unit.bytes().len();
        is_taken
    });
    let taken = taken.count();
    units.truncate(taken);
    units
}

/// Replacement of bytes that are not UTF-8.
#[derive(Clone, Copy)]
enum Replacement {
    /// `\ufffd` for each byte, as Go's encoding/json writes.
    Escaped,
    /// U+FFFD for each byte, as Go's conversions give.
    EachByte,
    /// U+FFFD for each character that is not complete, as Rust and browsers do.
    EachUnit,
}

impl Replacement {
    /// In text that is not escaped.
    const IN_TEXT: [Self; 2] = [Self::EachByte, Self::EachUnit];

    fn write(self, text: &mut Vec<u8>, invalid: &[u8]) {
        match self {
            Self::Escaped => text.extend(br"\ufffd".repeat(invalid.len())),
            Self::EachByte => text.extend("\u{fffd}".repeat(invalid.len()).as_bytes()),
            Self::EachUnit => text.extend("\u{fffd}".as_bytes()),
        }
    }
}

/// Characters that a writer of JSON escapes beyond those that it has to.
#[derive(Clone, Copy)]
struct JsonRules {
    /// `<`, `>` and `&`: Go's encoding/json unless it is told not to.
    html: bool,
    /// Backspace and form feed as `\b` and `\f`: serde_json, and Go since 1.22.
    short: bool,
    /// U+2028 and U+2029: Go's encoding/json.
    separators: bool,
    replacement: Replacement,
}

impl JsonRules {
    /// Every combination: loggers and older releases have their own.
    fn all() -> impl Iterator<Item = Self> {
        let replacements = [Replacement::Escaped, Replacement::EachByte, Replacement::EachUnit];
        replacements.into_iter().flat_map(|replacement| {
            (0..8u8).map(move |bits| Self {
                html: bits & 1 != 0,
                short: bits & 2 != 0,
                separators: bits & 4 != 0,
                replacement,
            })
        })
    }
}

impl Unit<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Valid(_, bytes) | Self::Invalid(bytes) => bytes,
        }
    }

    fn write_plain(&self, mut text: Vec<u8>, replacement: Replacement) -> Vec<u8> {
        match self {
            Self::Valid(_, bytes) => text.extend_from_slice(bytes),
            Self::Invalid(bytes) => replacement.write(&mut text, bytes),
        }
        text
    }

    fn write_json(&self, mut text: Vec<u8>, rules: JsonRules) -> Vec<u8> {
        match *self {
            Self::Valid('"', _) => text.extend(br#"\""#),
            Self::Valid('\\', _) => text.extend(br"\\"),
            Self::Valid('\n', _) => text.extend(br"\n"),
            Self::Valid('\r', _) => text.extend(br"\r"),
            Self::Valid('\t', _) => text.extend(br"\t"),
            Self::Valid('\u{8}', _) if rules.short => text.extend(br"\b"),
            Self::Valid('\u{c}', _) if rules.short => text.extend(br"\f"),
            Self::Valid(char, bytes) => {
                let is_escaped = match char {
                    '<' | '>' | '&' => rules.html,
                    '\u{2028}' | '\u{2029}' => rules.separators,
                    char => char < ' ',
                };
                if is_escaped {
                    text.extend(format!("\\u{:04x}", u32::from(char)).bytes());
                } else {
                    text.extend_from_slice(bytes);
                }
            }
            Self::Invalid(bytes) => rules.replacement.write(&mut text, bytes),
        }
        text
    }
}

/// Characters that percent-encoding keeps, apart from letters and digits.
struct Keeps {
    marks: &'static [u8],
    /// True if a space becomes `+`.
    plus: bool,
}

/// Ways to percent-encode, by the characters that each keeps.
const PERCENT: &[Keeps] = &[
    // RFC 3986, unreserved.
    Keeps { marks: b"-._~", plus: false },
    // Forms, as Go's url.QueryEscape writes them.
    Keeps { marks: b"-._~", plus: true },
    // Forms, as the URL standard of browsers (application/x-www-form-urlencoded) has them.
    Keeps { marks: b"*-._", plus: true },
    // encodeURIComponent of JavaScript.
    Keeps { marks: b"-._~!*'()", plus: false },
    // User names and passwords in URLs, as Go's net/url writes them.
    Keeps { marks: b"-._~$&+,;=", plus: false },
    // Segments of paths, as Go's url.PathEscape writes them.
    Keeps { marks: b"-._~$&+:=@", plus: false },
];

fn percent(bytes: &[u8], keeps: &Keeps, case: Case) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() * 3);
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || keeps.marks.contains(&byte) {
            text.push(byte);
        } else if byte == b' ' && keeps.plus {
            text.push(b'+');
        } else {
            text.push(b'%');
            text.extend(case.digits(byte));
        }
    }
    text
}

/// The case of hexadecimal digits.
#[derive(Clone, Copy)]
enum Case {
    Upper,
    Lower,
}

impl Case {
    fn digits(self, byte: u8) -> [u8; 2] {
        let digits = match self {
            Self::Upper => b"0123456789ABCDEF",
            Self::Lower => b"0123456789abcdef",
        };
        [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]
    }
}

/// The characters of base64, in both alphabets, that depend on `bytes` alone, for each of the three places that `bytes`
/// can have in a group of three.
fn base64(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..3).flat_map(|before| {
        let padded = [&[0; 2][..before], bytes].concat();
        // Six bits a character: those that also hold bits of the bytes before or behind are cut off.
        let range = (before * 8).div_ceil(6)..padded.len() * 8 / 6;
        [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)]
            .map(|encoded| encoded.as_bytes()[range.clone()].to_vec())
    })
}
