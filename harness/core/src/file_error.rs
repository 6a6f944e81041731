//! The error of an act on a file or a directory, the same for every module that does nothing more with it.

use std::io;
use std::path::{Path, PathBuf};

/// An act on a file, a directory or the file of a program that failed: "failed to read DIRECTORY/FILE".
#[derive(Debug, thiserror::Error)]
#[error("failed to {act} {path}{ending}")]
pub struct FileError {
    act: &'static str,
    path: PathBuf,
    ending: &'static str,
    #[source]
    source: io::Error,
}

impl FileError {
    /// Makes the error of `act`, a verb such as `read`, on `path`.
    pub fn new(act: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self { act, path: path.into(), ending: "", source }
    }

    /// The same, ending in more words, such as `; correct the path`.
    #[must_use]
    pub fn ending(self, words: &'static str) -> Self {
        Self { ending: words, ..self }
    }

    /// Makes the error of `act` on `path` once its cause is known, for `map_err`.
    pub fn of<E: From<Self>>(act: &'static str, path: &Path) -> impl Fn(io::Error) -> E + use<E> {
        let path = path.to_owned();
        move |source| Self::new(act, &path, source).into()
    }

    /// The cause, as the operating system gave it.
    pub fn cause(&self) -> &io::Error {
        &self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_act_and_path_and_leaves_the_cause_to_the_chain() {
        let error: FileError = FileError::of("read", Path::new("a/b"))(io::Error::other("no"));
        assert_eq!(error.to_string(), "failed to read a/b");
        assert_eq!(error.cause().to_string(), "no");
        assert_eq!(error.ending("; correct the path").to_string(), "failed to read a/b; correct the path");
    }
}
