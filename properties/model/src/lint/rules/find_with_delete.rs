//! A search for sources whose copies go when it finds nothing.

use credence_core::id::Requirement;

use crate::config::DeletionPolicy;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "find-with-delete",
    requirement: Requirement::new(1, 5),
    severity: Severity::Warning,
    summary: "copies are deleted when a search finds nothing for a moment",
    help: "Set deletionPolicy to Retain, or name the source: a search that finds nothing is no error, and every copy goes with it.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let all = context.config.declared_distributions();
    all.filter(|distributed| {
        let spec = distributed.spec;
        // Beside anything else that is read, the values are never none.
        let only_searches = !spec.data_from.is_empty() && spec.data_from.iter().all(|entry| entry.find.is_some());
        spec.target.deletion_policy == DeletionPolicy::Delete && spec.data.is_empty() && only_searches
    })
    .map(|distributed| {
        let message = "a search that finds nothing deletes every copy: dataFrom.find with deletionPolicy Delete";
        RULE.at(distributed.place, message)
    })
    .collect()
}
