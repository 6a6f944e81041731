//! Pushing images to a registry that speaks the OCI distribution specification.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use credence_core::credential::Credential;
use credence_core::file_error::FileError;
use futures::{Stream, stream};
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::{Digest, Image, ImageError, Layer, MANIFEST};

#[cfg(test)]
mod tests;

/// Number of bytes of a layer that are read at a time.
const PIECE: usize = 128 * 1024;

/// A registry, and the user that pushes to it.
pub struct Registry {
    address: String,
    client: Client,
    auth: RegistryAuth,
    /// A repository that has the layer, by digest of those that were pushed.
    pushed: Mutex<BTreeMap<Digest, Reference>>,
}

impl Registry {
    /// A client for the HTTPS registry at `address` (`HOST:PORT`), of which only certificates of `ca`, PEM, are
    /// accepted. The password may be a token.
    ///
    /// # Errors
    /// When the certificate is not one, or the password is not text.
    pub fn new(address: &str, ca: &str, username: &str, password: &Credential) -> Result<Self, ImageError> {
        let password = password.expose_str().ok_or_else(|| unusable(address, "the password is not UTF-8"))?;
        Self::with(address, ca, RegistryAuth::Basic(username.to_owned(), password.to_owned()))
    }

    /// Same as [`new`](Self::new), without a login.
    ///
    /// # Errors
    /// When the certificate is not one.
    pub fn anonymous(address: &str, ca: &str) -> Result<Self, ImageError> {
        Self::with(address, ca, RegistryAuth::Anonymous)
    }

    fn with(address: &str, ca: &str, auth: RegistryAuth) -> Result<Self, ImageError> {
        credence_watch::crypto::use_ring();
        let certificate = Certificate { encoding: CertificateEncoding::Pem, data: ca.as_bytes().to_vec() };
        let config = ClientConfig {
            protocol: ClientProtocol::Https,
            tls_certs_only: vec![certificate],
            // One request for each blob instead of three.
            use_monolithic_push: true,
            user_agent: "credence",
            ..ClientConfig::default()
        };
        // `Client::new` would go on without the certificate if it could not be used.
        let client = Client::try_from(config).map_err(|error| unusable(address, &describe(&error)))?;
        Ok(Self { address: address.to_owned(), client, auth, pushed: Mutex::default() })
    }

    /// Pushes `image` as `repository:tag` and gives the digest of its manifest. Layers that this client has pushed before,
    /// to whatever repository, are not sent again.
    ///
    /// # Errors
    /// When a name is not valid, or the registry refuses.
    pub async fn push(&self, image: &Image, repository: &str, tag: &str) -> Result<Digest, ImageError> {
        let name = format!("{}/{repository}:{tag}", self.address);
        let reference: Reference = name.parse().map_err(|_| ImageError::Reference(name.clone()))?;
        self.client
            .auth(&reference, &self.auth, RegistryOperation::Push)
            .await
            .map_err(|error| self.refused("authenticate for", repository, &error))?;
        for layer in &image.layers {
            self.push_layer(&reference, layer).await?;
        }
        let id = image.id();
        if !self.has_blob(&reference, &id).await? {
            let pushed = self.client.push_blob(&reference, image.config.clone(), id.as_str()).await;
            pushed.map_err(|error| self.refused("push the blob", id.as_str(), &error))?;
        }
        let media_type = http::HeaderValue::from_static(MANIFEST);
        self.client
            .push_manifest_raw(&reference, image.manifest.clone(), media_type)
            .await
            .map_err(|error| self.refused("push the manifest of", &name, &error))?;
        Ok(image.digest())
    }

    /// The tags of a repository.
    ///
    /// # Errors
    /// When the name is not valid, or the registry refuses.
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>, ImageError> {
        let name = format!("{}/{repository}", self.address);
        let reference: Reference = name.parse().map_err(|_| ImageError::Reference(name.clone()))?;
        let listed = self.client.list_tags(&reference, &self.auth, None, None).await;
        listed.map(|list| list.tags).map_err(|error| self.refused("list the tags of", repository, &error))
    }

