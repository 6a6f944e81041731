//! Sessions of SSH as requests of the log.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use http::StatusCode;

use super::offer::Offered;
use super::request::{Caller, Request};

/// Method of its entries in the log, which have none.
const METHOD: &str = "SSH";
/// Line that Gitea logs of a key that nobody has, before its fingerprint (modules/ssh/ssh.go of Gitea 1.26).
const UNKNOWN_KEY: &str = "Unknown public key: ";

/// The fingerprint in a line of Gitea's log about a key that nobody has.
pub(super) fn unknown_key(line: &str) -> Option<&str> {
    line.split_once(UNKNOWN_KEY)?.1.split_whitespace().next()
}

/// A client that came with a key that nobody has.
pub(super) fn turned_away(host: IpAddr, fingerprint: &str) -> Request {
    let offered = Offered::Key { fingerprint: fingerprint.to_owned() };
    Request { status: Some(StatusCode::UNAUTHORIZED.as_u16()), ..request(host, "", offered) }
}

/// A client that asks for a repository, before it has an answer.
pub(super) fn request(host: IpAddr, path: &str, offered: Offered) -> Request {
    Request {
        at: SystemTime::now(),
        host: host.to_string(),
        method: METHOD.to_owned(),
        path: path.to_owned(),
        query: BTreeMap::new(),
        agent: String::new(),
        offered,
        status: None,
        caller: Caller::Anonymous,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_about_an_unknown_key_tells_its_fingerprint() {
        let line = "2026/11/30 16:00:00 modules/ssh/ssh.go:312:publicKeyHandler() [W] Unknown public key: SHA256:a+b/c from 127.0.0.1:7";
        assert_eq!(unknown_key(line), Some("SHA256:a+b/c"));
        assert_eq!(unknown_key("0123-4 200 ada"), None);
    }

    #[test]
    fn who_is_turned_away_is_refused_with_the_key_that_came() {
        let request = turned_away(IpAddr::from([127, 0, 0, 1]), "SHA256:a");
        assert_eq!((request.status, request.offered.secret()), (Some(401), Some("SHA256:a")));
        assert_eq!((request.path.as_str(), request.caller), ("", Caller::Anonymous));
    }
}
