//! The properties, in order.

use credence_core::id::PropertyId;

pub use crate::driver::Registered;
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

/// Every property there is, in the order of their ids.
pub const PROPERTIES: &[&dyn Registered] = &[
    &Propagation,
    &Provisioning,
    &LabelDistribution,
    &SelectorPatterns,
    &Format,
    &MultiFormat,
    &CredentialTypes,
    &AccessControl,
    &Audit,
    &PolicyUpdate,
    &Outage,
    &Encryption,
    &ManualCopies,
    &Transition,
    &Extension,
];

/// A name that no property has.
#[derive(Debug, thiserror::Error)]
#[error("there is no property {name:?}; there are {}", names())]
pub struct UnknownProperty {
    name: String,
}

/// Finds a property by its id, such as `p03`, or its title.
///
/// # Errors
/// When there is none of that name; the error lists those that there are.
pub fn find(name: &str) -> Result<PropertyId, UnknownProperty> {
    let found = PROPERTIES
        .iter()
        .map(|property| property.meta())
        .find(|meta| meta.id.to_string() == name || meta.title == name);
    found.map(|meta| meta.id).ok_or_else(|| UnknownProperty { name: name.to_owned() })
}

fn names() -> String {
    let names = PROPERTIES.iter().map(|property| {
        let meta = property.meta();
        format!("{} ({})", meta.id, meta.title)
    });
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use credence_core::id::Requirement;
    use credence_model::model::testing::reference;
    use credence_model::selector::NamespaceSelection;
    use credence_report::copy::{CopyName, Scope};
    use credence_report::report::{REQUIREMENTS, UNPROVED};

    use super::{PROPERTIES, find};
    use crate::coverage::{NOBODY, copies};

    #[test]
    fn each_requirement_is_claimed_by_a_property_or_said_to_be_proved_by_none() {
        let claimed = PROPERTIES.iter().flat_map(|property| property.meta().claims).map(|claim| claim.requirement);
        let claimed: BTreeSet<Requirement> = claimed.chain(UNPROVED.map(|(requirement, _)| requirement)).collect();
        assert_eq!(claimed, REQUIREMENTS.iter().map(|(requirement, _)| *requirement).collect());
    }

    #[test]
    fn a_property_has_a_claim_one_on_each_requirement_and_says_what_proves_it() {
        for property in PROPERTIES {
            let meta = property.meta();
            let requirements: BTreeSet<Requirement> = meta.claims.iter().map(|claim| claim.requirement).collect();
            assert!(!requirements.is_empty() && requirements.len() == meta.claims.len(), "{}", meta.id);
            assert!(meta.claims.iter().all(|claim| claim.proof.split(' ').count() > 4), "{}", meta.id);
        }
    }

    #[test]
    fn each_copy_of_the_reference_configuration_is_one_that_some_property_can_judge() {
        let model = reference();
        let all: BTreeSet<CopyName> = copies(&model).into_iter().collect();
        assert!(!all.is_empty());
        let declared = PROPERTIES.iter().flat_map(|property| property.declared(&model));
        let within =
            declared.filter(|declared| declared.scope == Scope::Within).map(|declared| declared.copy).collect();
        let open: BTreeSet<&CopyName> = all.difference(&within).collect();
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn each_property_says_something_of_each_copy() {
        let model = reference();
        let all: BTreeSet<CopyName> = copies(&model).into_iter().collect();
        for property in PROPERTIES {
            let named: BTreeSet<CopyName> =
                property.declared(&model).into_iter().map(|declared| declared.copy).collect();
            assert_eq!(all, named, "{}", property.meta().id);
        }
    }

    #[test]
    fn a_copy_that_nobody_gets_is_no_matter_of_any_property() {
        let mut model = reference();
        model.distributions.truncate(1);
        model.distributions[0].selection = NamespaceSelection::default();
        for property in PROPERTIES {
            let declared = property.declared(&model);
            assert_eq!(declared[0].scope, Scope::NotApplicable(NOBODY.to_owned()), "{}", property.meta().id);
        }
    }

    #[test]
    fn a_property_is_found_by_id_and_by_title() {
        for property in PROPERTIES {
            let meta = property.meta();
            assert_eq!(find(&meta.id.to_string()).unwrap(), meta.id);
            assert_eq!(find(meta.title).unwrap(), meta.id);
        }
    }

    #[test]
    fn an_unknown_property_is_an_error_that_lists_the_known_ones() {
        let error = find("p99").unwrap_err().to_string();
        assert!(error.contains("p99") && error.contains("p03 (label distribution)"), "{error}");
    }

    #[test]
    fn ids_are_unique_and_in_order() {
        let ids: Vec<_> = PROPERTIES.iter().map(|property| property.meta().id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }
}
