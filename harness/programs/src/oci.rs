//! Container images assembled from files, each with a digest of its own.
//!
//! ```text
//!  entries ─▶ Layer, a file ──┐
//!                             ├─▶ Image ─▶ archive, a file   for `ctr images import`
//!  settings, nonce ───────────┘        └─▶ Registry          for a real pull
//! ```
//!
//! A layer is packed once and shared by any number of images: the nonce goes into a label of the image's
//! configuration, so each image has another digest and id but is unpacked from layers that are there already.
//! The formats are those of the OCI image specification 1.1. Layers are not compressed: they travel over loopback only.
//! They are written and read a piece at a time: an image of hundreds of megabytes takes none of them in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use credence_core::file_error::FileError;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

mod archive;
mod layer;
mod registry;
mod sleeper;
#[cfg(test)]
mod tests;

pub use sleeper::archive as archive_sleeper;
pub use sleeper::{SLEEPER_IMAGE, sleeper};

pub use archive::LayerEntry;
pub use layer::Layer;
pub use registry::Registry;

use archive::Archive;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The label that carries the nonce.
const NONCE: &str = "credence.nonce";

/// An image could not be made or pushed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ImageError {
    /// A file of the image cannot be read.
    #[error("failed to read {path} for the image's {entry}")]
    Read {
        /// The file on this machine.
        path: PathBuf,
        /// Its path in the image.
        entry: String,
        #[source]
        source: io::Error,
    },
    /// A path in the image is absolute, too long or not allowed in an archive.
    #[error("failed to put {entry} into the image")]
    Pack {
        /// The path in the image.
        entry: String,
        #[source]
        source: io::Error,
    },
    /// The file of a layer or of an archive cannot be made, written or read.
    #[error(transparent)]
    File(FileError),
    /// No client for the registry can be made.
    #[error("failed to make a client for the registry {registry}: {reason}")]
    Client { registry: String, reason: String },
    /// The registry refused, or gave no answer that the specification allows.
    #[error("failed to {act} {object} at the registry {registry}: {reason}")]
    Push {
        act: &'static str,
        /// The repository, tag or blob.
        object: String,
        registry: String,
        /// Its answer, without the text of its own, which could quote a credential.
        reason: String,
    },
    /// A name is not one that images can have.
    #[error("failed to make an image reference of {0}")]
    Reference(String),
}

impl From<FileError> for ImageError {
    fn from(error: FileError) -> Self {
        Self::File(error.ending(" for an image"))
    }
}

/// The SHA-256 of what it names, as in `sha256:0123…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    fn of(bytes: &[u8]) -> Self {
        Self::from_hasher(Sha256::new_with_prefix(bytes))
    }

    fn from_hasher(hasher: Sha256) -> Self {
        let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("sha256:{hex}"))
    }

    /// With its algorithm, as registries want it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Settings of a container of an image, unless its pod says otherwise.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The program, absolute, and its arguments.
    pub entrypoint: Vec<String>,
    /// Environment variables; no others are set by the image.
    pub environment: BTreeMap<String, String>,
    /// Directory in which it starts; the root if `None`.
    pub working_directory: Option<String>,
    /// Numeric user id; root if `None`.
    pub user: Option<u32>,
}

/// An image for this machine's architecture.
#[derive(Debug, Clone)]
pub struct Image {
    layers: Vec<Arc<Layer>>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Image {
    /// Makes an image of layers, lowest first. Another `nonce` gives another digest and another image id.
    pub fn new(layers: &[Arc<Layer>], settings: &Settings, nonce: &str) -> Self {
        let environment: Vec<String> =
            settings.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut run = json!({ "Entrypoint": settings.entrypoint, "Env": environment, "Labels": { NONCE: nonce } });
        if let Some(directory) = &settings.working_directory {
            run["WorkingDir"] = json!(directory);
        }
        if let Some(user) = settings.user {
            run["User"] = json!(user.to_string());
        }
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.digest().as_str()).collect();
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": run,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = config.to_string().into_bytes();
        let described: Vec<Value> =
            layers.iter().map(|layer| descriptor(LAYER, layer.size(), layer.digest())).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config.len() as u64, &Digest::of(&config)),
            "layers": described,
        });
        Self { layers: layers.to_vec(), config, manifest: manifest.to_string().into_bytes() }
    }

    /// The digest of its manifest: what `NAME@sha256:…` pulls.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// The digest of its configuration: what a kubelet reports as `imageID` of an imported image.
    pub fn id(&self) -> Digest {
        Digest::of(&self.config)
    }

    /// Writes an OCI layout as a tar archive to `path`, in which the image is called `name` (with registry and tag).
    ///
    /// # Errors
    /// When a layer cannot be read or the archive cannot be written.
    pub fn archive(&self, name: &str, path: &Path) -> Result<(), ImageError> {
        let digest = self.digest();
        let mut described = descriptor(MANIFEST, self.manifest.len() as u64, &digest);
        // containerd's import reads the full name from this annotation of its own, see its core/images/annotations.go.
        described["annotations"] = json!({ "io.containerd.image.name": name });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [described] }).to_string();
        let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.as_str().trim_start_matches("sha256:"));
        // By their names, each once.
        let mut blobs = BTreeMap::new();
        for (digest, bytes) in [(digest, &self.manifest), (self.id(), &self.config)] {
            blobs.insert(blob(&digest), LayerEntry::file(&blob(&digest), 0o644, bytes.as_slice()));
        }
        for layer in &self.layers {
            blobs.insert(blob(layer.digest()), LayerEntry::copy(&blob(layer.digest()), 0o644, layer.path()));
        }
        let mut archive = Archive::create(path)?;
        archive.append(&LayerEntry::file("oci-layout", 0o644, r#"{"imageLayoutVersion":"1.0.0"}"#))?;
        archive.append(&LayerEntry::file("index.json", 0o644, index))?;
        blobs.values().try_for_each(|entry| archive.append(entry))?;
        archive.finish().map(drop)
    }
}

fn descriptor(media_type: &str, size: u64, digest: &Digest) -> Value {
    json!({ "mediaType": media_type, "digest": digest.as_str(), "size": size })
}

/// The machine's architecture by the name that images give it, which is Go's.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
