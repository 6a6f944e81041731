//! The files of a chart, with those of the charts that it needs: read before helm is asked, which would look for them elsewhere.
//!
//! Dependencies are taken from `file://` paths and from unpacked charts in `charts`. Archives are not read, and nothing is fetched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use credence_core::manifest::{self, Location, Manifest, ManifestError, SourceTemplate};
use credence_core::text::without_login;
use serde_json::Value;

use super::cache::Key;
use super::error::ConfigurationError;
use crate::walk;

/// The file that makes a directory a chart.
const CHART: &str = "Chart.yaml";

/// File in which charts of the first version list what they need.
const REQUIREMENTS: &str = "requirements.yaml";

/// Number of MB of a chart that are read; helm itself takes 100 of an archive.
const LIMIT: usize = 64;

/// A chart with all that it needs.
pub(super) struct Chart {
    pub(super) name: String,
    directory: PathBuf,
    /// Its files by their paths in the chart that helm gets.
    files: BTreeMap<PathBuf, ChartFile>,
    /// Charts that are used under another name, by the path of the chart that uses them and that name.
    aliases: BTreeMap<(PathBuf, String), String>,
    size: usize,
}

struct ChartFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Chart {
    /// Reads the chart in a directory.
    ///
    /// # Errors
    /// A file that cannot be read, and a dependency that is elsewhere, in an archive, or not there.
    pub(super) fn read(directory: &Path) -> Result<Self, ConfigurationError> {
        let chart = fields(&directory.join(CHART))?;
        let name = chart.as_ref().and_then(|chart| chart.object.get("name")?.as_str());
        let Some(name) = name.map(str::to_owned) else {
            let at = Location { file: directory.join(CHART), line: 1, column: 1 };
            return Err(ConfigurationError::NoName { at });
        };
        let (files, aliases) = (BTreeMap::new(), BTreeMap::new());
        let mut whole = Self { name, directory: directory.to_owned(), files, aliases, size: 0 };
        whole.add(directory, Path::new(""), &mut Vec::new())?;
        Ok(whole)
    }

    /// Adds everything that is rendered to a key.
    pub(super) fn add_to(&self, key: &mut Key) {
        for (path, file) in &self.files {
            key.add(path.as_os_str().as_encoded_bytes());
            key.add(&file.bytes);
        }
    }

    /// Writes the chart for helm.
    pub(super) fn write(&self, directory: &Path) -> Result<(), ConfigurationError> {
        for (path, file) in &self.files {
            let path = directory.join(path);
            let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, &file.bytes));
            written.map_err(FileError::of::<ConfigurationError>("write", &path))?;
        }
        Ok(())
    }

    /// The `values.yaml` files of the chart and of the charts in it.
    pub(super) fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.files.iter().filter(|(path, _)| path.ends_with("values.yaml")).map(|(_, file)| file.bytes.as_slice())
    }

    /// The file of a template by the path that helm has for it: the chart's name, `charts` and the name of a chart below it any
    /// number of times, and the path in that chart.
    pub(super) fn template(&self, path: &str) -> Option<SourceTemplate> {
        let mut rest = path.split_once('/').filter(|(name, _)| *name == self.name)?.1;
        let mut below = PathBuf::new();
        while let Some((name, further)) = rest.strip_prefix("charts/").and_then(|rest| rest.split_once('/')) {
            let name = self.aliases.get(&(below.clone(), name.to_owned())).map_or(name, String::as_str);
            below.extend(["charts", name]);
            rest = further;
        }
        let file = self.files.get(&below.join(rest))?;
        let text = String::from_utf8_lossy(&file.bytes).into_owned().into();
        Some(SourceTemplate { file: file.path.clone(), text })
    }

    /// Adds the files of a chart and of what it needs. `above` are the charts that lead here, by their real paths.
    fn add(&mut self, from: &Path, to: &Path, above: &mut Vec<PathBuf>) -> Result<(), ConfigurationError> {
        let read = |path: &Path, source| ManifestError::from(FileError::new("read", path, source));
        above.push(from.canonicalize().map_err(|source| read(from, source))?);
        let entries = walkdir::WalkDir::new(from).follow_links(true).sort_by_file_name().into_iter();
        for entry in entries.filter_entry(|entry| entry.file_name() != ".git") {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(from).to_owned();
                read(&path, walk::cause(error))
            })?;
            // Paths of a walk are below where it began.
            let below = entry.path().strip_prefix(from).unwrap_or(entry.path());
            if !entry.file_type().is_file() || is_archive(below) {
                continue;
            }
            self.size += usize::try_from(entry.metadata().map_or(0, |metadata| metadata.len())).unwrap_or(usize::MAX);
            if self.size > LIMIT << 20 {
                return Err(ConfigurationError::TooLarge { dir: self.directory.clone(), limit: LIMIT });
            }
            let bytes = fs::read(entry.path()).map_err(|source| read(entry.path(), source))?;
            self.files.insert(to.join(below), ChartFile { path: entry.path().to_owned(), bytes });
        }
        self.add_needed(from, to, above)?;
        above.pop();
        Ok(())
    }

    fn add_needed(&mut self, from: &Path, to: &Path, above: &mut Vec<PathBuf>) -> Result<(), ConfigurationError> {
        for file in [CHART, REQUIREMENTS].map(|name| from.join(name)).iter().filter(|file| file.is_file()) {
            let Some(chart) = fields(file)? else { continue };
            let listed = chart.object.get("dependencies").and_then(Value::as_array);
            for (index, dependency) in listed.into_iter().flatten().enumerate() {
                let text = |field: &str| dependency.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
                let (name, repository) = (text("name"), text("repository"));
                let place = |field: &str| Box::new(chart.location(&format!("/dependencies/{index}{field}")));
                if let Some(alias) = Some(text("alias")).filter(|alias| !alias.is_empty()) {
                    self.aliases.insert((to.to_owned(), alias), name.clone());
                }
                let (charts, unpacked) = (from.join("charts"), from.join("charts").join(&name));
                if let Some(path) = repository.strip_prefix("file://") {
                    let path = from.join(path);
                    if !path.join(CHART).is_file() {
                        return Err(ConfigurationError::MissingDependency { at: place("/repository"), name, path });
                    }
                    let real = path.canonicalize().map_err(FileError::of::<ManifestError>("read", &path))?;
                    if above.contains(&real) {
                        return Err(ConfigurationError::DependencyCycle { at: place("/repository"), name });
                    }
                    let to = to.join("charts").join(&name);
                    self.files.retain(|path, _| !path.starts_with(&to));
                    self.add(&path, &to, above)?;
                } else if unpacked.join(CHART).is_file() {
                    // Its files are there; what it needs in turn may be elsewhere.
                    self.add_needed(&unpacked, &to.join("charts").join(&name), above)?;
                } else if let Some(archive) = archive_of(&charts, &name) {
                    return Err(ConfigurationError::ArchivedDependency { at: place(""), name, archive });
                } else if repository.is_empty() {
                    return Err(ConfigurationError::MissingDependency { at: place(""), name, path: unpacked });
                } else {
                    let repository = without_login(&repository);
                    return Err(ConfigurationError::RemoteDependency {
                        at: place("/repository"),
                        name,
                        repository,
                        charts,
                    });
                }
            }
        }
        Ok(())
    }
}