    async fn push_layer(&self, reference: &Reference, layer: &Layer) -> Result<(), ImageError> {
        let digest = layer.digest();
        let known = self.pushed().get(digest).cloned();
        if let Some(source) = known.filter(|source| source.repository() != reference.repository()) {
            let mounted = self.client.mount_blob(reference, &source, digest.as_str()).await;
            return mounted.map_err(|error| self.refused("mount the layer", digest.as_str(), &error));
        }
        if !self.has_blob(reference, digest).await? {
            self.send_layer(reference, layer).await?;
        }
        self.pushed().entry(digest.clone()).or_insert_with(|| reference.clone());
        Ok(())
    }

    /// Sends a layer from its file, which is never in memory as a whole.
    async fn send_layer(&self, reference: &Reference, layer: &Layer) -> Result<(), ImageError> {
        let unread = Arc::new(Mutex::new(None));
        let pieces = pieces(File::from_std(layer.open()?), Arc::clone(&unread));
        let digest = layer.digest().as_str();
        let pushed = self.client.push_blob_stream(reference, pieces, digest, Some(layer.size())).await;
        pushed.map(drop).map_err(|error| match lock(&unread).take() {
            // The registry saw no more than a connection that broke.
            Some(source) => FileError::of::<ImageError>("read", layer.path())(source),
            None => self.refused("push the blob", digest, &error),
        })
    }

    async fn has_blob(&self, reference: &Reference, digest: &Digest) -> Result<bool, ImageError> {
        let there = self.client.blob_exists(reference, digest.as_str()).await;
        there.map_err(|error| self.refused("look for the blob", digest.as_str(), &error))
    }

    fn pushed(&self) -> MutexGuard<'_, BTreeMap<Digest, Reference>> {
        lock(&self.pushed)
    }

    fn refused(&self, act: &'static str, object: &str, error: &OciDistributionError) -> ImageError {
        ImageError::Push { act, object: object.to_owned(), registry: self.address.clone(), reason: describe(error) }
    }
}

/// Contents of a file, piece by piece. A failure to read it is left in `unread`: a client does not tell that from a
/// connection that broke.
fn pieces(
    file: File,
    unread: Arc<Mutex<Option<io::Error>>>,
) -> impl Stream<Item = Result<Bytes, OciDistributionError>> + Send + 'static {
    stream::try_unfold((file, unread), |(mut file, unread)| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        match file.read_buf(&mut piece).await {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some((piece.freeze(), (file, unread)))),
            Err(error) => {
                let kind = error.kind();
                *lock(&unread) = Some(error);
                Err(io::Error::from(kind).into())
            }
        }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nobody can leave what is in it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unusable(registry: &str, reason: &str) -> ImageError {
    ImageError::Client { registry: registry.to_owned(), reason: reason.to_owned() }
}

/// Description of a failure, without texts that the registry chose: those could quote what it was sent.
fn describe(error: &OciDistributionError) -> String {
    match error {
        OciDistributionError::AuthenticationFailure(_) => "the user or the password was refused".to_owned(),
        OciDistributionError::UnauthorizedError { .. } => "401 Unauthorized".to_owned(),
        OciDistributionError::ServerError { code, .. } => format!("status {code}"),
        OciDistributionError::RegistryError { envelope, .. } => {
            let codes: Vec<String> = envelope.errors.iter().map(|error| format!("{:?}", error.code)).collect();
            codes.join(", ")
        }
        OciDistributionError::RequestError(error) => match error.status() {
            Some(status) => status.to_string(),
            None if error.is_connect() => {
                "no connection, or a certificate that is not of the run's authority".to_owned()
            }
            None if error.is_builder() => "the certificate or the address is not valid".to_owned(),
            None => "no complete answer".to_owned(),
        },
        _ => "an answer that the distribution specification does not allow".to_owned(),
    }
}
