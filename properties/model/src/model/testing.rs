//! The reference configuration, for tests.

use std::path::{Path, PathBuf};

use credence_core::manifest::{parse_part, reject_duplicates};

use super::Model;
use crate::config::Config;

/// The plain manifests of the reference configuration, which its kustomization only lists.
pub fn reference() -> Model {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/central-secret-store");
    let mut files = vec![root.join("sources.yaml")];
    for part in ["stores", "secrets"] {
        let entries = std::fs::read_dir(root.join(part)).expect("the fixture can be read");
        let paths = entries.map(|entry| entry.expect("the fixture can be read").path());
        files.extend(paths.filter(|path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml")));
    }
    files.sort();
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("the fixture can be read");
    let parse = |path: &PathBuf| parse_part(path, &read(path)).expect("the fixture is valid");
    let manifests: Vec<_> = files.iter().flat_map(parse).collect();
    reject_duplicates(&manifests).expect("the fixture is valid");
    Model::derive(&Config::from_manifests(manifests).expect("the fixture is valid"))
}
