//! The events of a document of YAML, or of JSON, which is YAML too: for what the values alone do not tell.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::Value;

use super::location::{Position, Positions, escape};
use super::yaml_1_1::{self, NotText, Scalar};

/// Facts that a document's events tell beside its values.
#[derive(Default)]
pub(super) struct Reading {
    /// Scalars that are due to be text and are none to kubectl, in order.
    pub(super) not_text: Vec<NotText>,
    /// Scalars that are booleans and numbers to kubectl and text to the reader of the values, by JSON pointer.
    pub(super) read_otherwise: Vec<(String, Value)>,
    /// The first key that its mapping has already.
    pub(super) repeated: Option<Repeated>,
    /// The first key that is a collection: what `{{ .value }}` is without quotes.
    pub(super) collection_as_key: Option<Position>,
}

/// A key that its mapping has twice.
pub(super) struct Repeated {
    /// The fields that lead to it, joined by dots.
    pub(super) path: String,
    pub(super) first: Position,
    pub(super) second: Position,
}

/// A collection that is being read.
enum Frame {
    /// The keys so far, and the one whose value comes next; none when a key comes next.
    Mapping { keys: BTreeMap<String, Position>, key: Option<String> },
    /// The number of items so far.
    Sequence(usize),
}

/// Reads the events of a text that starts somewhere in its file. A text that is no YAML is read up to its fault.
pub(super) fn read(text: &str, start: Position) -> Reading {
    let mut reader = Reader { start, frames: Vec::new(), reading: Reading::default(), positions: None };
    reader.read(text);
    reader.reading
}

/// The position of each field and item.
pub(super) fn positions(text: &str, start: Position) -> Positions {
    let positions = Some(Positions::default());
    let mut reader = Reader { start, frames: Vec::new(), reading: Reading::default(), positions };
    reader.read(text);
    reader.positions.unwrap_or_default()
}

struct Reader {
    start: Position,
    frames: Vec<Frame>,
    reading: Reading,
    positions: Option<Positions>,
}

