//! Parts of a kustomization, followed through its files before kustomize is asked: its own messages name no line, and it
//! would fetch what is elsewhere.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use credence_core::file_error::FileError;
use credence_core::manifest::{self, Location, Manifest, ManifestError};
use credence_core::text::{nearest, without_login};
use serde_json::Value;

use super::KUSTOMIZATION_FILES;

/// Fields that name files and directories with objects.
const ENTRIES: [&str; 3] = ["resources", "bases", "components"];

/// The fields of a kustomization.
///
/// Source: kustomize `api/types.Kustomization`, with those that it still reads of before.
const FIELDS: [&str; 33] = [
    "apiVersion",
    "bases",
    "buildMetadata",
    "commonAnnotations",
    "commonLabels",
    "components",
    "configMapGenerator",
    "configurations",
    "crds",
    "generatorOptions",
    "generators",
    "helmChartInflationGenerator",
    "helmCharts",
    "helmGlobals",
    "imageTags",
    "images",
    "kind",
    "labels",
    "metadata",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "openapi",
    "patches",
    "patchesJson6902",
    "patchesStrategicMerge",
    "replacements",
    "replicas",
    "resources",
    "secretGenerator",
    "sortOptions",
    "transformers",
    "validators",
];

/// Further fields that kustomize reads.
const OLD_FIELDS: [&str; 2] = ["inventory", "vars"];

/// Further fields with names of files, which kustomize would fetch if they were addresses.
const FILES: [&str; 7] =
    ["configurations", "crds", "generators", "patchesStrategicMerge", "replacements", "transformers", "validators"];

#[derive(Default)]
pub(super) struct Made {
    /// The files that it takes objects and patches from, in the order in which they are named.
    pub(super) files: Vec<PathBuf>,
    /// The directories of all kustomizations, by their real paths: kustomize reads nothing that is not below one of these, and in none of
    /// the charts.
    pub(super) directories: BTreeSet<PathBuf>,
    /// The charts of Helm that it renders, which are all there.
    pub(super) charts: Vec<PathBuf>,
}

/// Follows a kustomization through its files.
///
/// # Errors
/// A kustomization that is no YAML or has a field that there is not, an entry that leads back, that is not there, or that is
/// elsewhere.
pub(super) fn follow(dir: &Path) -> Result<Made, ManifestError> {
    let mut walk = Walk::default();
    walk.enter(dir)?;
    match walk.generator.filter(|_| !walk.made.charts.is_empty()) {
        // With the flag that charts need, kustomize would also fetch those that a generator names.
        Some(at) => Err(ManifestError::KustomizationRemote { at, entry: "a chart of a generator".to_owned() }),
        None => Ok(walk.made),
    }
}

/// An entry's path as a person writes it: without the steps that lead nowhere or back, unless links make them lead elsewhere.
fn joined(dir: &Path, entry: &str) -> PathBuf {
    let mut short = dir.to_owned();
    for step in Path::new(entry).components() {
        match step {
            Component::CurDir => {}
            Component::ParentDir if matches!(short.components().next_back(), Some(Component::Normal(_))) => {
                short.pop();
            }
            step => short.push(step),
        }
    }
    let long = dir.join(entry);
    let is_same = matches!((short.canonicalize(), long.canonicalize()), (Ok(short), Ok(long)) if short == long);
    if is_same && !short.as_os_str().is_empty() { short } else { long }
}

#[derive(Default)]
struct Walk {
    /// The directories that lead to where the walk is, by their real paths.
    above: Vec<PathBuf>,
    /// The place of a generator, which may be one of charts.
    generator: Option<Location>,
    made: Made,
}

impl Walk {
    fn enter(&mut self, dir: &Path) -> Result<(), ManifestError> {
        let real = dir.canonicalize().map_err(FileError::of::<ManifestError>("read", dir))?;
        if !self.made.directories.insert(real.clone()) {
            return Ok(());
        }
        self.above.push(real);
        let names = KUSTOMIZATION_FILES.iter().map(|name| dir.join(name));
        if let Some(path) = names.into_iter().find(|path| path.is_file()) {
            for kustomization in read(&path)? {
                self.follow(dir, &kustomization)?;
            }
        }
        self.above.pop();
        Ok(())
    }

