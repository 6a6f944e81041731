//! Selectors that ask for the key of a label of which nothing tells that it is a switch.

use credence_core::id::Requirement;

use crate::lint::worlds;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::Conflict;

pub(super) const RULE: Rule = Rule {
    id: "selector-any-value",
    requirement: Requirement::new(2, 2),
    severity: Severity::Note,
    summary: "any value of a label selects",
    help: "Nothing to do if the value is a name. If the label is a switch, select by its value: Exists also selects \"false\".",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let targets = context.model.targets.iter();
    targets
        .flat_map(|target| {
            let conflicts = worlds::conflicts(context, target).into_iter();
            conflicts.filter_map(|conflict| match &conflict {
                Conflict::Declined { refusal, .. } if !worlds::is_switch(context, &refusal.key) => Some(RULE.at(
                    context.place(target),
                    format!("selects namespaces with any value of label {}, \"false\" included", refusal.key),
                )),
                _ => None,
            })
        })
        .collect()
}
