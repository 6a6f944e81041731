//! Contents of etcd, byte by byte, past the API server that decrypts it.
//!
//! Read through etcd's JSON gateway (documentation, "etcd gRPC gateway"), which needs no client of its own.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credence_core::file_error::FileError;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

/// Keys that are asked for at a time.
const PAGE: u32 = 200;
/// Time that the history of some minutes may take to come.
const HISTORY: Duration = Duration::from_secs(30);

/// The contents of etcd could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum EtcdError {
    /// A certificate cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The certificates make no client.
    #[error("failed to make a client for etcd")]
    Client(#[source] reqwest::Error),
    #[error("failed to read {key} from etcd")]
    Request {
        /// The first key that was asked for.
        key: String,
        #[source]
        source: reqwest::Error,
    },
    /// The alarm was not raised or taken back.
    #[error("failed to change the space alarm of etcd")]
    Alarm {
        #[source]
        source: reqwest::Error,
    },
    /// The history was not thrown away.
    #[error("failed to compact etcd")]
    Compaction {
        #[source]
        source: reqwest::Error,
    },
    /// The answer is not what the documentation says.
    #[error("failed to parse etcd's answer about {key}")]
    Answer {
        /// The first key that was asked for.
        key: String,
        #[source]
        source: serde_json::Error,
    },
    /// The history does not come.
    #[error("failed to read the history of etcd up to revision {until}: it did not come within 30 s")]
    Silent {
        /// The last revision that was wanted.
        until: u64,
    },
    /// The answer holds no base64.
    #[error("failed to decode the value in etcd at {key}")]
    Encoding {
        /// The first key that was asked for.
        key: String,
        #[source]
        source: base64::DecodeError,
    },
}

/// A key of etcd with its raw value. The value is not shown: it may be a credential in plain text.
pub struct Stored {
    /// The key, such as `/registry/secrets/NAMESPACE/NAME`.
    pub key: String,
    /// Bytes on disk, behind the prefix of an encryption provider if they are encrypted.
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
    header: ResponseHeader,
    #[serde(default)]
    kvs: Vec<KeyValue>,
}

// The gateway writes 64-bit numbers as strings (protobuf's JSON mapping), and leaves out what is zero.
#[derive(Deserialize)]
struct ResponseHeader {
    #[serde(with = "number")]
    revision: u64,
}

#[derive(Deserialize)]
struct KeyValue {
    key: String,
    /// The value; empty if the key was deleted.
    #[serde(default)]
    value: String,
    #[serde(default, with = "number")]
    mod_revision: u64,
}

#[derive(Deserialize)]
struct WatchAnswer {
    result: WatchResponse,
}

#[derive(Deserialize)]
struct WatchResponse {
    #[serde(default)]
    events: Vec<WatchEvent>,
    #[serde(default)]
    canceled: bool,
    #[serde(default, with = "number")]
    compact_revision: u64,
}

#[derive(Deserialize)]
struct WatchEvent {
    kv: KeyValue,
}

mod number {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
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
            fs::read(&path).map_err(FileError::of::<EtcdError>("read", &path))
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

    /// Raises the alarm by which etcd refuses all writes but deletions, as it does when its quota is used up.
    ///
    /// # Errors
    /// When etcd does not answer as its documentation says.
    pub(crate) async fn raise_space_alarm(&self) -> Result<(), EtcdError> {
        self.space_alarm("ACTIVATE").await
    }

    /// Takes the alarm back, so that etcd takes all writes again.
    ///
    /// # Errors
    /// When etcd does not answer as its documentation says.
    pub(crate) async fn clear_space_alarm(&self) -> Result<(), EtcdError> {
        self.space_alarm("DEACTIVATE").await
    }

    async fn space_alarm(&self, action: &'static str) -> Result<(), EtcdError> {
        // Of no member: the alarm of any one counts for all.
        let body = json!({ "action": action, "memberID": "0", "alarm": "NOSPACE" });
        let request = self.client.post(format!("{}/v3/maintenance/alarm", self.url)).body(body.to_string());
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        answer.map(drop).map_err(|source| EtcdError::Alarm { source })
    }

    /// Throws away all versions before `revision`, as the API server has it done every few minutes.
    ///
    /// # Errors
    /// When etcd does not answer as its documentation says.
    pub async fn compact(&self, revision: u64) -> Result<(), EtcdError> {
        let body = json!({ "revision": revision.to_string(), "physical": true });
        let request = self.client.post(format!("{}/v3/kv/compaction", self.url)).body(body.to_string());
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        answer.map(drop).map_err(|source| EtcdError::Compaction { source })
    }

    /// Shows everything whose key begins with `prefix`, in order, to `look`, and gives the revision at which the reading
    /// began. The empty prefix is that of all keys. No more than a page of it is held at once: a cluster may hold much.
    ///
    /// # Errors
    /// When etcd does not answer as its documentation says.
    pub async fn each(&self, prefix: &str, mut look: impl FnMut(Stored)) -> Result<u64, EtcdError> {
        // A key of nothing would be no key; the least one is a zero byte.
        let mut from = if prefix.is_empty() { vec![0] } else { prefix.as_bytes().to_vec() };
        let (end, mut revision) = (range_end(prefix.as_bytes()), None);
        loop {
            let Range { header, kvs } = self.range(prefix, &from, &end).await?;
            let began = *revision.get_or_insert(header.revision);
            let is_last = kvs.len() < PAGE as usize;
            for stored in kvs {
                let stored = stored.decode(prefix)?;
                // The key behind the last one.
                from = [stored.key.as_bytes(), &[0]].concat();
                look(stored);
            }
            if is_last {
                return Ok(began);
            }
        }
    }

