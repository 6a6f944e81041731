//! The configuration of a command, and how it is read.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use credence_core::manifest::Manifest;
use credence_model::config::Config;
use credence_model::model::Model;
use credence_programs::supply;
use credence_suite::load;
use credence_suite::run::RunError;

use super::rendering::Rendering;
use crate::console::Console;

/// The configuration that is named, or the reference configuration.
#[derive(Debug, Clone, Args)]
pub(super) struct Configuration {
    /// The configuration: a directory of manifests, rendered with kustomize if it has a kustomization and with helm if it is
    /// a chart. By default, the reference configuration.
    #[arg(long = "config", value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,
    #[command(flatten)]
    pub(super) reading: Reading,
}

/// Parameters of a configuration's rendering, and the intent beside it.
#[derive(Debug, Clone, Args)]
pub(super) struct Reading {
    #[command(flatten)]
    pub(super) rendering: Rendering,
    /// The file with the team's intent; by default, credence.yaml in the configuration if there is one.
    #[arg(long, value_name = "FILE")]
    pub(super) intent: Option<PathBuf>,
}

/// A configuration that was read for a command without a cluster of its own.
pub(super) struct Understood {
    /// Its path, for messages.
    pub(super) path: String,
    pub(super) config: Config,
    /// Its demands, as its team intends.
    pub(super) model: Model,
}

impl Reading {
    /// Reads the configuration in `directory`, or the reference configuration.
    pub(super) async fn understand(
        &self,
        directory: Option<&Path>,
        options: &supply::Options,
    ) -> anyhow::Result<Understood> {
        let (path, config) = load(directory, &self.rendering, options).await?;
        let model = self.intended(&config, directory).await?;
        Ok(Understood { path, config, model })
    }

    /// Demands of a configuration, as its team intends.
    pub(super) async fn intended(&self, config: &Config, directory: Option<&Path>) -> anyhow::Result<Model> {
        let intent = load::intent(directory, self.intent.as_deref()).await?;
        Ok(load::understand(config, intent.as_ref())?)
    }
}

/// Reads a configuration as the API server will take it. Gives its path for messages.
pub(super) async fn load(
    directory: Option<&Path>,
    rendering: &Rendering,
    options: &supply::Options,
) -> anyhow::Result<(String, Config)> {
    let (path, manifests) = read(directory, rendering, options).await?;
    let schema = load::schema(options, &Console::stderr()).await?;
    Ok((path, Config::checked(manifests, &schema).map_err(RunError::from)?))
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
