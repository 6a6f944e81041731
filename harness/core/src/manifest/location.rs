//! Places in files: of an object, and of each field that it is written with.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file; for rendered manifests, the directory that was rendered.
    pub file: PathBuf,
    /// The 1-based line; for rendered manifests, in what was rendered.
    pub line: usize,
    /// The 1-based column, in characters.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// Line and column in a file, both 1-based.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Positions of the fields and items of a document, each by its JSON pointer (RFC 6901).
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Positions(BTreeMap<String, Position>);

impl Positions {
    pub(super) fn keep(&mut self, pointer: String, position: Position) {
        self.0.entry(pointer).or_insert(position);
    }

    /// The position of a field or item that is written.
    pub(super) fn exact(&self, pointer: &str) -> Option<Position> {
        self.0.get(pointer).copied()
    }

    /// The position of a field or item; of the nearest around it if it is not written itself.
    pub(super) fn nearest(&self, pointer: &str) -> Option<Position> {
        let mut pointer = pointer;
        loop {
            match (self.0.get(pointer), pointer.rsplit_once('/')) {
                (Some(position), _) => return Some(*position),
                (None, Some((around, _))) => pointer = around,
                (None, None) => return None,
            }
        }
    }
}

/// A step of a JSON pointer.
pub(super) fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}
