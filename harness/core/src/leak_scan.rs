//! Searching bytes for credential values, in every form in which values usually travel.
//!
//! The module `forms` derives from each value the patterns that betray it. The beginnings of all patterns make up one Aho-Corasick
//! automaton, and the rest of a pattern is compared where its beginning occurs: an automaton over whole patterns would
//! take several times the memory. Of a long value the [first bytes](LONGEST) are looked for, which bounds the memory and
//! finds the value in text that was cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aho_corasick::{AhoCorasick, BuildError};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use crate::credential::Credential;

mod forms;

pub use forms::{Form, LONGEST, Reason, SHORTEST, UNSEARCHABLE};
use forms::{distinct, patterns};

/// Bytes of a pattern that the automaton knows.
const BEGINNING: usize = 16;
/// Beginning of a signed token, whatever it says: base64 of `{"alg":`.
const TOKEN: &[u8] = b"eyJhbGciOi";
/// Layers of base64 that are taken off a text that is base64 as a whole.
const LAYERS: u8 = 2;

/// Why there is no scan.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum LeakScanError {
    /// The automaton has a limit of 2³¹ states.
    #[error("failed to build a search for {patterns} patterns")]
    TooMany {
        patterns: usize,
        #[source]
        source: BuildError,
    },
}

/// A search for credential values. `Debug` shows how many, and nothing of them.
pub struct LeakScan {
    beginnings: AhoCorasick,
    /// The patterns that begin so, for each pattern of the automaton.
    patterns: Vec<Vec<Pattern>>,
    labels: Vec<String>,
    unsearchable: Vec<Unsearchable>,
    /// Bytes of the longest pattern.
    longest: usize,
}

struct Pattern {
    bytes: Box<[u8]>,
    /// Index of the value's label among those of the scan.
    label: usize,
    form: Form,
}

/// A value that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak<'a> {
    /// The label of the value.
    pub label: &'a str,
    /// The form it was found in.
    pub form: Form,
}

impl fmt::Display for Leak<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.label, self.form)
    }
}

/// A value that is not looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unsearchable {
    /// The label of the value.
    pub label: String,
    /// The reason why finding it would prove nothing.
    pub reason: Reason,
}

impl fmt::Display for Unsearchable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.label, self.reason)
    }
}

/// Returns whether a scan looks for `value`.
pub fn is_searchable(value: &Credential) -> bool {
    distinct(value.expose()).is_ok()
}

