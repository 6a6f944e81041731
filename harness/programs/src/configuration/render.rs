//! A chart to its objects, with helm and without a cluster or a network; a kustomization to its own, with kustomize. Both are kept.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use credence_core::file_error::FileError;
use credence_core::manifest::{self, Manifest, ManifestError};
use tokio::process::Command;
use tokio::time::timeout;

use super::cache::Key;
use super::chart::Chart;
use super::error::ConfigurationError;
use super::helm_error::{self, Values};
use super::tools::Tools;
use crate::kustomize::{self, Overlay};
use crate::supply::Part;

/// Time that helm may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kinds by which charts ask whether the operator is there, as it always is.
const API_VERSIONS: [&str; 5] = [
    "external-secrets.io/v1",
    "external-secrets.io/v1/ClusterExternalSecret",
    "external-secrets.io/v1/ClusterSecretStore",
    "external-secrets.io/v1/ExternalSecret",
    "external-secrets.io/v1/SecretStore",
];

/// Options for installing a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release {
    /// The release's name; the chart's if not given.
    pub(super) name: Option<String>,
    /// The release's namespace; `default`, as for helm, if not given.
    pub(super) namespace: Option<String>,
    /// The files of values, of which later ones win.
    pub(super) values: Vec<Vec<u8>>,
    /// The options of helm that win over files, such as `--set`, each with its text.
    pub(super) set: Vec<(&'static str, String)>,
}

impl Release {
    fn name_of<'a>(&'a self, chart: &'a Chart) -> &'a str {
        self.name.as_deref().unwrap_or(&chart.name)
    }

    fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }
}

/// Renders the chart in a directory.
///
/// # Errors
/// A chart that is not whole, that helm refuses, or that renders to nothing.
pub(super) async fn chart(
    directory: &Path,
    release: &Release,
    tools: &Tools<'_>,
) -> Result<Vec<Manifest>, ConfigurationError> {
    let chart = Chart::read(directory)?;
    let (name, namespace) = (release.name_of(&chart), release.namespace());
    let mut key = Key::new("chart");
    for part in [&tools.identity(Part::Helm)?, Part::KubeApiserver.version(), name, namespace, &API_VERSIONS.concat()] {
        key.add(part.as_bytes());
    }
    chart.add_to(&mut key);
    release.values.iter().for_each(|values| key.add(values));
    release.set.iter().for_each(|(option, text)| key.add(format!("{option}{text}").as_bytes()));
    let cache = tools.cache();
    let (text, is_new) = match cache.find(&key) {
        Some(text) => (text, false),
        None => (template(directory, &chart, release, tools).await?, true),
    };
    let manifests = manifest::parse_rendered(directory, &text, |path| chart.template(path))?;
    if manifests.is_empty() {
        return Err(ConfigurationError::Nothing { dir: directory.to_owned() });
    }
    if is_new {
        keep(tools, &key, &text);
    }
    Ok(manifests)
}

async fn template(
    directory: &Path,
    chart: &Chart,
    release: &Release,
    tools: &Tools<'_>,
) -> Result<String, ConfigurationError> {
    let helm = tools.program(Part::Helm).await?;
    let failed = FileError::of::<ConfigurationError>;
    let home = tempfile::tempdir().map_err(failed("make a directory in", &std::env::temp_dir()))?;
    let staged = home.path().join("chart");
    chart.write(&staged)?;
    let mut command = Command::new(&helm);
    command.args(["template", release.name_of(chart)]).arg(&staged);
    command.args(["--namespace", release.namespace(), "--skip-tests"]);
    command.args(["--kube-version", Part::KubeApiserver.version()]);
    command.args(API_VERSIONS.iter().flat_map(|version| ["--api-versions", version]));
    for (number, values) in release.values.iter().enumerate() {
        let path = home.path().join(format!("values-{number}.yaml"));
        tokio::fs::write(&path, values).await.map_err(failed("write", &path))?;
        command.arg("--values").arg(path);
    }
    command.args(release.set.iter().flat_map(|(option, text)| [*option, text]));
    // Nothing of the user's own helm: no repositories, no plugins, no cluster.
    command.env_clear().env("HOME", home.path()).stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(PATIENCE, command.output()).await;
    let ended = ended.map_err(|_| ConfigurationError::Endless { dir: directory.to_owned(), within: PATIENCE })?;
    let output = ended.map_err(failed("run", &helm))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(refused(directory, chart, release, &String::from_utf8_lossy(&output.stderr)))
}

