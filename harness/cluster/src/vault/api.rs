//! Requests to Vault.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use credence_core::credential::Credential;
use credence_programs::certificates::Authority;
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The header that carries a token.
const TOKEN: &str = "X-Vault-Token";

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum RequestError {
    /// There is no client for it.
    #[error("failed to make a client for Vault")]
    Client(#[source] reqwest::Error),
    #[error("failed to ask Vault for {path}")]
    NoAnswer {
        path: String,
        #[source]
        source: reqwest::Error,
    },
    /// Vault answered with an error.
    #[error("failed to ask Vault for {path}: {status}: {why}")]
    Refused { path: String, status: StatusCode, why: String },
    #[error("failed to read Vault's answer to {path}: it has no {field}")]
    Lacks {
        path: String,
        /// The part that it lacks.
        field: &'static str,
    },
}

/// The members of a secret.
pub type Document = BTreeMap<String, Credential>;

/// A client of one server.
pub(super) struct Api {
    client: reqwest::Client,
    url: String,
}

impl Api {
    pub(super) fn new(address: SocketAddr, authority: &Authority) -> Result<Self, RequestError> {
        let root = reqwest::Certificate::from_pem(authority.certificate().as_bytes()).map_err(RequestError::Client)?;
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build();
        Ok(Self { client: client.map_err(RequestError::Client)?, url: format!("https://{address}/v1") })
    }

    /// Sends a request, and gives the answer if it is one of success.
    pub(super) async fn request(
        &self,
        token: Option<&Credential>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, RequestError> {
        let failed = |source| RequestError::NoAnswer { path: path.to_owned(), source };
        let mut request = self.client.request(method, format!("{}/{path}", self.url));
        if let Some(mut token) = token.and_then(|token| HeaderValue::from_bytes(token.expose()).ok()) {
            token.set_sensitive(true);
            request = request.header(TOKEN, token);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(failed)?;
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(told);
        }
        let errors: Vec<&str> = told["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        Err(RequestError::Refused { path: path.to_owned(), status, why: errors.join("; ") })
    }

    /// Gives a new server its one key share and its root token.
    pub(super) async fn initialise(&self) -> Result<(Credential, Credential), RequestError> {
        #[derive(Deserialize)]
        struct Initialised {
            keys_base64: Vec<String>,
            root_token: String,
        }
        const PATH: &str = "sys/init";
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let answer = self.request(None, Method::PUT, PATH, Some(&shares)).await?;
        let lacks = |field| RequestError::Lacks { path: PATH.to_owned(), field };
        let Initialised { mut keys_base64, root_token } =
            serde_json::from_value(answer).map_err(|_| lacks("root token"))?;
        let key = keys_base64.pop().ok_or_else(|| lacks("key share"))?;
        Ok((Credential::new(key), Credential::new(root_token)))
    }

    /// Logs in, and gives the token; none if that is not allowed.
    pub(super) async fn log_in(&self, path: &str, body: &Value) -> Result<Option<Credential>, RequestError> {
        let answer = match self.request(None, Method::PUT, path, Some(body)).await {
            Err(error) if error.is_denied() => return Ok(None),
            answer => answer?,
        };
        let token = answer["auth"]["client_token"].as_str().map(Credential::new);
        token.map(Some).ok_or_else(|| RequestError::Lacks { path: path.to_owned(), field: "token" })
    }

    /// Reads a document; none if that is not allowed.
    pub(super) async fn read(
        &self,
        token: &Credential,
        path: &str,
        is_versioned: bool,
    ) -> Result<Option<Document>, RequestError> {
        let mut answer = match self.request(Some(token), Method::GET, path, None).await {
            Err(error) if error.is_denied() => return Ok(None),
            answer => answer?,
        };
        let mut data = answer["data"].take();
        if is_versioned {
            data = data["data"].take();
        }
        match data {
            Value::Object(members) => Ok(Some(document(members))),
            _ => Err(RequestError::Lacks { path: path.to_owned(), field: "data" }),
        }
    }
}

fn document(members: Map<String, Value>) -> Document {
    let value = |value: Value| match value {
        Value::String(text) => Credential::new(text),
        other => Credential::new(other.to_string()),
    };
    members.into_iter().map(|(key, member)| (key, value(member))).collect()
}

impl RequestError {
    /// True if Vault does not allow it. A role that does not admit an account is told as such, too (Vault's Kubernetes auth
    /// method, `pathLogin`).
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::FORBIDDEN)
    }
}
