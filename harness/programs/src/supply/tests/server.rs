//! A release host of a few lines, on the loopback interface.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A file that is served.
#[derive(Clone, Default)]
pub(super) struct Served {
    pub(super) body: Vec<u8>,
    /// The first answer ends after so many bytes of the body.
    pub(super) cut_first: Option<usize>,
    pub(super) ignores_range: bool,
    pub(super) pace: Pace,
}

/// Encoding in which a server sends a body.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pace {
    #[default]
    AtOnce,
    /// A few bytes at a time, with pauses.
    Slowly,
    /// Not even the head of an answer.
    Never,
}

/// A running server; ends with the test's runtime.
pub(super) struct Server {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) async fn start(files: BTreeMap<String, Served>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (files, log) = (files.clone(), Arc::clone(&log));
                tokio::spawn(async move { answer(stream, &files, &log).await });
            }
        });
        Self { url, requests }
    }

    /// `PATH` or `PATH bytes=N-` of each request so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn answer(mut stream: TcpStream, files: &BTreeMap<String, Served>, log: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let range = request.lines().find_map(|line| line.strip_prefix("range: "));
    let line = [Some(path.as_str()), range].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let seen = {
        let mut log = log.lock().unwrap();
        let seen = log.iter().any(|earlier| earlier.split(' ').next() == Some(path.as_str()));
        log.push(line);
        seen
    };
    let Some(file) = files.get(&path) else {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
        return;
    };
    if file.pace == Pace::Never {
        return std::future::pending().await;
    }
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let from = from.filter(|_| !file.ignores_range).unwrap_or(0);
    if from >= file.body.len() {
        let head = "HTTP/1.1 416 Range Not Satisfiable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        return;
    }
    let body = &file.body[from..];
    let (length, size) = (body.len(), file.body.len());
    let status = match from {
        0 => "200 OK".to_owned(),
        _ => format!("206 Partial Content\r\ncontent-range: bytes {from}-{}/{size}", size - 1),
    };
    let sent = file.cut_first.filter(|_| !seen).unwrap_or(length);
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    match file.pace {
        Pace::Slowly => {
            for piece in body[..sent].chunks(7) {
                stream.write_all(piece).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
        Pace::AtOnce | Pace::Never => stream.write_all(&body[..sent]).await.unwrap(),
    }
}
