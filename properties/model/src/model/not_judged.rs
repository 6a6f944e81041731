//! Parts that are not understood of a configuration, and so neither held nor violated.

use std::collections::BTreeSet;
use std::fmt;

use crate::config::SourcePosition;

/// A field that keeps something from being judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotJudged {
    /// The object, and where it is written.
    pub place: SourcePosition,
    /// The name of the ClusterExternalSecret or ExternalSecret whose copies it is about; none if it is about a store.
    pub distribution: Option<String>,
    /// The field of the object.
    pub field: String,
    /// The keys of the copies that it is about, if it is about some alone.
    pub keys: BTreeSet<String>,
    /// Why the field keeps it from being judged, for a person.
    pub reason: String,
    /// True if the controller refuses it, so that no copy is made.
    pub is_refused: bool,
}

impl fmt::Display for NotJudged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, field, keys, reason, .. } = self;
        write!(f, "{place}: {field}: {reason}")?;
        if keys.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", keys.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    }
}
