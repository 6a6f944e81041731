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
    let distributions = context.model.distributions.iter();
    distributions
        .filter(|distribution| {
            // Source: External Secrets Operator `validateExternalSecret` (apis/externalsecrets/v1).
            matches!(
                (distribution.deletion_policy, distribution.creation_policy),
                (DeletionPolicy::Delete, CreationPolicy::Merge | CreationPolicy::CreateOrMerge | CreationPolicy::None)
                    | (DeletionPolicy::Merge, CreationPolicy::None)
            )
        })
        .map(|distribution| {
            let (deletion, creation) = (distribution.deletion_policy, distribution.creation_policy);
            RULE.at(
                context.place(distribution),
                format!("deletionPolicy {deletion:?} is refused with creationPolicy {creation:?}"),
            )
        })
        .collect()
}
