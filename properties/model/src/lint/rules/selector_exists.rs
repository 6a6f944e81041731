//! Selectors that ask for the key of a label that others switch with true and false.

use credence_core::id::Requirement;

use crate::lint::worlds;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::Conflict;

pub(super) const RULE: Rule = Rule {
    id: "selector-exists",
    requirement: Requirement::new(2, 2),
    severity: Severity::Warning,
    summary: "a namespace is selected that declines by its label",
    help: "Select by the value, with matchLabels or In: Exists also selects a namespace whose label says \"false\".",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    worlds::findings(context, &RULE, |conflict| matches!(conflict, Conflict::Declined { .. }))
}
