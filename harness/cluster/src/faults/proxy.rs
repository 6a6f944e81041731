//! A proxy in front of an API server, for one client of it: passes everything on, or fails in a chosen way.
//!
//! Faults of the connection are made below TLS, on what passes. Answers of its own need a certificate, and are given by a
//! server that knows nothing but that answer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use credence_programs::certificates::{Authority, CertificateError, Identity};
use credence_programs::tls::listener as tls;
use credence_watch::observer::Observer;
use credence_watch::wait::{self, Progress, WaitError, WatchHandle};
use http::header::CONTENT_TYPE;
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Pause before the kernel is asked again for a connection or for the port.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes that pass at a time while the proxy is slow.
const TRICKLE: usize = 512;

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum FaultProxyError {
    /// No port can be had.
    #[error("failed to listen for a fault-injecting proxy")]
    Listen(#[source] std::io::Error),
    /// No certificate can be had, or used.
    #[error("failed to make the certificate of a fault-injecting proxy: {0}")]
    Certificate(String),
    /// The server behind it has no address.
    #[error("failed to find the server behind a fault-injecting proxy at {url}")]
    Upstream { url: String },
}

/// Behaviour of a [`FaultProxy`] towards its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Open,
    /// Nothing listens: connections are refused.
    Refuse,
    /// Takes connections and never answers.
    Hang,
    /// Takes connections and resets them.
    Reset,
    /// Passes everything on, in small pieces with this pause between them.
    Slow(Duration),
    /// Cuts the connection after this many bytes of what the server says.
    Truncate(usize),
    /// Answers every request with this status, and a Kubernetes Status object.
    Status(u16),
    /// Answers every request with success and a Secret, or a list of Secrets, that has nothing in it.
    Empty,
    /// Shows a certificate that is over, as any is to a client whose clock is far ahead.
    Expired,
}

/// A proxy. Closes when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    connections: watch::Sender<u64>,
    _tasks: JoinSet<()>,
}

impl FaultProxy {
    /// Opens a proxy at `host` in front of the server at `url` (`https://ADDRESS:PORT`). Without an authority that its
    /// clients trust, it cannot give answers of its own.
    ///
    /// # Errors
    /// When no port or no certificate can be had.
    pub async fn open(url: &str, host: IpAddr, authority: Option<&Authority>) -> Result<Self, FaultProxyError> {
        let upstream = url.strip_prefix("https://").and_then(|address| address.parse().ok());
        let upstream: SocketAddr = upstream.ok_or_else(|| FaultProxyError::Upstream { url: url.to_owned() })?;
        let listener = TcpListener::bind((host, 0)).await.map_err(FaultProxyError::Listen)?;
        let address = listener.local_addr().map_err(FaultProxyError::Listen)?;
        let (mode, modes) = watch::channel(Mode::Open);
        let connections = watch::Sender::new(0);
        let mut tasks = JoinSet::new();
        let own = host.to_string();
        let names = [own.as_str(), "localhost", "kubernetes.default"];
        let (mut liar, mut expired) = (None, None);
        if let Some(authority) = authority {
            let certificate = |identity: Result<Identity, CertificateError>| {
                identity.map_err(|error| FaultProxyError::Certificate(error.to_string()))
            };
            let valid = certificate(authority.server("credence gate", &names))?;
            liar = Some(start_liar(&valid, modes.clone(), &mut tasks).await?);
            let over = certificate(authority.expired_server("credence gate", &names))?;
            expired = Some(start_liar(&over, modes.clone(), &mut tasks).await?);
        }
        let ends = Ends { upstream, liar, expired };
        tasks.spawn(serve(listener, address, ends, modes, connections.clone()));
        Ok(Self { address, mode, connections, _tasks: tasks })
    }

    /// The URL that clients use in place of the server's.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Changes what it does. Connections that are open are reset, so that the change counts at once.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Connections that it took, in any mode. A mode that refuses takes none.
    pub fn connections(&self) -> u64 {
        *self.connections.borrow()
    }

    /// Waits until it has taken more than `before` connections; of what `observer` excuses, nothing is counted.
    ///
    /// # Errors
    /// When that does not happen within the limit.
    pub async fn until_contacted(&self, observer: &Observer, before: u64, within: Duration) -> Result<(), WaitError> {
        let handle = WatchHandle {
            changes: self.connections.subscribe(),
            staleness: || observer.staleness(),
            excluded: || observer.paused_time(),
        };
        let contacted =
            wait::until_changed(handle, "a connection to the source", within, || match self.connections() {
                count if count > before => Progress::Done(()),
                _ => Progress::NotYet("nobody came".to_owned()),
            });
        contacted.await
    }
}

