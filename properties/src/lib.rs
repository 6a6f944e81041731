//! The command `credence`, and what it shows to a person.
//!
//! ```text
//!  cli ──▶ credence_suite::run ──▶ console
//!  flags    the run itself         its events, and the summary
//! ```

pub mod cli;
pub mod console;
