//! Parameters of a configuration's rendering, on every command that reads one.

use std::path::PathBuf;

use clap::Args;
use credence_programs::configuration::Parameters;
use credence_suite::run::RunError;

/// Parameters of a configuration's rendering.
#[derive(Debug, Clone, Args)]
pub(super) struct Rendering {
    /// A file of values, if the configuration is a chart of Helm; may be repeated, and later ones win.
    #[arg(long, value_name = "FILE")]
    values: Vec<PathBuf>,
    /// A value of a chart, as `helm --set` takes it, over those of files; may be repeated. Reports show it in their replay
    /// lines: give credentials in a file.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The value of a variable ${NAME} that Flux would replace; may be repeated. Each variable must then have a value or a
    /// default. Reports show it in their replay lines.
    #[arg(long, value_name = "NAME=VALUE")]
    substitute: Vec<String>,
    /// A file of such values: a mapping of names to texts, or a ConfigMap; may be repeated, and later ones win.
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
