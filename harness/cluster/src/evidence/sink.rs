//! A server that keeps what is sent to it: where something would end up that is lured away.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use credence_core::credential::Credential;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The longest body that is kept, in bytes.
const WHOLE: usize = 1024 * 1024;

type Kept = Arc<Mutex<Vec<Credential>>>;

/// The server. Ends when dropped.
#[derive(Debug)]
pub struct Receiver {
    /// Its address, `http://HOST:PORT`.
    pub url: String,
    kept: Kept,
    _task: JoinSet<()>,
}

impl Receiver {
    /// Starts to listen on a free port of `host`.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start(host: IpAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((host, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let kept = Kept::default();
        let router = Router::new().fallback(keep).with_state(Arc::clone(&kept));
        let mut task = JoinSet::new();
        // Serving ends with the task; there is nobody to tell of an error before.
        task.spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { url, kept, _task: task })
    }

    /// Everything that came: of each request its address with the query, its headers and its body, which may hold anything.
    pub fn received(&self) -> Vec<Credential> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Keeps a request, and answers with an object of one value, so that whoever sent it goes on.
async fn keep(State(kept): State<Kept>, request: Request) -> &'static str {
    let (parts, body) = request.into_parts();
    let mut whole = parts.uri.to_string().into_bytes();
    for (name, value) in &parts.headers {
        whole.extend([b"\n", name.as_str().as_bytes(), b": ", value.as_bytes()].concat());
    }
    whole.push(b'\n');
    whole.extend(to_bytes(body, WHOLE).await.unwrap_or_default());
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(Credential::new(whole));
    r#"{ "answer": "received" }"#
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::Receiver;

    #[tokio::test]
    async fn what_is_sent_is_kept() {
        credence_watch::crypto::use_ring();
        let receiver = Receiver::start(Ipv4Addr::LOCALHOST.into()).await.unwrap();
        let client = reqwest::Client::new();
        let answer = client.post(format!("{}/a?b=c", receiver.url)).header("x-d", "e").body("f").send().await.unwrap();
        assert!(answer.status().is_success());
        let received = receiver.received();
        let text = received[0].expose_str().unwrap();
        assert!(text.starts_with("/a?b=c\n") && text.contains("x-d: e") && text.ends_with("\nf"), "{text}");
    }
}
