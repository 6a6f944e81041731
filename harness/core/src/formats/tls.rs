//! Certificates as an HTTPS server reads them.

use std::collections::BTreeMap;

use super::{CopyView, Decoded, Format, FormatError, FormatKind, Role, plain, required};
use crate::consumer::{Claim, Consumer, ConsumerMeta, CopyShape, DeniedLogin};
use crate::id::Requirement;

/// A server that shows the copy's certificate to clients.
pub const TLS_SERVER: Consumer = Consumer::new(&TlsServer {
    meta: ConsumerMeta {
        id: "TlsServer",
        title: "TLS server",
        operation: "TLS handshake",
        requirement: Requirement::new(4, 4),
        fallback: None,
        endpoint: None,
        namespace: None,
        denied_logins: &[DeniedLogin::UnderOtherName],
        offers_to_whole_host: false,
    },
});

/// The type of its Secrets.
const TLS: &str = "kubernetes.io/tls";

struct TlsServer {
    meta: ConsumerMeta,
}

impl Format for TlsServer {
    fn meta(&self) -> &ConsumerMeta {
        &self.meta
    }

    fn claim(&self, shape: &CopyShape<'_>) -> Option<Claim> {
        (shape.secret_type == TLS).then_some(Claim::Type)
    }

    /// The certificate of who signed it is there for clients.
    fn reads(&self, _shape: &CopyShape<'_>) -> Option<&'static [&'static str]> {
        Some(&["tls.crt", "tls.key", "ca.crt"])
    }

    /// Both values are compared as bytes.
    fn decode(&self, copy: &CopyView<'_>) -> Option<Result<Decoded, FormatError>> {
        let parts = || {
            Ok(BTreeMap::from([
                (Role::Certificate, required(copy.data, "tls.crt")?.clone()),
                (Role::PrivateKey, required(copy.data, "tls.key")?.clone()),
            ]))
        };
        Some(parts().map(|parts| plain::decoded(FormatKind::Tls, parts)))
    }
}
