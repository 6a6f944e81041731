//! Values of sources beside those that the consumer of a copy reads.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "keys-beyond-consumer",
    requirement: Requirement::new(3, 1),
    severity: Severity::Warning,
    summary: "values of the source that the consumer does not read are in the copy",
    help: "Leave mergePolicy at Replace and name each key in the template: dataFrom and mergePolicy Merge put every value of the \
           source into the copy.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let beyond = context
        .model
        .distributions
        .iter()
        .filter_map(|distribution| Some((distribution, distribution.beyond_consumer()?)));
    beyond
        .map(|(distribution, (consumer, keys))| {
            let keys = keys.into_iter().collect::<Vec<_>>().join(", ");
            RULE.at(context.place(distribution), format!("{} does not read {keys}", consumer.title()))
        })
        .collect()
}
