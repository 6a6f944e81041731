//! The chart of the user's own External Secrets Operator, as a directory or a package, with its custom resource definitions.
//!
//! The definitions are part of a packaged chart, as templates, and beside the chart in a checkout, where upstream's release puts
//! them into it (`make helm.generate`).

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use credence_core::manifest;
use flate2::read::GzDecoder;
use serde_json::Value;

use super::OperatorError;
use crate::helm::{self, Chart};
use crate::supply::{self, Lock, Options, Part, Progress};
use crate::walk;

/// The chart and its definitions below a directory of assets, which are where they are in upstream's source.
const CHART: &str = "deploy/charts/external-secrets";
/// The file with the definitions.
pub const DEFINITIONS: &str = "deploy/crds/bundle.yaml";
/// File that makes a directory a chart.
const METADATA: &str = "Chart.yaml";
/// Name of chart and release.
const NAME: &str = "external-secrets";
/// The definitions alone are wanted.
const VALUES: &str = "installCRDs: true\n";
/// Most that is unpacked of a package, in MB; helm itself takes 100.
const LIMIT: u64 = 64;

/// The version of the operator that a chart is of, without its `v`.
pub(super) fn version_of(chart: &Path) -> Result<String, OperatorError> {
    if chart.is_dir() {
        let text = read(&chart.join(METADATA)).map_err(|_| OperatorError::NotAChart { path: chart.to_owned() })?;
        return metadata_version(chart, &text);
    }
    let none = || OperatorError::NotAChart { path: chart.to_owned() };
    let mut archive = open(chart).map_err(|_| none())?;
    for entry in archive.entries().map_err(|_| none())? {
        let mut entry = entry.map_err(|_| none())?;
        let is_metadata = entry.path().is_ok_and(|path| path.ends_with(METADATA) && path.components().count() == 2);
        if is_metadata {
            let mut text = String::new();
            entry.read_to_string(&mut text).map_err(|_| none())?;
            return metadata_version(chart, &text);
        }
    }
    Err(none())
}

/// The version of the operator that the chart in a directory of assets is of.
pub fn app_version(assets: &Path) -> Result<String, OperatorError> {
    version_of(&assets.join(CHART))
}

fn metadata_version(chart: &Path, text: &str) -> Result<String, OperatorError> {
    let documents = manifest::parse_fields(&chart.join(METADATA), text)?;
    let field = |name: &str| {
        let fields = documents.first().map(|document| &document.object);
        fields.and_then(|fields| fields[name].as_str()).unwrap_or_default().to_owned()
    };
    match (field("name"), field("appVersion")) {
        (name, _) if name != NAME => Err(OperatorError::OtherChart { path: chart.to_owned(), name }),
        (_, version) if version.is_empty() => Err(OperatorError::NoAppVersion { path: chart.to_owned() }),
        (_, version) => Ok(version.trim_start_matches('v').to_owned()),
    }
}

/// A directory with the chart and its definitions, made once for each content of the chart.
pub(super) async fn assets(options: &Options, chart: &Path, progress: &dyn Progress) -> Result<PathBuf, OperatorError> {
    version_of(chart)?;
    let charts = options.cache.join("charts");
    let beside = chart.parent().and_then(Path::parent).map(|deploy| deploy.join("crds/bundle.yaml"));
    let place = charts.join(digest(chart, beside.as_deref())?);
    if place.join(DEFINITIONS).is_file() {
        return Ok(place);
    }
    let _lock = Lock::acquire(&options.cache.join("locks/external-secrets-chart.lock"), |_| ()).await?;
    let failed = FileError::of::<OperatorError>;
    fs::create_dir_all(&charts).map_err(failed("create", &charts))?;
    let staging = tempfile::tempdir_in(&charts).map_err(failed("create a directory in", &charts))?;
    let copy = staging.path().join(CHART);
    if chart.is_dir() {
        copy_alone(chart, &copy)?
    } else {
        let unpacked = staging.path().join("unpacked");
        open(chart).and_then(|mut archive| archive.unpack(&unpacked)).map_err(failed("unpack", chart))?;
        copy_alone(&unpacked.join(NAME), &copy)?;
        fs::remove_dir_all(&unpacked).map_err(failed("remove", &unpacked))?;
    }
    let definitions = definitions(options, chart, &copy, beside.as_deref(), progress).await?;
    let bundle = staging.path().join(DEFINITIONS);
    fs::create_dir_all(bundle.parent().unwrap_or(&bundle)).map_err(failed("create a directory for", &bundle))?;
    fs::write(&bundle, definitions).map_err(failed("write", &bundle))?;
    if !place.exists() {
        fs::rename(staging.path(), &place).map_err(failed("put in place", &place))?;
    }
    Ok(place)
}