impl Reader {
    fn read(&mut self, text: &str) {
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { return };
            let at = self.in_file(span.start.line(), span.start.col());
            match event {
                Event::MappingStart(..) | Event::SequenceStart(..) if self.is_key_due() => {
                    self.reading.collection_as_key = Some(at);
                    return;
                }
                Event::MappingStart(..) => {
                    self.begin_value(at);
                    self.frames.push(Frame::Mapping { keys: BTreeMap::new(), key: None });
                }
                Event::SequenceStart(..) => {
                    self.begin_value(at);
                    self.frames.push(Frame::Sequence(0));
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    self.frames.pop();
                    self.end_value();
                }
                Event::Alias(..) => {
                    self.begin_value(at);
                    self.end_value();
                }
                Event::Scalar(value, ..) if self.is_key_due() => self.key(value.into_owned(), at),
                Event::Scalar(value, style, _, tag) => {
                    self.begin_value(at);
                    if style == ScalarStyle::Plain && tag.is_none() {
                        self.plain(&value, at);
                    }
                    self.end_value();
                }
                _ => {}
            }
        }
    }

    fn in_file(&self, line: usize, column: usize) -> Position {
        // The parser counts lines from 1, and columns from 0.
        let column = if line == 1 { self.start.column + column } else { column + 1 };
        Position { line: self.start.line + line - 1, column }
    }

    fn is_key_due(&self) -> bool {
        matches!(self.frames.last(), Some(Frame::Mapping { key: None, .. }))
    }

    fn plain(&mut self, value: &str, at: Position) {
        let is_in_sequence = matches!(self.frames.last(), Some(Frame::Sequence(_)));
        match yaml_1_1::read(value, &self.keys(), is_in_sequence, at) {
            Some(Scalar::Fault(fault)) => self.reading.not_text.push(fault),
            Some(Scalar::Value(value)) => self.reading.read_otherwise.push((self.pointer(), value)),
            None => {}
        }
    }

    fn key(&mut self, name: String, at: Position) {
        let Some(Frame::Mapping { keys, key }) = self.frames.last_mut() else { return };
        let first = keys.insert(name.clone(), at);
        *key = Some(name);
        if let Some(first) = first.filter(|_| self.reading.repeated.is_none()) {
            self.reading.repeated = Some(Repeated { path: self.keys().join("."), first, second: at });
        }
        // A field is where its name is.
        self.keep(at);
    }

    /// An item of a sequence, or the document itself, is where its value is.
    fn begin_value(&mut self, at: Position) {
        if !matches!(self.frames.last(), Some(Frame::Mapping { .. })) {
            self.keep(at);
        }
    }

    fn end_value(&mut self) {
        match self.frames.last_mut() {
            Some(Frame::Mapping { key, .. }) => *key = None,
            Some(Frame::Sequence(items)) => *items += 1,
            None => {}
        }
    }

    fn keep(&mut self, at: Position) {
        if self.positions.is_some() {
            let pointer = self.pointer();
            self.positions.iter_mut().for_each(|positions| positions.keep(pointer.clone(), at));
        }
    }

    /// The JSON pointer of the value that comes next.
    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for frame in &self.frames {
            pointer.push('/');
            match frame {
                Frame::Mapping { key, .. } => pointer.push_str(&key.as_deref().map(escape).unwrap_or_default()),
                Frame::Sequence(items) => pointer.push_str(&items.to_string()),
            }
        }
        pointer
    }

    /// The keys that lead to the value that comes next.
    fn keys(&self) -> Vec<&str> {
        let keys = self.frames.iter().filter_map(|frame| match frame {
            Frame::Mapping { key, .. } => key.as_deref(),
            Frame::Sequence(_) => None,
        });
        keys.collect()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const START: Position = Position { line: 1, column: 1 };

    #[rstest]
    #[case::field("/spec/target", 3, 3)]
    #[case::field_of_an_item("/spec/data/1/key", 7, 7)]
    #[case::item("/spec/data/1", 7, 7)]
    #[case::in_flow_style("/spec/target/name", 3, 12)]
    #[case::key_with_a_slash("/metadata/labels/a.b~1c", 1, 21)]
    #[case::not_written("/spec/target/template/data", 3, 3)]
    #[case::of_the_document("/status", 1, 1)]
    fn each_field_is_where_its_name_is(#[case] pointer: &str, #[case] line: usize, #[case] column: usize) {
        let text = "metadata: {labels: {\"a.b/c\": d}}\nspec:\n  target: {name: a}\n  data:\n    # First.\n    - key: b\n    \
                    - key: c\n";
        assert_eq!(positions(text, START).nearest(pointer), Some(Position { line, column }));
    }

    #[test]
    fn positions_are_those_of_the_file() {
        let found = positions(" {a: 1,\nb: 2}", Position { line: 10, column: 4 });
        assert_eq!(found.nearest("/a"), Some(Position { line: 10, column: 6 }));
        assert_eq!(found.nearest("/b"), Some(Position { line: 11, column: 1 }));
    }

    #[test]
    fn json_has_positions_too() {
        let found = positions("{\n\t\"a\": [1,\n\t\t{\"b\": \"\\/\"}]\n}", START);
        assert_eq!(found.nearest("/a/1/b"), Some(Position { line: 3, column: 4 }));
    }

    #[test]
    fn a_repeated_key_is_found_with_both_places() {
        let repeated = read("a: {x: 1}\nb:\n  x: 1\n  y: {z: 1}\n  x: 2\n", START).repeated.unwrap();
        assert_eq!(repeated.path, "b.x");
        assert_eq!((repeated.first.line, repeated.second.line), (3, 5));
    }

    #[test]
    fn braces_without_quotes_are_a_collection_as_a_key() {
        let at = read("a: b\nname: {{ .value }}\n", START).collection_as_key;
        assert_eq!(at, Some(Position { line: 2, column: 8 }));
    }
}
