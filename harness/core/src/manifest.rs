//! Kubernetes manifests as files hold them: each object with the place it was read from.
//!
//! Interprets no object, and never puts what a file holds into an error or a log: manifests may hold credentials.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use serde_json::Value;

mod document;
mod encoding;
#[cfg(test)]
mod tests;
mod yaml_1_1;

pub use encoding::EncodingError;
pub use yaml_1_1::NotText;

/// Directory in a configuration with the files that the API server is started with.
pub const CONTROL_PLANE: &str = "control-plane";

/// One Kubernetes object and the place it was read from.
#[derive(Clone, PartialEq)]
pub struct Manifest {
    /// The file; for rendered manifests, the directory that kustomize rendered.
    pub file: PathBuf,
    /// The 1-based line where the object's document starts; for rendered manifests, in kustomize's output.
    pub line: usize,
    /// The object as written, with nothing defaulted.
    pub object: Value,
}

impl Manifest {
    /// The API group, empty for the core group.
    pub fn group(&self) -> &str {
        self.text("/apiVersion").split_once('/').map_or("", |(group, _)| group)
    }

    /// The API version without its group.
    pub fn version(&self) -> &str {
        let api_version = self.text("/apiVersion");
        api_version.split_once('/').map_or(api_version, |(_, version)| version)
    }

    /// The kind.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// The namespace as written, if any.
    pub fn namespace(&self) -> Option<&str> {
        self.object.pointer("/metadata/namespace")?.as_str()
    }

    /// Kind, namespace and name as messages show them: `Secret central/github-pat`.
    pub fn object_name(&self) -> String {
        match self.namespace() {
            Some(namespace) => format!("{} {namespace}/{}", self.kind(), self.name()),
            None if self.name().is_empty() => self.kind().to_owned(),
            None => format!("{} {}", self.kind(), self.name()),
        }
    }

    fn text(&self, pointer: &str) -> &str {
        self.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

impl fmt::Debug for Manifest {
    // The object may be a Secret, so only its name is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        write!(f, "{} at {file}:{}", self.object_name(), self.line)
    }
}

/// Why manifests could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file or directory could not be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The bytes of a file are no text.
    #[error("failed to read {} as text", file.display())]
    Encoding {
        /// The file.
        file: PathBuf,
        /// The cause.
        #[source]
        source: EncodingError,
    },
    /// Values that are due to be text are something else to kubectl, kustomize, Flux and Argo CD, which read YAML 1.1.
    #[error(
        "failed to read {} as kubectl does: {}; kubectl, kustomize, Flux and Argo CD read YAML 1.1, and text is due here: \
         quote it", file.display(), places.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    NotText {
        /// The file.
        file: PathBuf,
        /// Every such place.
        places: Vec<NotText>,
    },
    /// A document is not valid YAML.
    #[error("failed to parse YAML at {}:{line}", file.display())]
    Yaml {
        /// The file.
        file: PathBuf,
        /// The 1-based line of the error in the file.
        line: usize,
        /// The cause, with the same line.
        #[source]
        source: serde_yaml::Error,
    },
    /// A file is not valid JSON.
    #[error("failed to parse JSON at {}:{line}", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// The 1-based line of the error in the file.
        line: usize,
        /// The cause, with the same line.
        #[source]
        source: serde_json::Error,
    },
    /// A document uses a part of YAML that JSON, and so the Kubernetes API, cannot hold.
    #[error("failed to turn the document at {}:{line} into an object: {reason}", file.display())]
    NotJson {
        /// The file.
        file: PathBuf,
        /// The 1-based line where the document starts.
        line: usize,
        /// What JSON cannot hold.
        reason: &'static str,
    },
    /// A document is not a Kubernetes object.
    #[error("document at {}:{line} is no Kubernetes object: it has no {missing}", file.display())]
    NotAnObject {
        /// The file.
        file: PathBuf,
        /// The 1-based line where the document starts.
        line: usize,
        /// The field that is missing or no text.
        missing: &'static str,
    },
    /// The same object is written twice.
    #[error("{object} is written at both {first} and {second}")]
    Duplicate {
        /// Kind, namespace and name.
        object: String,
        /// File and line of the first.
        first: String,
        /// File and line of the second.
        second: String,
    },
    /// The directory is a kustomization and no kustomize was given.
    #[error("failed to render {}: it has a kustomization, and kustomize is not available", dir.display())]
    KustomizeNeeded {
        /// The directory.
        dir: PathBuf,
    },
    /// Kustomize could not be started.
    #[error("failed to start {} build {}", kustomize.display(), dir.display())]
    KustomizeStart {
        /// The program.
        kustomize: PathBuf,
        /// The directory.
        dir: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Kustomize refused the directory.
    #[error("failed to render {} with kustomize ({status}): {stderr}", dir.display())]
    KustomizeFailed {
        /// The directory.
        dir: PathBuf,
        /// How kustomize ended.
        status: std::process::ExitStatus,
        /// Its last lines on stderr.
        stderr: String,
    },
    /// A directory that is itself no kustomization holds one further down, so that it has no single reading.
    #[error(
        "{} has no kustomization, but {} is one; name a kustomization or a directory of plain manifests",
        dir.display(), nested.display()
    )]
    NestedKustomization {
        /// The directory that was asked for.
        dir: PathBuf,
        /// The kustomization file below it.
        nested: PathBuf,
    },
    /// There is nothing to apply.
    #[error("{} holds no Kubernetes object", dir.display())]
    Empty {
        /// The directory.
        dir: PathBuf,
    },
}