    fn follow(&mut self, dir: &Path, kustomization: &Manifest) -> Result<(), ManifestError> {
        check_fields(kustomization)?;
        for (pointer, entry) in ENTRIES.iter().flat_map(|field| texts(kustomization, &format!("/{field}"))) {
            let path = joined(dir, &entry);
            let at = || kustomization.location(&pointer);
            match (path.is_dir(), path.exists()) {
                (true, _) => {
                    let real = path.canonicalize().map_err(FileError::of::<ManifestError>("read", &path))?;
                    // Also what contains a directory that leads here leads back to it.
                    if let Some(back) = self.above.iter().find(|above| above.starts_with(&real)) {
                        return Err(ManifestError::KustomizationCycle { at: Box::new(at()), entry, dir: back.clone() });
                    }
                    if !super::has_kustomization(&path) {
                        return Err(ManifestError::KustomizationNeeded { at: at(), entry });
                    }
                    self.enter(&path)?;
                }
                (false, true) => self.made.files.push(path),
                (false, false) if is_remote(&entry) => return Err(remote(at(), &entry)),
                (false, false) => return Err(ManifestError::KustomizationMissing { at: at(), entry }),
            }
        }
        self.follow_patches(dir, kustomization)
    }

    fn follow_patches(&mut self, dir: &Path, kustomization: &Manifest) -> Result<(), ManifestError> {
        self.follow_others(dir, kustomization)?;
        for (pointer, entry) in ["/patches", "/patchesJson6902"].iter().flat_map(|field| paths(kustomization, field)) {
            let path = joined(dir, &entry);
            if path.is_file() {
                self.made.files.push(path)
            } else {
                return Err(ManifestError::KustomizationMissing { at: kustomization.location(&pointer), entry });
            }
        }
        // These may be patches themselves instead of their files.
        let merged = texts(kustomization, "/patchesStrategicMerge").into_iter().map(|(_, entry)| dir.join(entry));
        self.made.files.extend(merged.filter(|path| path.is_file()));
        Ok(())
    }
}

impl Walk {
    /// Refuses what is elsewhere, and enters the kustomizations among generators, transformers and validators.
    fn follow_others(&mut self, dir: &Path, kustomization: &Manifest) -> Result<(), ManifestError> {
        let named = FILES.iter().flat_map(|field| texts(kustomization, &format!("/{field}")));
        let of_items =
            ["/patches", "/patchesJson6902", "/replacements"].iter().flat_map(|field| paths(kustomization, field));
        let schema = kustomization.object.pointer("/openapi/path").and_then(Value::as_str);
        let schema = schema.map(|path| ("/openapi/path".to_owned(), path.to_owned()));
        let generated =
            ["/configMapGenerator", "/secretGenerator"].iter().flat_map(|field| generated(kustomization, field));
        for (pointer, entry) in named.chain(of_items).chain(schema).chain(generated) {
            // Patches may stand here themselves.
            if is_remote(&entry) && !entry.contains(['\n', '{']) && !dir.join(&entry).exists() {
                return Err(remote(kustomization.location(&pointer), &entry));
            }
        }
        for (_, entry) in
            ["/generators", "/transformers", "/validators"].iter().flat_map(|field| texts(kustomization, field))
        {
            let path = dir.join(entry);
            if super::has_kustomization(&path) {
                self.enter(&path)?;
            }
        }
        if let Some((pointer, _)) = texts(kustomization, "/generators").first() {
            self.generator = Some(kustomization.location(pointer));
        }
        self.follow_charts(dir, kustomization)
    }