impl LeakScan {
    /// Looks for `values`, each labelled with its length and fingerprint.
    ///
    /// # Errors
    /// When there are too many values.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a Credential>) -> Result<Self, LeakScanError> {
        Self::labelled(values.into_iter().map(|value| (value.to_string(), value)))
    }

    /// Looks for `values`, each under a label that may be shown.
    ///
    /// # Errors
    /// When there are too many values.
    pub fn labelled<'a>(values: impl IntoIterator<Item = (String, &'a Credential)>) -> Result<Self, LeakScanError> {
        let mut builder = Builder::default();
        builder.add_all(values);
        builder.build()
    }

    /// Looks for `values`, as [`new`](Self::new), and for signed bearer tokens, whatever they say.
    ///
    /// # Errors
    /// When there are too many values.
    pub fn with_bearer_tokens<'a>(values: impl IntoIterator<Item = &'a Credential>) -> Result<Self, LeakScanError> {
        let mut builder = Builder::default();
        builder.add_all(values.into_iter().map(|value| (value.to_string(), value)));
        let label = builder.label("a bearer token".to_owned());
        builder.add_pattern(TOKEN.to_vec(), label, Form::Plain);
        builder.build()
    }

    /// The number of values that are looked for, each once under each label; bearer tokens count as one.
    pub fn searchable(&self) -> usize {
        self.labels.len()
    }

    /// The values that are not looked for.
    pub fn unsearchable(&self) -> &[Unsearchable] {
        &self.unsearchable
    }

    /// The first value in `bytes`.
    pub fn find(&self, bytes: &[u8]) -> Option<Leak<'_>> {
        self.leaks(bytes).next()
    }

    /// All values in `bytes`; if `bytes` are base64 as a whole, also those in what they decode to, twice over.
    pub fn find_all(&self, bytes: &[u8]) -> BTreeSet<Leak<'_>> {
        let mut found = BTreeSet::new();
        self.add_bytes(bytes, LAYERS, &mut found);
        found
    }

    /// All values in any text of `value`, keys included, each text as in [`find_all`](Self::find_all).
    pub fn find_all_in_json(&self, value: &Value) -> BTreeSet<Leak<'_>> {
        let mut found = BTreeSet::new();
        self.add_json(value, &mut found);
        found
    }

    /// Begins to search a stream.
    pub fn search(&self) -> Search<'_> {
        Search { scan: self, carried: Vec::new(), found: BTreeSet::new() }
    }

    fn leaks<'a>(&'a self, bytes: &[u8]) -> impl Iterator<Item = Leak<'a>> {
        self.beginnings.find_overlapping_iter(bytes).flat_map(move |beginning| {
            let text = &bytes[beginning.start()..];
            let begun = self.patterns[beginning.pattern().as_usize()].iter();
            let whole = begun.filter(move |pattern| text.starts_with(&pattern.bytes));
            whole.map(|pattern| Leak { label: &self.labels[pattern.label], form: pattern.form })
        })
    }

    fn add_bytes<'a>(&'a self, bytes: &[u8], layers: u8, found: &mut BTreeSet<Leak<'a>>) {
        found.extend(self.leaks(bytes));
        let Some(layers) = layers.checked_sub(1) else { return };
        if let Some(decoded) = decoded(bytes) {
            self.add_bytes(&decoded, layers, found);
        }
    }

    fn add_json<'a>(&'a self, value: &Value, found: &mut BTreeSet<Leak<'a>>) {
        match value {
            Value::String(text) => self.add_bytes(text.as_bytes(), LAYERS, found),
            Value::Array(items) => items.iter().for_each(|item| self.add_json(item, found)),
            Value::Object(fields) => {
                for (key, field) in fields {
                    self.add_bytes(key.as_bytes(), LAYERS, found);
                    self.add_json(field, found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

impl fmt::Debug for LeakScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (searchable, unsearchable) = (self.labels.len(), self.unsearchable.len());
        f.debug_struct("LeakScan")
            .field("searchable", &searchable)
            .field("unsearchable", &unsearchable)
            .finish_non_exhaustive()
    }
}

/// Bytes that `text` decodes to if it is base64, of either alphabet, with or without padding.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    static STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    static URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// A search of a stream that arrives in pieces: what stands across two pieces is found as well.
pub struct Search<'a> {
    scan: &'a LeakScan,
    /// The end of what was searched, in which a pattern may have begun.
    carried: Vec<u8>,
    found: BTreeSet<Leak<'a>>,
}

impl<'a> Search<'a> {
    /// Searches the next piece of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.carried.extend_from_slice(bytes);
        self.found.extend(self.scan.leaks(&self.carried));
        let overlap = self.scan.longest.saturating_sub(1);
        self.carried.drain(..self.carried.len().saturating_sub(overlap));
    }

    /// Leaks in all pieces so far.
    pub fn found(&self) -> &BTreeSet<Leak<'a>> {
        &self.found
    }
}

#[derive(Default)]
struct Builder {
    by_beginning: BTreeMap<Vec<u8>, Vec<Pattern>>,
    labels: Vec<String>,
    unsearchable: BTreeSet<Unsearchable>,
    longest: usize,
}

impl Builder {
    fn add_all<'a>(&mut self, values: impl IntoIterator<Item = (String, &'a Credential)>) {
        let mut seen = BTreeSet::new();
        for (label, value) in values {
            match distinct(value.expose()) {
                Err(reason) => drop(self.unsearchable.insert(Unsearchable { label, reason })),
                Ok(distinct) if seen.insert((label.clone(), distinct)) => {
                    let label = self.label(label);
                    for (pattern, form) in patterns(distinct) {
                        self.add_pattern(pattern, label, form);
                    }
                }
                Ok(_) => {}
            }
        }
    }

    fn label(&mut self, label: String) -> usize {
        self.labels.push(label);
        self.labels.len() - 1
    }

    fn add_pattern(&mut self, pattern: Vec<u8>, label: usize, form: Form) {
        self.longest = self.longest.max(pattern.len());
        let beginning = pattern[..pattern.len().min(BEGINNING)].to_vec();
        let pattern = Pattern { bytes: pattern.into_boxed_slice(), label, form };
        self.by_beginning.entry(beginning).or_default().push(pattern);
    }

    fn build(self) -> Result<LeakScan, LeakScanError> {
        let (beginnings, patterns): (Vec<_>, Vec<_>) = self.by_beginning.into_iter().unzip();
        let beginnings = AhoCorasick::new(&beginnings)
            .map_err(|source| LeakScanError::TooMany { patterns: beginnings.len(), source })?;
        let unsearchable = self.unsearchable.into_iter().collect();
        Ok(LeakScan { beginnings, patterns, labels: self.labels, unsearchable, longest: self.longest })
    }
}

#[cfg(test)]
mod tests;
