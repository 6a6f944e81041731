//! The façade: terminates TLS, logs every request, and forwards it to Gitea under the name that the client used.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use credence_core::credential::Credential;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::Url;

use super::access::REQUEST_ID;
use super::github::{self, Target};
use super::log::{Pending, RequestLog};
use super::offer::Offered;
use super::registry;
use super::request::{Caller, Request};

/// Path at which an OAuth client exchanges a code; its credentials are in the body.
const EXCHANGE_PATH: &str = "/login/oauth/access_token";
/// Parameters of a query whose value is logged: none of them can hold a credential.
const LOGGED: [&str; 3] = ["ns", "scope", "service"];
/// The longest body that is read whole, in bytes.
const WHOLE: usize = 256 * 1024;
/// Headers that belong to one connection (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers of a request that the façade answers or sets itself; a client's own must not reach Gitea.
const OWN: [&str; 8] = [
    "expect",
    "forwarded",
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    REQUEST_ID,
];

/// State of the handler of requests.
pub(super) struct Facade {
    /// URL of Gitea itself, `http://HOST:PORT`.
    gitea: String,
    client: reqwest::Client,
    log: Arc<RequestLog>,
    users: Arc<Users>,
}

/// Login names by Gitea's user id.
#[derive(Default)]
pub(super) struct Users(Mutex<HashMap<i64, String>>);

impl Users {
    pub(super) fn insert(&self, id: i64, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, name.to_owned());
    }

    fn caller(&self, id: i64) -> Caller {
        if id == registry::GHOST {
            return Caller::Anonymous;
        }
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            Some(name) => Caller::User(name.clone()),
            None => Caller::Unknown,
        }
    }
}

impl Facade {
    /// A façade for the Gitea at `gitea`.
    pub(super) fn new(gitea: String, client: reqwest::Client, log: Arc<RequestLog>, users: Arc<Users>) -> Self {
        Self { gitea, client, log, users }
    }

    /// The service that answers all requests.
    pub(super) fn router(self) -> Router {
        Router::new().fallback(forward).with_state(Arc::new(self))
    }

    /// Begins the log entry of a request.
    fn begin(&self, parts: &Parts, host: &str, offered: Offered) -> Pending {
        let request = Request {
            at: SystemTime::now(),
            host: host.to_owned(),
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: logged_query(parts.uri.query().unwrap_or_default()),
            agent: header(&parts.headers, &USER_AGENT),
            offered,
            status: None,
            caller: Caller::Unknown,
        };
        self.log.begin(request, registry::is_registry(parts.uri.path()))
    }

    /// Sends the request on, in the name of `host`.
    async fn send(
        &self,
        parts: Parts,
        host: &str,
        body: Body,
        target: &Target,
        id: &str,
    ) -> Result<reqwest::Response, Unreached> {
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let url = Url::parse(&format!("{}{}{query}", self.gitea, target.path)).map_err(|_| Unreached::Address)?;
        let mut headers = parts.headers;
        remove_hop_by_hop(&mut headers);
        OWN.iter().for_each(|name| drop(headers.remove(*name)));
        headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| Unreached::Address)?);
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        headers.insert(REQUEST_ID, HeaderValue::from_str(id).map_err(|_| Unreached::Address)?);
        let mut request = self.client.request(parts.method, url).headers(headers);
        if !body.is_end_stream() {
            request = request.body(reqwest::Body::wrap_stream(body.into_data_stream()));
        }
        request.send().await.map_err(|error| if error.is_connect() { Unreached::Down } else { Unreached::Broken })
    }

    /// Says in the log whom the registry took the client for.
    fn tell_caller(&self, pending: &Pending, bearer: Option<&Credential>, answer: &reqwest::Response) {
        if registry::refused(answer.status(), answer.headers()) {
            pending.tell(Caller::Anonymous);
        } else if let Some(id) = bearer.and_then(|token| registry::user_in_token(token.expose())) {
            pending.tell(self.users.caller(id));
        }
    }
}

/// Why a request has no answer of Gitea.
enum Unreached {
    /// Its address cannot be passed on.
    Address,
    /// Gitea does not accept connections.
    Down,
    /// The connection broke; Gitea may have seen the request.
    Broken,
}

