//! Errors of obtaining parts.

use credence_core::file_error::FileError;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::{BuildInfoError, Part};

/// A part could not be obtained.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ComponentError {
    /// The path that the user gave for a part is not a program.
    #[error("failed to use {path} as {part}: not an executable file")]
    Given {
        part: Part,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The program given as Vault is something else.
    #[error(
        "failed to use {path} as vault: it does not answer `version` as Vault or OpenBao does; give the program of either, or \
         leave --program vault= out"
    )]
    NotVault { path: PathBuf },
    /// The program that the user gave for External Secrets Operator is another one.
    #[error(
        "failed to use {path} as External Secrets Operator: {}; give the program of its controller, which its image has as \
         /bin/external-secrets",
        if source.is_some() { "it says nothing of how it was built" } else { "it was built from other modules" }
    )]
    NotExternalSecrets {
        path: PathBuf,
        /// Why it says nothing; none if it says something else.
        #[source]
        source: Option<BuildInfoError>,
    },
    /// The image that the user names does not give the program.
    #[error(
        "failed to take External Secrets Operator out of the image {reference}: {reason}; correct the name, or give the program \
         itself by --external-secrets"
    )]
    OperatorImage { reference: String, reason: String },
    /// The cache cannot be read or written.
    #[error(transparent)]
    Cache(FileError),
    /// Programs in the cache could not be run.
    #[error("failed to use the cache {path}: its file system is mounted noexec; choose another with CREDENCE_CACHE")]
    NoExec { path: PathBuf },
    /// The file system has too little room.
    #[error("too little disk space for {what}: {free} MB free and {needed} MB needed on the file system of {path}")]
    Disk {
        what: String,
        free: u64,
        /// Needed at most, in MB.
        needed: u64,
        /// A directory on the file system.
        path: PathBuf,
    },
    /// The mirror is not an address.
    #[error("failed to use the mirror {mirror}: not an http or https URL")]
    Mirror { mirror: String },
    /// No official release can be had, and nothing else was allowed.
    #[error("failed to get an official release of {part}: {reason}")]
    Release { part: Part, reason: String },
    /// The download is not what was published. It has been removed.
    #[error("refused {url} as {part}: its SHA-256 is {found}, but {expected} was published; try again, or build it")]
    Checksum {
        part: Part,
        url: String,
        expected: String,
        /// The checksum of the download.
        found: String,
    },
    #[error("failed to run {command}: Go {needed} or newer is needed; install it from https://go.dev/dl")]
    NoGo {
        command: PathBuf,
        /// The oldest version that will do.
        needed: String,
        #[source]
        source: io::Error,
    },
    /// Go is too old, and may not replace itself by a newer one.
    #[error("too old a Go: {found} found, {needed} or newer needed; install it from https://go.dev/dl")]
    OldGo {
        /// The version found, as Go names it.
        found: String,
        /// The oldest version that will do.
        needed: String,
    },
    /// Go has no C compiler that works.
    #[error(
        "failed to compile C with {compiler}, which building {module} needs: {said}; \
             install a C compiler and the headers of the C library (on Debian gcc and libc6-dev), or name one in CC"
    )]
    NoCompiler {
        /// The compiler that Go would call, with its arguments.
        compiler: String,
        /// The name of the module.
        module: &'static str,
        /// Its message, or why it could not be run.
        said: String,
    },
    /// A Go command other than a build failed.
    #[error("failed to run {command}: {output}")]
    Go {
        command: String,
        /// The end of what it said.
        output: String,
    },
    /// A module registry did not answer.
    #[error(
        "gave up {command}: the module registry said nothing for {} s{asked}; \
             set GOPROXY to one that answers, and start again: what was downloaded is kept",
        silence.as_secs()
    )]
    SilentRegistry {
        command: String,
        /// Time in which nothing was heard.
        silence: Duration,
        /// The request it did not answer, as ` after URL was asked for`; empty where none was seen.
        asked: String,
    },
    #[error("failed to build {parts} with go, {status}:\n{tail}")]
    Build {
        parts: String,
        status: ExitStatus,
        /// The end of what it said.
        tail: String,
    },
    /// Neither a release nor a build can be had.
    #[error("failed to obtain {parts}: no official release ({release}) and no build")]
    Unobtainable {
        parts: String,
        /// Why there is no release.
        release: String,
        /// Why there is no build.
        #[source]
        source: Box<ComponentError>,
    },
}

impl From<FileError> for ComponentError {
    fn from(error: FileError) -> Self {
        Self::Cache(error.ending(" in the cache; free it, or choose another directory with CREDENCE_CACHE"))
    }
}

impl ComponentError {
    /// True if the user can mend it by naming another program.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Given { .. } | Self::NotExternalSecrets { .. } | Self::NotVault { .. } | Self::OperatorImage { .. }
        )
    }
}
