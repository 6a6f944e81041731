//! What a configuration is rendered with, on every command that reads one.

use std::path::PathBuf;

use clap::Args;
use credence_core::substitution::is_name;
use credence_programs::configuration::Parameters;

/// What a configuration is rendered with.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rendering")]
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

/// Why a parameter cannot be used. Shows no value.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenderingError {
    /// There is no key, or no value.
    #[error("failed to read --set number {number}: it is no KEY=VALUE, such as --set stores.conditions=true")]
    Set {
        /// Its place among them, from 1.
        number: usize,
    },
    /// There is no name, or no value.
    #[error("failed to read --substitute number {number}: it is no NAME=VALUE, such as --substitute CLUSTER=prod")]
    Substitute {
        /// Its place among them, from 1.
        number: usize,
    },
}

impl Rendering {
    /// The parameters, if each has the form that it must have.
    pub(super) fn parameters(&self) -> Result<Parameters, RenderingError> {
        let is_pair = |text: &String| text.split_once('=').is_some_and(|(key, _)| !key.is_empty());
        if let Some(index) = self.set.iter().position(|text| !is_pair(text)) {
            return Err(RenderingError::Set { number: index + 1 });
        }
        let variable = |(index, text): (usize, &String)| match text.split_once('=') {
            Some((name, value)) if is_name(name) => Ok((name.to_owned(), value.to_owned())),
            _ => Err(RenderingError::Substitute { number: index + 1 }),
        };
        Ok(Parameters {
            values: self.values.clone(),
            set: self.set.clone(),
            substitute: self.substitute.iter().enumerate().map(variable).collect::<Result<_, _>>()?,
            substitute_from: self.substitute_from.clone(),
        })
    }
}