/// Addresses that connections are led to.
#[derive(Debug, Clone, Copy)]
struct Ends {
    upstream: SocketAddr,
    liar: Option<SocketAddr>,
    expired: Option<SocketAddr>,
}

async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    ends: Ends,
    mut modes: watch::Receiver<Mode>,
    connections: watch::Sender<u64>,
) {
    let mut listener = Some(listener);
    let mut tasks = JoinSet::new();
    loop {
        let mode = *modes.borrow_and_update();
        if mode == Mode::Refuse {
            listener = None;
            if modes.changed().await.is_err() {
                return;
            }
            continue;
        }
        let open = match listener.take() {
            Some(open) => open,
            // The port is still ours in name only; another program may hold it for a moment.
            None => match TcpListener::bind(address).await {
                Ok(open) => open,
                Err(_) => {
                    wait::pass(PAUSE).await;
                    continue;
                }
            },
        };
        tokio::select! {
            changed = modes.changed() => if changed.is_err() { return },
            accepted = open.accept() => match accepted {
                Ok((client, _)) => {
                    connections.send_modify(|count| *count += 1);
                    tasks.spawn(connection(client, mode, ends, modes.clone()));
                }
                Err(_) => wait::pass(PAUSE).await,
            },
            Some(_) = tasks.join_next() => {}
        }
        listener = Some(open);
    }
}

/// Serves one connection in `mode`, until the mode changes.
async fn connection(mut client: TcpStream, mode: Mode, ends: Ends, mut modes: watch::Receiver<Mode>) {
    client.set_nodelay(true).ok();
    let served = async {
        match mode {
            Mode::Open => pass(&mut client, ends.upstream).await,
            Mode::Slow(pause) => trickle(&mut client, ends.upstream, pause, usize::MAX).await,
            Mode::Truncate(length) => trickle(&mut client, ends.upstream, Duration::ZERO, length).await,
            Mode::Status(_) | Mode::Empty => pass_if_any(&mut client, ends.liar).await,
            Mode::Expired => pass_if_any(&mut client, ends.expired).await,
            Mode::Hang => std::future::pending().await,
            Mode::Refuse | Mode::Reset => Ok(()),
        }
    };
    let ended = tokio::select! {
        served = served => served.is_ok() && mode == Mode::Open,
        _ = modes.wait_for(|now| *now != mode) => false,
    };
    if !ended {
        // Without it, closing would be an orderly end.
        client.set_zero_linger().ok();
    }
}

async fn pass(client: &mut TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    copy_bidirectional(client, &mut server).await.map(drop)
}

async fn pass_if_any(client: &mut TcpStream, server: Option<SocketAddr>) -> std::io::Result<()> {
    match server {
        Some(server) => pass(client, server).await,
        None => Ok(()),
    }
}

/// Passes on in small pieces, and at most `length` bytes towards the client.
async fn trickle(
    client: &mut TcpStream,
    server: SocketAddr,
    pause: Duration,
    mut length: usize,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let down = async {
        let mut piece = [0; TRICKLE];
        while length > 0 {
            let limit = TRICKLE.min(length);
            let read = from_server.read(&mut piece[..limit]).await?;
            if read == 0 {
                break;
            }
            wait::pass(pause).await;
            to_client.write_all(&piece[..read]).await?;
            length -= read;
        }
        std::io::Result::Ok(())
    };
    tokio::select! {
        ended = down => ended,
        ended = tokio::io::copy(&mut from_client, &mut to_server) => ended.map(drop),
    }
}

