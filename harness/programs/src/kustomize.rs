//! Directories of manifests: plain ones, and those that kustomize renders.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use credence_core::file_error::FileError;
use credence_core::manifest::{self, CONTROL_PLANE, INTENT, Manifest, ManifestError};
use tokio::process::Command;

use crate::walk;

mod graph;
#[cfg(test)]
mod tests;

/// Names under which kustomize looks for its file, in its own order.
///
/// Source: kustomize `api/konfig.RecognizedKustomizationFileNames`.
const KUSTOMIZATION_FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The file by which a directory is a chart of Helm.
const CHART: &str = "Chart.yaml";

/// Number of kustomize's last lines on stderr that an error carries.
const STDERR_LINES: usize = 5;

/// True if a directory is rendered by kustomize.
pub fn has_kustomization(dir: &Path) -> bool {
    KUSTOMIZATION_FILES.iter().any(|name| dir.join(name).is_file())
}

/// True if a directory is a chart of Helm.
pub fn is_chart(dir: &Path) -> bool {
    dir.join(CHART).is_file()
}

/// Loads a directory of manifests: what `kustomize build` renders when the directory is a kustomization, else
/// every `*.yaml`, `*.yml` and `*.json` below it, by path. Hidden files and directories are left out, and so is the team's
/// intent, `credence.yaml` in the directory itself.
///
/// # Errors
/// Those of [`parse_documents`](manifest::parse_documents), unreadable files, a failing or missing kustomize, a kustomization that
/// leads back to itself or elsewhere, one below a directory that is none, and a directory without any object.
pub async fn load_directory(dir: &Path, kustomize: Option<&Path>) -> Result<Vec<Manifest>, ManifestError> {
    let manifests = match (has_kustomization(dir), kustomize) {
        (true, Some(kustomize)) => {
            let overlay = Overlay::follow(dir)?;
            overlay.objects(&render(kustomize, dir, None).await?).await?
        }
        (true, None) => {
            return Err(ManifestError::KustomizeNeeded { dir: dir.to_owned() });
        }
        (false, _) => {
            let Plain { manifests, rendered, faults } = load_plain(dir, true).await?;
            none_of(faults.into_iter().map(|(_, fault)| fault).collect())?;
            match rendered.into_iter().next() {
                Some(nested) => return Err(refused(dir, nested)),
                None => manifests,
            }
        }
    };
    if manifests.is_empty() {
        return Err(ManifestError::Empty { dir: dir.to_owned() });
    }
    manifest::reject_duplicates(&manifests)?;
    Ok(manifests)
}

/// A kustomization whose parts are all there, before it is rendered.
pub(crate) struct Overlay {
    dir: PathBuf,
    made: graph::Made,
}

impl Overlay {
    /// Follows a kustomization through its files.
    pub(crate) fn follow(dir: &Path) -> Result<Self, ManifestError> {
        Ok(Self { dir: dir.to_owned(), made: graph::follow(dir)? })
    }

    /// The directories of all kustomizations that it is made of, by their real paths: kustomize reads nothing that is not below
    /// one of these.
    pub(crate) fn directories(&self) -> &BTreeSet<PathBuf> {
        &self.made.directories
    }

    /// The charts of Helm that it renders.
    pub(crate) fn charts(&self) -> &[PathBuf] {
        &self.made.charts
    }

    /// The objects in what kustomize rendered, each at the files that it is made of.
    pub(crate) async fn objects(&self, rendered: &str) -> Result<Vec<Manifest>, ManifestError> {
        let mut rendered = manifest::parse_part(&self.dir, rendered)?;
        trace(&mut rendered, &written(&self.made.files).await);
        Ok(rendered)
    }
}

/// Why a directory of manifests cannot have one further down that has to be rendered, if nothing says how.
pub(crate) fn refused(dir: &Path, nested: PathBuf) -> ManifestError {
    match KUSTOMIZATION_FILES.iter().map(|name| nested.join(name)).find(|file| file.is_file()) {
        Some(nested) => ManifestError::NestedKustomization { dir: dir.to_owned(), nested },
        None => ManifestError::Chart { dir: nested },
    }
}

/// Contents of the files of a directory.
pub(crate) struct Plain {
    pub(crate) manifests: Vec<Manifest>,
    /// The directories further down that have to be rendered, of which nothing is read.
    pub(crate) rendered: Vec<PathBuf>,
    /// The files that hold no manifests, and why.
    pub(crate) faults: Vec<(PathBuf, ManifestError)>,
}

/// Refuses a directory for its faults, if there are any.
pub(crate) fn none_of(mut faults: Vec<ManifestError>) -> Result<(), ManifestError> {
    match faults.len() {
        0 => Ok(()),
        1 => Err(faults.remove(0)),
        _ => Err(ManifestError::Several(faults)),
    }
}