    /// Refuses charts that would be fetched, by themselves or by their files of values.
    ///
    /// Source: kustomize, api/internal/builtins/HelmChartInflationGenerator.go: a chart that is below the home of charts is taken from
    /// there; one of a repository is looked for under its version.
    fn follow_charts(&mut self, dir: &Path, kustomization: &Manifest) -> Result<(), ManifestError> {
        let older = kustomization.object.pointer("/helmChartInflationGenerator/0");
        if older.is_some() {
            let at = kustomization.location("/helmChartInflationGenerator/0");
            return Err(remote(at, "a chart of helmChartInflationGenerator"));
        }
        let home = kustomization.object.pointer("/helmGlobals/chartHome").and_then(Value::as_str).unwrap_or("charts");
        let charts = kustomization.object.pointer("/helmCharts").and_then(Value::as_array);
        for (index, chart) in charts.into_iter().flatten().enumerate() {
            let text = |field: &str| chart.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
            let name = text("name").unwrap_or_default();
            let home = match (text("repo"), text("version")) {
                (Some(_), Some(version)) => dir.join(home).join(format!("{name}-{version}")),
                _ => dir.join(home),
            };
            let path = home.join(name);
            if !super::is_chart(&path) {
                let at = kustomization.location(&format!("/helmCharts/{index}"));
                return Err(remote(at, &format!("chart {name}")));
            }
            let more = chart.get("additionalValuesFiles").and_then(Value::as_array).into_iter().flatten();
            let files = more.filter_map(Value::as_str).chain(text("valuesFile"));
            if let Some(file) = files.into_iter().find(|file| is_remote(file) && !dir.join(file).exists()) {
                return Err(remote(kustomization.location(&format!("/helmCharts/{index}")), file));
            }
            self.made.charts.push(path);
        }
        Ok(())
    }
}

fn remote(at: Location, entry: &str) -> ManifestError {
    ManifestError::KustomizationRemote { at, entry: without_login(entry) }
}

fn read(path: &Path) -> Result<Vec<Manifest>, ManifestError> {
    let bytes = std::fs::read(path).map_err(FileError::of::<ManifestError>("read", path))?;
    manifest::parse_fields(path, &manifest::decode(path, bytes)?)
}

fn check_fields(kustomization: &Manifest) -> Result<(), ManifestError> {
    let fields = kustomization.object.as_object().into_iter().flat_map(|fields| fields.keys());
    let is_known = |field: &str| FIELDS.contains(&field) || OLD_FIELDS.contains(&field);
    match fields.into_iter().find(|field| !is_known(field)) {
        Some(field) => Err(ManifestError::KustomizationField {
            at: Box::new(kustomization.location(&format!("/{}", field.replace('~', "~0").replace('/', "~1")))),
            meant: nearest(field, FIELDS.into_iter()).map(str::to_owned),
            field: field.clone(),
        }),
        None => Ok(()),
    }
}

/// The texts of a list, each with its JSON pointer.
fn texts(kustomization: &Manifest, pointer: &str) -> Vec<(String, String)> {
    let items = kustomization.object.pointer(pointer).and_then(Value::as_array);
    let numbered = items.into_iter().flatten().enumerate();
    numbered.filter_map(|(index, item)| Some((format!("{pointer}/{index}"), item.as_str()?.to_owned()))).collect()
}

/// The paths that the items of a list have, each with its JSON pointer.
fn paths(kustomization: &Manifest, pointer: &str) -> Vec<(String, String)> {
    let items = kustomization.object.pointer(pointer).and_then(Value::as_array);
    let numbered = items.into_iter().flatten().enumerate();
    let path = |(index, item): (usize, &Value)| {
        Some((format!("{pointer}/{index}/path"), item.get("path")?.as_str()?.to_owned()))
    };
    numbered.filter_map(path).collect()
}

/// The files that generators name, each with the JSON pointer of its generator.
fn generated(kustomization: &Manifest, pointer: &str) -> Vec<(String, String)> {
    let generators = kustomization.object.pointer(pointer).and_then(Value::as_array);
    let mut found = Vec::new();
    for (index, generator) in generators.into_iter().flatten().enumerate() {
        let lists = ["files", "envs"].into_iter().filter_map(|field| generator.get(field)?.as_array()).flatten();
        let files = lists.chain(generator.get("env")).filter_map(Value::as_str);
        // `key=path`; an address may hold further signs of equality.
        let path = |entry: &str| {
            entry.split_once('=').map_or(entry, |(key, path)| if key.contains('/') { entry } else { path }).to_owned()
        };
        found.extend(files.map(|entry| (format!("{pointer}/{index}"), path(entry))));
    }
    found
}

/// True for what kustomize would fetch: an address, or a repository of a host.
fn is_remote(entry: &str) -> bool {
    let host = entry.split('/').next().unwrap_or_default();
    let is_host = host.contains('.') && !host.starts_with('.') && entry.contains('/');
    entry.contains("://") || entry.contains("?ref=") || entry.starts_with("git@") || is_host
}
