//! Directories that objects say are to be deployed, and how each is read.

use std::path::PathBuf;

use credence_core::manifest::Location;

use super::flux::PostBuild;

/// A directory of the tree that an object says is to be deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    /// Kind, namespace and name of the object.
    pub(super) by: String,
    /// The place that names the directory.
    pub(super) at: Location,
    /// The directory, below the tree's own or in the repository around that.
    pub(super) directory: PathBuf,
    pub(super) how: How,
}

impl Pointer {
    /// The values that it gives to variables, if it is one of Flux.
    pub(super) fn post_build(&self) -> Option<&PostBuild> {
        match &self.how {
            How::Flux { post_build, .. } => post_build.as_ref(),
            How::Installed { .. } => None,
        }
    }

    /// The files of values that it gives to a chart, by their real paths.
    pub(super) fn value_files(&self) -> Vec<PathBuf> {
        match &self.how {
            How::Installed { helm, .. } => {
                helm.value_files.iter().filter_map(|(path, _)| path.canonicalize().ok()).collect()
            }
            How::Flux { .. } => Vec::new(),
        }
    }
}

/// Options for reading a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// By an Application of Argo CD, or as a chart by a HelmRelease of Flux.
    Installed {
        /// The namespace of what names none.
        namespace: Option<String>,
        /// True if directories below it are read, too, if it is one of plain manifests.
        recurse: bool,
        helm: Helm,
    },
    /// By a Kustomization of Flux.
    Flux {
        /// The namespace of everything that is in one.
        namespace: Option<String>,
        /// Values that variables get; none if nothing is replaced.
        post_build: Option<PostBuild>,
    },
}

/// Values of a chart that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Helm {
    pub(super) release: String,
    /// The files of values; those that need not be there and are not are left out.
    pub(super) value_files: Vec<(PathBuf, Location)>,
    /// Further values, each a document of YAML; a later one wins.
    pub(super) values: Vec<String>,
    pub(super) set: Vec<(&'static str, String)>,
}
