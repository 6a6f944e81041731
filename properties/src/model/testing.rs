//! The reference configuration, for tests.

use std::path::Path;

use credence_harness::manifest::{load_directory, parse_documents};

use super::Model;
use crate::bundle::Bundle;

/// The plain manifests of the reference configuration, which its kustomization only lists.
pub(crate) async fn reference() -> Model {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/central-secret-store");
    let mut manifests = Vec::new();
    for part in ["stores", "secrets"] {
        manifests.extend(load_directory(&root.join(part), None).await.unwrap());
    }
    let sources = root.join("sources.yaml");
    manifests.extend(parse_documents(&sources, &std::fs::read_to_string(&sources).unwrap()).unwrap());
    Model::derive(&Bundle::from_manifests(manifests).unwrap())
}
