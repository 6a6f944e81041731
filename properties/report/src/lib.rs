//! Verdicts, and the report in each of its forms.
//!
//! ```text
//!  verdict ──▶ report ──▶ Writer: JSON, JUnit, HTML
//! ```
//!
//! A case that cannot tell is unknown, and unknown is never green.

pub mod report;
pub mod verdict;
