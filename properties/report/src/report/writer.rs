//! A format that the report of a run is written in.

use std::error::Error;

use super::{Report, Unfinished};

/// One format: text for a finished run, and text for one that has no report. Writes no files.
pub trait Writer: Sync {
    /// Its short name, such as `json`.
    fn name(&self) -> &'static str;

    /// The name of its file, such as `report.json`.
    fn file_name(&self) -> &'static str;

    /// The report of a run.
    ///
    /// # Errors
    /// If it cannot be encoded.
    fn report(&self, report: &Report) -> Result<String, EncodeError>;

    /// Placeholder of a report until there is one. Must not look like success to whoever reads this format.
    ///
    /// # Errors
    /// If it cannot be encoded.
    fn unfinished(&self, run: &Unfinished) -> Result<String, EncodeError>;
}

/// A report that a format cannot express.
#[derive(Debug, thiserror::Error)]
#[error("failed to encode the report as {format}")]
pub struct EncodeError {
    /// Short name of the format.
    format: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl EncodeError {
    /// The error of a format, made of the error of its library.
    pub(super) fn of<E: Into<Box<dyn Error + Send + Sync>>>(format: &'static str) -> impl Fn(E) -> Self {
        move |source| Self { format, source: source.into() }
    }
}
