//! A deletion policy that takes copies away with their source.

use credence_core::id::Requirement;

use crate::config::{CreationPolicy, DeletionPolicy};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "deletion-policy-delete",
    requirement: Requirement::new(1, 5),
    severity: Severity::Warning,
    summary: "copies are deleted or lose their keys when their source is gone for a moment",
    help: "Set deletionPolicy to Retain: to take a copy back, remove the label that asks for it, which removes its ExternalSecret.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let all = context.config.declared_distributions().filter_map(|distributed| {
        // With any other maker the webhook refuses it, and searches have a rule of their own.
        let is_owned = matches!(distributed.spec.target.creation_policy, CreationPolicy::Owner);
        let searches = distributed.spec.data_from.iter().any(|entry| entry.find.is_some());
        // pkg/controllers/externalsecret/externalsecret_controller.go: a source that is not found gives no values, and that is no
        // error with these policies. Providers differ in what they tell as not found, by version and by field.
        let message = match distributed.spec.target.deletion_policy {
            DeletionPolicy::Delete => {
                "a source that is gone for a moment takes every copy with it: deletionPolicy Delete"
            }
            DeletionPolicy::Merge => {
                "a source that is gone for a moment takes its keys out of every copy: deletionPolicy Merge"
            }
            DeletionPolicy::Retain => return None,
        };
        (is_owned && !searches).then(|| RULE.at(distributed.place, message))
    });
    all.collect()
}
