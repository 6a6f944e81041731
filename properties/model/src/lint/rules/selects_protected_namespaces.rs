//! Selectors that reach the namespaces of Kubernetes or of the sources.

use credence_core::id::Requirement;

use crate::lint::worlds;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::Conflict;

pub(super) const RULE: Rule = Rule {
    id: "selects-protected-namespaces",
    requirement: Requirement::new(5, 2),
    severity: Severity::Warning,
    summary: "a namespace is selected that never asks: of Kubernetes or of the sources",
    help: "Exclude these namespaces by a NotIn expression on kubernetes.io/metadata.name; an empty selector matches every namespace.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    worlds::findings(context, &RULE, |conflict| matches!(conflict, Conflict::Protected { .. }))
}