/// The objects and patches in files that kustomize has read without a fault.
async fn written(files: &[PathBuf]) -> Vec<Manifest> {
    let mut written = Vec::new();
    for path in files {
        // Only places are taken from here, so that what cannot be read is left out: kustomize has the word on it.
        let Ok(bytes) = tokio::fs::read(path).await else { continue };
        let text = manifest::decode(path, bytes);
        written.extend(text.and_then(|text| manifest::parse_fields(path, &text)).unwrap_or_default());
    }
    written
}

/// Names the files that each rendered object is made of, where its name tells.
fn trace(rendered: &mut [Manifest], written: &[Manifest]) {
    for manifest in rendered {
        let is_of_it = |other: &&Manifest| {
            let same =
                (other.group(), other.kind(), other.name()) == (manifest.group(), manifest.kind(), manifest.name());
            same && (other.namespace().is_none() || other.namespace() == manifest.namespace())
        };
        let files: Vec<&Manifest> = written.iter().filter(is_of_it).collect();
        manifest.came_from(&files);
    }
}

/// Reads every file of manifests below a directory, or only those in it. Files that hold none are told and left to the caller, who
/// may know what they are for.
pub(crate) async fn load_plain(dir: &Path, recurse: bool) -> Result<Plain, ManifestError> {
    let (mut manifests, mut rendered, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    if dir.is_file() && !is_manifest(dir) {
        return Err(ManifestError::NotADirectory { file: dir.to_owned() });
    }
    // Links are followed because mounted ConfigMaps are directories of links.
    let mut entries = walkdir::WalkDir::new(dir)
        .follow_links(true)
        .max_depth(if recurse { usize::MAX } else { 1 })
        .sort_by_file_name()
        .into_iter();
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(dir).to_owned();
            ManifestError::from(FileError::new("read", path, walk::cause(error)))
        })?;
        let path = entry.path();
        if entry.file_type().is_dir() {
            // What is in the directory for the API server is no object of the API.
            if entry.depth() > 0 && (is_hidden(&entry) || is_control_plane(&entry)) {
                entries.skip_current_dir();
            } else if recurse && (is_chart(path) || has_kustomization(path)) {
                rendered.push(path.to_owned());
                entries.skip_current_dir();
            }
            continue;
        }
        // What a team says of its manifests is none of them.
        let is_wanted = entry.depth() == 0 || !(is_hidden(&entry) || is_intent(&entry));
        if entry.file_type().is_file() && is_wanted && is_manifest(path) {
            let bytes = tokio::fs::read(path).await;
            let bytes = bytes.map_err(FileError::of::<ManifestError>("read", path))?;
            match manifest::decode(path, bytes).and_then(|text| manifest::parse_part(path, &text)) {
                Ok(of_file) => manifests.extend(of_file),
                Err(fault) => faults.push((path.to_owned(), fault)),
            }
        }
    }
    Ok(Plain { manifests, rendered, faults })
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

fn is_control_plane(entry: &walkdir::DirEntry) -> bool {
    entry.depth() == 1 && entry.file_type().is_dir() && entry.file_name() == CONTROL_PLANE
}

fn is_intent(entry: &walkdir::DirEntry) -> bool {
    entry.depth() == 1 && entry.file_type().is_file() && entry.file_name() == INTENT
}

fn is_hidden(entry: &walkdir::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// Output of kustomize for a directory; with `helm`, charts are rendered that are there.
pub(crate) async fn render(kustomize: &Path, dir: &Path, helm: Option<&Path>) -> Result<String, ManifestError> {
    let mut command = Command::new(kustomize);
    command.arg("build").arg(dir);
    if let Some(helm) = helm {
        command.args(["--enable-helm", "--helm-command"]).arg(helm);
    }
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|source| ManifestError::KustomizeStart {
        kustomize: kustomize.to_owned(),
        dir: dir.to_owned(),
        source,
    })?;
    if !output.status.success() {
        return Err(ManifestError::KustomizeFailed {
            dir: dir.to_owned(),
            status: output.status,
            stderr: last_lines(&without_quotations(&String::from_utf8_lossy(&output.stderr))).to_owned(),
        });
    }
    let text = String::from_utf8(output.stdout);
    let text = text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()));
    text.map_err(FileError::of("read", dir))
}

/// A message of kustomize without what it quotes of files: patches and generators may hold credentials.
fn without_quotations(message: &str) -> String {
    let parts = message.split('`').enumerate().map(|(index, part)| if index % 2 == 0 { part } else { "…" });
    let message = parts.collect::<String>();
    match message.split_once(" from [") {
        Some((before, _)) => format!("{before} from […]"),
        None => message,
    }
}

fn last_lines(stderr: &str) -> &str {
    let stderr = stderr.trim();
    let mut ends = stderr.rmatch_indices('\n').map(|(at, _)| at + 1);
    &stderr[ends.nth(STDERR_LINES - 1).unwrap_or_default()..]
}