/// The error for a refusal by helm, with all values taken out of its message.
fn refused(directory: &Path, chart: &Chart, release: &Release, stderr: &str) -> ConfigurationError {
    let mut values = Values::default();
    chart.values().chain(release.values.iter().map(Vec::as_slice)).for_each(|file| values.add(file));
    release.set.iter().for_each(|(_, text)| values.add_parameter(text));
    let place = helm_error::place(stderr, |path| chart.template(path).is_some());
    let place = place.and_then(|(path, numbers)| Some((chart.template(&path)?.file, numbers)));
    let place = match place {
        Some((file, Some(numbers))) => format!("{}:{numbers}", file.display()),
        Some((file, None)) => file.display().to_string(),
        None => format!("the chart in {}", directory.display()),
    };
    ConfigurationError::Helm { place, reason: helm_error::reason(stderr, &values) }
}

/// Renders a kustomization. Gives the real paths of the directories that it is made of, too.
///
/// # Errors
/// A kustomization that is not whole, or that kustomize refuses.
pub(super) async fn overlay(
    directory: &Path,
    tools: &Tools<'_>,
) -> Result<(Vec<Manifest>, Vec<PathBuf>), ConfigurationError> {
    let overlay = Overlay::follow(directory)?;
    let mut directories: Vec<PathBuf> = overlay.directories().iter().cloned().collect();
    let mut key = overlay_key(directory, &directories, tools)?;
    for chart in overlay.charts() {
        let read = Chart::read(chart)?;
        if let Some(key) = &mut key {
            key.add(tools.identity(Part::Helm)?.as_bytes());
            read.add_to(key);
        }
        directories.extend(chart.canonicalize());
    }
    let found = key.as_ref().and_then(|key| tools.cache().find(key));
    let text = match found {
        Some(text) => text,
        None => {
            let kustomize = tools.program(Part::Kustomize).await?;
            let helm = if overlay.charts().is_empty() { None } else { Some(tools.program(Part::Helm).await?) };
            // kustomize ends by itself; a template may not.
            let ended = timeout(PATIENCE, kustomize::render(&kustomize, directory, helm.as_deref())).await;
            let text =
                ended.map_err(|_| ConfigurationError::Endless { dir: directory.to_owned(), within: PATIENCE })??;
            if let Some(key) = &key {
                keep(tools, key, &text);
            }
            text
        }
    };
    Ok((overlay.objects(&text).await?, directories))
}

/// The key of a kustomization: of all files below its directories; none if these are too many to be a kustomization's alone.
fn overlay_key(
    directory: &Path,
    directories: &[PathBuf],
    tools: &Tools<'_>,
) -> Result<Option<Key>, ConfigurationError> {
    const LIMIT: u64 = 32 << 20;
    let mut key = Key::new("kustomization");
    key.add(tools.identity(Part::Kustomize)?.as_bytes());
    let real = directory.canonicalize().map_err(FileError::of::<ManifestError>("read", directory))?;
    // Paths are told below what all directories have in common, so that another copy of the tree has the same key.
    let common = directories.iter().fold(real.as_path(), |common, directory| {
        common.ancestors().find(|ancestor| directory.starts_with(ancestor)).unwrap_or(Path::new("/"))
    });
    let below = |path: &Path| path.strip_prefix(common).unwrap_or(path).as_os_str().as_encoded_bytes().to_vec();
    key.add(&below(&real));
    let mut size = 0;
    for directory in directories {
        // What is below one of the others is read there.
        let is_below = |other: &PathBuf| other != directory && directory.starts_with(other);
        if directories.iter().any(is_below) {
            continue;
        }
        let entries = walkdir::WalkDir::new(directory).follow_links(true).sort_by_file_name().into_iter();
        for entry in entries.filter_entry(|entry| entry.file_name() != ".git") {
            let Ok(entry) = entry else { return Ok(None) };
            if !entry.file_type().is_file() {
                continue;
            }
            size += entry.metadata().map_or(LIMIT, |metadata| metadata.len());
            let Ok(bytes) = (if size < LIMIT { std::fs::read(entry.path()) } else { return Ok(None) }) else {
                return Ok(None);
            };
            key.add(&below(entry.path()));
            key.add(&bytes);
        }
    }
    Ok(Some(key))
}

fn keep(tools: &Tools<'_>, key: &Key, text: &str) {
    if let Err(error) = tools.cache().keep(key, text) {
        tools.progress.note(&format!("what was rendered is not kept for the next time: {error}"));
    }
}
