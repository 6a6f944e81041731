//! Sources of a configuration: plain manifests, kustomizations, charts of Helm, variables of Flux, and what Argo CD and
//! Flux deploy of the same tree. Everything that may fail for the user's sake fails here, before anything is started.
//!
//! ```text
//!  parameters      what the user gives beside it          tools        programs, obtained when something is to be rendered
//!  gitops          objects of Argo CD and Flux            pointer      directories that they point at
//!  application_set Applications that one makes            helm_release charts that Flux installs
//!  roots           directories that paths begin at        chart        a chart's files and those it needs
//!  render          helm and kustomize, kept in the cache  helm_error   refusals of helm, without values
//!  variables       values of Flux's variables             flux         where a Kustomization takes them from
//!  controlled      objects that controllers make          error        why it cannot be read
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use credence_core::manifest::{self, Manifest, ManifestError};
use serde_json::{Map, Value};

mod application_set;
mod cache;
mod chart;
mod controlled;
mod error;
mod flux;
mod gitops;
mod helm_error;
mod helm_release;
mod parameters;
mod pointer;
mod render;
mod roots;
#[cfg(test)]
mod tests;
mod tools;
mod variables;

pub use error::ConfigurationError;
pub use parameters::Parameters;
pub use tools::Tools;

use crate::kustomize::{has_kustomization, is_chart, load_plain, none_of, refused};
use flux::PostBuild;
use pointer::{Helm, How, Pointer};
use render::Release;
use roots::Roots;

/// A configuration as it is deployed.
#[derive(Debug)]
pub struct Loaded {
    /// Every object, with variables replaced.
    pub manifests: Vec<Manifest>,
    /// A line on each thing that the tree names and that is not part of this.
    pub notes: Vec<String>,
}

/// Reads a configuration, and what its Applications and Kustomizations point at in the same tree.
///
/// # Errors
/// A file, a chart or a kustomization that cannot be read or rendered, parameters that nothing takes, a variable without a
/// value, an object that is written twice, and a configuration without any.
pub async fn load(directory: &Path, parameters: &Parameters, tools: Tools<'_>) -> Result<Loaded, ConfigurationError> {
    let shown = directory.display().to_string();
    let is_chart = !has_kustomization(directory) && is_chart(directory);
    if parameters.has_values() && !is_chart {
        return Err(ConfigurationError::NoChart { dir: shown });
    }
    let values = parameters.values.iter().map(|path| values_file(path)).collect::<Result<_, _>>()?;
    let set = parameters.set.iter().map(|text| ("--set", text.clone())).collect();
    let variables = variables::given(parameters)?;
    let mut tree = Tree::new(directory, tools, variables);
    let first =
        Part { directory: directory.to_owned(), recurse: true, release: Release { values, set, ..Release::default() } };
    tree.load(first).await?;
    let Tree { mut manifests, mut notes, used, pointers, rendered, covered, .. } = tree;
    for nested in rendered {
        if covered.contains(&nested.canonicalize().unwrap_or_default()) {
            continue;
        }
        if pointers == 0 {
            return Err(refused(directory, nested).into());
        }
        notes.push(format!("left out: {}, at which nothing in the tree points", nested.display()));
    }
    let unused: Vec<String> = parameters.substitute.keys().filter(|name| !used.contains(*name)).cloned().collect();
    if !unused.is_empty() {
        return Err(ConfigurationError::NoVariable { dir: shown, names: unused });
    }
    if manifests.is_empty() {
        return Err(ManifestError::Empty { dir: directory.to_owned() }.into());
    }
    manifests.iter_mut().filter(|manifest| manifest.is_cluster_scoped()).for_each(|manifest| {
        // kustomize stamps one on kinds that it does not know, and the API server drops it.
        if let Some(Value::Object(metadata)) = manifest.object.get_mut("metadata") {
            metadata.remove("namespace");
        }
    });
    manifest::reject_duplicates(&manifests)?;
    notes.extend(controlled::leave_out(&mut manifests));
    Ok(Loaded { manifests, notes })
}

