//! Plain scalars that this reader takes for text and kubectl does not: kubectl, kustomize, Flux and Argo CD read YAML 1.1,
//! where a bare `yes` is a boolean and `012` the number ten.
//!
//! Source: the table of `go-yaml` v2 that sigs.k8s.io/yaml carries (`goyaml.v2/resolve.go`).

use std::fmt;

use granit_parser::{Event, Parser, ScalarStyle};

/// Words that are booleans in YAML 1.1 and text in YAML 1.2, in lower case.
const BOOLEANS: [&str; 6] = ["y", "yes", "n", "no", "on", "off"];

/// Fields whose values are texts, each under a key of the user's own.
const MAPS_OF_TEXTS: [&str; 6] = ["labels", "annotations", "matchLabels", "nodeSelector", "data", "stringData"];

/// Fields that are lists of texts.
const LISTS_OF_TEXTS: [&str; 3] = ["values", "namespaces", "namespaceRegexes"];

/// A scalar that is due to be text and is something else to kubectl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotText {
    /// The 1-based line in the file.
    pub line: usize,
    /// The 1-based column.
    pub column: usize,
    /// The fields that lead to it, joined by dots.
    pub path: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Boolean(String),
    // The digits are not shown: they may be a password.
    Octal,
}

impl fmt::Display for NotText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, path, kind } = self;
        match kind {
            Kind::Boolean(word) => write!(f, "line {line}, column {column}: {word} of {path} is a boolean"),
            Kind::Octal => write!(f, "line {line}, column {column}: the digits of {path} are an octal number"),
        }
    }
}

/// A collection that is being read.
enum Frame {
    /// The key whose value comes next; none when a key comes next.
    Mapping(Option<String>),
    Sequence,
}

/// The scalars of a file that are due to be text and are none to kubectl, in order. A file that is no YAML has none.
pub(super) fn not_text(text: &str) -> Vec<NotText> {
    let (mut frames, mut found): (Vec<Frame>, Vec<NotText>) = (Vec::new(), Vec::new());
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { break };
        match event {
            Event::MappingStart(..) => frames.push(Frame::Mapping(None)),
            Event::SequenceStart(..) => frames.push(Frame::Sequence),
            Event::MappingEnd | Event::SequenceEnd => {
                frames.pop();
                end_of_value(&mut frames);
            }
            Event::Alias(..) => end_of_value(&mut frames),
            Event::Scalar(value, style, _, tag) => {
                if let Some(Frame::Mapping(key @ None)) = frames.last_mut() {
                    *key = Some(value.into_owned());
                    continue;
                }
                if style == ScalarStyle::Plain
                    && tag.is_none()
                    && is_due_to_be_text(&frames)
                    && let Some(kind) = kind(&value)
                {
                    let (line, column) = (span.start.line(), span.start.col() + 1);
                    found.push(NotText { line, column, path: path(&frames), kind });
                }
                end_of_value(&mut frames);
            }
            _ => {}
        }
    }
    found
}

/// A value has ended, so that a key comes next where it was one of a mapping.
fn end_of_value(frames: &mut [Frame]) {
    if let Some(Frame::Mapping(key)) = frames.last_mut() {
        *key = None;
    }
}

/// The keys that lead to the value that comes next.
fn keys(frames: &[Frame]) -> Vec<&str> {
    let keys = frames.iter().filter_map(|frame| match frame {
        Frame::Mapping(key) => key.as_deref(),
        Frame::Sequence => None,
    });
    keys.collect()
}

fn path(frames: &[Frame]) -> String {
    keys(frames).join(".")
}

fn is_due_to_be_text(frames: &[Frame]) -> bool {
    match (frames.last(), keys(frames).as_slice()) {
        (Some(Frame::Mapping(_)), [.., field, _]) => MAPS_OF_TEXTS.contains(field),
        (Some(Frame::Sequence), [.., field]) => LISTS_OF_TEXTS.contains(field),
        _ => false,
    }
}

fn kind(value: &str) -> Option<Kind> {
    // go-yaml knows `yes`, `Yes` and `YES`, and no other mixture.
    let (lower, upper) = (value.to_ascii_lowercase(), value.to_ascii_uppercase());
    let is_title = value.starts_with(|c: char| c.is_ascii_uppercase()) && value[1..] == lower[1..];
    if BOOLEANS.contains(&lower.as_str()) && (value == lower || value == upper || is_title) {
        return Some(Kind::Boolean(value.to_owned()));
    }
    let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
    let is_octal =
        digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|digit| (b'0'..b'8').contains(&digit));
    is_octal.then_some(Kind::Octal)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::label("metadata: {labels: {a: yes}}", &[(1, "metadata.labels.a")])]
    #[case::quoted("metadata: {labels: {a: 'yes', b: \"no\"}}", &[])]
    #[case::tagged("metadata: {labels: {a: !!str yes}}", &[])]
    #[case::a_boolean_field("spec: {target: {immutable: yes}}", &[])]
    #[case::selector(
        "spec:\n  namespaceSelectors:\n    - matchLabels:\n        wants: On\n      matchExpressions:\n        - key: k\n          \
         operator: In\n          values: [a, off, no]\n",
        &[
            (4, "spec.namespaceSelectors.matchLabels.wants"),
            (8, "spec.namespaceSelectors.matchExpressions.values"),
            (8, "spec.namespaceSelectors.matchExpressions.values"),
        ]
    )]
    #[case::octal("stringData:\n  pin: 0123\n  other: 0189\n  zero: 0\n", &[(2, "stringData.pin")])]
    #[case::no_word_of_go_yaml("metadata: {labels: {a: yEs, b: yess}}", &[])]
    #[case::behind_an_alias("a: &x {labels: {b: c}}\nb: *x\nmetadata: {annotations: {d: n}}", &[(3, "metadata.annotations.d")])]
    #[case::second_document("a: b\n---\nmetadata: {labels: {a: NO}}", &[(3, "metadata.labels.a")])]
    fn texts_that_kubectl_takes_for_something_else_are_found(#[case] text: &str, #[case] expected: &[(usize, &str)]) {
        let found = not_text(text);
        let found: Vec<(usize, &str)> = found.iter().map(|found| (found.line, found.path.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn digits_that_may_be_a_password_are_not_shown() {
        let found = not_text("stringData: {pin: 0123}");
        assert_eq!(found[0].to_string(), "line 1, column 19: the digits of stringData.pin are an octal number");
    }
}
