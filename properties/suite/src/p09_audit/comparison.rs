//! Compares what happened in a case with what the log says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::evidence::audit::{AuditError, AuditLog};
use credence_core::id::{CaseId, agent};
use credence_core::leak_scan::UNSEARCHABLE;
use credence_core::text::Reason;
use credence_report::unknown::Cause;
use credence_report::verdict::{self, Outcome};
use credence_watch::observer::Observer;
use credence_watch::wait::{self, Progress};

use super::accounts::reader;
use super::search::{SearchError, Searched, search};
use super::story::{Story, Told};
use super::trail::Trail;
use crate::observation::{Observation, cause_of};

/// Time that after the answer an entry may be on its way to the file.
const WRITTEN: Duration = Duration::from_secs(5);
/// Time between two polls of the file: it cannot be watched.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Waits until the log tells the story, at most for as long as entries take, and then looks for values in it.
pub(super) async fn compare(
    id: CaseId,
    log: &AuditLog,
    begin: u64,
    story: Story,
    observation: &mut Observation,
    observer: &Observer,
) -> Result<Outcome, SearchError> {
    let story = Arc::new(story);
    let read = || {
        let (log, story) = (log.clone(), Arc::clone(&story));
        // Reading megabytes would hold up the other cases.
        async move { tokio::task::spawn_blocking(move || tell(id, &log, begin, &story)).await }
    };
    // An API server that stands still owes the log what it has answered.
    let told = wait::poll_cluster(observer, "the audit log complete", WRITTEN, POLL_INTERVAL, || async {
        match read().await {
            Ok(Ok(told)) => Progress::Done(Ok(told)),
            Ok(Err(NotTold::Incomplete(why))) => Progress::NotYet(why.into()),
            Ok(Err(NotTold::Unreadable(error))) => Progress::Done(Err(error)),
            Err(panic) => Progress::Never(panic.to_string()),
        }
    });
    let told = match told.await {
        Ok(told) => told?,
        // The last reading may have been cut off by the deadline; what is in the log after it decides.
        Err(wait::WaitError::TimedOut { .. }) => match read().await {
            Ok(Ok(told)) => told,
            Ok(Err(NotTold::Incomplete(why))) => return Ok(verdict::violated(why)),
            Ok(Err(NotTold::Unreadable(error))) => return Err(error.into()),
            Err(panic) => return Ok(verdict::unknown(Cause::Panicked, panic.to_string())),
        },
        Err(error) => return Ok(verdict::unknown(cause_of(&error), error.to_string())),
    };
    for (kind, count) in told {
        *observation.operations.entry(kind.to_owned()).or_default() += count;
    }
    let log = log.clone();
    let searched = tokio::task::spawn_blocking(move || search(&log, begin, &story.values)).await;
    let Searched { searchable, unsearchable, found } = match searched {
        Ok(searched) => searched?,
        Err(panic) => return Ok(verdict::unknown(Cause::Panicked, panic.to_string())),
    };
    observation.add_context("value searched for", searchable);
    if unsearchable > 0 {
        observation.add_context(UNSEARCHABLE, unsearchable);
    }
    Ok(match found {
        None => Outcome::Held,
        Some(what) => verdict::violated(format!("the audit log holds {what}")),
    })
}

/// The log does not tell the story of a case.
enum NotTold {
    /// Something is missing, or is there without having happened.
    Incomplete(Reason),
    /// It cannot be read.
    Unreadable(AuditError),
}

impl From<Reason> for NotTold {
    fn from(why: Reason) -> Self {
        Self::Incomplete(why)
    }
}

impl From<AuditError> for NotTold {
    fn from(error: AuditError) -> Self {
        Self::Unreadable(error)
    }
}

/// Compares the log so far with the story.
fn tell(id: CaseId, log: &AuditLog, begin: u64, story: &Story) -> Result<Told, NotTold> {
    let agent = agent(id);
    let readers: BTreeSet<String> =
        story.distributions.iter().flat_map(|distribution| &distribution.stores).filter_map(reader).collect();
    let wanted = |line: &str| {
        line.contains(&agent)
            || line.contains(&story.namespace)
            || line.contains("\"subresource\":\"token\"")
            || readers.iter().any(|reader| line.contains(reader.as_str()))
    };
    let (entries, _) = log.read(begin, wanted)?;
    let trail = Trail::new(entries);
    trail.tells_exactly(&agent, &story.facts)?;
    Ok(story.explained_by(&trail, &agent)?)
}
