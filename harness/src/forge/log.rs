//! The request log: what came to the forge, what it offered, and whom the server took it for.
//!
//! The façade begins an entry when a request arrives. Gitea's access log completes it: status and user are what Gitea
//! says of the same request, joined by an id that the façade sends along.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::offer::Offered;
use crate::wait::WaitError;

/// How long a reader waits for the entries of requests that have begun. Gitea writes its line milliseconds after the
/// answer; a request that is still running after this time is shown as it is.
const COMPLETE: Duration = Duration::from_secs(5);

/// A request that reached the façade. No value of a credential is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// When its head was read.
    pub at: SystemTime,
    /// The host that the client named, with the port if it named one.
    pub host: String,
    /// The method.
    pub method: String,
    /// The path as the client sent it.
    pub path: String,
    /// Parameters of the query: only `ns`, `scope` and `service` keep their value.
    pub query: BTreeMap<String, Option<String>>,
    /// The client's `User-Agent`.
    pub agent: String,
    /// How it tried to authenticate.
    pub offered: Offered,
    /// The status that Gitea answered with; `None` if it did not, or not yet.
    pub status: Option<u16>,
    /// Whom Gitea took the client for.
    pub caller: Caller,
}

impl Request {
    /// The registry that the client means: containerd names it in `ns` when it asks a mirror in its stead.
    pub fn registry(&self) -> &str {
        self.query.get("ns").and_then(Option::as_deref).unwrap_or(&self.host)
    }
}

/// Whom the server took a client for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody: no credential was offered, or none that it accepted.
    Anonymous,
    /// A user, by login name.
    User(String),
    /// The server did not say. Gitea names no user for Basic authentication at its registry, except at `/v2/token`.
    Unknown,
}

/// A place in the log: what comes after it began later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

/// The log of one forge.
pub(super) struct RequestLog {
    /// Makes the ids of this log unguessable, so that no other process on the machine can write into it.
    nonce: String,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    /// Entries without a line of the access log yet, by request id.
    unlined: HashMap<String, usize>,
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
    pub(super) fn new(nonce: String) -> Arc<Self> {
        Arc::new(Self { nonce, state: Mutex::default(), changed: watch::Sender::new(()) })
    }

    /// Begins an entry. In a `registry` request the access log never names a user.
    pub(super) fn begin(self: &Arc<Self>, request: Request, registry: bool) -> Pending {
        let mut state = self.state();
        let index = state.entries.len();
        let id = format!("{}-{index}", self.nonce);
        state.unlined.insert(id.clone(), index);
        state.entries.push(Entry { request, registry, answered: false, lined: false });
        Pending { log: Arc::clone(self), index, id }
    }

    /// Takes a line of the access log, see [`super::access::TEMPLATE`]. Lines of requests that did not come through
    /// the façade are not of interest.
    pub(super) fn line(&self, line: &str) {
        let mut words = line.split(' ');
        let (Some(id), Some(status), Some(user)) = (words.next(), words.next(), words.next()) else { return };
        let mut state = self.state();
        let Some(index) = state.unlined.remove(id) else { return };
        let entry = &mut state.entries[index];
        entry.request.status = status.parse().ok();
        if !entry.registry {
            entry.request.caller = match user {
                "-" => Caller::Anonymous,
                name => Caller::User(name.to_owned()),
            };
        }
        entry.lined = true;
        drop(state);
        self.changed.send_replace(());
    }

    /// No line will come any more: what is not complete stays as it is.
    pub(super) fn end(&self) {
        let mut state = self.state();
        let indices: Vec<usize> = state.unlined.drain().map(|(_, index)| index).collect();
        for index in indices {
            state.entries[index].lined = true;
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// The end of the log.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.state().entries.len())
    }

    /// The requests after `mark` that had begun when this was called, in the order in which they began.
    pub(super) async fn since(&self, mark: Mark) -> Vec<Request> {
        let end = self.mark();
        let deadline = Instant::now() + COMPLETE;
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            {
                let state = self.state();
                let entries = state.entries.get(mark.0..end.0).unwrap_or_default();
                if entries.iter().all(Entry::is_complete) || Instant::now() >= deadline {
                    return entries.iter().map(|entry| entry.request.clone()).collect();
                }
            }
            // A deadline that has passed is seen by the next look.
            timeout_at(deadline, changes.changed()).await.ok();
        }
    }

