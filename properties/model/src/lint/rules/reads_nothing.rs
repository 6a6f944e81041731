//! ExternalSecrets that read nothing.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "reads-nothing",
    requirement: Requirement::new(2, 1),
    severity: Severity::Error,
    summary: "nothing is read, so that no copy is made",
    help: "Write into data or dataFrom what is read: of nothing the controller makes no Secret, not even one of a template that reads nothing.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let all = context.config.declared_distributions();
    let empty = all.filter(|declared| declared.reads_nothing());
    empty.map(|declared| RULE.at(declared.place, "it has neither data nor dataFrom")).collect()
}