async fn forward(State(facade): State<Arc<Facade>>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let host = parts.uri.authority().map_or_else(|| header(&parts.headers, &HOST), ToString::to_string);
    let path = parts.uri.path().to_owned();
    let mut offered = Offered::in_headers(&parts.headers);
    let mut body = body;
    if path == EXCHANGE_PATH {
        let Ok(form) = to_bytes(body, WHOLE).await else {
            facade.begin(&parts, &host, offered).unreached();
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        };
        offered = Offered::in_form(&form).unwrap_or(offered);
        body = Body::from(form);
    }
    let target = github::target(&host, &path, &header(&parts.headers, &ACCEPT));
    let bearer = bearer(&parts.headers);
    let pending = facade.begin(&parts, &host, offered);
    let answer = match facade.send(parts, &host, body, &target, pending.id()).await {
        Ok(answer) => answer,
        Err(Unreached::Broken) => return StatusCode::BAD_GATEWAY.into_response(),
        Err(why) => {
            pending.unreached();
            let down = matches!(why, Unreached::Down);
            return if down { StatusCode::BAD_GATEWAY } else { StatusCode::BAD_REQUEST }.into_response();
        }
    };
    if registry::is_registry(&path) {
        facade.tell_caller(&pending, bearer.as_ref(), &answer);
    }
    let issues_token = path == registry::TOKEN_PATH && answer.status().is_success();
    if issues_token || (target.user && answer.status().is_success()) {
        return whole(&facade, &pending, answer, target.user).await;
    }
    let response = head(&answer);
    response.map(|_| Body::from_stream(answer.bytes_stream()))
}

/// The answer without its body.
pub(super) fn head(answer: &reqwest::Response) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    remove_hop_by_hop(response.headers_mut());
    response
}

/// An answer that is read whole: a registry token, to know whose it is, or a user, to complete it.
async fn whole(facade: &Facade, pending: &Pending, answer: reqwest::Response, user: bool) -> Response {
    let mut response = head(&answer);
    response.headers_mut().remove(CONTENT_LENGTH);
    let Ok(bytes) = answer.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let body = if user {
        github::complete_user(&bytes).map_or(bytes, Bytes::from)
    } else {
        if let Some(id) = registry::user_in_answer(&bytes) {
            pending.tell(facade.users.caller(id));
        }
        bytes
    };
    response.map(|_| Body::from(body))
}

/// The token of `Authorization: Bearer`, which the registry's answer may confirm.
fn bearer(headers: &HeaderMap) -> Option<Credential> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| Credential::new(token))
}

fn header(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

/// Takes out the headers of the connection, also those that `Connection` itself names.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in HOP_BY_HOP.iter().copied().chain(named.iter().map(String::as_str)) {
        headers.remove(name);
    }
}

/// The parameters of a query, with the values of those in [`LOGGED`] alone.
fn logged_query(query: &str) -> BTreeMap<String, Option<String>> {
    let Ok(mut url) = Url::parse("query:") else { return BTreeMap::new() };
    url.set_query(Some(query).filter(|query| !query.is_empty()));
    url.query_pairs()
        .map(|(name, value)| {
            let value = LOGGED.contains(&&*name).then(|| value.into_owned());
            (name.into_owned(), value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_query_are_not_logged_but_for_three() {
        let query = logged_query("ns=ghcr.io&scope=repository%3Ao%2Fi%3Apull&code=hunter2&state=hunter2");
        assert_eq!(query["ns"].as_deref(), Some("ghcr.io"));
        assert_eq!(query["scope"].as_deref(), Some("repository:o/i:pull"));
        assert_eq!(query["code"], None);
        assert_eq!(query["state"], None);
        assert!(logged_query("").is_empty());
    }

    #[test]
    fn headers_of_the_connection_do_not_pass() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, X-Secret"), ("x-secret", "1"), ("te", "trailers"), ("accept", "*/*")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn users_are_named_and_the_ghost_is_nobody() {
        let users = Users::default();
        users.insert(7, "ada");
        assert_eq!(users.caller(7), Caller::User("ada".into()));
        assert_eq!(users.caller(registry::GHOST), Caller::Anonymous);
        assert_eq!(users.caller(8), Caller::Unknown);
    }
}