    /// Waits for the first complete request after `mark` that `fits`.
    pub(super) async fn wait_for(
        &self,
        mark: Mark,
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
                let entries = state.entries.get(mark.0..).unwrap_or_default();
                let mut complete = entries.iter().filter(|entry| entry.is_complete()).map(|entry| &entry.request);
                if let Some(found) = complete.clone().find(|request| fits(request)) {
                    return Ok(found.clone());
                }
                match complete.next_back() {
                    Some(last) => format!("{} requests, the last {}", entries.len(), last.in_short()),
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
    index: usize,
    id: String,
}

impl Pending {
    /// The id that Gitea writes into its access log.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Says whom the server took the client for, where the access log cannot.
    pub(super) fn tell(&self, caller: Caller) {
        self.log.state().entries[self.index].request.caller = caller;
    }

    /// The request never reached Gitea, so its access log will not mention it.
    pub(super) fn unreached(&self) {
        let mut state = self.log.state();
        state.unlined.remove(&self.id);
        state.entries[self.index].lined = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.log.state().entries[self.index].answered = true;
        self.log.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str) -> Request {
        Request {
            at: SystemTime::UNIX_EPOCH,
            host: "github.com".into(),
            method: "GET".into(),
            path: path.into(),
            query: BTreeMap::new(),
            agent: String::new(),
            offered: Offered::Nothing,
            status: None,
            caller: Caller::Unknown,
        }
    }

    #[tokio::test]
    async fn a_request_is_complete_with_its_line_and_its_answer_in_either_order() {
        let log = RequestLog::new("n".into());
        let mark = log.mark();
        let (first, second) = (log.begin(request("/1"), false), log.begin(request("/2"), false));
        log.line("n-0 200 ada");
        drop(first);
        drop(second);
        log.line("n-1 401 -");
        let seen = log.since(mark).await;
        assert_eq!(seen[0].caller, Caller::User("ada".into()));
        assert_eq!((seen[1].status, &seen[1].caller), (Some(401), &Caller::Anonymous));
    }

    #[tokio::test]
    async fn a_mark_hides_what_began_before_it() {
        let log = RequestLog::new("n".into());
        let first = log.begin(request("/1"), false);
        let mark = log.mark();
        assert_eq!(log.since(mark).await, vec![]);
        drop(first);
        log.line("n-0 200 ada");
        assert_eq!(log.since(Mark::default()).await.len(), 1);
    }

    #[tokio::test]
    async fn at_the_registry_the_access_log_names_nobody() {
        let log = RequestLog::new("n".into());
        drop(log.begin(request("/v2/"), true));
        let told = log.begin(request("/v2/token"), true);
        told.tell(Caller::User("ada".into()));
        drop(told);
        log.line("n-0 200 -");
        log.line("n-1 200 -");
        let seen = log.since(Mark::default()).await;
        assert_eq!(seen[0].caller, Caller::Unknown);
        assert_eq!(seen[1].caller, Caller::User("ada".into()));
    }

    #[tokio::test]
    async fn a_line_with_a_strange_id_changes_nothing() {
        let log = RequestLog::new("n".into());
        let pending = log.begin(request("/1"), false);
        log.line("m-0 200 eve");
        log.line("n-7 200 eve");
        log.line("");
        pending.unreached();
        drop(pending);
        assert_eq!(log.since(Mark::default()).await, vec![request("/1")]);
    }

    #[tokio::test]
    async fn the_end_of_the_access_log_completes_everything() {
        let log = RequestLog::new("n".into());
        drop(log.begin(request("/1"), false));
        log.end();
        assert_eq!(log.since(Mark::default()).await, vec![request("/1")]);
    }

    #[tokio::test]
    async fn a_wait_that_fails_says_what_it_saw_last() {
        let log = RequestLog::new("n".into());
        drop(log.begin(request("/1"), false));
        log.line("n-0 404 -");
        let within = Duration::from_millis(1);
        let error = log.wait_for(Mark::default(), "a clone", within, |seen| seen.path == "/2").await.unwrap_err();
        let text = error.to_string();
        assert!(text.ends_with("last seen: 1 requests, the last GET github.com/1 with status 404"), "{text}");
    }
}
