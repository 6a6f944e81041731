//! Errors of the user's own External Secrets Operator.

use std::path::PathBuf;

use credence_core::file_error::FileError;
use credence_core::manifest::ManifestError;

use crate::helm::ChartError;
use crate::supply::{ComponentError, Part};

/// The user's own External Secrets Operator cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum OperatorError {
    /// The program, or what renders the chart, cannot be obtained.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// A file of the chart cannot be read, or cannot be copied.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something of the chart is no YAML.
    #[error("failed to read External Secrets Operator's chart")]
    Manifest(#[from] ManifestError),
    /// The chart cannot be rendered.
    #[error("failed to render External Secrets Operator's chart for its custom resource definitions")]
    Chart(#[from] ChartError),
    /// The path has no chart.
    #[error(
        "failed to use {path} as External Secrets Operator's chart: it has no Chart.yaml and is no package with one; give \
         deploy/charts/external-secrets of its source, or what `helm pull` gives"
    )]
    NotAChart { path: PathBuf },
    /// The chart is of something else.
    #[error(
        "failed to use {path} as External Secrets Operator's chart: it is chart {name:?}; give chart \"external-secrets\""
    )]
    OtherChart { path: PathBuf, name: String },
    /// The chart says no version of the operator.
    #[error(
        "failed to use {path} as External Secrets Operator's chart: its Chart.yaml has no appVersion; add the operator's version"
    )]
    NoAppVersion { path: PathBuf },
    /// The chart has no definitions.
    #[error(
        "failed to find custom resource definitions in {path}: neither its templates nor its crds have any, and there is no \
         crds/bundle.yaml two directories above; give the packaged chart, or the one in a checkout of its source"
    )]
    NoDefinitions { path: PathBuf },
    /// Program and chart are of two versions.
    #[error(
        "External Secrets Operator {program} is {said}, and its chart {chart} is of {version}: definitions, roles and arguments \
         would be those of another version; give both of one version (in the source of a tag, the chart still has the version \
         before it, until the commit after the tag)"
    )]
    OfTwoVersions {
        /// The program, or the image that it is from.
        program: PathBuf,
        said: String,
        chart: PathBuf,
        version: String,
    },
    /// A program without its chart.
    #[error(
        "External Secrets Operator {program} is of version {version}, and the chart that is installed by default is of {}; add \
         --external-secrets-chart with the chart of its version",
        Part::ExternalSecrets.version()
    )]
    NoChart {
        /// The program, or the image that it is from.
        program: PathBuf,
        version: String,
    },
    /// A chart of another version than the program that runs.
    #[error(
        "External Secrets Operator's chart {chart} is of version {version}, and the operator that runs by default is {}; add \
         --external-secrets with its program of this version, or --external-secrets-image",
        Part::ExternalSecrets.version()
    )]
    NoProgram { chart: PathBuf, version: String },
}

impl OperatorError {
    /// True if the user can mend it by naming another program or another chart.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Component(error) => error.is_usage(),
            _ => true,
        }
    }
}
