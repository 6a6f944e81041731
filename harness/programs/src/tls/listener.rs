//! Terminates TLS for a server of this process on any number of addresses.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use credence_watch::wait;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::Identity;

/// Time that a client may take for its side of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause when the kernel gives no connection, mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections that have shaken hands and are not yet served.
const BACKLOG: usize = 64;

/// Connections that are ready for HTTP, from all addresses.
pub struct TlsListener {
    streams: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

/// Server configuration that presents `identity`; HTTP/1.1 is the only protocol.
pub fn configure(identity: &Identity) -> Result<ServerConfig, rustls::Error> {
    credence_watch::crypto::use_ring();
    let unreadable = |error| rustls::Error::General(format!("the identity made by this process: {error}"));
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).map_err(unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(unreadable)?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Accepts on `listeners`, the first of which gives its address to the whole. Accepting ends with `tasks`.
pub fn listen(
    listeners: Vec<TcpListener>,
    address: SocketAddr,
    config: ServerConfig,
    tasks: &mut JoinSet<()>,
) -> TlsListener {
    let (ready, streams) = mpsc::channel(BACKLOG);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    for listener in listeners {
        tasks.spawn(accept(listener, acceptor.clone(), ready.clone()));
    }
    TlsListener { streams, address }
}

/// Shakes hands with each client in a task of its own, so that a slow one holds up nobody.
async fn accept(listener: TcpListener, acceptor: TlsAcceptor, ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>) {
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (acceptor, ready) = (acceptor.clone(), ready.clone());
                    handshakes.spawn(async move {
                        // Small answers must not wait for the acknowledgement of the one before.
                        stream.set_nodelay(true).ok();
                        // A client that does not like the certificate goes away: its own log says why.
                        if let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await {
                            ready.send((stream, peer)).await.ok();
                        }
                    });
                }
                Err(_) => wait::pass(PAUSE).await,
            },
            Some(_) = handshakes.join_next() => {}
        }
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.streams.recv().await {
            Some(accepted) => accepted,
            // Nobody accepts any more, so the server is about to end.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}
