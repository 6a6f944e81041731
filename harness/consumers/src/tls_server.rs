//! An HTTPS server as a consumer: it serves with the copy, and a client that trusts the run's authority connects.

use std::collections::BTreeMap;

use credence_core::consumer::Consumer;
use credence_core::credential::Credential;
use credence_core::formats::TLS_SERVER;

use crate::login::{Login, LoginFuture, Proof, Runner};
use crate::running::{Consumers, LoginAnswer};
use crate::tls_server::handshake::HandshakeError;

pub(crate) mod handshake;

/// An HTTPS server, which shakes hands.
pub(crate) struct TlsHandshake;

impl Runner for TlsHandshake {
    fn consumer(&self) -> Consumer {
        TLS_SERVER
    }

    fn proof(&self) -> Proof {
        Proof::Handshake
    }

    fn log_in<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> LoginFuture<'a> {
        Box::pin(async move { Ok(consumers.shake_hands(&login.data, &login.server_name).await?) })
    }
}

impl Consumers {
    /// Serves with the certificate and key of a copy's `data` and connects to it as `name`.
    ///
    /// # Errors
    /// When no connection can be made on this machine.
    async fn shake_hands(
        &self,
        data: &BTreeMap<String, Credential>,
        name: &str,
    ) -> Result<LoginAnswer, HandshakeError> {
        let (Some(certificate), Some(key)) = (data.get("tls.crt"), data.get("tls.key")) else {
            return Ok(LoginAnswer::Refused("the copy has no tls.crt and tls.key".to_owned()));
        };
        match handshake::shake_hands(certificate, key, &self.authority.certificate(), name).await {
            Ok(()) => Ok(LoginAnswer::Admitted),
            Err(HandshakeError::Refused { reason }) => Ok(LoginAnswer::Refused(reason)),
            Err(error) => Err(error),
        }
    }
}
