//! `credence init`: a first intent of a configuration, from what is found in it.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use credence_model::intent::{SCHEMA, first};
use credence_model::model::Model;
use credence_report::verdict::ExitCode;
use credence_suite::load;

use super::configuration;
use super::programs::Programs;
use super::rendering::Rendering;

/// The end of `--help`.
pub(super) const NOTES: &str = "\
Exit codes: 0 written · 3 bad usage, an unreadable configuration, or a credence.yaml that exists already

Examples:
  credence init my/config                 write my/config/credence.yaml, to be edited by hand
  credence init my/config --stdout        print it instead
  credence init --schema > intent.schema.json    the JSON schema, for editors";

/// The configuration, and where its intent goes.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration: a directory of manifests, rendered with kustomize if it has a kustomization and with helm if it is
    /// a chart.
    #[arg(required_unless_present_any = ["stdout", "schema"])]
    directory: Option<PathBuf>,
    /// Print the intent instead of writing a file. Without a directory, that of the reference configuration.
    #[arg(long)]
    stdout: bool,
    /// Overwrite an existing file.
    #[arg(long)]
    force: bool,
    /// Print the JSON schema of intents and exit.
    #[arg(long, conflicts_with_all = ["directory", "stdout", "force"])]
    schema: bool,
    #[command(flatten)]
    rendering: Rendering,
    #[command(flatten)]
    programs: Programs,
}

/// Writes a first intent, or prints it.
pub(super) async fn init(options: &Options) -> anyhow::Result<ExitCode> {
    if options.schema {
        io::stdout().write_all(SCHEMA.as_bytes())?;
        return Ok(ExitCode::Held);
    }
    let directory = options.directory.as_deref();
    let (_, config) = configuration::load(directory, &options.rendering, &options.programs.options()?).await?;
    let text = first(&config, &Model::derive(&config));
    match directory.filter(|_| !options.stdout) {
        None => io::stdout().write_all(text.as_bytes())?,
        Some(directory) => {
            let file = load::write_intent(directory, &text, options.force).await?;
            writeln!(io::stderr(), "{}: correct the examples, and add what only the team knows", file.display())?;
        }
    }
    Ok(ExitCode::Held)
}
