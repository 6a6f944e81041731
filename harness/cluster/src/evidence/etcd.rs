//! What etcd holds, byte by byte, past the API server that decrypts it.
//!
//! Read through etcd's JSON gateway (documentation, "etcd gRPC gateway"), which needs no client of its own.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

/// Keys that are asked for at a time.
const PAGE: u32 = 200;

/// Why etcd could not be read.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// A certificate cannot be read.
    #[error("failed to read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The certificates make no client.
    #[error("failed to make a client of etcd")]
    Client(#[source] reqwest::Error),
    /// A request failed.
    #[error("failed to read {key} from etcd")]
    Request {
        /// The first key that was asked for.
        key: String,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is not what the documentation says.
    #[error("failed to understand what etcd answers about {key}")]
    Answer {
        /// The first key that was asked for.
        key: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The answer holds no base64.
    #[error("failed to decode what etcd holds at {key}")]
    Encoding {
        /// The first key that was asked for.
        key: String,
        /// The cause.
        #[source]
        source: base64::DecodeError,
    },
}

/// A key of etcd with its raw value. The value is not shown: it may be a credential in plain text.
pub struct Stored {
    /// The key, such as `/registry/secrets/NAMESPACE/NAME`.
    pub key: String,
    /// The bytes on disk.
    pub value: Vec<u8>,
}

/// A client of the etcd of one cluster.
#[derive(Debug, Clone)]
pub struct Etcd {
    client: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    kvs: Vec<KeyValue>,
}

#[derive(Deserialize)]
struct KeyValue {
    key: String,
    #[serde(default)]
    value: String,
}

impl Etcd {
    /// A client of the etcd at `url`, with the certificates in the run directory `directory`.
    ///
    /// # Errors
    /// When the certificates cannot be used.
    pub fn connect(url: &str, directory: &Path) -> Result<Self, EtcdError> {
        credence_watch::crypto::use_ring();
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read(&path).map_err(|source| EtcdError::File { path, source })
        };
        let authority = reqwest::Certificate::from_pem(&read("ca.crt")?).map_err(EtcdError::Client)?;
        let identity = [read("etcd.crt")?, read("etcd.key")?].concat();
        let identity = reqwest::Identity::from_pem(&identity).map_err(EtcdError::Client)?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([authority])
            .identity(identity)
            .build()
            .map_err(EtcdError::Client)?;
        Ok(Self { client, url: url.to_owned() })
    }

    /// Everything whose key begins with `prefix`, in order.
    ///
    /// # Errors
    /// When etcd does not answer as its documentation says.
    pub async fn with_prefix(&self, prefix: &str) -> Result<Vec<Stored>, EtcdError> {
        let mut found: Vec<Stored> = Vec::new();
        let mut from = prefix.as_bytes().to_vec();
        loop {
            let page = self.range(prefix, &from, &range_end(prefix.as_bytes())).await?;
            let is_last = page.len() < PAGE as usize;
            found.extend(page);
            match found.last() {
                Some(last) if !is_last => {
                    // The key behind the last one.
                    from = last.key.as_bytes().to_vec();
                    from.push(0);
                }
                _ => return Ok(found),
            }
        }
    }

    async fn range(&self, prefix: &str, from: &[u8], end: &[u8]) -> Result<Vec<Stored>, EtcdError> {
        let failed = |source| EtcdError::Request { key: prefix.to_owned(), source };
        let body = json!({ "key": STANDARD.encode(from), "range_end": STANDARD.encode(end), "limit": PAGE });
        let request = self.client.post(format!("{}/v3/kv/range", self.url)).body(body.to_string());
        let answer = request.send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        let bytes = answer.bytes().await.map_err(failed)?;
        let range: Range =
            serde_json::from_slice(&bytes).map_err(|source| EtcdError::Answer { key: prefix.to_owned(), source })?;
        let decode =
            |text: &str| STANDARD.decode(text).map_err(|source| EtcdError::Encoding { key: prefix.to_owned(), source });
        range
            .kvs
            .into_iter()
            .map(|KeyValue { key, value }| {
                Ok(Stored { key: String::from_utf8_lossy(&decode(&key)?).into_owned(), value: decode(&value)? })
            })
            .collect()
    }
}

/// The first key that does not begin with `prefix` and comes behind those that do.
fn range_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // A zero byte stands for the end of all keys.
    vec![0]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::range_end;

    #[rstest]
    #[case(b"/registry/secrets/", b"/registry/secrets0")]
    #[case(b"a\xff", b"b")]
    #[case(b"\xff", b"\0")]
    fn a_range_ends_behind_the_last_key_with_the_prefix(#[case] prefix: &[u8], #[case] end: &[u8]) {
        assert_eq!(range_end(prefix), end);
    }
}
