//! An HTTP proxy that knows one destination: whatever host a client asks for, it is connected with the façade.
//!
//! So `https://github.com/…` in a configuration under test stays as it is, and nothing else can be reached.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use credence_watch::wait;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Route of a consumer to the forge under the names of real hosts.
#[derive(Debug, Clone)]
pub struct Network {
    /// URL of the HTTP proxy through which every host is reached by `CONNECT`.
    pub https_proxy: String,
    /// Certificates of the authorities to trust, PEM. They hold for all hosts, so that a host that must not get a
    /// credential is not saved by its certificate.
    pub authorities: String,
}

/// The longest head of a request that is read, in bytes.
const HEAD: usize = 8 * 1024;
/// Time that a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause when the kernel gives no connection.
const PAUSE: Duration = Duration::from_millis(100);
/// Marks the end of a head.
const END: &[u8] = b"\r\n\r\n";

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
const REFUSED: &[u8] =
    b"HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Serves `CONNECT` requests (RFC 9110, section 9.3.6) at `listener` for as long as it is polled.
pub(super) async fn serve(listener: TcpListener, facade: SocketAddr) {
    let mut tunnels = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // A tunnel that breaks is seen by the client at its other end.
                Ok((client, _)) => drop(tunnels.spawn(async move { tunnel(client, facade).await.ok() })),
                Err(_) => wait::pass(PAUSE).await,
            },
            Some(_) = tunnels.join_next() => {}
        }
    }
}

async fn tunnel(mut client: TcpStream, facade: SocketAddr) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (head, rest) = timeout(PATIENCE, read_head(&mut client)).await??;
    if !head.starts_with(b"CONNECT ") {
        client.write_all(REFUSED).await?;
        return client.shutdown().await;
    }
    let mut server = TcpStream::connect(facade).await?;
    server.set_nodelay(true)?;
    client.write_all(ESTABLISHED).await?;
    server.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// The head of a request, and what came after it in the same packets.
async fn read_head(client: &mut TcpStream) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::with_capacity(512);
    loop {
        if let Some(end) = head.windows(END.len()).position(|window| window == END) {
            let rest = head.split_off(end + END.len());
            return Ok((head, rest));
        }
        if head.len() > HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if client.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy in front of a server that says hello and then returns what it gets.
    async fn start() -> (SocketAddr, JoinSet<()>) {
        let mut tasks = JoinSet::new();
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let facade = server.local_addr().unwrap();
        tasks.spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut got = [0; 4];
            stream.read_exact(&mut got).await.unwrap();
            stream.write_all(b"hello ").await.unwrap();
            stream.write_all(&got).await.unwrap();
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        tasks.spawn(serve(listener, facade));
        (proxy, tasks)
    }

    async fn exchange(request: &[u8]) -> String {
        let (proxy, _tasks) = start().await;
        let mut client = TcpStream::connect(proxy).await.unwrap();
        client.write_all(request).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn any_host_leads_to_the_facade_and_early_bytes_are_not_lost() {
        let answer = exchange(b"CONNECT github.com:443 HTTP/1.1\r\nHost: github.com:443\r\n\r\nping").await;
        assert_eq!(answer, format!("{}hello ping", String::from_utf8_lossy(ESTABLISHED)));
    }

    #[tokio::test]
    async fn anything_but_connect_is_refused() {
        let answer = exchange(b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    }
}
