//! Tests of what is generated, and the model that all tests here have.

use std::path::Path;

use credence_core::manifest::parse_documents;
use credence_model::config::Config;

use super::*;

/// The plain manifests of the reference configuration, which its kustomization only lists.
pub(super) fn reference() -> Model {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/central-secret-store");
    let directories = ["stores", "secrets"].map(|part| std::fs::read_dir(root.join(part)).unwrap());
    let files = directories.into_iter().flatten().map(|entry| entry.unwrap().path());
    let manifests = files.chain([root.join("sources.yaml")]).flat_map(|file| {
        let text = std::fs::read_to_string(&file).unwrap();
        parse_documents(&file, &text).unwrap()
    });
    Model::derive(&Config::from_manifests(manifests.collect()).unwrap())
}

#[test]
fn every_slot_of_the_reference_configuration_has_a_scenario_that_tells() {
    use proptest::strategy::ValueTree;
    let model = reference();
    for slot in 0..10 {
        let mut runner = crate::generate::runner(7, "p11/slot", slot);
        let scenario = Outage.shared(&model, slot).unwrap().new_tree(&mut runner).unwrap().current();
        assert_eq!(scenario.episodes.len(), if scenario.alone { 4 } else { 2 }, "slot {slot}");
        assert!(!scenario.distributions.is_empty(), "slot {slot}");
        let case = Outage.case(&model, &scenario).new_tree(&mut runner).unwrap().current();
        assert!(Outage.is_telling(&model, &scenario, &case), "slot {slot}");
    }
}
