//! Programs that their publisher gives away in container images only.
//!
//! The program is taken out of the image's layers; no container engine is needed. A tag is trusted as a publisher's list
//! of checksums is: both come over HTTPS from where the program comes from. Each layer is verified by the digest that the
//! image's manifest has of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use credence_core::text::{Reason, chain};
use futures::StreamExt;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{DigestError, OciDistributionError};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use reqwest::Url;
use tokio::io::AsyncWriteExt;

use super::cache::{self, Cache, failed};
use super::download::{CONNECT, Failure, SILENCE};
use super::lock::Lock;
use super::release::unpack;
use super::{ComponentError, Origin, Part, Step, space};

/// The image of External Secrets Operator, which its chart names as well.
const EXTERNAL_SECRETS: (&str, &str) = ("ghcr.io", "external-secrets/external-secrets");

/// The image that a program is published in, for this machine's architecture.
#[derive(Debug, Clone)]
pub(super) struct PublishedImage {
    part: Part,
    reference: Reference,
    protocol: Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http,
    Https,
}

impl PublishedImage {
    /// The image of `part`; `None` when it is published otherwise or not at all.
    ///
    /// `mirror` takes the place of the registry; its path goes before the name of the repository, as mirrors of
    /// registries have it.
    ///
    /// # Errors
    /// When the mirror is not an address.
    pub(super) fn of(part: Part, mirror: Option<&str>) -> Result<Option<Self>, ComponentError> {
        let (host, repository) = match part {
            Part::ExternalSecrets => EXTERNAL_SECRETS,
            _ => return Ok(None),
        };
        let tag = format!("v{}", part.version());
        let (registry, repository, protocol) = match mirror {
            None => (host.to_owned(), repository.to_owned(), Protocol::Https),
            Some(mirror) => mirrored(mirror, repository)?,
        };
        Ok(Some(Self { part, reference: Reference::with_tag(registry, repository, tag), protocol }))
    }

    /// The image that the user names. Registries of this machine are asked by HTTP, as container engines ask them.
    ///
    /// # Errors
    /// When it is not the name of an image, with the reason.
    pub(super) fn named(part: Part, name: &str) -> Result<Self, Reason> {
        let reference: Reference = name.parse().map_err(Reason::of)?;
        let host = reference.registry().rsplit_once(':').map_or(reference.registry(), |(host, _)| host);
        let is_here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let protocol = if is_here { Protocol::Http } else { Protocol::Https };
        Ok(Self { part, reference, protocol })
    }

    /// Asks for the image: its layers, and the digest by which it is the same one each time.
    pub(super) async fn manifest(&self) -> Result<(OciImageManifest, String), Failure> {
        let pulled = self.client()?.pull_image_manifest(&self.reference, &RegistryAuth::Anonymous).await;
        pulled.map_err(|error| unavailable(&error))
    }

    /// The host that is asked, for a message.
    pub(super) fn host(&self) -> &str {
        self.reference.registry()
    }

    /// Downloads the image until the program is there.
    ///
    /// `lock` is that of the part's module.
    pub(super) async fn fetch(
        &self,
        cache: &Cache,
        lock: &Arc<Lock>,
        report: &(dyn Fn(&Step) + Sync),
    ) -> Result<(PathBuf, Origin), Failure> {
        let (manifest, _) = self.manifest().await?;
        let program = self.take(&manifest, cache, &cache.download(self.part), lock, report).await?;
        Ok((program, Origin::Release { url: self.reference.whole() }))
    }

    /// Downloads the layers of an image to `file`, topmost first, until one has the program.
    pub(super) async fn take(
        &self,
        manifest: &OciImageManifest,
        cache: &Cache,
        file: &Path,
        lock: &Arc<Lock>,
        report: &(dyn Fn(&Step) + Sync),
    ) -> Result<PathBuf, Failure> {
        let client = self.client()?;
        space::check(self.part.name(), &[(cache.root(), 2 * self.part.megabytes())])?;
        // A program is put on top of what it needs, so that the first layer that is looked at has it.
        for layer in manifest.layers.iter().rev() {
            self.download(&client, layer, file, report).await?;
            report(&Step::Verifying);
            let (archive, name) = (file.to_owned(), self.part.name());
            let found = lock.during(move || program_in(&archive, name)).await?;
            if let Some(program) = found {
                return Ok(program);
            }
        }
        Err(Failure::Unavailable(format!("no layer of {} has a file {}", self.reference, self.part)))
    }

    fn client(&self) -> Result<Client, Failure> {
        credence_watch::crypto::use_ring();
        let protocol = match self.protocol {
            Protocol::Http => ClientProtocol::Http,
            Protocol::Https => ClientProtocol::Https,
        };
        let config = ClientConfig {
            protocol,
            connect_timeout: Some(CONNECT),
            read_timeout: Some(SILENCE),
            user_agent: "credence",
            ..ClientConfig::default()
        };
        Client::try_from(config).map_err(|error| unavailable(&error))
    }