/// A file of values, if helm can read it.
fn values_file(path: &Path) -> Result<Vec<u8>, ConfigurationError> {
    let named = |source| ConfigurationError::Named { what: "the file of values", path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(named)?;
    let text = manifest::decode(path, bytes)?;
    match manifest::parse_fields(path, &text) {
        // What is a boolean to kubectl may be meant as one in values.
        Ok(_) | Err(ManifestError::NotText { .. }) => Ok(text.into_bytes()),
        Err(error) => Err(error.into()),
    }
}

/// A directory, and how it is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    directory: PathBuf,
    /// True if directories below it are read, too, if it is one of plain manifests.
    recurse: bool,
    release: Release,
}

/// Kustomizations that lead to one another by variables in their paths.
const DEEPEST: usize = 8;

/// A tree while it is read.
struct Tree<'a> {
    roots: Roots,
    tools: Tools<'a>,
    /// Values of variables that the user gives; none if no variable is given.
    variables: Option<BTreeMap<String, String>>,
    manifests: Vec<Manifest>,
    notes: Vec<String>,
    /// Variables that have a value and stand somewhere.
    used: BTreeSet<String>,
    /// Number of directories of the tree that were pointed at.
    pointers: usize,
    /// Directories that have to be rendered and that nothing has rendered.
    rendered: BTreeSet<PathBuf>,
    /// The directories that kustomizations are made of, by their real paths.
    covered: BTreeSet<PathBuf>,
}

impl<'a> Tree<'a> {
    fn new(root: &Path, tools: Tools<'a>, variables: Option<BTreeMap<String, String>>) -> Self {
        Self {
            roots: Roots::of(root),
            tools,
            variables,
            manifests: Vec::new(),
            notes: Vec::new(),
            used: BTreeSet::new(),
            pointers: 0,
            rendered: BTreeSet::new(),
            covered: BTreeSet::new(),
        }
    }

    async fn load(&mut self, first: Part) -> Result<(), ConfigurationError> {
        let mut seen = vec![(first.clone(), None)];
        let mut next = VecDeque::new();
        let mut manifests = self.read(&first, None, &mut next).await?;
        self.replace(&mut manifests, None)?;
        self.manifests.extend(manifests);
        // Pointers in a row whose values of variables may be among what is still to be read.
        let mut waiting = 0;
        while let Some(pointer) = next.pop_front() {
            if waiting < next.len() && !self.has_values_of(&pointer) {
                waiting += 1;
                next.push_back(pointer);
                continue;
            }
            waiting = 0;
            let part = self.part(&pointer)?;
            // What Flux applies twice, with other values or into another namespace, is there twice.
            let post_build = match &pointer.how {
                How::Flux { .. } => Some(pointer.how.clone()),
                How::Installed { .. } => None,
            };
            let reading = (part, post_build);
            let is_read_again = seen.iter().any(|(part, _)| part.directory == pointer.directory);
            if seen.contains(&reading) || self.is_covered(&pointer.directory) && !is_read_again {
                continue;
            }
            self.pointers += 1;
            self.rendered.remove(&pointer.directory);
            let values = self.values_of(pointer.post_build(), &[])?;
            let mut manifests = self.read(&reading.0, values.as_ref(), &mut next).await?;
            seen.push(reading);
            next.extend(self.below(&pointer));
            let (namespace, is_of_all) = match &pointer.how {
                How::Installed { namespace, .. } => (namespace, false),
                How::Flux { namespace, .. } => (namespace, true),
            };
            in_namespace(&mut manifests, namespace.as_deref(), is_of_all);
            self.replace(&mut manifests, values.as_ref())?;
            self.manifests.extend(manifests);
        }
        Ok(())
    }

    /// The kustomizations below a directory of plain manifests that Flux applies, which are a part of it.
    ///
    /// Source: Flux, github.com/fluxcd/pkg, `Generator.generateKustomization` (kustomize/kustomize_generator.go).
    fn below(&self, pointer: &Pointer) -> Vec<Pointer> {
        let is_part = |directory: &&PathBuf| {
            matches!(pointer.how, How::Flux { .. })
                && directory.starts_with(&pointer.directory)
                && has_kustomization(directory)
        };
        let parts = self.rendered.iter().filter(is_part);
        parts.map(|directory| Pointer { directory: directory.clone(), ..pointer.clone() }).collect()
    }

