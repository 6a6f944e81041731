//! Searching the audit log for values.

use credence_cluster::evidence::audit::{AuditError, AuditLog};
use credence_core::credential::Credential;
use credence_core::leak_scan::{LeakScan, LeakScanError};

/// Outcome of a search of the log.
pub(super) struct Searched {
    /// Values that were looked for.
    pub(super) searchable: u64,
    /// Values that could not be.
    pub(super) unsearchable: u64,
    /// A value or a token that the log holds, and where.
    pub(super) found: Option<String>,
}

/// Searches what the log has behind `begin` for values and bearer tokens.
///
/// # Errors
/// When the log cannot be read, or there are too many values.
pub(super) fn search(log: &AuditLog, begin: u64, values: &[Credential]) -> Result<Searched, SearchError> {
    let scan = LeakScan::with_bearer_tokens(values)?;
    let mut found = None;
    log.lines(begin, |position, line| {
        if found.is_none() {
            found = scan.find(line.as_bytes()).map(|leak| format!("{leak}, in the entry at byte {position}"));
        }
        Ok(())
    })?;
    let (searchable, unsearchable) = (scan.searchable() as u64, scan.unsearchable().len() as u64);
    Ok(Searched { searchable, unsearchable, found })
}

/// Why nothing can be said about the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum SearchError {
    /// The log could not be read.
    #[error("failed to search the audit log")]
    Log(#[from] AuditError),
    /// There are too many values.
    #[error("failed to prepare the search of the audit log")]
    Scan(#[from] LeakScanError),
}
