//! The properties, in order.

use credence_core::id::PropertyId;

use crate::driver::Registered;
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

/// Every property there is.
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
    use super::{PROPERTIES, find};

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
