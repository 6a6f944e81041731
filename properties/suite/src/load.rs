//! Reading the configuration under test.

use std::path::Path;

use credence_cluster::reference;
use credence_core::manifest::Manifest;

use crate::error::RunError;

/// The path of a configuration, or of the reference one, as reports name it.
pub(crate) fn shown(config: Option<&Path>) -> String {
    config.map_or_else(|| "fixtures/central-secret-store (built in)".to_owned(), |path| path.display().to_string())
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
        Some(path) => Ok((shown(config), credence_programs::kustomize::load_directory(path, kustomize).await?)),
        None => {
            let path =
                reference::write(scratch).map_err(|source| RunError::Reference { path: scratch.to_owned(), source })?;
            let manifests = credence_programs::kustomize::load_directory(&path, kustomize).await?;
            Ok((shown(None), manifests))
        }
    }
}
