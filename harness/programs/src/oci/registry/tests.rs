//! Layers as a registry gets them, and what is said when one cannot be sent.

use std::fs;
use std::path::Path;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, LOCATION};
use http::{Method, StatusCode};
use tempfile::{TempDir, tempdir};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::certificates::Authority;
use crate::oci::{LayerEntry, Settings};
use crate::tls::listener;

/// More than a piece, and no multiple of one.
const SIZE: usize = 3 * PIECE + 1000;

/// A blob that was sent: its query, the length that its head promised, and what came.
type Sent = (String, String, Digest);

/// A registry that takes everything and has nothing.
struct Fake {
    registry: Registry,
    sent: Arc<Mutex<Vec<Sent>>>,
    _tasks: JoinSet<()>,
}

impl Fake {
    async fn start() -> Self {
        let authority = Authority::new("registry").unwrap();
        let identity = authority.server("registry", &["127.0.0.1"]).unwrap();
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = plain.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let config = listener::configure(&identity).unwrap();
        let listener = listener::listen(vec![plain], address, config, &mut tasks);
        let sent = Arc::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&sent));
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let registry = Registry::anonymous(&address.to_string(), &authority.certificate()).unwrap();
        Self { registry, sent, _tasks: tasks }
    }
}

async fn answer(State(sent): State<Arc<Mutex<Vec<Sent>>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    match parts.method {
        Method::HEAD => StatusCode::NOT_FOUND.into_response(),
        Method::POST => (StatusCode::ACCEPTED, [(LOCATION, format!("{path}1"))]).into_response(),
        Method::PUT => {
            let Ok(bytes) = to_bytes(body, usize::MAX).await else { return StatusCode::BAD_REQUEST.into_response() };
            if path.contains("/blobs/") {
                let query = parts.uri.query().unwrap_or_default().to_owned();
                let length = parts.headers.get(CONTENT_LENGTH).map(|length| length.to_str().unwrap().to_owned());
                lock(&sent).push((query, length.unwrap_or_default(), Digest::of(&bytes)));
            }
            (StatusCode::CREATED, [(LOCATION, path.to_owned())]).into_response()
        }
        _ => StatusCode::OK.into_response(),
    }
}

fn image() -> (TempDir, Arc<Layer>, Image) {
    let directory = tempdir().unwrap();
    let bytes: Vec<u8> = (0..SIZE).map(|place| (place % 251) as u8).collect();
    let layer = Layer::pack(&[LayerEntry::file("bin/app", 0o755, bytes)], directory.path()).unwrap();
    let image = Image::new(&[Arc::clone(&layer)], &Settings::default(), "1");
    (directory, layer, image)
}

#[tokio::test]
async fn a_layer_is_sent_whole_with_its_length_and_once() {
    let (fake, (_directory, layer, image)) = (Fake::start().await, image());
    assert_eq!(fake.registry.push(&image, "org/app", "1").await.unwrap(), image.digest());
    let query = format!("digest={}", layer.digest().as_str().replace(':', "%3A"));
    let sent = lock(&fake.sent).clone();
    assert_eq!(sent[0], (query, layer.size().to_string(), layer.digest().clone()));
    assert_eq!((sent.len(), &sent[1].2), (2, &image.id()));
    // To another repository it is mounted.
    fake.registry.push(&image, "org/other", "1").await.unwrap_err();
    assert_eq!(lock(&fake.sent).len(), 2);
}

#[tokio::test]
async fn a_layer_that_vanished_is_named_and_not_sent() {
    let (fake, (_directory, layer, image)) = (Fake::start().await, image());
    fs::remove_file(layer.path()).unwrap();
    let error = fake.registry.push(&image, "org/app", "1").await.unwrap_err();
    assert_eq!(error.to_string(), format!("failed to read {} for an image", layer.path().display()));
    assert!(lock(&fake.sent).is_empty());
}

#[tokio::test]
async fn a_layer_that_became_another_is_not_sent() {
    let (fake, (_directory, layer, image)) = (Fake::start().await, image());
    fs::write(layer.path(), "short").unwrap();
    let error = fake.registry.push(&image, "org/app", "1").await.unwrap_err();
    assert!(error.to_string().starts_with("failed to read"), "{error}");
    assert!(lock(&fake.sent).is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_is_told_from_a_connection_that_broke() {
    let fake = Fake::start().await;
    let reference: Reference = format!("{}/org/app:1", fake.registry.address).parse().unwrap();
    // A directory can be opened, and not be read.
    let directory = File::open(Path::new("/")).await.unwrap();
    let unread = Arc::new(Mutex::new(None));
    let pieces = pieces(directory, Arc::clone(&unread));
    fake.registry.client.push_blob_stream(&reference, pieces, "sha256:0", Some(1)).await.unwrap_err();
    assert_eq!(lock(&unread).take().unwrap().kind(), io::ErrorKind::IsADirectory);
}
