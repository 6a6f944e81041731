//! Rendering a chart with helm, without a cluster.

use std::fs;
use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use credence_core::manifest::{self, ManifestError};
use serde_json::Value;
use tokio::process::Command;

/// A chart could not be rendered.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ChartError {
    /// A file cannot be written, or helm cannot be run.
    #[error(transparent)]
    File(#[from] FileError),
    /// helm ended with an error, and its message.
    #[error("failed to render the chart in {chart} with helm: {message}")]
    Helm { chart: PathBuf, message: String },
    /// Its rendered objects cannot be read.
    #[error("failed to read the rendered objects")]
    Manifest(#[from] ManifestError),
}

/// A chart, and how it is installed.
pub struct Chart<'a> {
    /// Its directory or its package.
    pub path: &'a Path,
    /// Name of the release, as in `helm template NAME`.
    pub release: &'a str,
    /// Namespace of the release, whether or not the chart puts objects there.
    pub namespace: &'a str,
    /// Values beside the chart's own, as YAML.
    pub values: &'a str,
}

/// Renders a chart with the program `helm` to its objects, with definitions that it has in `crds`. Works in `directory`.
pub async fn render(helm: &Path, chart: &Chart<'_>, directory: &Path) -> Result<Vec<Value>, ChartError> {
    let values = directory.join("values.yaml");
    fs::write(&values, chart.values).map_err(FileError::of::<ChartError>("write", &values))?;
    let output = Command::new(helm)
        .args(["template", chart.release])
        .arg(chart.path)
        .args(["--include-crds", "--namespace", chart.namespace, "--values"])
        .arg(&values)
        .env("HOME", directory)
        .env("HELM_CACHE_HOME", directory.join("helm"))
        .kill_on_drop(true)
        .output()
        .await
        .map_err(FileError::of::<ChartError>("run", helm))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(ChartError::Helm { chart: chart.path.to_owned(), message });
    }
    let rendered = manifest::parse_documents(chart.path, &String::from_utf8_lossy(&output.stdout))?;
    Ok(rendered.into_iter().map(|manifest| manifest.object).collect())
}
