//! A TLS handshake on loopback, between a server that has a certificate to prove and a client that trusts one authority.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use credence_core::credential::Credential;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Time that a handshake may take.
const DONE: Duration = Duration::from_secs(10);
/// Greeting of the server once it is trusted.
const GREETING: &[u8] = b"trusted";

/// Why there was no handshake.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The server could not use the certificate or the key, or the client did not trust it.
    #[error("failed to shake hands: {reason}")]
    Refused {
        /// Denials by servers; certificates and keys are not shown.
        reason: String,
    },
    /// The client's own authority or server name is not valid.
    #[error("failed to make a client that trusts {object}")]
    Client {
        /// The object that is not valid.
        object: &'static str,
    },
    /// No connection could be made.
    #[error("failed to connect to a server on loopback")]
    Connection(#[source] io::Error),
    /// Neither side refused, and the handshake was not done in time.
    #[error("failed to shake hands within {DONE:?}")]
    TimedOut,
}

/// Serves with `certificate` (a PEM chain) and `key` (PEM) and connects as a client that wants `name` and trusts only
/// certificates of `authority` (PEM).
///
/// # Errors
/// `Refused` when either side does not accept what it is given; anything else says nothing about the certificate.
pub(crate) async fn shake_hands(
    certificate: &Credential,
    key: &Credential,
    authority: &str,
    name: &str,
) -> Result<(), HandshakeError> {
    credence_watch::crypto::use_ring();
    let acceptor = TlsAcceptor::from(Arc::new(server(certificate, key)?));
    let connector = TlsConnector::from(Arc::new(client(authority)?));
    let name =
        ServerName::try_from(name.to_owned()).map_err(|_| HandshakeError::Client { object: "the server name" })?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(HandshakeError::Connection)?;
    let address = listener.local_addr().map_err(HandshakeError::Connection)?;
    let serve = async {
        let (stream, _) = listener.accept().await?;
        let mut stream = acceptor.accept(stream).await?;
        stream.write_all(GREETING).await?;
        stream.shutdown().await
    };
    let connect = async {
        let stream = TcpStream::connect(address).await.map_err(HandshakeError::Connection)?;
        let refused = |error: io::Error| HandshakeError::Refused { reason: format!("the client says {error}") };
        let mut stream = connector.connect(name, stream).await.map_err(refused)?;
        let mut greeting = Vec::new();
        stream.read_to_end(&mut greeting).await.map_err(refused)?;
        Ok(())
    };
    // The client's word counts: what the server sees of a refusal is a connection that ends.
    let (_, connected) =
        timeout(DONE, async { tokio::join!(serve, connect) }).await.map_err(|_| HandshakeError::TimedOut)?;
    connected
}

fn server(certificate: &Credential, key: &Credential) -> Result<ServerConfig, HandshakeError> {
    let refused = |reason: &str| HandshakeError::Refused { reason: format!("the server says {reason}") };
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(certificate.expose())
        .collect::<Result<_, _>>()
        .map_err(|_| refused("that the certificate is no PEM"))?;
    if chain.is_empty() {
        return Err(refused("that there is no certificate"));
    }
    let chain = chain.into_iter().map(CertificateDer::into_owned).collect();
    let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| refused("that the key is no PEM"))?;
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| refused(&error.to_string()))
}

fn client(authority: &str) -> Result<ClientConfig, HandshakeError> {
    let invalid = || HandshakeError::Client { object: "the authority" };
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority.as_bytes()).map_err(|_| invalid())?;
    roots.add(certificate).map_err(|_| invalid())?;
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use credence_programs::certificates::{Authority, Identity};
    use rstest::rstest;

    use super::*;

    async fn outcome(certificate: &str, key: &str, authority: &Authority, name: &str) -> Result<(), HandshakeError> {
        shake_hands(&Credential::new(certificate), &Credential::new(key), &authority.certificate(), name).await
    }

    #[tokio::test]
    async fn a_certificate_of_the_authority_is_trusted_for_its_names() {
        let authority = Authority::new("a").unwrap();
        let Identity { certificate, key } = authority.server("a", &["a.test"]).unwrap();
        outcome(&certificate, &key, &authority, "a.test").await.unwrap();
        let elsewhere = outcome(&certificate, &key, &authority, "b.test").await;
        assert!(matches!(elsewhere, Err(HandshakeError::Refused { .. })), "{elsewhere:?}");
        let stranger = outcome(&certificate, &key, &Authority::new("b").unwrap(), "a.test").await;
        assert!(matches!(stranger, Err(HandshakeError::Refused { .. })), "{stranger:?}");
    }

    #[tokio::test]
    async fn an_expired_certificate_is_refused() {
        let authority = Authority::new("a").unwrap();
        let Identity { certificate, key } = authority.expired_server("a", &["a.test"]).unwrap();
        let outcome = outcome(&certificate, &key, &authority, "a.test").await.unwrap_err().to_string();
        assert!(outcome.to_lowercase().contains("expired"), "{outcome}");
    }

    #[rstest]
    #[case::mismatched(1, 1.0)]
    #[case::truncated(0, 0.5)]
    #[tokio::test]
    async fn a_key_of_another_certificate_and_half_a_key_are_refused(#[case] whose: usize, #[case] share: f64) {
        let authority = Authority::new("a").unwrap();
        let identities = [authority.server("a", &["a.test"]).unwrap(), authority.server("a", &["a.test"]).unwrap()];
        let key = &identities[whose].key;
        let half = &key[..(key.len() as f64 * share) as usize];
        let outcome = outcome(&identities[0].certificate, half, &authority, "a.test").await;
        assert!(matches!(outcome, Err(HandshakeError::Refused { .. })), "{outcome:?}");
    }
}
