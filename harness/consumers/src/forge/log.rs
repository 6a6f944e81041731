//! The request log: what came to the forge, what it offered, and whom the server took it for.
//!
//! The façade begins an entry when a request arrives. Gitea's access log completes it: status and user are what Gitea
//! says of the same request, joined by an id that the façade sends along.
//!
//! A complete entry that nobody can ask for any more, because no mark before it is held, goes to a file. So memory follows
//! what is going on, and not the run.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use credence_watch::wait::WaitError;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::evidence::Evidence;

use super::request::{Caller, Request};

#[cfg(test)]
mod tests;

/// Time that a reader waits for the entries of requests that have begun. Gitea writes its line milliseconds after the
/// answer; a request that is still running after this time is shown as it is.
const COMPLETE: Duration = Duration::from_secs(5);

/// A place in the log: what comes after it began later, and stays in memory while the mark is held.
pub struct Mark {
    log: Arc<RequestLog>,
    number: usize,
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mark").field(&self.number).finish()
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let mut state = self.log.state();
        if let Some(held) = state.held.get_mut(&self.number) {
            *held -= 1;
            if *held == 0 {
                state.held.remove(&self.number);
                state.retire();
            }
        }
    }
}

/// The log of one forge.
pub(super) struct RequestLog {
    /// Makes the ids of this log unguessable, so that no other process on the machine can write into it.
    nonce: String,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

struct State {
    /// Number of requests that have begun.
    begun: usize,
    /// Those that somebody may ask for, or of which something is still to come, by their number.
    entries: BTreeMap<usize, Entry>,
    /// Entries without a line of the access log yet, by request id.
    unlined: HashMap<String, usize>,
    /// Number of marks that are held, by the number that comes after them.
    held: BTreeMap<usize, usize>,
    evidence: Evidence,
}

impl State {
    /// Changes an entry, unless it is in the file by now.
    fn change(&mut self, number: usize, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(&number) {
            change(entry);
        }
        self.retire();
    }

    /// Sends to the file what is complete and nobody can ask for.
    fn retire(&mut self) {
        let needed = self.held.first_key_value().map_or(self.begun, |(number, _)| *number);
        for (number, entry) in self.entries.extract_if(..needed, |_, entry| entry.is_complete()) {
            self.evidence.add(number, &entry.request);
        }
    }
}

struct Entry {
    request: Request,
    /// The façade itself finds out who the caller is, because the access log cannot tell.
    registry: bool,
    /// The façade has nothing to add any more.
    answered: bool,
    /// The access log has nothing to add any more.
    lined: bool,
}

impl Entry {
    fn is_complete(&self) -> bool {
        self.answered && self.lined
    }
}

impl RequestLog {
    pub(super) fn new(nonce: String, evidence: Evidence) -> Arc<Self> {
        let (entries, unlined, held) = (BTreeMap::new(), HashMap::new(), BTreeMap::new());
        let state = Mutex::new(State { begun: 0, entries, unlined, held, evidence });
        Arc::new(Self { nonce, state, changed: watch::Sender::new(()) })
    }

    /// Begins an entry. In a `registry` request the access log never names a user.
    pub(super) fn begin(self: &Arc<Self>, request: Request, registry: bool) -> Pending {
        let mut state = self.state();
        let number = state.begun;
        state.begun += 1;
        let id = format!("{}-{number}", self.nonce);
        state.unlined.insert(id.clone(), number);
        state.entries.insert(number, Entry { request, registry, answered: false, lined: false });
        Pending { log: Arc::clone(self), number, id }
    }

    /// Adds a request of which nothing is still to come.
    pub(super) fn add(&self, request: Request) {
        let mut state = self.state();
        let number = state.begun;
        state.begun += 1;
        state.entries.insert(number, Entry { request, registry: false, answered: true, lined: true });
        state.retire();
        drop(state);
        self.changed.send_replace(());
    }

