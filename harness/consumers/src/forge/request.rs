//! A request to the forge, and whom the server took its client for.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::offer::Offered;

/// A request that reached the façade. No value of a credential is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Time at which its head was read.
    pub at: SystemTime,
    /// The host that the client named, with the port if it named one.
    pub host: String,
    /// HTTP method, such as `GET`.
    pub method: String,
    /// The path as the client sent it.
    pub path: String,
    /// Parameters of the query: only `ns`, `scope` and `service` keep their value.
    pub query: BTreeMap<String, Option<String>>,
    /// The client's `User-Agent`; empty if it sent none.
    pub agent: String,
    /// Authentication that the client tried, with fingerprints in place of credentials.
    pub offered: Offered,
    /// The status that Gitea answered with; `None` if it did not, or not yet.
    pub status: Option<u16>,
    /// Identity that Gitea took the client for.
    pub caller: Caller,
}

impl Request {
    /// The registry that the client means: containerd names it in `ns` when it asks a mirror in its stead.
    pub fn registry(&self) -> &str {
        self.query.get("ns").and_then(Option::as_deref).unwrap_or(&self.host)
    }
}

/// Identity that the server took a client for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody: no credential was offered, or none that it accepted.
    Anonymous,
    /// A user, by login name.
    User(String),
    /// The server did not say. Gitea names no user for Basic authentication at its registry, except at `/v2/token`.
    Unknown,
}
