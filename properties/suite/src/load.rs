//! Reading the configuration under test.

use std::path::Path;

use credence_cluster::reference;
use credence_core::manifest::Manifest;
use credence_programs::configuration::{self, Loaded, Parameters, Tools};
use credence_programs::supply::{self, Progress};

use crate::error::RunError;

/// Where the reference configuration is in the source.
const REFERENCE: &str = "fixtures/central-secret-store";

/// The path of a configuration, or of the reference one, as reports name it.
pub(crate) fn shown(config: Option<&Path>) -> String {
    config.map_or_else(|| format!("{REFERENCE} (built in)"), |path| path.display().to_string())
}

/// Reads a configuration, or the reference one, with the programs that render it if it has to be rendered, which are then
/// obtained first: plain manifests need no program at all. Gives the configuration's path for messages.
///
/// # Errors
/// When it cannot be read or rendered, or a program cannot be obtained.
pub async fn load(
    config: Option<&Path>,
    parameters: &Parameters,
    scratch: &Path,
    components: &supply::Options,
    progress: &dyn Progress,
) -> Result<(String, Vec<Manifest>), RunError> {
    let tools = Tools { components, progress };
    let manifests = match config {
        Some(path) => {
            let Loaded { manifests, notes } = configuration::load(path, parameters, tools).await?;
            notes.iter().for_each(|note| progress.note(note));
            manifests
        }
        None => {
            let path =
                reference::write(scratch).map_err(|source| RunError::Reference { path: scratch.to_owned(), source })?;
            let mut manifests = configuration::load(&path, parameters, tools).await?.manifests;
            for manifest in &mut manifests {
                // Where it was unpacked is gone with this process.
                if let Ok(below) = manifest.file.strip_prefix(&path) {
                    manifest.file = Path::new(REFERENCE).components().chain(below.components()).collect();
                }
            }
            manifests
        }
    };
    Ok((shown(config), manifests))
}