fn fields(path: &Path) -> Result<Option<Manifest>, ManifestError> {
    let bytes = fs::read(path).map_err(FileError::of::<ManifestError>("read", path))?;
    Ok(manifest::parse_fields(path, &manifest::decode(path, bytes)?)?.into_iter().next())
}

fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tgz" || extension == "gz")
}

fn archive_of(charts: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(charts).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let is_of_it = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        is_archive(path) && file.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
    };
    entries.into_iter().find(is_of_it)
}

#[cfg(test)]
mod tests {
    use credence_core::text::chain;
    use rstest::rstest;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    const NEEDS: &str = "name: a\ndependencies:\n- name: b\n  alias: c\n  repository: REPOSITORY\n";

    fn needing(repository: &str) -> String {
        NEEDS.replace("REPOSITORY", repository)
    }

    #[test]
    fn what_a_chart_needs_of_the_tree_is_part_of_it_in_the_place_of_archives() {
        let dir = tree(&[
            ("a/Chart.yaml", &needing("file://../b")),
            ("a/charts/b-1.tgz", "an archive"),
            ("a/charts/b/templates/old.yaml", "old"),
            ("b/Chart.yaml", "name: b\n"),
            ("b/templates/x.yaml", "x"),
        ]);
        let chart = Chart::read(&dir.path().join("a")).unwrap();
        let files: Vec<&str> = chart.files.keys().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(files, ["Chart.yaml", "charts/b/Chart.yaml", "charts/b/templates/x.yaml"]);
        let template = chart.template("a/charts/c/templates/x.yaml").unwrap();
        assert_eq!((&*template.text, template.file), ("x", dir.path().join("a/../b/templates/x.yaml")));
        assert!(chart.template("other/templates/x.yaml").is_none());
    }

    #[test]
    fn an_unpacked_chart_needs_no_repository() {
        let dir = tree(&[("Chart.yaml", &needing("https://charts.example.org")), ("charts/b/Chart.yaml", "name: b\n")]);
        assert_eq!(Chart::read(dir.path()).unwrap().files.len(), 2);
    }

    #[rstest]
    #[case::remote(
        "https://bot:hunter2@charts.example.org/x?token=hunter2", &[],
        "Chart.yaml:5:3: b of https://charts.example.org/x would be fetched; put its unpacked chart into"
    )]
    #[case::registry("oci://registry.example.org/charts", &[], "b of oci://registry.example.org/charts would be fetched")]
    #[case::alias("'@stable'", &[], "b of stable would be fetched")]
    #[case::archive("https://charts.example.org", &[("a/charts/b-1.0.0.tgz", "x")], "Chart.yaml:3:3: of b there is only the archive")]
    #[case::missing("file://../b", &[], "Chart.yaml:5:3: b is not there, as")]
    #[case::no_repository("''", &[], "Chart.yaml:3:3: b is not there, as")]
    #[case::cycle("file://../a", &[], "Chart.yaml:5:3: b leads back to a chart that needs it")]
    #[case::further_down(
        "file://../b", &[("b/Chart.yaml", "name: b\ndependencies:\n- {name: d, repository: 'https://charts.example.org'}\n")],
        "b/Chart.yaml:3:13: d of https://charts.example.org would be fetched"
    )]
    fn a_dependency_that_is_not_in_the_tree_is_named_and_refused(
        #[case] repository: &str,
        #[case] further: &[(&str, &str)],
        #[case] refusal: &str,
    ) {
        let dir = tree(&[&[("a/Chart.yaml", needing(repository).as_str())], further].concat());
        let error = Chart::read(&dir.path().join("a")).err().unwrap();
        let shown = chain(&error);
        assert!(shown.contains(refusal), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[rstest]
    #[case::no_name("version: 1.0.0\n", "Chart.yaml:1:1: the chart has no name")]
    #[case::no_yaml("name: [a\n", "failed to parse YAML at")]
    fn a_file_that_is_no_chart_is_refused(#[case] text: &str, #[case] refusal: &str) {
        let dir = tree(&[("Chart.yaml", text)]);
        let shown = Chart::read(dir.path()).err().unwrap().to_string();
        assert!(shown.contains(refusal), "{shown}");
    }
}
