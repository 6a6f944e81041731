//! Downloads that go on where they were cut.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use credence_core::text::{Reason, chain};
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Response, StatusCode, Url};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

use super::cache::failed;
use super::{ComponentError, Step};

/// Time that a host may take to accept a connection, so that a machine without network soon goes on to build.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// Time that a host may send nothing.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// Why a release was not downloaded.
#[derive(Debug)]
pub(super) enum Failure {
    /// It cannot be had here and now; another way may do.
    Unavailable(String),
    /// No other way must be tried.
    Fatal(ComponentError),
}

impl From<ComponentError> for Failure {
    fn from(error: ComponentError) -> Self {
        Self::Fatal(error)
    }
}

/// Downloads, and remembers which hosts cannot be reached.
pub(super) struct Downloads {
    client: Result<reqwest::Client, Reason>,
    unreachable: Mutex<BTreeMap<String, String>>,
}

impl Downloads {
    /// Downloads that give up a host which says nothing for `patience`, if that is shorter than what is usual.
    pub(super) fn new(patience: Duration) -> Self {
        credence_watch::crypto::use_ring();
        let silence = SILENCE.min(patience);
        let client = reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(silence).build();
        // Without it a build still works, so this is a reason for no release and no more.
        let client = client.map_err(Reason::of);
        Self { client, unreachable: Mutex::new(BTreeMap::new()) }
    }

    /// Downloads a small text, such as a list of checksums.
    pub(super) async fn text(&self, url: &Url) -> Result<String, Failure> {
        let response = self.get(url, 0).await?;
        if !response.status().is_success() {
            return Err(refused(url, response.status()));
        }
        response.text().await.map_err(|error| Failure::Unavailable(chain(&error)))
    }

    /// Downloads to `file`, going on after what is in it. It is left there when the download fails.
    pub(super) async fn file(&self, url: &Url, file: &Path, report: &(dyn Fn(&Step) + Sync)) -> Result<(), Failure> {
        loop {
            let have = fs::metadata(file).await.map_or(0, |data| data.len());
            let mut response = self.get(url, have).await?;
            if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && have > 0 {
                // What is there is no beginning of what is published, or all of it: starting over settles both.
                response = self.get(url, 0).await?;
            }
            let have = match response.status() {
                StatusCode::PARTIAL_CONTENT if continues(&response, have) => have,
                StatusCode::OK => 0,
                status => return Err(refused(url, status)),
            };
            let Err(cut) = receive(response, file, have, report).await? else { return Ok(()) };
            let now = fs::metadata(file).await.map_or(0, |data| data.len());
            // A server that gives nothing more would be asked for ever.
            if now <= have {
                return Err(Failure::Unavailable(chain(&cut)));
            }
        }
    }

    async fn get(&self, url: &Url, from: u64) -> Result<Response, Failure> {
        let client = self.client.as_ref().map_err(|reason| Failure::Unavailable(reason.to_string()))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if let Some(reason) = self.unreachable().get(&host) {
            return Err(Failure::Unavailable(reason.clone()));
        }
        let mut request = client.get(url.clone());
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        request.send().await.map_err(|error| {
            let reason = chain(&error);
            if error.is_connect() {
                self.unreachable().insert(host, reason.clone());
            }
            Failure::Unavailable(reason)
        })
    }

    fn unreachable(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        // A map of reasons is valid whatever happened to another holder.
        self.unreachable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(url: &Url, status: StatusCode) -> Failure {
    Failure::Unavailable(format!("{url} answered {status}"))
}

/// True if a partial answer starts at `have`, as in `bytes 5-9/10`.
fn continues(response: &Response, have: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    start == Some(have)
}

/// Writes the answer after the first `have` bytes of `file`. The inner error is a connection that was cut.
async fn receive(
    mut response: Response,
    file: &Path,
    have: u64,
    report: &(dyn Fn(&Step) + Sync),
) -> Result<Result<(), reqwest::Error>, ComponentError> {
    let total = response.content_length().map(|length| have + length);
    let mut out = open(file, have).await.map_err(failed("write", file))?;
    let mut received = have;
    let outcome = loop {
        report(&Step::Downloading { received, total });
        match response.chunk().await {
            Ok(Some(chunk)) => {
                out.write_all(&chunk).await.map_err(failed("write", file))?;
                received += chunk.len() as u64;
            }
            Ok(None) => break Ok(()),
            Err(cut) => break Err(cut),
        }
    };
    // A tokio file writes behind; its errors come with the flush.
    out.flush().await.map_err(failed("write", file))?;
    Ok(outcome)
}

async fn open(path: &Path, keep: u64) -> io::Result<File> {
    let file = File::options().append(true).create(true).open(path).await?;
    file.set_len(keep).await?;
    Ok(file)
}