    /// Takes a line of the access log, see [`super::access::TEMPLATE`]. Lines of requests that did not come through
    /// the façade are not of interest.
    pub(super) fn line(&self, line: &str) {
        let mut words = line.split(' ');
        let (Some(id), Some(status), Some(user)) = (words.next(), words.next(), words.next()) else { return };
        let mut state = self.state();
        let Some(number) = state.unlined.remove(id) else { return };
        state.change(number, |entry| {
            entry.request.status = status.parse().ok();
            if !entry.registry {
                entry.request.caller = match user {
                    "-" => Caller::Anonymous,
                    name => Caller::User(name.to_owned()),
                };
            }
            entry.lined = true;
        });
        drop(state);
        self.changed.send_replace(());
    }

    /// No line will come any more: what is not complete stays as it is.
    pub(super) fn end(&self) {
        let mut state = self.state();
        let numbers: Vec<usize> = state.unlined.drain().map(|(_, number)| number).collect();
        for number in numbers {
            state.change(number, |entry| entry.lined = true);
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// The end of the log.
    pub(super) fn mark(self: &Arc<Self>) -> Mark {
        let mut state = self.state();
        let number = state.begun;
        *state.held.entry(number).or_default() += 1;
        Mark { log: Arc::clone(self), number }
    }

    /// The requests after `mark` that had begun when this was called, in the order in which they began.
    pub(super) async fn since(&self, mark: &Mark) -> Vec<Request> {
        let end = self.state().begun;
        self.until_complete(mark.number..end).await;
        self.state().entries.range(mark.number..end).map(|(_, entry)| entry.request.clone()).collect()
    }

    /// Sends everything to the file, also what is not complete, and gives its path.
    pub(super) async fn evidence(&self) -> Result<PathBuf, (PathBuf, io::Error)> {
        let end = self.state().begun;
        self.until_complete(0..end).await;
        self.write_all()
    }

    fn write_all(&self) -> Result<PathBuf, (PathBuf, io::Error)> {
        let mut state = self.state();
        let State { entries, evidence, .. } = &mut *state;
        while let Some((number, entry)) = entries.pop_first() {
            evidence.add(number, &entry.request);
        }
        let path = evidence.path().to_owned();
        evidence.finish().map(|()| path.clone()).map_err(|error| (path, error))
    }

    /// Waits until nothing of these requests is still to come, or can be expected to.
    async fn until_complete(&self, numbers: Range<usize>) {
        let deadline = Instant::now() + COMPLETE;
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if self.state().entries.range(numbers.clone()).all(|(_, entry)| entry.is_complete()) {
                return;
            }
            if timeout_at(deadline, changes.changed()).await.is_err() {
                return;
            }
        }
    }

    /// Waits for the first complete request after `mark` that `fits`.
    pub(super) async fn wait_for(
        &self,
        mark: &Mark,
        what: &str,
        within: Duration,
        fits: impl Fn(&Request) -> bool,
    ) -> Result<Request, WaitError> {
        let deadline = Instant::now() + within;
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let last = {
                let state = self.state();
                let entries = state.entries.range(mark.number..).map(|(_, entry)| entry);
                let mut complete = entries.clone().filter(|entry| entry.is_complete()).map(|entry| &entry.request);
                if let Some(found) = complete.clone().find(|request| fits(request)) {
                    return Ok(found.clone());
                }
                match complete.next_back() {
                    Some(last) => format!("{} requests, the last {}", entries.count(), last.in_short()),
                    None => "no request".to_owned(),
                }
            };
            if timeout_at(deadline, changes.changed()).await.is_err() {
                return Err(WaitError::TimedOut { what: what.to_owned(), within, last });
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Request {
    fn in_short(&self) -> String {
        let status = self.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        format!("{} {}{} with status {status}", self.method, self.host, self.path)
    }
}

/// An entry whose request is being answered. Dropped when the client goes away.
pub(super) struct Pending {
    log: Arc<RequestLog>,
    number: usize,
    id: String,
}

impl Pending {
    /// The id that Gitea writes into its access log.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Says whom the server took the client for, where the access log cannot.
    pub(super) fn tell(&self, caller: Caller) {
        self.log.state().change(self.number, |entry| entry.request.caller = caller);
    }

    /// The request never reached Gitea, so its access log will not mention it.
    pub(super) fn unreached(&self) {
        let mut state = self.log.state();
        state.unlined.remove(&self.id);
        state.change(self.number, |entry| entry.lined = true);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.log.state().change(self.number, |entry| entry.answered = true);
        self.log.changed.send_replace(());
    }
}
