//! A server of this machine in the place of secret managers elsewhere: it answers by store, key, version and property.
//!
//! External Secrets Operator asks it by its webhook provider, through TLS with a certificate of an authority of its own, since
//! loopback is searched for credentials. Each answer ends its connection: the operator makes a new client for each pass, and
//! never closes what it left idle.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query};
use axum::response::Response;
use axum::routing::get;
use credence_core::credential::Credential;
use credence_programs::certificates::Authority;
use credence_programs::tls::listener as tls;
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Why there is no stand-in.
#[derive(Debug, thiserror::Error)]
pub enum StandInError {
    /// No port can be had.
    #[error("failed to start the stand-in for secret managers")]
    Listen(#[source] std::io::Error),
    /// No certificate can be had, or used.
    #[error("failed to make the certificate of the stand-in for secret managers: {0}")]
    Certificate(String),
}

/// Place of a document: its store, key and version; the latest has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocumentKey {
    /// Name of the store that reads the document.
    pub store: String,
    /// The key, as it is asked for.
    pub key: String,
    /// The version, as it is asked for; empty for the latest.
    pub version: String,
}

/// Contents of a place: the values of its properties, or of the property without a name if it is one value.
type Document = BTreeMap<String, Credential>;

/// The server. Ends when dropped.
pub struct StandIn {
    address: SocketAddr,
    authority: Authority,
    documents: Arc<Mutex<BTreeMap<DocumentKey, Document>>>,
    _tasks: JoinSet<()>,
}

impl StandIn {
    /// Starts it at `host`, where the operator can reach it.
    ///
    /// # Errors
    /// When no port or no certificate can be had.
    pub async fn start(host: IpAddr) -> Result<Self, StandInError> {
        let failed = |error: &dyn std::error::Error| StandInError::Certificate(error.to_string());
        let authority = Authority::new("credence stand-in").map_err(|error| failed(&error))?;
        let identity =
            authority.server("credence stand-in", &[&host.to_string(), "localhost"]).map_err(|error| failed(&error))?;
        let config = tls::configure(&identity).map_err(|error| failed(&error))?;
        let listener = TcpListener::bind((host, 0)).await.map_err(StandInError::Listen)?;
        let address = listener.local_addr().map_err(StandInError::Listen)?;
        let mut tasks = JoinSet::new();
        let listener = tls::listen(vec![listener], address, config, &mut tasks);
        let documents: Arc<Mutex<BTreeMap<DocumentKey, Document>>> = Arc::default();
        let answers = Arc::clone(&documents);
        let answer = move |Path(store): Path<String>, Query(asked): Query<Asked>| {
            std::future::ready(answer(&lock(&answers), store, asked))
        };
        let router = Router::new().route("/{*store}", get(answer));
        tasks.spawn(async move {
            // Serving ends with the stand-in, and never before.
            axum::serve(listener, router).await.ok();
        });
        Ok(Self { address, authority, documents, _tasks: tasks })
    }

    /// URL by which stores reach the server, with a port and no path.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The authority that its certificate is of.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Puts a document in a place; every answer from now on is of it.
    pub fn put(&self, place: DocumentKey, document: BTreeMap<String, Credential>) {
        lock(&self.documents).insert(place, document);
    }

    /// Takes the document of a place away.
    pub fn remove(&self, place: &DocumentKey) {
        lock(&self.documents).remove(place);
    }
}

impl std::fmt::Debug for StandIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StandIn").field("address", &self.address).finish_non_exhaustive()
    }
}

fn lock(documents: &Mutex<BTreeMap<DocumentKey, Document>>) -> MutexGuard<'_, BTreeMap<DocumentKey, Document>> {
    // Whole documents are put, or none.
    documents.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Deserialize)]
struct Asked {
    key: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    property: String,
}

/// The value of a property, or all of a document: its one value, or its properties as JSON, which External Secrets Operator reads
/// as one text or member by member.
fn answer(documents: &BTreeMap<DocumentKey, Document>, store: String, asked: Asked) -> Response {
    let Asked { key, version, property } = asked;
    let document = documents.get(&DocumentKey { store, key, version });
    let found = document.and_then(|document| match document.get(&property) {
        Some(value) => Some(value.expose().to_vec()),
        None if property.is_empty() => Some(json(document)),
        None => None,
    });
    // External Secrets Operator takes this status alone for a source that is not there.
    let status = if found.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let mut response = Response::new(Body::from(found.unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The properties of a document as JSON. They are texts, each as it is.
fn json(document: &Document) -> Vec<u8> {
    let text = |value: &Credential| Value::String(String::from_utf8_lossy(value.expose()).into_owned());
    let members: Map<String, Value> = document.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    Value::Object(members).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn place(key: &str, version: &str) -> DocumentKey {
        DocumentKey { store: "a".to_owned(), key: key.to_owned(), version: version.to_owned() }
    }

    fn document(values: &[(&str, &str)]) -> BTreeMap<String, Credential> {
        values.iter().map(|(name, value)| ((*name).to_owned(), Credential::new(*value))).collect()
    }

    /// The status and the body of an answer to a query.
    async fn ask(stand_in: &StandIn, query: &str) -> (u16, String) {
        let root = reqwest::Certificate::from_pem(stand_in.authority().certificate().as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap();
        let answer = client.get(format!("{}{query}", stand_in.url())).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    #[rstest]
    #[case::text("/a?key=prod%2Fapp+key&version=&property=", 200, "one\"value")]
    #[case::another_version("/a?key=prod%2Fapp+key&version=2&property=", 404, "")]
    #[case::property("/a?key=doc&version=v1&property=a.b%5B0%5D", 200, "x")]
    #[case::no_such_property("/a?key=doc&version=v1&property=a", 404, "")]
    #[case::whole_document("/a?key=doc&version=v1&property=", 200, r#"{"a.b[0]":"x","c":"{\"d\":1}"}"#)]
    #[case::nothing_found("/a?key=none&version=&property=", 200, "{}")]
    #[case::another_store("/b?key=doc&version=v1&property=c", 404, "")]
    #[tokio::test]
    async fn what_is_asked_for_is_answered_as_it_is_written(
        #[case] query: &str,
        #[case] status: u16,
        #[case] body: &str,
    ) {
        let stand_in = StandIn::start("127.0.0.1".parse().unwrap()).await.unwrap();
        stand_in.put(place("prod/app key", ""), document(&[("", "one\"value")]));
        stand_in.put(place("doc", "v1"), document(&[("a.b[0]", "x"), ("c", r#"{"d":1}"#)]));
        stand_in.put(place("none", ""), document(&[]));
        assert_eq!(ask(&stand_in, query).await, (status, body.to_owned()));
    }

    #[tokio::test]
    async fn what_is_taken_away_is_not_found() {
        let stand_in = StandIn::start("127.0.0.1".parse().unwrap()).await.unwrap();
        stand_in.put(place("k", ""), document(&[("", "v")]));
        stand_in.remove(&place("k", ""));
        assert_eq!(ask(&stand_in, "/a?key=k").await.0, 404);
    }
}
