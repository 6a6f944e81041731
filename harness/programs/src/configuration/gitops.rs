//! Objects of Argo CD and Flux that say what is to be deployed: which directories of the same tree or repository, and how each is
//! read.

use std::path::Path;

use credence_core::manifest::Manifest;
use credence_core::text::without_login;
use serde_json::Value;

use super::application_set::{self, NotFollowed};
use super::flux::PostBuild;
use super::helm_release;
use super::pointer::{Helm, How, Pointer};
use super::roots::Roots;

/// Fields of a source of an Application that change what is rendered and are not followed.
const NOT_FOLLOWED: [&str; 6] =
    ["kustomize", "plugin", "directory/exclude", "directory/include", "directory/jsonnet", "helm/fileParameters"];

/// Paths in it that the objects of a tree point at, and a line on each that points elsewhere or cannot be followed.
pub(super) fn pointers<'a>(
    manifests: impl IntoIterator<Item = &'a Manifest, IntoIter: Clone>,
    roots: &Roots,
) -> (Vec<Pointer>, Vec<String>) {
    let (mut pointers, mut notes) = (Vec::new(), Vec::new());
    let manifests = manifests.into_iter();
    for manifest in manifests.clone() {
        match (manifest.group(), manifest.kind()) {
            ("argoproj.io", "Application") => {
                let application =
                    Application { manifest, at: "/spec", name: manifest.name(), spec: &manifest.object["spec"] };
                application.point(roots, &mut pointers, &mut notes);
            }
            ("argoproj.io", "ApplicationSet") => match application_set::applications(manifest, roots) {
                Ok(made) => made.iter().for_each(|(name, spec)| {
                    let application = Application { manifest, at: "/spec/template/spec", name, spec };
                    application.point(roots, &mut pointers, &mut notes);
                }),
                Err(NotFollowed { at, why }) => notes.push(not_followed(manifest, &at, &why)),
            },
            ("kustomize.toolkit.fluxcd.io", "Kustomization") => of_flux(manifest, roots, &mut pointers, &mut notes),
            ("helm.toolkit.fluxcd.io", "HelmRelease") => {
                match helm_release::pointer(manifest, roots, manifests.clone()) {
                    Ok(pointer) => pointers.push(pointer),
                    Err((at, why)) => notes.push(not_followed(manifest, &at, &why)),
                }
            }
            _ => {}
        }
    }
    (pointers, notes)
}

fn not_followed(manifest: &Manifest, at: &str, why: &str) -> String {
    format!("not followed: {} at {}: {why}", manifest.object_name(), manifest.location(at))
}

/// An Application, as it is written or as an ApplicationSet makes it.
struct Application<'a> {
    /// The object that says so.
    manifest: &'a Manifest,
    /// The place of its spec in that.
    at: &'static str,
    name: &'a str,
    spec: &'a Value,
}