    /// Writes a layer to `file`, over what is there.
    async fn download(
        &self,
        client: &Client,
        layer: &OciDescriptor,
        file: &Path,
        report: &(dyn Fn(&Step) + Sync),
    ) -> Result<(), Failure> {
        let stream = client.pull_blob_stream(&self.reference, layer).await;
        let mut stream = stream.map_err(|error| unavailable(&error))?;
        let mut out = tokio::fs::File::create(file).await.map_err(failed("write", file))?;
        let (mut received, total) = (0, u64::try_from(layer.size).ok());
        while let Some(piece) = stream.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => return Err(self.cut(file, &error)),
            };
            out.write_all(&piece).await.map_err(failed("write", file))?;
            received += piece.len() as u64;
            report(&Step::Downloading { received, total });
        }
        out.flush().await.map_err(failed("write", file))?;
        Ok(())
    }

    /// Tells a layer that is not what the manifest names from a connection that broke.
    fn cut(&self, file: &Path, error: &io::Error) -> Failure {
        let digest = error.get_ref().and_then(|cause| cause.downcast_ref::<DigestError>());
        let Some(DigestError::VerificationError { expected, actual }) = digest else {
            return Failure::Unavailable(chain(error));
        };
        let (expected, found) = (expected.clone(), actual.clone());
        let other = ComponentError::Checksum { part: self.part, url: self.reference.whole(), expected, found };
        Failure::Fatal(cache::remove(file).err().unwrap_or(other))
    }
}

/// The registry, the repository and how they are asked, behind a mirror's address.
fn mirrored(mirror: &str, repository: &str) -> Result<(String, String, Protocol), ComponentError> {
    let bad = || ComponentError::Mirror { mirror: mirror.to_owned() };
    let url = Url::parse(mirror).map_err(|_| bad())?;
    let protocol = match url.scheme() {
        "http" => Protocol::Http,
        "https" => Protocol::Https,
        _ => return Err(bad()),
    };
    let host = url.host_str().ok_or_else(bad)?;
    let registry = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let path = url.path().trim_matches('/');
    let repository = if path.is_empty() { repository.to_owned() } else { format!("{path}/{repository}") };
    Ok((registry, repository, protocol))
}

/// Takes the program out of a layer, which is removed; `None` where it has none.
fn program_in(layer: &Path, name: &str) -> Result<Option<PathBuf>, ComponentError> {
    let program = layer.with_extension("program");
    let taken = unpack(layer, name, &program);
    cache::remove(layer)?;
    match taken {
        Ok(()) => Ok(Some(program)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("unpack", layer)(error)),
    }
}

fn unavailable(error: &OciDistributionError) -> Failure {
    Failure::Unavailable(chain(error))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::of_its_publisher(None, "ghcr.io/external-secrets/external-secrets:v0.20.4", Protocol::Https)]
    #[case::of_a_mirror(
        Some("http://mirror.test:5000/"),
        "mirror.test:5000/external-secrets/external-secrets:v0.20.4",
        Protocol::Http
    )]
    #[case::of_a_mirror_with_a_path(
        Some("https://mirror.test/proxy"),
        "mirror.test/proxy/external-secrets/external-secrets:v0.20.4",
        Protocol::Https
    )]
    fn an_image_is_where_its_publisher_or_the_mirror_has_it(
        #[case] mirror: Option<&str>,
        #[case] reference: &str,
        #[case] protocol: Protocol,
    ) {
        let image = PublishedImage::of(Part::ExternalSecrets, mirror).unwrap().unwrap();
        assert_eq!((image.reference.whole().as_str(), image.protocol), (reference, protocol));
    }

    #[rstest]
    #[case("mirror.test")]
    #[case("file:///srv/mirror")]
    #[case("")]
    fn a_mirror_that_is_no_address_is_an_error(#[case] mirror: &str) {
        let error = PublishedImage::of(Part::ExternalSecrets, Some(mirror)).unwrap_err();
        assert_eq!(error.to_string(), format!("failed to use the mirror {mirror}: not an http or https URL"));
    }

    #[rstest]
    #[case::of_a_registry("ghcr.io/external-secrets/external-secrets:v2.9.0", Protocol::Https)]
    #[case::of_this_machine("localhost:5000/eso:v2.9.0", Protocol::Http)]
    #[case::of_this_machine_by_address("127.0.0.1:5000/eso", Protocol::Http)]
    #[case::of_a_name_that_begins_alike("localhost.example.org/eso", Protocol::Https)]
    fn an_image_that_is_named_is_asked_for_as_engines_ask(#[case] name: &str, #[case] protocol: Protocol) {
        assert_eq!(PublishedImage::named(Part::ExternalSecrets, name).unwrap().protocol, protocol);
    }

    #[test]
    fn what_is_no_name_of_an_image_is_an_error_with_the_reason() {
        let reason = PublishedImage::named(Part::ExternalSecrets, "not an image").unwrap_err();
        assert!(!reason.as_str().is_empty());
    }

    #[test]
    fn what_is_published_as_a_file_has_no_image() {
        assert!(PublishedImage::of(Part::Helm, None).unwrap().is_none());
    }
}
