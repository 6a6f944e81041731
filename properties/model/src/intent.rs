//! The team's intent: what manifests cannot say of themselves, in `credence.yaml` beside them.
//!
//! ```text
//!  file ──▶ schema ──▶ document ──▶ check ──▶ Intent ──▶ resolve ──▶ Intended, which a model goes by
//!           fields     typed        by itself            with the manifests
//!  init: a first one from what the manifests say
//! ```
//!
//! Pure. Errors name the place, the reason and the next step, and show no value of the file.

use std::path::Path;

use credence_core::manifest::{Location, Manifest, parse_fields};
use serde::Deserialize as _;

mod check;
mod document;
mod error;
mod init;
mod resolve;
mod schema;
#[cfg(test)]
mod tests;
mod vault;

pub use error::{IntentError, IntentFault};
pub use init::first;
pub use schema::SCHEMA;

use document::Document;

/// An intent that does not contradict itself.
#[derive(Clone)]
pub struct Intent {
    document: Document,
    /// Manifest that says where each field is written.
    manifest: Manifest,
}

impl Intent {
    /// Reads an intent.
    ///
    /// # Errors
    /// A text that is no YAML, unknown fields and those of another shape, and parts that contradict each other.
    pub fn parse(file: &Path, text: &str) -> Result<Self, IntentError> {
        let mut documents = parse_fields(file, text)?;
        let (Some(manifest), true) = (documents.pop(), documents.is_empty()) else {
            let line = documents.first().map_or(1, |first| first.line);
            let at = Location { file: file.to_owned(), line, column: 1 };
            return Err(IntentError::NotOne { at: Box::new(at) });
        };
        let faults = schema::faults(&manifest);
        if !faults.is_empty() {
            return Err(IntentError::Refused(faults));
        }
        // The schema takes nothing else, but the two are held equal by a test alone.
        let document = Document::deserialize(&manifest.object).map_err(|_| {
            let message = "a field has another form than the schema says; see `credence init --schema`".to_owned();
            IntentError::Refused(vec![IntentFault { at: manifest.location(""), message }])
        })?;
        let intent = Self { document, manifest };
        let mut faults = check::contradictions(&intent);
        faults.extend(vault::contradictions(&intent));
        if faults.is_empty() { Ok(intent) } else { Err(IntentError::Refused(faults)) }
    }

    /// The place of a field, by its JSON pointer.
    fn at(&self, pointer: &str) -> Location {
        self.manifest.location(pointer)
    }

    fn fault(&self, pointer: &str, message: impl Into<String>) -> IntentFault {
        IntentFault { at: self.at(pointer), message: message.into() }
    }
}
