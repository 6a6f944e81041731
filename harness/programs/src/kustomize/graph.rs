//! What a kustomization is made of, followed through its files before kustomize is asked: its own messages name no line, and it
//! would fetch what is elsewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use credence_core::manifest::{self, Manifest, ManifestError};
use credence_core::text::nearest;
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

/// The files that a kustomization takes objects and patches from, in the order in which they are named.
///
/// # Errors
/// A kustomization that is no YAML or has a field that there is not, an entry that leads back, that is not there, or that is
/// elsewhere.
pub(super) fn files(dir: &Path) -> Result<Vec<PathBuf>, ManifestError> {
    let mut walk = Walk::default();
    walk.enter(dir)?;
    Ok(walk.files)
}

#[derive(Default)]
struct Walk {
    /// The directories that lead to where the walk is, by their real paths.
    above: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    files: Vec<PathBuf>,
}

impl Walk {
    fn enter(&mut self, dir: &Path) -> Result<(), ManifestError> {
        let failed = |source| ManifestError::Read { path: dir.to_owned(), source };
        let real = dir.canonicalize().map_err(failed)?;
        if !self.seen.insert(real.clone()) {
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
            let path = dir.join(&entry);
            let at = || kustomization.location(&pointer);
            match (path.is_dir(), path.exists()) {
                (true, _) => {
                    let real =
                        path.canonicalize().map_err(|source| ManifestError::Read { path: path.clone(), source })?;
                    // Also what contains a directory that leads here leads back to it.
                    if let Some(back) = self.above.iter().find(|above| above.starts_with(&real)) {
                        return Err(ManifestError::KustomizationCycle { at: Box::new(at()), entry, dir: back.clone() });
                    }
                    if !super::has_kustomization(&path) {
                        return Err(ManifestError::KustomizationNeeded { at: at(), entry });
                    }
                    self.enter(&path)?;
                }
                (false, true) => self.files.push(path),
                (false, false) if is_remote(&entry) => return Err(ManifestError::KustomizationRemote { at: at() }),
                (false, false) => return Err(ManifestError::KustomizationMissing { at: at(), entry }),
            }
        }
        self.follow_patches(dir, kustomization)
    }

    fn follow_patches(&mut self, dir: &Path, kustomization: &Manifest) -> Result<(), ManifestError> {
        for (pointer, entry) in ["/patches", "/patchesJson6902"].iter().flat_map(|field| paths(kustomization, field)) {
            let path = dir.join(&entry);
            match path.is_file() {
                true => self.files.push(path),
                false => {
                    return Err(ManifestError::KustomizationMissing { at: kustomization.location(&pointer), entry });
                }
            }
        }
        // These may be patches themselves instead of their files.
        let merged = texts(kustomization, "/patchesStrategicMerge").into_iter().map(|(_, entry)| dir.join(entry));
        self.files.extend(merged.filter(|path| path.is_file()));
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<Manifest>, ManifestError> {
    let bytes = std::fs::read(path).map_err(|source| ManifestError::Read { path: path.to_owned(), source })?;
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

/// True for what kustomize would fetch: an address, or a repository of a host.
fn is_remote(entry: &str) -> bool {
    let host = entry.split('/').next().unwrap_or_default();
    let is_host = host.contains('.') && !host.starts_with('.') && entry.contains('/');
    entry.contains("://") || entry.contains("?ref=") || entry.starts_with("git@") || is_host
}
