//! Conditions of a store that do not admit what is selected.

use credence_core::id::Requirement;

use crate::lint::worlds;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::Conflict;

pub(super) const RULE: Rule = Rule {
    id: "conditions-narrower-than-selector",
    requirement: Requirement::new(5, 5),
    severity: Severity::Warning,
    summary: "a namespace is selected that the store does not admit",
    help: "Make the conditions of the store say what the selectors say: tightened conditions leave copies where they are, and access is taken by the label.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    worlds::findings(context, &RULE, |conflict| matches!(conflict, Conflict::NotAdmitted { .. }))
}
