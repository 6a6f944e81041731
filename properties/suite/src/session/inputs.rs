//! What a session takes from its options, and from the files that they name.

use std::path::Path;

use credence_cluster::cluster::{ControlPlaneFiles, ControlPlaneFilesError};
use credence_cluster::reference;
use credence_core::endpoints::Endpoints;
use credence_core::manifest::{self, Manifest};
use credence_model::overlay::Time;
use credence_programs::supply::{Given, Providers};

use crate::error::RunError;
use crate::options::{ClusterKind, Options};

/// Audit policy and encryption of the configuration under test; none if it does not say.
pub(super) fn control_plane(options: &Options) -> Result<Option<ControlPlaneFiles>, ControlPlaneFilesError> {
    match (&options.control_plane, &options.config) {
        (Some(given), _) => ControlPlaneFiles::read(given).map(Some),
        (None, None) => Ok(Some(ControlPlaneFiles::reference())),
        (None, Some(config)) => {
            let beside = config.join(manifest::CONTROL_PLANE);
            if beside.is_dir() { ControlPlaneFiles::read(&beside).map(Some) } else { Ok(None) }
        }
    }
}

/// What uses the credentials: given, or built in beside the reference configuration.
pub(super) async fn endpoints(options: &Options, scratch: &Path) -> Result<Endpoints, RunError> {
    let directory = match (&options.consumers, &options.config) {
        (Some(given), _) => given.clone(),
        (None, None) => reference::write_consumers(scratch)
            .map_err(|source| RunError::Reference { path: scratch.to_owned(), source })?,
        (None, Some(_)) => return Ok(Endpoints::default()),
    };
    Ok(Endpoints::from_manifests(&credence_programs::kustomize::load_directory(&directory, None).await?))
}

/// Digest of a configuration, of its objects and not of their files.
pub(super) fn digest(manifests: &[Manifest]) -> String {
    let mut hasher = blake3::Hasher::new();
    for manifest in manifests {
        hasher.update(manifest.object.to_string().as_bytes());
    }
    format!("blake3:{}", hasher.finalize().to_hex())
}

/// What `credence replay` needs beside the case to test the same configuration.
pub(super) fn replay_flags(options: &Options) -> String {
    let mut flags = String::new();
    if let Some(path) = &options.config {
        flags.push_str(&format!(" --config {}", path.display()));
    }
    if let Some(path) = &options.control_plane {
        flags.push_str(&format!(" --control-plane {}", path.display()));
    }
    if let Some(path) = &options.consumers {
        flags.push_str(&format!(" --consumers {}", path.display()));
    }
    if let Some(Given { program, chart }) = &options.components.kargo {
        flags.push_str(&format!(" --kargo {} --kargo-chart {}", program.display(), chart.display()));
    }
    for kind in &options.also_apply {
        flags.push_str(&format!(" --also-apply {kind}"));
    }
    if options.cluster == ClusterKind::Kind {
        flags.push_str(" --cluster kind");
    }
    for image in &options.images {
        flags.push_str(&format!(" --image {}={}", image.of, image.name));
    }
    for (part, path) in &options.components.given {
        flags.push_str(&format!(" --program {part}={}", path.display()));
    }
    if options.components.providers == Providers::All {
        flags.push_str(" --external-secrets-providers all");
    }
    if options.time == Time::AsIs {
        flags.push_str(" --time as-is");
    }
    flags
}
