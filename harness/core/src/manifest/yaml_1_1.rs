//! Plain scalars that this reader takes for text and kubectl does not: kubectl, kustomize, Flux and Argo CD read YAML 1.1,
//! where a bare `yes` is a boolean and `012` the number ten.
//!
//! Source: the table of `go-yaml` v2 that sigs.k8s.io/yaml carries (`goyaml.v2/resolve.go`).

use std::fmt;

use serde_json::Value;

use super::location::Position;

/// Words that are booleans in YAML 1.1 and text in YAML 1.2, in lower case.
const BOOLEANS: [&str; 6] = ["y", "yes", "n", "no", "on", "off"];

/// Fields whose values are texts, each under a key of the user's own.
const MAPS_OF_TEXTS: [&str; 6] = ["labels", "annotations", "matchLabels", "nodeSelector", "data", "stringData"];

/// Fields that are texts in every object.
const TEXTS: [&str; 4] = ["apiVersion", "kind", "name", "namespace"];

/// Fields that are lists of texts.
const LISTS_OF_TEXTS: [&str; 3] = ["values", "namespaces", "namespaceRegexes"];

/// A scalar that is due to be text and is something else to kubectl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotText {
    /// The 1-based line in the file.
    pub line: usize,
    /// The 1-based column, in characters.
    pub column: usize,
    /// The fields that lead to it, joined by dots.
    pub path: String,
    kind: Misreading,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Misreading {
    Boolean(String),
    // The digits are not shown: they may be a password.
    Octal,
}

impl fmt::Display for NotText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, path, kind } = self;
        match kind {
            Misreading::Boolean(word) => write!(f, "line {line}, column {column}: {word} of {path} is a boolean"),
            Misreading::Octal => write!(f, "line {line}, column {column}: the digits of {path} are an octal number"),
        }
    }
}

/// A plain scalar that this reader takes for text, as kubectl reads it.
#[derive(Debug, PartialEq)]
pub(super) enum Scalar {
    /// Text is due, and it is none.
    Fault(NotText),
    /// Anything may be due, and it is a boolean or a number.
    Value(Value),
}

/// Value that kubectl makes of a plain scalar to which these keys lead; none if it is text to both.
pub(super) fn read(value: &str, keys: &[&str], is_in_sequence: bool, at: Position) -> Option<Scalar> {
    let kind = kind(value)?;
    let is_due_to_be_text = match (is_in_sequence, keys) {
        (false, [.., name]) if TEXTS.contains(name) => true,
        (false, [.., field, _]) => MAPS_OF_TEXTS.contains(field),
        (true, [.., field]) => LISTS_OF_TEXTS.contains(field),
        _ => false,
    };
    if is_due_to_be_text {
        return Some(Scalar::Fault(NotText { line: at.line, column: at.column, path: keys.join("."), kind }));
    }
    match kind {
        Misreading::Boolean(word) => {
            Some(Scalar::Value(["y", "yes", "on"].contains(&word.to_ascii_lowercase().as_str()).into()))
        }
        Misreading::Octal => i64::from_str_radix(value, 8).ok().map(|number| Scalar::Value(number.into())),
    }
}

fn kind(value: &str) -> Option<Misreading> {
    // go-yaml knows `yes`, `Yes` and `YES`, and no other mixture.
    let (lower, upper) = (value.to_ascii_lowercase(), value.to_ascii_uppercase());
    let is_title = value.starts_with(|c: char| c.is_ascii_uppercase()) && value[1..] == lower[1..];
    if BOOLEANS.contains(&lower.as_str()) && (value == lower || value == upper || is_title) {
        return Some(Misreading::Boolean(value.to_owned()));
    }
    let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
    let is_octal =
        digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|digit| (b'0'..b'8').contains(&digit));
    is_octal.then_some(Misreading::Octal)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::manifest::events;

    /// The faults of a file of one document.
    fn not_text(text: &str) -> Vec<NotText> {
        events::read(text, Position { line: 1, column: 1 }).not_text
    }

    #[rstest]
    #[case::label("metadata: {labels: {a: yes}}", &[(1, "metadata.labels.a")])]
    #[case::name("metadata: {name: y, namespace: No}", &[(1, "metadata.name"), (1, "metadata.namespace")])]
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
    fn texts_that_kubectl_takes_for_something_else_are_found(#[case] text: &str, #[case] expected: &[(usize, &str)]) {
        let found = not_text(text);
        let found: Vec<(usize, &str)> = found.iter().map(|found| (found.line, found.path.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case::boolean("spec: {target: {immutable: yes}}", "/spec/target/immutable", true.into())]
    #[case::no("a: [Off]", "/a/0", false.into())]
    #[case::octal("mode: 0644", "/mode", 420.into())]
    fn where_anything_may_stand_it_is_what_kubectl_takes_it_for(
        #[case] text: &str,
        #[case] pointer: &str,
        #[case] value: Value,
    ) {
        let read = events::read(text, Position { line: 1, column: 1 }).read_otherwise;
        assert_eq!(read, [(pointer.to_owned(), value)]);
    }

    #[test]
    fn digits_that_may_be_a_password_are_not_shown() {
        let found = not_text("stringData: {pin: 0123}");
        assert_eq!(found[0].to_string(), "line 1, column 19: the digits of stringData.pin are an octal number");
    }
}
