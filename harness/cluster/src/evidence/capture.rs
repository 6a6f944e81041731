//! Traffic over loopback or inside a node, packet by packet, as somebody on this machine could record it.
//!
//! A value is looked for in each packet by itself. Packets of loopback are up to 64 KiB long, so that one that is split
//! between two of them is rare.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size_force, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Time that the kernel may wait for a packet before it is asked whether the capture is over.
const TURN: Duration = Duration::from_millis(50);
/// Bytes that the kernel keeps for a reader that is late.
const BUFFER: usize = 64 * 1024 * 1024;
/// The longest frame of loopback.
const FRAME: usize = 128 * 1024;
/// Both addresses of an Ethernet header; loopback has none (packet(7)).
const ADDRESSES: usize = 12;

/// Why nothing can be captured.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum CaptureError {
    /// The kernel does not let this process.
    #[error("failed to capture the traffic, which needs CAP_NET_RAW, and CAP_SYS_ADMIN inside a node: run as root")]
    NotAllowed(#[source] io::Error),
    /// The capture could not be read, or the control not be sent.
    #[error("failed to {act} the capture of the traffic")]
    Io {
        act: &'static str,
        #[source]
        source: io::Error,
    },
}

/// Owner of the traffic that is captured.
#[derive(Debug, Clone, Default)]
pub enum Traffic {
    /// The one on this machine's loopback.
    #[default]
    Loopback,
    /// All that there is in a network namespace, by the file that stands for it (namespaces(7)).
    Namespace(PathBuf),
}

impl Traffic {
    /// Does `work` on a thread of its own in this network: sockets stay in the one that they were made in.
    fn inside<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        thread::scope(|scope| {
            let inside = || {
                if let Self::Namespace(file) = self {
                    let namespace = File::open(file)?;
                    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                }
                work()
            };
            // A panic of the thread goes on here.
            scope.spawn(inside).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// True if a frame belongs to it.
    fn has(&self, frame: &[u8]) -> bool {
        let is_of_loopback = || frame[..ADDRESSES].iter().all(|byte| *byte == 0);
        frame.len() > ADDRESSES && (matches!(self, Self::Namespace(_)) || is_of_loopback())
    }
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
    pub fn unsupported(traffic: &Traffic) -> Option<String> {
        open(traffic).err().map(|error| error.to_string())
    }

    /// Begins to show every packet of `traffic` to `look`, on a thread of its own.
    ///
    /// # Errors
    /// When the kernel does not let this process.
    pub fn start(traffic: &Traffic, mut look: impl FnMut(&[u8]) + Send + 'static) -> Result<Self, CaptureError> {
        let (socket, traffic) = (open(traffic)?, traffic.clone());
        let (over, packets) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = {
            let (over, packets) = (Arc::clone(&over), Arc::clone(&packets));
            let read = move || {
                let mut frame = vec![0; FRAME];
                while !over.load(Ordering::Relaxed) {
                    match recv(&socket, &mut frame[..], RecvFlags::empty()) {
                        Ok((_, length)) => {
                            let frame = &frame[..length.min(FRAME)];
                            if traffic.has(frame) {
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

/// Sends `bytes` over loopback in plain, where `traffic` is: what a capture has to see, to be believed about what it does
/// not see. At most as many as the kernel keeps for a reader, which is tens of kilobytes.
///
/// # Errors
/// When no connection can be made.
pub async fn send_plain(traffic: &Traffic, bytes: &[u8]) -> Result<(), CaptureError> {
    let (traffic, bytes) = (traffic.clone(), bytes.to_owned());
    let exchange = move || {
        traffic.inside(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let mut sender = TcpStream::connect(listener.local_addr()?)?;
            let (mut receiver, _) = listener.accept()?;
            sender.write_all(&bytes)?;
            sender.shutdown(Shutdown::Write)?;
            receiver.read_to_end(&mut Vec::new())
        })
    };
    // Nothing aborts it, so an error is a panic, which goes on here.
    let sent = tokio::task::spawn_blocking(exchange).await;
    let sent = sent.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    sent.map(drop).map_err(|source| CaptureError::Io { act: "send the control of", source })
}

fn open(traffic: &Traffic) -> Result<OwnedFd, CaptureError> {
    let open = || {
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, Some(eth::ALL))?;
        Ok(socket)
    };
    let socket = traffic.inside(open).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => CaptureError::NotAllowed(source),
        _ => CaptureError::Io { act: "open", source },
    })?;
    // Without the right to a larger buffer, packets may be lost under load, the control among them.
    set_socket_recv_buffer_size_force(&socket, BUFFER).ok();
    set_socket_timeout(&socket, Timeout::Recv, Some(TURN))
        .map_err(|error| CaptureError::Io { act: "set up", source: error.into() })?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use credence_watch::wait::{Progress, poll};

    use super::*;

    #[tokio::test]
    async fn what_is_sent_in_plain_is_seen() {
        if Capture::unsupported(&Traffic::Loopback).is_some() {
            return;
        }
        let canary = b"a canary that is sent over loopback in plain";
        let seen = Arc::new(Mutex::new(false));
        let capture = {
            let seen = Arc::clone(&seen);
            Capture::start(&Traffic::Loopback, move |packet| {
                *seen.lock().unwrap() |= packet.windows(canary.len()).any(|window| window == canary);
            })
            .unwrap()
        };
        send_plain(&Traffic::Loopback, canary).await.unwrap();
        let found = poll("the canary seen", Duration::from_secs(10), TURN, || async {
            if *seen.lock().unwrap() { Progress::Done(()) } else { Progress::NotYet("not seen".to_owned()) }
        });
        found.await.unwrap();
        assert!(capture.packets() > 0);
    }
}
