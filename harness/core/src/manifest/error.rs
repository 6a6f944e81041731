//! Errors of reading manifests. None shows the contents of a file, which may be a credential.

use std::io;
use std::path::PathBuf;

use super::substitution::SubstitutionError;
use super::{EncodingError, Location, NotText};
use crate::file_error::FileError;
use crate::text::chain;

/// Manifests could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ManifestError {
    /// A file or directory could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The bytes of a file are no text.
    #[error("failed to read {} as text", file.display())]
    Encoding {
        file: PathBuf,
        #[source]
        source: EncodingError,
    },
    /// Several files cannot be read.
    #[error("{}", .0.iter().map(|error| chain(error)).collect::<Vec<_>>().join("\n"))]
    Several(Vec<ManifestError>),
    /// Values that are due to be text are something else to kubectl, kustomize, Flux and Argo CD, which read YAML 1.1.
    #[error(
        "failed to read {} as kubectl does: {}; kubectl, kustomize, Flux and Argo CD read YAML 1.1, and text is due here: \
         quote it", file.display(), places.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    NotText { file: PathBuf, places: Vec<NotText> },
    /// A document is not valid YAML.
    #[error("failed to parse YAML at {at}{hint}")]
    Yaml {
        /// The place of the error.
        at: Location,
        /// A usual reason, in brackets; empty if there is none.
        hint: &'static str,
        /// The cause, with the same line.
        #[source]
        source: serde_yaml::Error,
    },
    /// A file is not valid JSON.
    #[error("failed to parse JSON at {at}")]
    Json {
        /// The place of the error.
        at: Location,
        /// The cause, with the same line.
        #[source]
        source: serde_json::Error,
    },
    /// A mapping has a key twice, of which readers keep the first, the last, or neither.
    #[error("failed to read {at}: {path} is written twice in one mapping, first in line {first}; keep one of them")]
    RepeatedKey {
        /// The place of the second.
        at: Location,
        /// The fields that lead to the key, joined by dots.
        path: String,
        /// The 1-based line of the first.
        first: usize,
    },
    /// A file is a template of Helm's.
    #[error(
        "failed to read {at}: a template of Helm stands here, which nothing has rendered; give the directory with its Chart.yaml \
         as the configuration"
    )]
    Unrendered {
        /// The place of the first.
        at: Location,
    },
    /// A template stands where text is due, and is a mapping to YAML.
    #[error(
        "failed to read {at}: {{{{ … }}}} without quotes is no text; quote it if External Secrets Operator is to fill it in, and \
         if another program is, run that first and give its output as the configuration"
    )]
    BareTemplate { at: Location },
    /// A directory of manifests has a chart of Helm's further down.
    #[error(
        "failed to read {}: it is a chart of Helm, not manifests; give the chart itself as the configuration, or a directory \
         with an Application of Argo CD that points at it", dir.display()
    )]
    Chart {
        /// The directory of the chart.
        dir: PathBuf,
    },
    /// A variable of Flux's cannot be replaced.
    #[error("failed to replace the variable of Flux at {at}")]
    Substitution {
        /// The place of the field that has it.
        at: Location,
        /// The variable, and the next step.
        #[source]
        source: SubstitutionError,
    },
    /// Output of a template of Helm's cannot be read; lines of the cause are those of what was rendered.
    #[error("failed to read what {} renders to", template.display())]
    Rendered {
        template: PathBuf,
        #[source]
        source: Box<ManifestError>,
    },
    /// A file is encrypted as a whole.
    #[error(
        "failed to read {at}: the kind is encrypted by SOPS; encrypt the values only \
         (`sops encrypt --encrypted-regex '^(data|stringData)$'`), or give the decrypted file outside of version control"
    )]
    Encrypted {
        /// The place of the kind.
        at: Location,
    },
    /// A document uses a part of YAML that JSON, and so the Kubernetes API, cannot hold.
    #[error("failed to turn the document at {at} into an object: {reason}")]
    NotJson {
        /// The place where the document starts.
        at: Location,
        /// The kind of value that JSON cannot hold.
        reason: &'static str,
    },
    /// A document is not a Kubernetes object.
    #[error(
        "document at {at} is no Kubernetes object: it has no {missing}; if it is not meant to be one, keep the file outside of the \
         configuration, or begin its name with a dot"
    )]
    NotAnObject {
        /// The place of the nearest field around what is missing.
        at: Location,
        /// The field that is missing or no text.
        missing: &'static str,
    },
    /// The same object is written twice.
    #[error(
        "{object} is written twice, at {first} and at {second}; remove one, {}or give it another name",
        one_alone(first, second)
    )]
    Duplicate {
        object: String,
        /// The name of the first.
        first: Box<Location>,
        /// The name of the second.
        second: Box<Location>,
    },
    /// The directory is a kustomization and no kustomize was given.
    #[error("failed to render {}: it has a kustomization, and kustomize is not available", dir.display())]
    KustomizeNeeded { dir: PathBuf },
    /// Kustomize could not be started.
    #[error("failed to start {} build {}", kustomize.display(), dir.display())]
    KustomizeStart {
        kustomize: PathBuf,
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to render {} with kustomize ({status}): {stderr}", dir.display())]
    KustomizeFailed {
        dir: PathBuf,
        status: std::process::ExitStatus,
        /// Its last lines on stderr, without the parts of files that it quotes.
        stderr: String,
    },
    /// A kustomization names one that leads back to it.
    #[error("failed to render {at}: {entry} leads back to {}, so that it would never end; remove it here or there", dir.display())]
    KustomizationCycle {
        /// The place of the entry.
        at: Box<Location>,
        entry: String,
        /// The directory that it leads back to.
        dir: PathBuf,
    },
    /// A kustomization names a file or directory that is not there.
    #[error("failed to render {at}: {entry} is not there; correct the path, or remove the entry")]
    KustomizationMissing {
        /// The place of the entry.
        at: Location,
        entry: String,
    },
    /// A kustomization names a directory without one.
    #[error(
        "failed to render {at}: directory {entry} has no kustomization.yaml; add one there, or name its files one by one"
    )]
    KustomizationNeeded {
        /// The place of the entry.
        at: Location,
        entry: String,
    },
    /// A kustomization has a field that there is not.
    #[error(
        "failed to render {at}: {field} is no field of a kustomization; {}",
        meant.as_ref().map_or_else(|| "remove it".to_owned(), |meant| format!("did you mean {meant}?"))
    )]
    KustomizationField {
        /// The place of the field.
        at: Box<Location>,
        field: String,
        /// The field that was meant, if one is like it.
        meant: Option<String>,
    },
    /// A kustomization takes something from elsewhere.
    #[error(
        "failed to render {at}: {entry} would be fetched from elsewhere; put a copy into the tree, and name its path"
    )]
    KustomizationRemote {
        /// The place of the entry.
        at: Location,
        /// The entry, without what may be a login.
        entry: String,
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
    #[error(
        "{} holds no Kubernetes object; give a directory with files that end in .yaml, .yml or .json", dir.display()
    )]
    Empty { dir: PathBuf },
    /// A file was given that is no manifest by its name.
    #[error("{} is a file that ends in none of .yaml, .yml and .json; give a directory of manifests", file.display())]
    NotADirectory { file: PathBuf },
}

/// Another way out if two directories of one tree hold the same object, as those of two environments do.
fn one_alone(first: &Location, second: &Location) -> &'static str {
    if first.file.parent() == second.file.parent() { "" } else { "give the directory of one of them alone, " }
}
