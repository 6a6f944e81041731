//! The golden digests: with seed 1 and the reference configuration, every property generates what it always did.
//!
//! A case is named by its seed and its number, so one that changes unseen makes an old report say what was not tested. A
//! change on purpose changes a digest here, in the same commit and with its reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use credence_model::model::Model;
use credence_model::model::testing::reference;

use super::execute::slots;
use super::{CaseId, Plan, Property, case_tree, shared_tree};
use crate::p01_propagation::Propagation;
use crate::p02_provisioning::Provisioning;
use crate::p03_label_distribution::LabelDistribution;
use crate::p04_selector_patterns::SelectorPatterns;
use crate::p05_format::Format;
use crate::p06_multi_format::MultiFormat;
use crate::p07_credential_types::CredentialTypes;
use crate::p08_access_control::AccessControl;
use crate::p09_audit::Audit;
use crate::p10_policy_update::PolicyUpdate;
use crate::p11_outage::Outage;
use crate::p12_encryption::Encryption;
use crate::p13_manual_copies::ManualCopies;
use crate::p14_transition::Transition;
use crate::p15_extension::Extension;
use crate::registry::PROPERTIES;

const SEED: u64 = 1;
const CASES: u32 = 100;

/// Digest of what each property generates, and of the model, shortened to 16 digits.
const DIGESTS: &[(&str, &str)] = &[
    ("p01", "51d6f94d342d625d"),
    ("p02", "6dc12245a381dda0"),
    ("p03", "3f610b40b2bb11df"),
    ("p04", "3d424e898d91736e"),
    ("p05", "d8950b6f6b0528c0"),
    ("p06", "d911d996476d545e"),
    ("p07", "23c54c88b81f3951"),
    ("p08", "90fbfb1e423fc820"),
    ("p09", "e4a7bf60558363ac"),
    ("p10", "2d239206c20b94bc"),
    ("p11", "04509ae5d5f40d57"),
    ("p12", "84370df02856ad74"),
    ("p13", "c87817c5c2547e9b"),
    ("p14", "a9d37b935114b307"),
    ("p15", "72803f860eef6b44"),
    ("model", "64c018d36d1d5fd6"),
];

#[test]
fn every_case_of_seed_1_on_the_reference_configuration_is_what_it_always_was() {
    let model = reference();
    let found = [
        cases(&Propagation, &model),
        cases(&Provisioning, &model),
        cases(&LabelDistribution, &model),
        cases(&SelectorPatterns, &model),
        cases(&Format, &model),
        cases(&MultiFormat, &model),
        cases(&CredentialTypes, &model),
        cases(&AccessControl, &model),
        cases(&Audit, &model),
        cases(&PolicyUpdate, &model),
        cases(&Outage, &model),
        cases(&Encryption, &model),
        cases(&ManualCopies, &model),
        cases(&Transition, &model),
        cases(&Extension, &model),
        ("model".to_owned(), digest(&model_text(&model))),
    ];
    assert_eq!(found.len(), PROPERTIES.len() + 1);
    let found: Vec<(&str, &str)> = found.iter().map(|(name, digest)| (name.as_str(), digest.as_str())).collect();
    assert_eq!(found, DIGESTS);
}

/// The model as it was when its digest was taken: what it has learnt since about the namespaces that the configuration makes
/// is left out.
fn model_text(model: &Model) -> String {
    let model = Model { namespaces: BTreeMap::new(), ..model.clone() };
    format!("{model:?}").replace(", namespaces: {}", "")
}

/// The digest of all cases of a property, slot by slot, with what the cases of a slot share.
fn cases<P: Property>(property: &P, model: &Model) -> (String, String) {
    let plan = Plan {
        seed: SEED,
        cases: CASES,
        only: None,
        shrink: Duration::ZERO,
        replay_flags: String::new(),
        leaves_trail: false,
    };
    let mut generated = String::new();
    for slot in slots::<P>(&plan) {
        let shared = shared_tree(property, model, SEED, slot.number).unwrap().current();
        writeln!(generated, "{shared:?}").unwrap();
        for index in slot.indices {
            let id = CaseId { property: P::META.id, seed: SEED, index };
            let case = case_tree(property, model, &shared, id).unwrap().current();
            writeln!(generated, "{case:?}").unwrap();
        }
    }
    (P::META.id.to_string(), digest(&generated))
}

/// The digest of what `Debug` shows, without what differs between processes and checkouts: the fingerprints of credentials,
/// whose lengths stay, and the directory of the configuration.
fn digest(text: &str) -> String {
    let fingerprint = regex::Regex::new(" bytes, [0-9a-f]{8}›").unwrap();
    let directory = regex::Regex::new("\"[^\"]*/fixtures/").unwrap();
    let text = fingerprint.replace_all(text, " bytes›");
    let text = directory.replace_all(&text, "\"fixtures/");
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}
