//! Values and shapes that every part of credence speaks of. No input, no output, no clock.
//!
//! ```text
//!  manifest      objects as files hold them      credential    values, redacted from the moment they exist
//!  labels        labels of objects               id            names of properties, cases and requirements
//!  consumer      who uses a copy                 formats       how each consumer reads a copy
//!  uses          who tries it, or why nobody     scope         what it is good for
//!  endpoints     where it is used, by manifests  owner         whose that is
//!  kargo_lookup  which copy Kargo takes          look_alike    whose that is not
//!  leak_scan     a search for values             adjustments   changes to a configuration
//!  text          text of errors                  file_error    an act on a file that failed
//!  glob          patterns of file names          operator_api  groups and versions of the operator
//! ```

pub mod adjustments;
pub mod consumer;
pub mod credential;
pub mod endpoints;
pub mod file_error;
pub mod formats;
pub mod glob;
pub mod id;
pub mod kargo_lookup;
pub mod labels;
pub mod leak_scan;
mod look_alike;
pub mod manifest;
pub mod operator_api;
pub mod owner;
pub mod scope;
pub mod text;
pub mod uses;
