//! The requests that came to the forge, as a file: one JSON object a line.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::offer::Offered;
use super::request::{Caller, Request};

/// The file, and what could not be written to it.
#[derive(Debug)]
pub(super) struct Evidence {
    path: PathBuf,
    file: BufWriter<File>,
    failure: Option<io::Error>,
}

impl Evidence {
    /// An empty file at `path`.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: BufWriter::new(File::create(path)?), failure: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the request that began as the one with this number. A failure is told by [`finish`](Self::finish): whoever
    /// answers a request can do nothing about it.
    pub(super) fn add(&mut self, number: usize, request: &Request) {
        if self.failure.is_none() {
            self.failure = writeln!(self.file, "{}", describe(number, request)).err();
        }
    }

    /// Writes what has been added, and tells whether all could be.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.file.flush(),
        }
    }
}

fn describe(number: usize, request: &Request) -> Value {
    let offered = match &request.offered {
        Offered::Nothing => "nothing",
        Offered::Basic { .. } => "basic",
        Offered::Bearer { .. } => "bearer",
        Offered::Token { .. } => "token",
        Offered::Client { .. } => "client",
        Offered::Key { .. } => "key",
        Offered::Session => "session",
        Offered::Other => "other",
    };
    let caller = match &request.caller {
        Caller::Anonymous => Value::Null,
        Caller::User(name) => json!(name),
        Caller::Unknown => json!("unknown"),
    };
    json!({ "number": number, "registry": request.registry(), "agent": request.agent, "method": request.method,
        "path": request.path, "status": request.status, "offered": offered, "secret": request.offered.secret(),
        "caller": caller })
}
