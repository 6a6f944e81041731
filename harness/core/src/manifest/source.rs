//! The text of a document, from which the places of its fields are told.

use std::sync::Arc;

use super::events;
use super::location::{Position, Positions};
use super::rendered::Template;

/// The text of a document, kept to tell where its fields are. They are looked for when somebody asks: most manifests have
/// nothing wrong with them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    pub(super) text: Arc<str>,
    /// The line and the column of the file that the text starts at.
    pub(super) start: Position,
    /// The JSON pointer of the object in the document: empty, unless it is one of a list.
    pub(super) root: String,
    /// The template that the text was rendered from, in which places are told; none if the text is that of a file.
    pub(super) template: Option<Template>,
}

impl Source {
    /// The positions of all fields of the document, which takes as long as reading it.
    pub(super) fn positions(&self) -> Positions {
        events::positions(&self.text, self.start)
    }

    /// The position of a field of the object that is written, by its JSON pointer.
    pub(super) fn exact(&self, pointer: &str) -> Option<Position> {
        let position = self.positions().exact(&format!("{}{pointer}", self.root))?;
        Some(self.written(position))
    }

    /// The position of a field of the object, by its JSON pointer, or of the nearest around it that is written.
    pub(super) fn nearest(&self, pointer: &str) -> Option<Position> {
        let position = self.positions().nearest(&format!("{}{pointer}", self.root))?;
        Some(self.written(position))
    }

    /// The position where what stands at a position of the text is written.
    fn written(&self, position: Position) -> Position {
        self.template.as_ref().map_or(position, |template| template.position(&self.text, self.start, position))
    }
}
