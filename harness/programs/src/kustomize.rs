//! Directories of manifests: plain ones, and those that kustomize renders.

use std::io;
use std::path::Path;
use std::process::Stdio;

use credence_core::manifest::{self, CONTROL_PLANE, Manifest, ManifestError};
use tokio::process::Command;

#[cfg(test)]
mod tests;

/// Names under which kustomize looks for its file, in its own order.
///
/// Source: kustomize `api/konfig.RecognizedKustomizationFileNames`.
const KUSTOMIZATION_FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// How many of kustomize's last lines on stderr an error carries.
const STDERR_LINES: usize = 5;

/// Whether a directory is rendered by kustomize.
pub fn has_kustomization(dir: &Path) -> bool {
    KUSTOMIZATION_FILES.iter().any(|name| dir.join(name).is_file())
}

/// Loads a directory of manifests: what `kustomize build` renders when the directory is a kustomization, else
/// every `*.yaml`, `*.yml` and `*.json` below it, by path. Hidden files and directories are left out.
///
/// # Errors
/// Those of [`parse_documents`](manifest::parse_documents), unreadable files, a failing or missing kustomize, a kustomization below a
/// directory that is none, and a directory without any object.
pub async fn load_directory(dir: &Path, kustomize: Option<&Path>) -> Result<Vec<Manifest>, ManifestError> {
    let manifests = match (has_kustomization(dir), kustomize) {
        (true, Some(kustomize)) => manifest::parse_part(dir, &render(kustomize, dir).await?)?,
        (true, None) => {
            return Err(ManifestError::KustomizeNeeded { dir: dir.to_owned() });
        }
        (false, _) => load_plain(dir).await?,
    };
    if manifests.is_empty() {
        return Err(ManifestError::Empty { dir: dir.to_owned() });
    }
    manifest::reject_duplicates(&manifests)?;
    Ok(manifests)
}

async fn load_plain(dir: &Path) -> Result<Vec<Manifest>, ManifestError> {
    let mut manifests = Vec::new();
    // Links are followed because mounted ConfigMaps are directories of links.
    let entries = walkdir::WalkDir::new(dir)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        // What is in the directory for the API server is no object of the API.
        .filter_entry(|entry| entry.depth() == 0 || !(is_hidden(entry) || is_control_plane(entry)));
    for entry in entries {
        let entry = entry.map_err(|error| ManifestError::Read {
            path: error.path().unwrap_or(dir).to_owned(),
            source: error.into(),
        })?;
        let path = entry.path();
        let name = entry.file_name().to_str().unwrap_or_default();
        if !entry.file_type().is_file() {
            continue;
        }
        if KUSTOMIZATION_FILES.contains(&name) {
            return Err(ManifestError::NestedKustomization { dir: dir.to_owned(), nested: path.to_owned() });
        }
        if [".yaml", ".yml", ".json"].iter().any(|suffix| name.ends_with(suffix)) {
            let bytes = tokio::fs::read(path).await;
            let bytes = bytes.map_err(|source| ManifestError::Read { path: path.to_owned(), source })?;
            manifests.extend(manifest::parse_part(path, &manifest::decode(path, bytes)?)?);
        }
    }
    Ok(manifests)
}

fn is_control_plane(entry: &walkdir::DirEntry) -> bool {
    entry.depth() == 1 && entry.file_type().is_dir() && entry.file_name() == CONTROL_PLANE
}

fn is_hidden(entry: &walkdir::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

async fn render(kustomize: &Path, dir: &Path) -> Result<String, ManifestError> {
    let output =
        Command::new(kustomize).arg("build").arg(dir).stdin(Stdio::null()).kill_on_drop(true).output().await.map_err(
            |source| ManifestError::KustomizeStart { kustomize: kustomize.to_owned(), dir: dir.to_owned(), source },
        )?;
    if !output.status.success() {
        return Err(ManifestError::KustomizeFailed {
            dir: dir.to_owned(),
            status: output.status,
            stderr: last_lines(&String::from_utf8_lossy(&output.stderr)),
        });
    }
    String::from_utf8(output.stdout).map_err(|error| ManifestError::Read {
        path: dir.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()),
    })
}

fn last_lines(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.trim().lines().collect();
    lines[lines.len().saturating_sub(STDERR_LINES)..].join("\n")
}
