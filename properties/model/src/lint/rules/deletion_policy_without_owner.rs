//! A deletion policy for a Secret that the controller does not own.

use credence_core::id::Requirement;

use crate::config::{CreationPolicy, DeletionPolicy};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "deletion-policy-without-owner",
    requirement: Requirement::new(2, 5),
    severity: Severity::Error,
    summary: "the deletion policy is refused with this creation policy",
    help: "Set creationPolicy to Owner, or deletionPolicy to Retain: the webhook of External Secrets Operator refuses the two together.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let targets = context.model.targets.iter();
    targets
        .filter(|target| {
            // Source: External Secrets Operator `validateExternalSecret` (apis/externalsecrets/v1).
            matches!(
                (target.deletion_policy, target.creation_policy),
                (DeletionPolicy::Delete, CreationPolicy::Merge | CreationPolicy::None)
                    | (DeletionPolicy::Merge, CreationPolicy::None)
            )
        })
        .map(|target| {
            let (deletion, creation) = (target.deletion_policy, target.creation_policy);
            RULE.at(
                context.place(target),
                format!("deletionPolicy {deletion:?} is refused with creationPolicy {creation:?}"),
            )
        })
        .collect()
}
