//! Gitea's access log, sent to this process line by line instead of to a file.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::log::RequestLog;

/// One line for each request: the id that the façade gave it, the status, and the user's login name or `-`.
///
/// Gitea's own template holds the whole URL, and with it codes and tokens in queries. Fields of the template are those
/// of `accessLoggerTmplData` in `services/context/access_log.go` of Gitea 1.26.
pub(super) const TEMPLATE: &str = "{{.RequestID}} {{.ResponseWriter.Status}} {{.Identity}}";

/// The header that carries the id to Gitea.
pub(super) const REQUEST_ID: &str = "x-request-id";

/// Hands every line that arrives at `listener` to the log. Gitea opens one connection and keeps it while it lives.
pub(super) async fn receive(listener: TcpListener, log: Arc<RequestLog>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Gitea connects but once; an attempt that failed is not made again.
                let Ok((stream, _)) = accepted else { continue };
                let log = Arc::clone(&log);
                connections.spawn(async move {
                    let mut lines = BufReader::new(stream).lines();
                    while let Ok(Some(line)) = lines.next_line().await {
                        log.line(&line);
                    }
                    log.end();
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