/// Starts the server that gives the same answer to everybody, and gives its address.
async fn start_liar(
    identity: &Identity,
    modes: watch::Receiver<Mode>,
    tasks: &mut JoinSet<()>,
) -> Result<SocketAddr, FaultProxyError> {
    let config = tls::configure(identity).map_err(|error| FaultProxyError::Certificate(error.to_string()))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(FaultProxyError::Listen)?;
    let address = listener.local_addr().map_err(FaultProxyError::Listen)?;
    let listener = tls::listen(vec![listener], address, config, tasks);
    let router = Router::new().fallback(move |asked: Uri| {
        let (status, body) = answer(*modes.borrow(), asked.path());
        std::future::ready((status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response())
    });
    tasks.spawn(async move {
        // Serving ends with the proxy, and never before.
        axum::serve(listener, router).await.ok();
    });
    Ok(address)
}

/// The server's answer to `path` while the proxy is in `mode`.
fn answer(mode: Mode, path: &str) -> (StatusCode, Value) {
    match mode {
        Mode::Status(code) => {
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let reason = match code {
                403 => "Forbidden",
                429 => "TooManyRequests",
                _ => "InternalError",
            };
            let body = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "the proxy is closed", "reason": reason, "code": status.as_u16() });
            (status, body)
        }
        _ if path.ends_with("/secrets") => {
            (StatusCode::OK, json!({ "kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": [] }))
        }
        _ => (StatusCode::OK, json!({ "kind": "Secret", "apiVersion": "v1", "metadata": {} })),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const WHOLE: &str = "the whole answer";

    /// An HTTPS server behind a proxy, and a client that trusts it.
    async fn start() -> (FaultProxy, reqwest::Client, JoinSet<()>) {
        let authority = Authority::new("test").unwrap();
        let identity = authority.server("server", &["127.0.0.1"]).unwrap();
        let mut tasks = JoinSet::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = tls::listen(vec![listener], address, tls::configure(&identity).unwrap(), &mut tasks);
        let router = Router::new().fallback(|| std::future::ready(WHOLE.repeat(1000)));
        tasks.spawn(async move { drop(axum::serve(listener, router).await) });
        let proxy = FaultProxy::open(&format!("https://{address}"), address.ip(), Some(&authority)).await.unwrap();
        let root = reqwest::Certificate::from_pem(authority.certificate().as_bytes()).unwrap();
        let client =
            reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).tls_certs_only([root]).build().unwrap();
        (proxy, client, tasks)
    }

    async fn get(proxy: &FaultProxy, client: &reqwest::Client) -> Result<(u16, String), reqwest::Error> {
        let answer = client.get(proxy.url()).timeout(Duration::from_secs(2)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    #[rstest]
    #[case::refuse(Mode::Refuse)]
    #[case::hang(Mode::Hang)]
    #[case::reset(Mode::Reset)]
    #[case::truncate_the_handshake(Mode::Truncate(100))]
    #[case::truncate_the_answer(Mode::Truncate(6000))]
    #[case::show_a_certificate_that_is_over(Mode::Expired)]
    #[tokio::test]
    async fn a_proxy_fails_as_it_is_told_and_opens_again(#[case] mode: Mode) {
        let (proxy, client, _tasks) = start().await;
        assert_eq!(get(&proxy, &client).await.unwrap().1.len(), WHOLE.len() * 1000);
        proxy.set(mode);
        get(&proxy, &client).await.unwrap_err();
        proxy.set(Mode::Open);
        // The port may take a moment to be bound again.
        let opened = wait::poll("open", Duration::from_secs(5), PAUSE, || async {
            match get(&proxy, &client).await {
                Ok((200, _)) => wait::Progress::Done(()),
                other => wait::Progress::NotYet(format!("{other:?}")),
            }
        });
        opened.await.unwrap();
    }

    #[tokio::test]
    async fn a_proxy_gives_answers_of_its_own() {
        let (proxy, client, _tasks) = start().await;
        for code in [403, 429, 500] {
            proxy.set(Mode::Status(code));
            let (status, body) = get(&proxy, &client).await.unwrap();
            assert_eq!(status, code);
            assert!(body.contains("\"kind\":\"Status\""), "{body}");
        }
        proxy.set(Mode::Empty);
        let (status, body) = get(&proxy, &client).await.unwrap();
        assert!(status == 200 && body.contains("\"kind\":\"Secret\""), "{body}");
        let list = client.get(format!("{}/api/v1/namespaces/a/secrets?limit=1", proxy.url())).send().await.unwrap();
        assert!(list.text().await.unwrap().contains("\"items\":[]"));
    }

    #[tokio::test]
    async fn a_slow_proxy_passes_everything_on() {
        let (proxy, client, _tasks) = start().await;
        proxy.set(Mode::Slow(Duration::from_millis(1)));
        assert_eq!(get(&proxy, &client).await.unwrap().1.len(), WHOLE.len() * 1000);
        assert!(proxy.connections() > 0);
    }
}
