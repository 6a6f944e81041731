//! Kubernetes manifests as files hold them: each object with the place it was read from.
//!
//! Interprets no object, and never puts what a file holds into an error or a log: manifests may hold credentials.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

mod document;
mod encoding;
mod error;
mod events;
mod location;
mod rendered;
mod source;
mod substituted;
pub mod substitution;
#[cfg(test)]
mod tests;
mod unrendered;
mod yaml_1_1;

pub use encoding::EncodingError;
pub use error::ManifestError;
pub use location::Location;
pub use rendered::{SourceTemplate, parse_rendered};
pub use yaml_1_1::NotText;

use location::Position;
use source::Source;

/// Directory in a configuration with the files that the API server is started with.
pub const CONTROL_PLANE: &str = "control-plane";

/// The file in a configuration that says what it is meant for, and is no manifest.
pub const INTENT: &str = "credence.yaml";

/// One Kubernetes object and the place it was read from.
#[derive(Clone, PartialEq)]
pub struct Manifest {
    /// The file; for rendered manifests, the template, or the directory that kustomize rendered.
    pub file: PathBuf,
    /// The 1-based line where the object's document starts; for rendered manifests, in kustomize's output.
    pub line: usize,
    /// The object as written, with nothing defaulted.
    pub object: Value,
    source: Option<Source>,
    /// Files that change it, and where the changes stand in them.
    patches: Vec<(PathBuf, Source)>,
}

impl Manifest {
    /// An object that no file has as it is; `file` and `line` say where it comes from.
    pub fn made(file: PathBuf, line: usize, object: Value) -> Self {
        Self { file, line, object, source: None, patches: Vec::new() }
    }

    /// Names the files that a rendered object is made of: the first of `written` is the object, and the others patch it, in
    /// order. Fields that none of them has are where the nearest around them is.
    pub fn came_from(&mut self, written: &[&Self]) {
        let Some((first, patches)) = written.split_first() else { return };
        (self.file, self.line, self.source) = (first.file.clone(), first.line, first.source.clone());
        let located = |patch: &&Self| Some((patch.file.clone(), patch.source.clone()?));
        self.patches = patches.iter().filter_map(located).collect();
    }

    /// The place where a field is written, by its JSON pointer (RFC 6901), or of the nearest field around it that is. An empty
    /// pointer is the object.
    pub fn location(&self, pointer: &str) -> Location {
        let patched = |(file, source): &(PathBuf, Source)| Some((file.clone(), source.exact(pointer)?));
        // The last patch decides, but not what the object is: a patch repeats that to say what it patches.
        let names_it = ["", "/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"].contains(&pointer);
        let patched = self.patches.iter().rev().filter(|_| !names_it).find_map(patched);
        let own = || self.source.as_ref().and_then(|source| Some((self.file.clone(), source.nearest(pointer)?)));
        match patched.or_else(own) {
            Some((file, Position { line, column })) => Location { file, line, column },
            None => Location { file: self.file.clone(), line: self.line, column: 1 },
        }
    }

    /// The API group, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version().split_once('/').map_or("", |(group, _)| group)
    }

    /// The API version without its group.
    pub fn version(&self) -> &str {
        let api_version = self.api_version();
        api_version.split_once('/').map_or(api_version, |(_, version)| version)
    }

    /// Kind of the object; empty if it has none.
    pub fn kind(&self) -> &str {
        text(self.object.get("kind"))
    }

    /// Name of the object; empty if it has none.
    pub fn name(&self) -> &str {
        text(self.metadata("name"))
    }

    /// The namespace as written, if any.
    pub fn namespace(&self) -> Option<&str> {
        self.metadata("namespace")?.as_str()
    }

    /// True if objects of its kind have no namespace, whatever is written.
    pub fn is_cluster_scoped(&self) -> bool {
        CLUSTER_SCOPED.contains(&self.kind())
    }

    /// Kind, namespace and name as messages show them: `Secret central/github-pat`.
    pub fn object_name(&self) -> String {
        match self.namespace() {
            Some(namespace) => format!("{} {namespace}/{}", self.kind(), self.name()),
            None if self.name().is_empty() => self.kind().to_owned(),
            None => format!("{} {}", self.kind(), self.name()),
        }
    }

    fn api_version(&self) -> &str {
        text(self.object.get("apiVersion"))
    }

    // Asked of every object again and again, where a JSON pointer would be taken apart each time.
    fn metadata(&self, field: &str) -> Option<&Value> {
        self.object.get("metadata")?.get(field)
    }
}

/// The text that a field is; empty if it is none.
fn text(field: Option<&Value>) -> &str {
    field.and_then(Value::as_str).unwrap_or_default()
}

impl fmt::Debug for Manifest {
    // The object may be a Secret, so only its name is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        write!(f, "{} at {file}:{}", self.object_name(), self.line)
    }
}

/// Parses the manifests of one file: several YAML documents, or JSON if the file's name ends in `.json`.
///
/// Documents without content are left out, and so are those that a program reads at its start and the API never
/// holds: groups `audit.k8s.io`, `apiserver.config.k8s.io` and `kind.x-k8s.io`. A list (`items`) stands for its
/// objects, as in `kubectl apply`. Scalars are those of YAML 1.1, as for kubectl: a plain `yes` is a boolean, and where text is
/// due, it is refused. A file of JSON may hold several objects one after the other.
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

/// The documents of one file whose objects need no kind and no name, such as a kustomization.
///
/// # Errors
/// A document that is not valid or has no fields.
pub fn parse_fields(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    document::parse_all(file, text)
}

/// Refuses a whole in which the same object is written twice.
///
/// # Errors
/// The first object that is, with both places.
pub fn reject_duplicates(manifests: &[Manifest]) -> Result<(), ManifestError> {
    let mut seen = BTreeMap::new();
    for manifest in manifests {
        if let Some(first) = seen.insert(identity(manifest), manifest) {
            return Err(ManifestError::Duplicate {
                object: manifest.object_name(),
                first: Box::new(first.location("/metadata/name")),
                second: Box::new(manifest.location("/metadata/name")),
            });
        }
    }
    Ok(())
}

/// Kinds without a namespace, whatever is written.
const CLUSTER_SCOPED: [&str; 24] = [
    "APIService",
    "CSIDriver",
    "ClusterExternalSecret",
    "ClusterGenerator",
    "ClusterIssuer",
    "ClusterPolicy",
    "ClusterPushSecret",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterSecretStore",
    "CustomResourceDefinition",
    "GatewayClass",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
];

/// Identity of an object, which its manifests have in common. The version is left out because all versions of a group are
/// the same
/// stored object, and an object without a namespace is in `default`, as for kubectl.
fn identity(manifest: &Manifest) -> (&str, &str, &str, &str) {
    let namespace = if manifest.is_cluster_scoped() { "" } else { manifest.namespace().unwrap_or("default") };
    (manifest.group(), manifest.kind(), namespace, manifest.name())
}
