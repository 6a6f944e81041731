//! Errors of a forge.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use credence_core::file_error::FileError;
use credence_programs::certificates::CertificateError;
use credence_programs::process::{Death, ProcessError};
use credence_watch::wait::WaitError;
use http::StatusCode;
use testcontainers::TestcontainersError;

/// The forge could not be started or did not do as it was told.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ForgeError {
    /// Gitea could not be started.
    #[error("failed to start the forge")]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Died(#[from] Death),
    /// Gitea's container did not do as it was told.
    #[error("failed to {act} container {container}, the forge")]
    Container {
        act: &'static str,
        container: String,
        #[source]
        source: Box<TestcontainersError>,
    },
    /// Gitea did not become ready.
    #[error("failed to bring the forge up")]
    NotReady(#[source] WaitError),
    /// A certificate or a private file could not be made.
    #[error("failed to make the forge's files")]
    Certificate(#[from] CertificateError),
    /// The certificate cannot be served.
    #[error("failed to serve the forge's certificate")]
    Tls(#[source] rustls::Error),
    /// A file or a directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Gitea cannot be configured with a path, see [`ForgeSetup`](super::ForgeSetup).
    #[error("failed to configure the forge with {path}: the path has one of the characters # ? % `")]
    Path { path: PathBuf },
    /// No free port could be chosen.
    #[error("failed to choose the forge's port: {0}")]
    Port(String),
    /// An address cannot be listened on.
    #[error("failed to listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// The kernel gives no random bytes.
    #[error("failed to generate the forge's secrets")]
    Random(#[source] io::Error),
    /// A key of SSH cannot be written.
    #[error("failed to write an SSH key")]
    SshKey(#[source] ssh_key::Error),
    /// A client cannot be made.
    #[error("failed to make a client for the forge")]
    Client(#[source] reqwest::Error),
    /// Gitea's command line made no administrator. What it prints holds a password, so it is not quoted.
    #[error("failed to create the forge's administrator: gitea ended with {status}")]
    Administrator { status: String },
    /// A request got no answer.
    #[error("failed to {act} {object} at the forge")]
    Request {
        act: &'static str,
        object: String,
        /// The cause, without the URL.
        #[source]
        source: reqwest::Error,
    },
    #[error("failed to {act} {object}: the forge answered {status}")]
    Refused { act: &'static str, object: String, status: StatusCode },
    /// The forge answered something else than it is known to.
    #[error("failed to {act} {object}: the forge's answer cannot be parsed")]
    Answer { act: &'static str, object: String },
    /// The forge asks again for a name and a password.
    #[error("failed to sign in to the forge as {user}: it does not take the password")]
    SignIn { user: String },
    /// A password that Gitea does not take.
    #[error("failed to set the password of {user}: a password has 1 to 255 characters of UTF-8")]
    Password { user: String },
}

impl ForgeError {
    pub(super) fn request(act: &'static str, object: &str, source: reqwest::Error) -> Self {
        Self::Request { act, object: object.to_owned(), source: source.without_url() }
    }

    pub(super) fn refused(act: &'static str, object: &str, status: StatusCode) -> Self {
        Self::Refused { act, object: object.to_owned(), status }
    }

    pub(super) fn answer(act: &'static str, object: &str) -> Self {
        Self::Answer { act, object: object.to_owned() }
    }
}
