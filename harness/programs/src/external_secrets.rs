//! External Secrets Operator of the user's own: its program, or an image with it, and the chart of the same version.
//!
//! ```text
//!  --external-secrets PROGRAM ─┐
//!  --external-secrets-image ───┼──▶ its version, as the program says it ──┐
//!  --external-secrets-chart ───┴──▶ appVersion, definitions ──▶ assets ───┴──▶ of one version, or an error
//! ```
//!
//! Upstream's own builds write no version into the program (its Makefile names `main.go`, so that Go cannot tell it), and then
//! the chart's is the only one that is known.

use std::path::PathBuf;

use crate::supply::{self, Options, Part, Progress, UNKNOWN};

mod chart;
mod error;
#[cfg(test)]
mod tests;

pub use chart::{DEFINITIONS, app_version, copy_alone};
pub use error::OperatorError;

/// External Secrets Operator as the user gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The version that the program says, or [`UNKNOWN`].
    pub program: String,
    /// The version that the chart says.
    pub chart: String,
    /// The version that the tool that renders templates says, or [`UNKNOWN`].
    pub esoctl: String,
}

/// Obtains what the user gives of External Secrets Operator, and checks that it is of one version; none if all is pinned.
///
/// # Errors
/// When program and chart are of two versions, one is given without the other, or one of them is something else.
pub async fn given(options: &Options, progress: &dyn Progress) -> Result<Option<Operator>, OperatorError> {
    let is_program_given = options.overrides.contains_key(&Part::ExternalSecrets) || options.operator_image.is_some();
    let pinned = Part::ExternalSecrets.version();
    // What is wrong with a chart is found before an image is downloaded.
    let chart = match &options.operator_chart {
        Some(path) => Some((path.clone(), chart::version_of(path)?)),
        None => None,
    };
    if !is_program_given {
        return match chart {
            Some((chart, version)) if version != pinned => Err(OperatorError::NoProgram { chart, version }),
            _ => Ok(None),
        };
    }
    if let (None, Some(image)) = (&chart, &options.operator_image) {
        return Err(OperatorError::NoChart { program: image.into(), version: UNKNOWN.to_owned() });
    }
    let programs = supply::obtain(options, &[Part::ExternalSecrets], progress).await?;
    let said = programs.version(Part::ExternalSecrets).to_owned();
    let program =
        options.operator_image.as_ref().map_or_else(|| programs.path(Part::ExternalSecrets).into(), PathBuf::from);
    let Some((path, version)) = chart else {
        return if said == pinned { Ok(None) } else { Err(OperatorError::NoChart { program, version: said }) };
    };
    if said != UNKNOWN && said != version {
        return Err(OperatorError::OfTwoVersions { program, said, chart: path, version });
    }
    let esoctl = match options.overrides.get(&Part::Esoctl) {
        Some(_) => supply::obtain(options, &[Part::Esoctl], progress).await?.version(Part::Esoctl).to_owned(),
        None => Part::Esoctl.version().to_owned(),
    };
    Ok(Some(Operator { program: said, chart: version, esoctl }))
}

/// A directory with `deploy/charts/external-secrets` and `deploy/crds/bundle.yaml` of the operator in use.
///
/// # Errors
/// When the chart that the user gives cannot be read or rendered, or the pinned one cannot be obtained.
pub async fn assets(options: &Options, progress: &dyn Progress) -> Result<PathBuf, OperatorError> {
    match &options.operator_chart {
        Some(path) => chart::assets(options, path, progress).await,
        None => Ok(supply::external_secrets_assets(options).await?),
    }
}

/// The version of the user's own chart and the file with its definitions; none if the pinned ones are in use.
///
/// # Errors
/// As [`assets`].
pub async fn definitions(
    options: &Options,
    progress: &dyn Progress,
) -> Result<Option<(String, PathBuf)>, OperatorError> {
    let Some(path) = &options.operator_chart else { return Ok(None) };
    let version = chart::version_of(path)?;
    Ok(Some((version, assets(options, progress).await?.join(DEFINITIONS))))
}
