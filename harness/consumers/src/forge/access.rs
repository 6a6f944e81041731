//! Gitea's access log, sent to this process line by line instead of to a file.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::log::RequestLog;
use super::ssh_session;

/// One line for each request: the id that the façade gave it, the status, and the user's login name or `-`.
///
/// Gitea's own template holds the whole URL, and with it codes and tokens in queries. Fields of the template are those
/// of `accessLoggerTmplData` in `services/context/access_log.go` of Gitea 1.26.
pub(super) const TEMPLATE: &str = "{{.RequestID}} {{.ResponseWriter.Status}} {{.Identity}}";

/// The header that carries the id to Gitea.
pub(super) const REQUEST_ID: &str = "x-request-id";

/// Hands every line that arrives at `listener` to the log. Gitea opens one connection for the access log, and one for what its SSH
/// server says, and keeps them while it lives.
pub(super) async fn receive(listener: TcpListener, log: Arc<RequestLog>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An attempt that failed is not made again.
                let Ok((stream, from)) = accepted else { continue };
                let log = Arc::clone(&log);
                connections.spawn(async move {
                    let mut lines = BufReader::new(stream).lines();
                    while let Ok(Some(line)) = lines.next_line().await {
                        match ssh_session::unknown_key(&line) {
                            Some(fingerprint) => log.add(ssh_session::turned_away(from.ip(), fingerprint)),
                            None => log.line(&line),
                        }
                    }
                    log.end();
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
