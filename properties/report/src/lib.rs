//! Verdicts, and the report in each of its forms.
//!
//! ```text
//!  verdict ──▶ claim: what a property proves of a requirement
//!     │        copy:  what it has to do with each copy of the configuration
//!     │        route: how somebody could come by a value, and what came of trying
//!     │        unknown: why a case could not tell, and what to do next
//!     │        share: how often a documented bug may be met
//!     └──────▶ report ──▶ Writer: JSON, JUnit, HTML
//! ```
//!
//! A case that cannot tell is unknown, and unknown is never green.

pub mod claim;
pub mod copy;
pub mod report;
pub mod route;
pub mod share;
pub mod unknown;
pub mod verdict;
