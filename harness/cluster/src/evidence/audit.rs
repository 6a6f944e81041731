//! The audit log of an API server, as entries.
//!
//! With `--audit-log-mode=blocking` a request waits for the entry of its stage, so an answer that has arrived has its
//! entry: that of stage ResponseComplete is written as the answer ends (documentation, "Auditing").

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use serde::Deserialize;

/// The log could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum AuditError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line is no entry. The line is not shown: it could hold what it must not.
    #[error("failed to read the entry at byte {position} of the audit log {path}")]
    Entry {
        path: PathBuf,
        position: u64,
        #[source]
        source: serde_json::Error,
    },
    /// The log is shorter than it was: entries went to another file.
    #[error("failed to go on at byte {position} of the audit log {path}: it was rotated")]
    Rotated {
        path: PathBuf,
        /// Position at which reading should have gone on.
        position: u64,
    },
}

/// One entry (`audit.k8s.io/v1` Event), without bodies.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Names the request; entries of several stages share it.
    #[serde(rename = "auditID")]
    pub audit_id: String,
    /// Level at which the request is logged: `Metadata`, `Request` or `RequestResponse`.
    pub level: String,
    /// The stage: `ResponseComplete` for a request that was answered.
    pub stage: String,
    /// The act: `get`, `create`, …
    pub verb: String,
    /// User who made the request, as it was authenticated.
    pub user: User,
    /// In whose name, if not in the own.
    pub impersonated_user: Option<User>,
    /// The client program, as it calls itself.
    #[serde(default)]
    pub user_agent: String,
    /// About what, if about an object.
    pub object_ref: Option<ObjectReference>,
    /// The answer, once there is one.
    pub response_status: Option<ResponseStatus>,
    /// Additions of authentication, admission and the like.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// A user of the API server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Name of the user, such as `system:serviceaccount:NAMESPACE:NAME`.
    #[serde(default)]
    pub username: String,
    /// Attributes that the authenticator added, such as the id of the token that was used.
    #[serde(default)]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Subject of a request. A list or a watch names no object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ObjectReference {
    /// Plural of the kind, such as `secrets`.
    #[serde(default)]
    pub resource: String,
    /// The namespace; empty for objects without.
    #[serde(default)]
    pub namespace: String,
    /// Name of the object; empty for requests about many.
    #[serde(default)]
    pub name: String,
    /// The API group; empty for the core group.
    #[serde(default, rename = "apiGroup")]
    pub api_group: String,
    /// The part of the object, such as `token`.
    #[serde(default)]
    pub subresource: String,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ResponseStatus {
    /// HTTP status code, such as 403.
    #[serde(default)]
    pub code: u16,
}

impl AuditEntry {
    /// The name of whoever the request counts for: the impersonated user, if there is one.
    pub fn acting_user(&self) -> &str {
        &self.impersonated_user.as_ref().unwrap_or(&self.user).username
    }
}

/// The log of one API server.
#[derive(Debug, Clone)]
pub struct AuditLog {
    path: PathBuf,
}

impl AuditLog {
    /// The log at `path`, which need not be there yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Path of the log, which the API server writes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Position of the end of the log now: entries of later requests come behind.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn end(&self) -> Result<u64, AuditError> {
        std::fs::metadata(&self.path).map(|data| data.len()).map_err(self.unreadable())
    }

    /// The entries behind `position` that `wanted` picks by their text, and the position behind the last whole line. To
    /// pick by text is cheap: most entries are of no interest, and are not parsed.
    ///
    /// # Errors
    /// When the file cannot be read, was rotated, or a picked line is no entry.
    pub fn read(&self, position: u64, wanted: impl Fn(&str) -> bool) -> Result<(Vec<AuditEntry>, u64), AuditError> {
        let mut entries = Vec::new();
        let end = self.lines(position, |begin, line| {
            if wanted(line) {
                let entry = serde_json::from_str(line).map_err(|source| AuditError::Entry {
                    path: self.path.clone(),
                    position: begin,
                    source,
                })?;
                entries.push(entry);
            }
            Ok(())
        })?;
        Ok((entries, end))
    }

    /// Shows each whole line behind `position` to `look`, with the position where it begins; gives the position behind
    /// the last one. A line that is still being written is left for the next time.
    ///
    /// # Errors
    /// When the file cannot be read or was rotated, and whatever `look` gives.
    pub fn lines(
        &self,
        position: u64,
        mut look: impl FnMut(u64, &str) -> Result<(), AuditError>,
    ) -> Result<u64, AuditError> {
        let mut file = File::open(&self.path).map_err(FileError::of::<AuditError>("open the audit log", &self.path))?;
        if file.metadata().map_err(self.unreadable())?.len() < position {
            return Err(AuditError::Rotated { path: self.path.clone(), position });
        }
        file.seek(SeekFrom::Start(position)).map_err(self.unreadable())?;
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        let (mut position, mut line) = (position, String::new());
        loop {
            line.clear();
            let length = reader.read_line(&mut line).map_err(self.unreadable())?;
            if !line.ends_with('\n') {
                return Ok(position);
            }
            look(position, line.trim_end())?;
            position += length as u64;
        }
    }

    fn unreadable(&self) -> impl Fn(io::Error) -> AuditError + use<> {
        FileError::of("read the audit log", &self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const LINE: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/secrets/b","verb":"get","user":{"username":"admin","groups":["g"]},"impersonatedUser":{"username":"tenant"},"sourceIPs":["127.0.0.1"],"userAgent":"credence/p09:1:2","objectRef":{"resource":"secrets","namespace":"a","name":"b","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":403}}"#;

    fn log(text: &str) -> (tempfile::NamedTempFile, AuditLog) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let log = AuditLog::new(file.path());
        (file, log)
    }

    #[test]
    fn an_entry_tells_who_did_what_to_which_object_with_which_result() {
        let (_file, log) = log(&format!("{LINE}\n"));
        let (entries, end) = log.read(0, |line| line.contains("secrets")).unwrap();
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((entry.acting_user(), entry.verb.as_str()), ("tenant", "get"));
        assert_eq!(entry.response_status.as_ref().unwrap().code, 403);
        let object = entry.object_ref.as_ref().unwrap();
        assert_eq!((object.namespace.as_str(), object.name.as_str()), ("a", "b"));
        assert_eq!(end, log.end().unwrap());
    }

    #[test]
    fn a_line_that_is_still_being_written_is_left_for_the_next_time() {
        let (mut file, log) = log(&format!("{LINE}\n{}", &LINE[..40]));
        let (entries, end) = log.read(0, |_| true).unwrap();
        assert_eq!((entries.len(), end), (1, LINE.len() as u64 + 1));
        file.write_all(format!("{}\n", &LINE[40..]).as_bytes()).unwrap();
        assert_eq!(log.read(end, |_| true).unwrap().0.len(), 1);
    }

    #[test]
    fn a_log_that_was_rotated_is_an_error_and_no_absence_of_entries() {
        let (_file, log) = log("");
        assert!(matches!(log.read(10, |_| true), Err(AuditError::Rotated { position: 10, .. })));
    }
}
