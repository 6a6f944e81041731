//! Reading the configuration under test.

use std::path::Path;

use credence_cluster::reference;
use credence_core::manifest::Manifest;
use credence_programs::kustomize::{has_kustomization, load_directory};
use credence_programs::supply::{self, Part, Progress};

use crate::error::RunError;

/// Where the reference configuration is in the source.
const REFERENCE: &str = "fixtures/central-secret-store";

/// The path of a configuration, or of the reference one, as reports name it.
pub(crate) fn shown(config: Option<&Path>) -> String {
    config.map_or_else(|| format!("{REFERENCE} (built in)"), |path| path.display().to_string())
}

/// Reads a configuration, or the reference one, with kustomize if it has to be rendered, which is then obtained first: plain
/// manifests need no program at all. Gives the configuration's path for messages.
///
/// # Errors
/// When it cannot be read, or kustomize cannot be obtained.
pub async fn load_with(
    config: Option<&Path>,
    scratch: &Path,
    components: &supply::Options,
    progress: &dyn Progress,
) -> Result<(String, Vec<Manifest>), RunError> {
    let kustomize = match config {
        Some(path) if !has_kustomization(path) => None,
        _ => Some(supply::obtain(components, &[Part::Kustomize], progress).await?.path(Part::Kustomize).to_owned()),
    };
    load(config, scratch, kustomize.as_deref()).await
}

/// Reads a configuration, or the reference one. Gives its path for the report.
///
/// # Errors
/// When it cannot be read.
pub async fn load(
    config: Option<&Path>,
    scratch: &Path,
    kustomize: Option<&Path>,
) -> Result<(String, Vec<Manifest>), RunError> {
    match config {
        Some(path) => Ok((shown(config), load_directory(path, kustomize).await?)),
        None => {
            let path =
                reference::write(scratch).map_err(|source| RunError::Reference { path: scratch.to_owned(), source })?;
            let mut manifests = load_directory(&path, kustomize).await?;
            for manifest in &mut manifests {
                // Where it was unpacked is gone with this process.
                if let Ok(below) = manifest.file.strip_prefix(&path) {
                    manifest.file = Path::new(REFERENCE).components().chain(below.components()).collect();
                }
            }
            Ok((shown(None), manifests))
        }
    }
}