    /// Reads a directory, in which variables get `values`. What it points at below itself is left to that, which comes `next`.
    async fn read(
        &mut self,
        part: &Part,
        values: Option<&BTreeMap<String, String>>,
        next: &mut VecDeque<Pointer>,
    ) -> Result<Vec<Manifest>, ConfigurationError> {
        let directory = &part.directory;
        let mut faults = Vec::new();
        let mut manifests = if has_kustomization(directory) {
            let (manifests, directories) = render::overlay(directory, &self.tools).await?;
            self.covered.extend(directories);
            manifests
        } else if is_chart(directory) {
            render::chart(directory, &part.release, &self.tools).await?
        } else {
            let plain = load_plain(directory, part.recurse).await?;
            self.rendered.extend(plain.rendered);
            faults = plain.faults;
            plain.manifests
        };
        // Some manage themselves: what these point at is being read.
        let is_own = |pointer: &Pointer| {
            directory.starts_with(&pointer.directory) || pointer.at.file.starts_with(&pointer.directory)
        };
        let (mut pointing, all) = self.pointing(&manifests, values)?;
        let values: BTreeSet<PathBuf> = all.iter().flat_map(Pointer::value_files).collect();
        faults.retain(|(path, _)| path.canonicalize().map_or(true, |real| !values.contains(&real)));
        none_of(faults.into_iter().map(|(_, fault)| fault).collect())?;
        let left = |manifest: &Manifest| {
            let below = all.iter().filter(|pointer| !is_own(pointer) && pointer.directory.starts_with(directory));
            below.into_iter().any(|pointer| manifest.file.starts_with(&pointer.directory))
        };
        manifests.retain(|manifest| !left(manifest));
        pointing.retain(|manifest| !left(manifest));
        let (pointers, notes) = gitops::pointers(&pointing, &self.roots);
        self.notes.extend(notes);
        let (own, others): (Vec<Pointer>, Vec<Pointer>) = pointers.into_iter().partition(is_own);
        next.extend(others);
        for pointer in own {
            let Some(post_build) = pointer.post_build() else { continue };
            let values = self.values_of(Some(post_build), &manifests)?;
            let is_all = directory.starts_with(&pointer.directory);
            let is_of_it = |manifest: &&mut Manifest| is_all || manifest.file.starts_with(&pointer.directory);
            self.replace(manifests.iter_mut().filter(is_of_it), values.as_ref())?;
        }
        Ok(manifests)
    }

    /// Objects with those variables replaced whose values are known, and all that they point at then: what a Kustomization gives
    /// to variables may be the path of another one.
    fn pointing(
        &self,
        manifests: &[Manifest],
        values: Option<&BTreeMap<String, String>>,
    ) -> Result<(Vec<Manifest>, Vec<Pointer>), ConfigurationError> {
        let mut pointing = manifests.to_vec();
        self.replace_known(&mut pointing, values.cloned().unwrap_or_default());
        let mut all = gitops::pointers(&pointing, &self.roots).0;
        for _ in 0..DEEPEST {
            for pointer in &all {
                let Some(post_build) = pointer.post_build() else { continue };
                let (values, _) = post_build.values(self.manifests.iter().chain(manifests))?;
                let below = pointing.iter_mut().filter(|manifest| manifest.file.starts_with(&pointer.directory));
                self.replace_known(below, values);
            }
            let now = gitops::pointers(&pointing, &self.roots).0;
            if now == all {
                break;
            }
            all = now;
        }
        Ok((pointing, all))
    }

