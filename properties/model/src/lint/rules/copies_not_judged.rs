//! Copies that cannot be made where a configuration is tested.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "copies-not-judged",
    requirement: Requirement::new(3, 4),
    severity: Severity::Note,
    summary: "copies are not judged at all",
    help: "Nothing is said of these copies, neither here nor by a run: add what is missing to the configuration, if it is to be judged with them.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let is_modelled = |name: &str| context.model.distributions.iter().any(|distribution| distribution.name == name);
    let unjudged = context.model.not_judged.iter();
    let whole = unjudged.filter(|one| one.distribution.as_deref().is_some_and(|name| !is_modelled(name)));
    whole.map(|one| RULE.at(&one.place, format!("{}: {}", one.field, one.reason))).collect()
}