/// The text of the definitions: those that the chart renders, else the file that is beside it in a checkout.
async fn definitions(
    options: &Options,
    chart: &Path,
    copy: &Path,
    beside: Option<&Path>,
    progress: &dyn Progress,
) -> Result<String, OperatorError> {
    let programs = supply::obtain(options, &[Part::Helm], progress).await?;
    let rendered = Chart { path: copy, release: NAME, namespace: NAME, values: VALUES };
    let scratch = tempfile::tempdir().map_err(FileError::of::<OperatorError>("create a directory beside", copy))?;
    let objects = helm::render(programs.path(Part::Helm), &rendered, scratch.path()).await?;
    let definitions: Vec<Value> =
        objects.into_iter().filter(|object| object["kind"] == "CustomResourceDefinition").collect();
    if !definitions.is_empty() {
        // JSON is YAML, and one document a line is what a bundle is.
        return Ok(definitions.iter().map(|definition| format!("---\n{definition}\n")).collect());
    }
    match beside.filter(|beside| beside.is_file()) {
        Some(beside) => read(beside),
        None => Err(OperatorError::NoDefinitions { path: chart.to_owned() }),
    }
}

/// Copies a chart without the charts that it could have: helm refuses one whose optional charts are not beside it, even those
/// that are switched off, and renders those that are beside it and not listed.
///
/// # Errors
/// When a file cannot be read or written.
pub fn copy_alone(from: &Path, to: &Path) -> Result<(), FileError> {
    let failed = FileError::of::<FileError>;
    let entries = walkdir::WalkDir::new(from).into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() != 1 || entry.file_name() != "charts") {
        let entry = entry.map_err(|error| failed("read", from)(walk::cause(error)))?;
        let target = to.join(entry.path().strip_prefix(from).unwrap_or(entry.path()));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).map_err(failed("create", &target))?;
        } else if entry.file_name() == METADATA {
            let text = fs::read_to_string(entry.path()).map_err(failed("read", entry.path()))?;
            fs::write(&target, without_dependencies(&text)).map_err(failed("write", &target))?;
        } else if entry.file_name() != "Chart.lock" {
            let bytes = fs::read(entry.path()).map_err(failed("read", entry.path()))?;
            fs::write(&target, bytes).map_err(failed("write", &target))?;
        }
    }
    Ok(())
}

/// A `Chart.yaml` without its top-level `dependencies` list.
fn without_dependencies(chart: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in chart.lines() {
        if !line.starts_with([' ', '-']) {
            inside = line.starts_with("dependencies:");
        }
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Names the content of a chart and of the definitions beside it.
fn digest(chart: &Path, beside: Option<&Path>) -> Result<String, OperatorError> {
    let mut hasher = blake3::Hasher::new();
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(chart).sort_by_file_name() {
        let entry = entry.map_err(|error| FileError::of::<OperatorError>("read", chart)(walk::cause(error)))?;
        if entry.file_type().is_file() {
            files.push(entry.into_path());
        }
    }
    files.extend(beside.filter(|beside| beside.is_file()).map(Path::to_owned));
    for file in files {
        let bytes = fs::read(&file).map_err(FileError::of::<OperatorError>("read", &file))?;
        hasher.update(file.strip_prefix(chart).unwrap_or(&file).as_os_str().as_encoded_bytes());
        hasher.update(&bytes.len().to_le_bytes());
        hasher.update(&bytes);
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

fn open(package: &Path) -> io::Result<tar::Archive<io::Take<GzDecoder<File>>>> {
    Ok(tar::Archive::new(GzDecoder::new(File::open(package)?).take(LIMIT << 20)))
}

fn read(path: &Path) -> Result<String, OperatorError> {
    fs::read_to_string(path).map_err(FileError::of::<OperatorError>("read", path))
}

#[cfg(test)]
mod tests {
    use super::without_dependencies;

    #[test]
    fn only_the_dependencies_leave_the_chart() {
        let chart = "name: a\ndependencies:\n  - name: b\n    version: 1\nversion: 2\n";
        assert_eq!(without_dependencies(chart), "name: a\nversion: 2\n");
    }
}
