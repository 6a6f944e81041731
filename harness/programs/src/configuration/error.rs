//! Errors of reading and rendering configurations. None shows the contents of a file or a parameter.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use credence_core::file_error::FileError;
use credence_core::manifest::{Location, ManifestError};

use crate::supply::ComponentError;

/// A configuration could not be read or rendered.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ConfigurationError {
    /// Its manifests cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The program that renders it cannot be obtained.
    #[error("failed to obtain what renders the configuration")]
    Component(#[from] ComponentError),
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
    /// Values are given and there is no chart.
    #[error(
        "failed to use --values and --set: {dir} has no Chart.yaml, and only a chart of Helm takes values; give the chart's own \
         directory as the configuration, or leave them out"
    )]
    NoChart { dir: String },
    /// Variables are given that nothing has.
    #[error(
        "failed to use --substitute {}: nothing in {dir} has ${{{}}}; correct the name, or leave it out",
        names.join(", "), names.join("}, ${")
    )]
    NoVariable { dir: String, names: Vec<String> },
    /// A file that was named cannot be read.
    #[error("failed to read {what} {path}; correct the path")]
    Named {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file that an object names cannot be read.
    #[error("failed to read {path}, which is named at {at}; correct the path, or add the file")]
    NamedAt {
        /// The place that names it.
        at: Box<Location>,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file of variables has something else than texts.
    #[error("failed to read {at}: {name} is no name of a variable with a text; write NAME: \"VALUE\"")]
    Variable { at: Location, name: String },
    /// The file of a chart says no name.
    #[error("failed to read {at}: the chart has no name; add `name: NAME`")]
    NoName {
        /// The place of the file.
        at: Location,
    },
    /// A chart needs one that would be fetched.
    #[error(
        "failed to render {at}: {name} of {repository} would be fetched; put its unpacked chart into {}, or into the tree and \
         write repository: file://PATH", charts.display()
    )]
    RemoteDependency {
        /// The place of the dependency.
        at: Box<Location>,
        /// The chart that is needed.
        name: String,
        /// Address from which it would be fetched, without a login.
        repository: String,
        /// The directory that it belongs into.
        charts: PathBuf,
    },
    /// A chart needs one of which there is an archive.
    #[error(
        "failed to render {at}: of {name} there is only the archive {}, and archives are not read; unpack it beside itself",
        archive.display()
    )]
    ArchivedDependency {
        /// The place of the dependency.
        at: Box<Location>,
        /// The chart that is needed.
        name: String,
        archive: PathBuf,
    },
    /// A chart needs one that is not there.
    #[error("failed to render {at}: {name} is not there, as {} has no Chart.yaml; correct the path, or add the chart", path.display())]
    MissingDependency {
        /// The place of the dependency.
        at: Box<Location>,
        /// The chart that is needed.
        name: String,
        /// Path at which it would be.
        path: PathBuf,
    },
    /// A chart needs itself, by way of others or not.
    #[error("failed to render {at}: {name} leads back to a chart that needs it, so that it would never end; remove it")]
    DependencyCycle {
        /// The place of the dependency.
        at: Box<Location>,
        /// The chart that is needed.
        name: String,
    },
    /// A chart is larger than any chart.
    #[error("failed to render the chart in {}: its files have more than {limit} MB; keep what is no part of it elsewhere", dir.display())]
    TooLarge {
        dir: PathBuf,
        /// Number of MB that are read.
        limit: usize,
    },
    /// A chart cannot be put where helm reads it, or helm cannot be started.
    #[error(transparent)]
    File(#[from] FileError),
    /// helm does not come to an end.
    #[error("failed to render the chart in {} with helm: it does not end within {within:?}; see which template loops", dir.display())]
    Endless { dir: PathBuf, within: Duration },
    #[error(
        "failed to render {place} with helm: {reason}; correct the template, or give what it needs with --values or --set"
    )]
    Helm {
        /// The template with line and column if helm names one, else the chart.
        place: String,
        /// helm's message, without what it quotes and without values.
        reason: String,
    },
    /// A chart renders to nothing.
    #[error("failed to render the chart in {}: no object comes of it with these values; see which value switches them on", dir.display())]
    Nothing { dir: PathBuf },
}
