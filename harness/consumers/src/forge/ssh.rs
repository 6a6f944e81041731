//! The forge over SSH: Gitea's own server, and what it says of who comes there.
//!
//! ```text
//!  git ──SSH──▶ Gitea ──starts──▶ gitea serv ──HTTP──▶ relay ──▶ Gitea: may this key read this repository?
//!                 └─ log of keys that nobody has ──▶ request log ◀┘
//! ```
//!
//! For each session Gitea starts itself as `gitea serv`, which asks the server for the right to read the repository and is told the
//! user. That question goes through a relay in this process, where the answer is evidence. It comes only after the client has shown
//! that it has the private half of its key. A client that is turned away before is told by Gitea's log.
//!
//! Source: Gitea 1.26, modules/ssh/ssh.go, cmd/serv.go, modules/private/serv.go and routers/private/serv.go.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use credence_core::file_error::FileError;
use credence_programs::certificates::write_private;
use http::StatusCode;
use http::header::HOST;
use serde::Deserialize;

use super::key_pair::SshKey;
use super::log::RequestLog;
use super::request::{Caller, Request};
use super::ssh_keys::SshKeys;
use super::ssh_session;
use super::{ForgeError, facade};

/// The name under which clients know the forge's host key, whatever host they mean.
pub(crate) const HOST_ALIAS: &str = "credence-forge";
/// The beginning of the path by which `gitea serv` asks for the right to a repository: then come key, owner and name.
const COMMAND: &str = "/api/internal/serv/command/";
/// The longest body that is relayed, in bytes: hooks of git send a line for each reference.
const LONGEST: usize = 1024 * 1024;

/// Facts that a client needs of the forge over SSH.
#[derive(Debug, Clone)]
pub(crate) struct SshServer {
    pub(crate) address: SocketAddr,
    /// A file of known hosts with its key, under [`HOST_ALIAS`].
    pub(crate) known_hosts: PathBuf,
}

/// The private file with the forge's host key, made in `directory` with a file of known hosts beside it.
pub(super) fn make_host_key(directory: &Path) -> Result<(PathBuf, PathBuf), ForgeError> {
    let key = SshKey::generate()?;
    let (private, known_hosts) = (directory.join("host_key"), directory.join("known_hosts"));
    write_private(&private, key.private.expose())?;
    let line = format!("{HOST_ALIAS} {}\n", key.public);
    std::fs::write(&known_hosts, line).map_err(FileError::of::<ForgeError>("write", &known_hosts))?;
    Ok((private, known_hosts))
}

/// Passes on what `gitea serv` asks.
pub(super) struct Relay {
    /// URL of Gitea itself, `http://HOST:PORT`.
    pub(super) gitea: String,
    pub(super) client: reqwest::Client,
    pub(super) log: Arc<RequestLog>,
    pub(super) keys: Arc<SshKeys>,
    /// Address under which clients reach the forge over SSH.
    pub(super) host: IpAddr,
}

/// The server's answer to the question for a right.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Right {
    user_name: String,
}

impl Relay {
    pub(super) fn router(self) -> Router {
        Router::new().fallback(relay).with_state(Arc::new(self))
    }

    /// The session that a question is about: the id of its key, and the repository's path.
    fn session(&self, path: &str) -> Option<Request> {
        let (key, repository) = path.strip_prefix(COMMAND)?.split_once('/')?;
        Some(ssh_session::request(self.host, &format!("/{repository}"), self.keys.offered(key.parse().ok()?)))
    }
}

async fn relay(State(relay): State<Arc<Relay>>, request: HttpRequest) -> Response {
    let (mut parts, body) = request.into_parts();
    let session = relay.session(parts.uri.path());
    let Ok(body) = to_bytes(body, LONGEST).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    facade::remove_hop_by_hop(&mut parts.headers);
    parts.headers.remove(HOST);
    let url = format!("{}{}", relay.gitea, parts.uri);
    let sent = relay.client.request(parts.method, url).headers(parts.headers).body(body).send().await;
    let Ok(answer) = sent else { return StatusCode::BAD_GATEWAY.into_response() };
    let response = facade::head(&answer);
    let Ok(bytes) = answer.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
    if let Some(mut session) = session {
        session.status = Some(response.status().as_u16());
        let right: Option<Right> = serde_json::from_slice(&bytes).ok();
        session.caller = match right.filter(|right| response.status().is_success() && !right.user_name.is_empty()) {
            Some(right) => Caller::User(right.user_name),
            None => Caller::Unknown,
        };
        relay.log.add(session);
    }
    response.map(|_| Body::from(bytes))
}
