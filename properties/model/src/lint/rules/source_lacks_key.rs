//! Keys that are read of a source whose manifest does not have them.

use credence_core::id::Requirement;
use credence_core::text::nearest;

use crate::config::MetadataPolicy;
use crate::lint::{Context, Finding, Rule, Severity, sources};

pub(super) const RULE: Rule = Rule {
    id: "source-lacks-key",
    requirement: Requirement::new(2, 1),
    severity: Severity::Error,
    summary: "a key is read that its source does not have",
    help: "Correct the property, or add the key to the source: the controller fails on a key that is missing, and the copy is never made.",
    check,
};

/// A source of Secrets is read by a key, or by the key before the first dot and the path behind it.
///
/// Source: External Secrets Operator, `getFromSecretData` (pkg/provider/kubernetes/client.go).
fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for declared in context.config.declared_distributions() {
        for (index, entry) in declared.spec.data.iter().enumerate() {
            let store = declared.spec.store_of(entry.source_ref.as_ref());
            let source = store.and_then(|store| sources::secret(context.config, store, &entry.remote_ref.key));
            let Some(source) = source else { continue };
            let property = entry.remote_ref.property.as_deref();
            let property = property.filter(|_| entry.remote_ref.metadata_policy == MetadataPolicy::None);
            let (Some(property), Some(keys)) = (property, sources::written_keys(context.config, &source)) else {
                continue;
            };
            let before_dot = property.split_once('.').map(|(key, _)| key);
            if keys.contains(property) || before_dot.is_some_and(|key| keys.contains(key)) {
                continue;
            }
            // An annotation may tell another controller to add it.
            if sources::annotations_name(context.config, &source, property) {
                continue;
            }
            let meant = nearest(property, keys.iter().map(String::as_str));
            let next = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
            let message = format!("data[{index}] reads {property} of {source}, which does not have it{next}");
            findings.push(RULE.at(declared.place, message));
        }
    }
    findings
}
