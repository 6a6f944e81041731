//! The configuration of a command that needs no cluster of its own.

use std::path::Path;

use anyhow::Context;
use credence_core::manifest::Manifest;
use credence_model::config::Config;
use credence_model::model::Model;
use credence_programs::supply;
use credence_suite::load;
use credence_suite::run::RunError;

use super::rendering::Rendering;
use crate::console::Console;

/// Reads a configuration for a command that needs no cluster of its own. Gives its path for messages.
pub(super) async fn load(
    directory: Option<&Path>,
    rendering: &Rendering,
    options: &supply::Options,
) -> anyhow::Result<(String, Config)> {
    let (path, manifests) = read(directory, rendering, options).await?;
    let schema = load::schema(options, &Console::stderr()).await?;
    Ok((path, Config::checked(manifests, &schema).map_err(RunError::from)?))
}

/// Demands of a configuration, as its team intends.
pub(super) async fn understand(
    config: &Config,
    directory: Option<&Path>,
    intent: Option<&Path>,
) -> anyhow::Result<Model> {
    Ok(load::understand(config, load::intent(directory, intent).await?.as_ref())?)
}

/// Reads the manifests of a configuration, rendered if it has to be.
pub(super) async fn read(
    directory: Option<&Path>,
    rendering: &Rendering,
    options: &supply::Options,
) -> anyhow::Result<(String, Vec<Manifest>)> {
    let parameters = rendering.parameters()?;
    let scratch = tempfile::tempdir().context("failed to make a temporary directory")?;
    Ok(load::load(directory, &parameters, scratch.path(), options, &Console::stderr()).await?)
}