/// Parses the manifests of one file: several YAML documents, or JSON if the file's name ends in `.json`.
///
/// Documents without content are left out, and so are those that a program reads at its start and the API never
/// holds: groups `audit.k8s.io`, `apiserver.config.k8s.io` and `kind.x-k8s.io`. A list (`items`) stands for its
/// objects, as in `kubectl apply`. Scalars follow YAML 1.2; where text is due, a plain `yes`, which is a boolean in YAML 1.1, is
/// refused. A file of JSON may hold several objects one after the other.
///
/// # Errors
/// A document that is not valid, is no Kubernetes object, or repeats an object of the same text.
pub fn parse_documents(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let manifests = parse_part(file, text)?;
    reject_duplicates(&manifests)?;
    Ok(manifests)
}

/// Parses one file of several that make a whole: as [`parse_documents`], but repeated objects are for
/// [`reject_duplicates`] to find, in the whole.
///
/// # Errors
/// A document that is not valid or is no Kubernetes object.
pub fn parse_part(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    document::parse(file, text)
}

/// The text of a file: UTF-8, with or without a byte order mark, or UTF-16 with one.
///
/// # Errors
/// When it is neither.
pub fn decode(file: &Path, bytes: Vec<u8>) -> Result<String, ManifestError> {
    encoding::decode(bytes).map_err(|source| ManifestError::Encoding { file: file.to_owned(), source })
}

/// The documents of one file that a program reads at its start, which [`parse_documents`] leaves out. They have a kind and
/// no name.
///
/// # Errors
/// A document that is not valid or is no object.
pub fn parse_program_configuration(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    document::parse_program_configuration(file, text)
}

/// Refuses a whole in which the same object is written twice.
///
/// # Errors
/// The first object that is, with both places.
pub fn reject_duplicates(manifests: &[Manifest]) -> Result<(), ManifestError> {
    let mut seen = BTreeMap::new();
    for manifest in manifests {
        // The version is left out because all versions of a group are the same stored object.
        let identity = (manifest.group(), manifest.kind(), manifest.namespace(), manifest.name());
        if let Some(first) = seen.insert(identity, manifest) {
            return Err(ManifestError::Duplicate {
                object: manifest.object_name(),
                first: place(first),
                second: place(manifest),
            });
        }
    }
    Ok(())
}

fn place(manifest: &Manifest) -> String {
    format!("{}:{}", manifest.file.display(), manifest.line)
}