impl Application<'_> {
    fn point(&self, roots: &Roots, pointers: &mut Vec<Pointer>, notes: &mut Vec<String>) {
        let Self { manifest, at: place, spec, .. } = self;
        let several = spec.get("sources").and_then(Value::as_array).filter(|sources| !sources.is_empty());
        let sources: Vec<(String, &Value)> = match several {
            Some(sources) => {
                sources.iter().enumerate().map(|(index, one)| (format!("{place}/sources/{index}"), one)).collect()
            }
            None => spec.get("source").map(|source| (format!("{place}/source"), source)).into_iter().collect(),
        };
        let mut note = |at: &str, why: String| notes.push(not_followed(manifest, at, &why));
        for (pointer, source) in sources {
            let text = |field: &str| source.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
            let repository = without_login(text("repoURL").unwrap_or_default());
            if let Some(chart) = text("chart") {
                note(&format!("{pointer}/chart"), format!("chart {chart} of {repository} would be fetched"));
                continue;
            }
            // A source that only gives files to others has no path.
            let Some(path) = text("path") else { continue };
            let at = format!("{pointer}/path");
            let Some((root, directory)) = roots.below(path) else {
                note(&at, format!("there is no directory {path} in the tree; {repository} is not fetched"));
                continue;
            };
            let is_there = |field: &&&str| source.pointer(&format!("/{field}")).is_some_and(|value| !value.is_null());
            if let Some(field) = NOT_FOLLOWED.iter().find(is_there) {
                note(&format!("{pointer}/{field}"), format!("{} changes what is rendered", field.replace('/', ".")));
                continue;
            }
            let how = How::Installed {
                namespace: spec.pointer("/destination/namespace").and_then(Value::as_str).map(str::to_owned),
                recurse: source.pointer("/directory/recurse").and_then(Value::as_bool) == Some(true),
                helm: self.helm(&pointer, &source["helm"], &directory, root),
            };
            let (by, at) = (manifest.object_name(), manifest.location(&at));
            pointers.push(Pointer { by, at, directory, how });
        }
    }

    fn helm(&self, pointer: &str, helm: &Value, chart: &Path, root: &Path) -> Helm {
        let items = |field: &str| helm.get(field).and_then(Value::as_array).into_iter().flatten();
        let may_lack = helm.get("ignoreMissingValueFiles").and_then(Value::as_bool) == Some(true);
        let files = items("valueFiles").enumerate().filter_map(|(index, file)| {
            let file = file.as_str()?;
            let at = self.manifest.location(&format!("{pointer}/helm/valueFiles/{index}"));
            // `$ref` is another source, and a path from the root that of the repository: both are this tree.
            let path = match file.strip_prefix('$').and_then(|file| file.split_once('/')) {
                Some((_, path)) => root.join(path),
                None => file.strip_prefix('/').map_or_else(|| chart.join(file), |path| root.join(path)),
            };
            (!may_lack || path.is_file()).then_some((path, at))
        });
        let parameters = items("parameters").filter_map(|parameter| {
            let text = |field: &str| parameter.get(field).and_then(Value::as_str);
            let option = match parameter.get("forceString").and_then(Value::as_bool) {
                Some(true) => "--set-string",
                _ => "--set",
            };
            Some((option, format!("{}={}", text("name")?, with_commas_kept(text("value").unwrap_or_default()))))
        });
        // Argo CD takes the object before the text.
        let object = helm.get("valuesObject").filter(|object| !object.is_null()).map(Value::to_string);
        Helm {
            release: helm.get("releaseName").and_then(Value::as_str).unwrap_or(self.name).to_owned(),
            value_files: files.collect(),
            values: object.or_else(|| Some(helm.get("values")?.as_str()?.to_owned())).into_iter().collect(),
            set: parameters.collect(),
        }
    }
}

/// A value as `--set` reads it back.
///
/// Source: Argo CD, `cleanSetParameters` (util/helm/cmd.go).
fn with_commas_kept(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    let mut kept = String::new();
    for letter in value.chars() {
        if letter == ',' && !kept.ends_with('\\') {
            kept.push('\\');
        }
        kept.push(letter);
    }
    kept
}

fn of_flux(manifest: &Manifest, roots: &Roots, pointers: &mut Vec<Pointer>, notes: &mut Vec<String>) {
    let spec = &manifest.object["spec"];
    let path = spec.get("path").and_then(Value::as_str).unwrap_or("./");
    let mut note = |at: &str, why: String| notes.push(not_followed(manifest, at, &why));
    let Some((_, directory)) = roots.below(path) else {
        return note("/spec/path", format!("there is no directory {path} in the tree"));
    };
    for field in ["patches", "components", "images"] {
        if spec.get(field).and_then(Value::as_array).is_some_and(|items| !items.is_empty()) {
            return note(&format!("/spec/{field}"), format!("{field} changes what is rendered"));
        }
    }
    let namespace = spec.get("targetNamespace").and_then(Value::as_str).map(str::to_owned);
    let (by, at) = (manifest.object_name(), manifest.location("/spec/path"));
    pointers.push(Pointer { by, at, directory, how: How::Flux { namespace, post_build: PostBuild::of(manifest) } });
}