    /// Replaces variables in those objects of which all have values. What has none is refused where it is replaced for good.
    fn replace_known<'m>(
        &self,
        manifests: impl IntoIterator<Item = &'m mut Manifest>,
        mut values: BTreeMap<String, String>,
    ) {
        values.extend(self.variables.clone().unwrap_or_default());
        for manifest in manifests.into_iter().filter(|_| !values.is_empty()) {
            let mut replaced = manifest.clone();
            if replaced.substitute(&values, &mut BTreeSet::new()).is_ok() {
                *manifest = replaced;
            }
        }
    }

    /// True if all ConfigMaps that a pointer takes values of variables from have been read.
    fn has_values_of(&self, pointer: &Pointer) -> bool {
        pointer.post_build().is_none_or(|post_build| post_build.is_complete(self.manifests.iter()))
    }

    /// Values that a Kustomization gives to variables, of objects that have been read before or `beside` it.
    fn values_of(
        &mut self,
        post_build: Option<&PostBuild>,
        beside: &[Manifest],
    ) -> Result<Option<BTreeMap<String, String>>, ConfigurationError> {
        let Some(post_build) = post_build else { return Ok(None) };
        let (values, notes) = post_build.values(self.manifests.iter().chain(beside))?;
        self.notes.extend(notes);
        Ok(Some(values))
    }

    /// Reading of what a pointer names.
    fn part(&self, pointer: &Pointer) -> Result<Part, ConfigurationError> {
        let directory = pointer.directory.clone();
        let How::Installed { namespace, recurse, helm } = &pointer.how else {
            return Ok(Part { directory, recurse: true, release: Release::default() });
        };
        let Helm { release, value_files, values, set } = helm;
        let mut all = Vec::new();
        if is_chart(&directory) {
            for (path, at) in value_files {
                // The place says who names it.
                let read = values_file(path);
                all.push(read.map_err(|error| named_at(error, at))?);
            }
            all.extend(values.iter().map(|values| values.as_bytes().to_vec()));
        }
        let release =
            Release { name: Some(release.clone()), namespace: namespace.clone(), values: all, set: set.clone() };
        Ok(Part { directory, recurse: *recurse, release })
    }

    fn is_covered(&self, directory: &Path) -> bool {
        directory.canonicalize().is_ok_and(|real| self.covered.contains(&real))
    }

    /// Replaces variables of Flux by the values that a Kustomization and, over them, the user gives.
    fn replace<'m>(
        &mut self,
        manifests: impl IntoIterator<Item = &'m mut Manifest>,
        own: Option<&BTreeMap<String, String>>,
    ) -> Result<(), ConfigurationError> {
        if own.is_none() && self.variables.is_none() {
            return Ok(());
        }
        let mut values = variables::in_one_line(own.cloned().unwrap_or_default());
        values.extend(self.variables.clone().unwrap_or_default());
        let mut faults = Vec::new();
        for manifest in manifests {
            match manifest.substitute(&values, &mut self.used) {
                Ok(()) => {}
                Err(ManifestError::Several(several)) => faults.extend(several),
                Err(fault) => faults.push(fault),
            }
        }
        match faults.len() {
            0 => Ok(()),
            1 => Err(faults.remove(0).into()),
            _ => Err(ManifestError::Several(faults).into()),
        }
    }
}

/// The fault of a file, with the place that names it.
fn named_at(error: ConfigurationError, at: &manifest::Location) -> ConfigurationError {
    match error {
        ConfigurationError::Named { path, source, .. } => {
            ConfigurationError::NamedAt { at: Box::new(at.clone()), path, source }
        }
        other => other,
    }
}

/// Puts objects that name no namespace, or all, into one, unless their kind has none.
fn in_namespace(manifests: &mut [Manifest], namespace: Option<&str>, is_for_all: bool) {
    let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty()) else { return };
    for manifest in manifests.iter_mut().filter(|manifest| !manifest.is_cluster_scoped()) {
        if is_for_all || manifest.namespace().is_none() {
            let metadata = manifest.object.as_object_mut().map(|object| object.entry("metadata"));
            let metadata = metadata.map(|metadata| metadata.or_insert_with(|| Value::Object(Map::new())));
            if let Some(Value::Object(metadata)) = metadata {
                metadata.insert("namespace".to_owned(), namespace.into());
            }
        }
    }
}