    /// Everything whose key begins with `prefix`, in order.
    ///
    /// # Errors
    /// When etcd does not answer as its documentation says.
    pub async fn with_prefix(&self, prefix: &str) -> Result<Vec<Stored>, EtcdError> {
        let mut found = Vec::new();
        self.each(prefix, |stored| found.push(stored)).await?;
        Ok(found)
    }

    /// The revision that etcd has come to: it grows with each write to any key.
    ///
    /// # Errors
    /// When etcd does not answer as its documentation says.
    pub async fn revision(&self) -> Result<u64, EtcdError> {
        // Of one key that nobody has, which etcd answers with its revision all the same.
        Ok(self.range("credence", b"credence", b"credence\0").await?.header.revision)
    }

    /// Shows each version of each key that was written behind the revision `after` and up to `until` to `look`, also those
    /// that have been replaced or deleted since, and gives the revision behind which it began: a later one than asked for if
    /// etcd has forgotten what was before it.
    ///
    /// # Errors
    /// When etcd does not answer as its documentation says, or not within half a minute.
    pub async fn versions(&self, after: u64, until: u64, mut look: impl FnMut(Stored)) -> Result<u64, EtcdError> {
        let mut begin = after + 1;
        loop {
            let read = timeout(HISTORY, self.watch(begin, until, &mut look)).await;
            match read.map_err(|_| EtcdError::Silent { until })?? {
                None => return Ok(begin - 1),
                Some(forgotten) => begin = forgotten,
            }
        }
    }

    /// As [`versions`](Self::versions); gives the first revision that there is if `begin` is forgotten.
    async fn watch(&self, begin: u64, until: u64, look: &mut impl FnMut(Stored)) -> Result<Option<u64>, EtcdError> {
        if begin > until {
            return Ok(None);
        }
        let all = STANDARD.encode([0]);
        let body = json!({ "create_request": { "key": all, "range_end": all, "start_revision": begin.to_string() } });
        let failed = |source| EtcdError::Request { key: String::new(), source };
        let request = self.client.post(format!("{}/v3/watch", self.url)).body(body.to_string());
        let mut answer = request.send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        let (mut unread, mut is_last) = (Vec::new(), false);
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            unread.extend_from_slice(&chunk);
            // Each answer of the stream is a line.
            while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = unread.drain(..=end).collect();
                let WatchAnswer { result } =
                    serde_json::from_slice(&line).map_err(|source| EtcdError::Answer { key: String::new(), source })?;
                if result.canceled {
                    return Ok(Some(result.compact_revision.max(begin + 1)));
                }
                // Each revision is that of an event; the revision of the answer is the present one, however old its events.
                for event in result.events {
                    if event.kv.mod_revision > until {
                        return Ok(None);
                    }
                    is_last |= event.kv.mod_revision == until;
                    look(event.kv.decode("")?);
                }
                if is_last {
                    return Ok(None);
                }
            }
        }
        Err(EtcdError::Silent { until })
    }

    async fn range(&self, prefix: &str, from: &[u8], end: &[u8]) -> Result<Range, EtcdError> {
        let failed = |source| EtcdError::Request { key: prefix.to_owned(), source };
        let body = json!({ "key": STANDARD.encode(from), "range_end": STANDARD.encode(end), "limit": PAGE });
        let request = self.client.post(format!("{}/v3/kv/range", self.url)).body(body.to_string());
        let answer = request.send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        let bytes = answer.bytes().await.map_err(failed)?;
        serde_json::from_slice(&bytes).map_err(|source| EtcdError::Answer { key: prefix.to_owned(), source })
    }
}

impl KeyValue {
    fn decode(self, prefix: &str) -> Result<Stored, EtcdError> {
        let decode =
            |text: &str| STANDARD.decode(text).map_err(|source| EtcdError::Encoding { key: prefix.to_owned(), source });
        Ok(Stored { key: String::from_utf8_lossy(&decode(&self.key)?).into_owned(), value: decode(&self.value)? })
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

    use super::{WatchAnswer, range_end};

    #[test]
    fn an_answer_of_a_watch_has_numbers_as_text_and_leaves_out_what_is_zero() {
        let text = r#"{"result":{"header":{"revision":"9"},"events":[
            {"kv":{"key":"YQ==","create_revision":"8","mod_revision":"9","value":"Yg=="}},
            {"type":"DELETE","kv":{"key":"YQ==","mod_revision":"9"}}]}}"#;
        let WatchAnswer { result } = serde_json::from_str(text).unwrap();
        assert_eq!((result.canceled, result.compact_revision), (false, 0));
        let values: Vec<_> = result.events.into_iter().map(|event| (event.kv.mod_revision, event.kv.value)).collect();
        assert_eq!(values, [(9, "Yg==".to_owned()), (9, String::new())]);
    }

    #[rstest]
    #[case(b"/registry/secrets/", b"/registry/secrets0")]
    #[case(b"a\xff", b"b")]
    #[case(b"\xff", b"\0")]
    #[case::of_all_keys(b"", b"\0")]
    fn a_range_ends_behind_the_last_key_with_the_prefix(#[case] prefix: &[u8], #[case] end: &[u8]) {
        assert_eq!(range_end(prefix), end);
    }
}
