//! What travels over loopback, packet by packet, as somebody on this machine could record it.
//!
//! A value is looked for in each packet by itself. Packets of loopback are up to 64 KiB long, so that one that is split
//! between two of them is rare.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size_force, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long the kernel may wait for a packet before it is asked whether the capture is over.
const TURN: Duration = Duration::from_millis(50);
/// Bytes that the kernel keeps for a reader that is late.
const BUFFER: usize = 64 * 1024 * 1024;
/// The longest frame of loopback.
const FRAME: usize = 128 * 1024;
/// Both addresses of an Ethernet header; loopback has none (packet(7)).
const ADDRESSES: usize = 12;

/// Why nothing can be captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The kernel does not let this process.
    #[error("failed to capture loopback traffic, which needs CAP_NET_RAW: run as root")]
    NotAllowed(#[source] io::Error),
    /// The capture could not be read, or the control not be sent.
    #[error("failed to {act} the capture of loopback traffic")]
    Io {
        /// What was tried.
        act: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// A capture under way; ends when dropped.
#[derive(Debug)]
pub struct Capture {
    over: Arc<AtomicBool>,
    packets: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Why this process cannot capture, if it cannot.
    pub fn unsupported() -> Option<String> {
        open().err().map(|error| error.to_string())
    }

    /// Begins to show every packet on loopback to `look`, on a thread of its own.
    ///
    /// # Errors
    /// When the kernel does not let this process.
    pub fn start(mut look: impl FnMut(&[u8]) + Send + 'static) -> Result<Self, CaptureError> {
        let socket = open()?;
        let (over, packets) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = {
            let (over, packets) = (Arc::clone(&over), Arc::clone(&packets));
            let read = move || {
                let mut frame = vec![0; FRAME];
                while !over.load(Ordering::Relaxed) {
                    match recv(&socket, &mut frame[..], RecvFlags::empty()) {
                        Ok((_, length)) => {
                            let frame = &frame[..length.min(FRAME)];
                            if frame.len() > ADDRESSES && frame[..ADDRESSES].iter().all(|byte| *byte == 0) {
                                packets.fetch_add(1, Ordering::Relaxed);
                                look(frame);
                            }
                        }
                        Err(Errno::AGAIN | Errno::INTR) => {}
                        // Whoever waits for the control sees that it does not come.
                        Err(_) => return,
                    }
                }
            };
            thread::Builder::new()
                .name("capture".to_owned())
                .spawn(read)
                .map_err(|source| CaptureError::Io { act: "start", source })?
        };
        Ok(Self { over, packets, thread: Some(thread) })
    }

    /// Packets that were seen so far.
    pub fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been shown.
            thread.join().ok();
        }
    }
}

/// Sends `bytes` over loopback in plain: what a capture has to see, to be believed about what it does not see.
///
/// # Errors
/// When no connection can be made.
pub async fn send_plain(bytes: &[u8]) -> Result<(), CaptureError> {
    let exchange = async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut sender = TcpStream::connect(listener.local_addr()?).await?;
        let (mut receiver, _) = listener.accept().await?;
        sender.write_all(bytes).await?;
        sender.shutdown().await?;
        receiver.read_to_end(&mut Vec::new()).await
    };
    exchange.await.map(drop).map_err(|source| CaptureError::Io { act: "send the control of", source })
}

fn open() -> Result<OwnedFd, CaptureError> {
    let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, Some(eth::ALL))
        .map_err(|error| CaptureError::NotAllowed(error.into()))?;
    // Without the right to a larger buffer, packets may be lost under load, the control among them.
    set_socket_recv_buffer_size_force(&socket, BUFFER).ok();
    set_socket_timeout(&socket, Timeout::Recv, Some(TURN))
        .map_err(|error| CaptureError::Io { act: "set up", source: error.into() })?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::wait::{Progress, poll};

    #[tokio::test]
    async fn what_is_sent_in_plain_is_seen() {
        if Capture::unsupported().is_some() {
            return;
        }
        let canary = b"a canary that is sent over loopback in plain";
        let seen = Arc::new(Mutex::new(false));
        let capture = {
            let seen = Arc::clone(&seen);
            Capture::start(move |packet| {
                *seen.lock().unwrap() |= packet.windows(canary.len()).any(|window| window == canary);
            })
            .unwrap()
        };
        send_plain(canary).await.unwrap();
        let found = poll("the canary seen", Duration::from_secs(10), TURN, || async {
            if *seen.lock().unwrap() { Progress::Done(()) } else { Progress::NotYet("not seen".to_owned()) }
        });
        found.await.unwrap();
        assert!(capture.packets() > 0);
    }
}
