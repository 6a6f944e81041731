//! Parameters of a configuration's rendering, on every command that reads one.

use std::path::PathBuf;

use clap::Args;
use credence_programs::configuration::Parameters;
use credence_suite::run::RunError;

/// Parameters of a configuration's rendering.
#[derive(Debug, Clone, Args)]
pub(super) struct Rendering {
    /// A values file, if the configuration is a Helm chart; may be repeated, and later files win.
    #[arg(long, value_name = "FILE")]
    values: Vec<PathBuf>,
    /// A chart value, as in `helm --set`; overrides those of files, and may be repeated. Reports quote it in their replay
    /// lines, so put credentials into a file instead.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The value of a Flux variable ${NAME}; may be repeated. Every variable then needs a value or a default. Reports quote
    /// it in their replay lines.
    #[arg(long, value_name = "NAME=VALUE")]
    substitute: Vec<String>,
    /// A file with values of Flux variables: a mapping of names to strings, or a ConfigMap; may be repeated, and later files
    /// win.
    #[arg(long, value_name = "FILE")]
    substitute_from: Vec<PathBuf>,
}

impl Rendering {
    /// The parameters, if each has the form that it must have.
    pub(super) fn parameters(&self) -> Result<Parameters, RunError> {
        let Self { values, set, substitute, substitute_from } = self.clone();
        Ok(Parameters { values, substitute_from, ..Parameters::of_pairs(set, &substitute)? })
    }
}
