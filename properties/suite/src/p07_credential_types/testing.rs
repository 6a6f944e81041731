//! Configurations for the tests of this property.

use std::path::{Path, PathBuf};

use credence_core::endpoints::Endpoints;
use credence_core::manifest::{Manifest, parse_documents};
use credence_model::config::Config;
use credence_model::model::Model;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn read(path: &Path) -> Vec<Manifest> {
    parse_documents(path, &std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A right world, with the manifests of its consumers if there are any.
pub(super) fn world(name: &str) -> Model {
    let files = std::fs::read_dir(fixtures().join("right").join(name)).unwrap();
    let manifests = files.flat_map(|file| read(&file.unwrap().path())).collect();
    let mut model = Model::derive(&Config::from_manifests(manifests).unwrap());
    let consumers = fixtures().join("consumers/worlds").join(format!("{name}.yaml"));
    if consumers.is_file() {
        model.endpoints = Endpoints::from_manifests(&read(&consumers));
    }
    model
}
