//! Container images assembled in memory from files, each with a digest of its own.
//!
//! ```text
//!  entries ─▶ Layer ──┐
//!                     ├─▶ Image ─▶ archive   for `ctr images import`
//!  settings, nonce ───┘        └─▶ Registry  for a real pull
//! ```
//!
//! A layer is packed once and shared by any number of images: the nonce goes into a label of the image's
//! configuration, so each image has another digest and id but is unpacked from layers that are there already.
//! The formats are those of the OCI image specification 1.1. Layers are not compressed: they travel over loopback only.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::Sha256;
use tar::{EntryType, Header};

mod registry;
#[cfg(test)]
mod tests;

pub use registry::Registry;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Size of a header of a tar archive, and what everything in it is padded to.
const BLOCK: usize = 512;
/// The label that carries the nonce.
const NONCE: &str = "credence.nonce";

/// Why an image could not be made or pushed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file of the image cannot be read.
    #[error("failed to read {path} for the image's {entry}")]
    Read {
        /// The file on this machine.
        path: PathBuf,
        /// Its path in the image.
        entry: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A path in the image is absolute, too long or not allowed in an archive.
    #[error("failed to put {entry} into the image")]
    Pack {
        /// The path in the image.
        entry: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// No client for the registry can be made.
    #[error("failed to make a client for the registry {registry}: {reason}")]
    Client {
        /// The registry's address.
        registry: String,
        /// The cause.
        reason: String,
    },
    /// The registry refused, or gave no answer that the specification allows.
    #[error("failed to {act} {object} at the registry {registry}: {reason}")]
    Push {
        /// The request.
        act: &'static str,
        /// The repository, tag or blob.
        object: String,
        /// The registry's address.
        registry: String,
        /// What it answered, without the text of its own, which could quote a credential.
        reason: String,
    },
    /// A name is not one that images can have.
    #[error("failed to make an image reference of {0}")]
    Reference(String),
}

/// The SHA-256 of what it names, as in `sha256:0123…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
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

/// One file or link of a layer. Owned by root, with no modification time, so that equal content has an equal digest.
#[derive(Debug, Clone)]
pub struct Entry {
    path: String,
    mode: u32,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Bytes(Vec<u8>),
    Copy(PathBuf),
    Link(PathBuf),
}

impl Entry {
    /// A file with these bytes. `path` is relative to the image's root; `mode` are permission bits.
    pub fn file(path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), mode, content: Content::Bytes(bytes.into()) }
    }

    /// A file with the bytes of one on this machine, read when the layer is packed.
    pub fn copy(path: &str, mode: u32, source: &Path) -> Self {
        Self { path: path.to_owned(), mode, content: Content::Copy(source.to_owned()) }
    }

    /// What it takes in an archive, or less where its path is longer than a header has room for.
    fn packed_size(&self) -> usize {
        let content = match &self.content {
            Content::Bytes(bytes) => bytes.len(),
            // A file that cannot be read fails when it is packed.
            Content::Copy(path) => path.metadata().map_or(0, |data| usize::try_from(data.len()).unwrap_or_default()),
            Content::Link(_) => 0,
        };
        BLOCK + content.next_multiple_of(BLOCK)
    }

    /// A symbolic link.
    pub fn link(path: &str, target: &Path) -> Self {
        Self { path: path.to_owned(), mode: 0o777, content: Content::Link(target.to_owned()) }
    }
}

/// Files that are packed once, for any number of images.
#[derive(Debug)]
pub struct Layer {
    digest: Digest,
    bytes: Bytes,
}

impl Layer {
    /// Packs the entries. Directories above them need no entries of their own.
    ///
    /// # Errors
    /// When a file cannot be read or a path cannot be packed.
    pub fn pack(entries: &[Entry]) -> Result<Arc<Self>, ImageError> {
        // A layer can have hundreds of megabytes, which are not to be moved each time that they outgrow their place.
        let size = entries.iter().map(Entry::packed_size).sum::<usize>() + 2 * BLOCK;
        let mut archive = tar::Builder::new(Vec::with_capacity(size));
        for entry in entries {
            let packed = |source| ImageError::Pack { entry: entry.path.clone(), source };
            let mut header = header(entry.mode);
            match &entry.content {
                Content::Bytes(bytes) => append(&mut archive, &mut header, &entry.path, bytes).map_err(packed)?,
                Content::Copy(path) => {
                    let bytes = fs::read(path).map_err(|source| ImageError::Read {
                        path: path.clone(),
                        entry: entry.path.clone(),
                        source,
                    })?;
                    append(&mut archive, &mut header, &entry.path, &bytes).map_err(packed)?;
                }
                Content::Link(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_size(0);
                    archive.append_link(&mut header, &entry.path, target).map_err(packed)?;
                }
            }
        }
        let bytes =
            archive.into_inner().map_err(|source| ImageError::Pack { entry: "the layer".to_owned(), source })?;
        Ok(Arc::new(Self { digest: Digest::of(&bytes), bytes: bytes.into() }))
    }

    /// Its digest; uncompressed, so also what the specification calls its diff id.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// How a container of an image runs unless its pod says otherwise.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The program, absolute, and its arguments.
    pub entrypoint: Vec<String>,
    /// Variables of its environment.
    pub environment: BTreeMap<String, String>,
    /// Where it starts; the root if `None`.
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
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": run,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = config.to_string().into_bytes();
        let described: Vec<Value> = layers.iter().map(|layer| descriptor(LAYER, &layer.bytes, &layer.digest)).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config, &Digest::of(&config)),
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

    /// An OCI layout as a tar archive, in which the image is called `name` (with registry and tag).
    ///
    /// # Errors
    /// When the archive cannot be packed.
    pub fn archive(&self, name: &str) -> Result<Vec<u8>, ImageError> {
        let digest = self.digest();
        let mut described = descriptor(MANIFEST, &self.manifest, &digest);
        // containerd's import reads the full name from this annotation of its own, see its core/images/annotations.go.
        described["annotations"] = json!({ "io.containerd.image.name": name });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [described] }).to_string();
        let mut blobs = BTreeMap::from([(digest, &*self.manifest), (self.id(), &*self.config)]);
        blobs.extend(self.layers.iter().map(|layer| (layer.digest.clone(), &*layer.bytes)));
        let mut files = vec![
            ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.as_slice()),
            ("index.json".to_owned(), index.as_bytes()),
        ];
        files.extend(blobs.iter().map(|(digest, bytes)| {
            let hex = digest.as_str().trim_start_matches("sha256:");
            (format!("blobs/sha256/{hex}"), *bytes)
        }));
        let mut archive = tar::Builder::new(Vec::new());
        let packed = |entry: &str| {
            let entry = entry.to_owned();
            move |source| ImageError::Pack { entry, source }
        };
        for (path, bytes) in files {
            append(&mut archive, &mut header(0o644), &path, bytes).map_err(packed(&path))?;
        }
        archive.into_inner().map_err(packed(name))
    }
}

fn header(mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn append(archive: &mut tar::Builder<Vec<u8>>, header: &mut Header, path: &str, bytes: &[u8]) -> io::Result<()> {
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes.len() as u64);
    archive.append_data(header, path, bytes)
}

fn descriptor(media_type: &str, bytes: &[u8], digest: &Digest) -> Value {
    json!({ "mediaType": media_type, "digest": digest.as_str(), "size": bytes.len() })
}

/// The machine's architecture by the name that images give it, which is Go's.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
