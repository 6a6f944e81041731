//! ExternalSecrets of one name that two ClusterExternalSecrets make.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::{Distribution, selecting_labels};
use crate::selector::effective_labels;

pub(super) const RULE: Rule = Rule {
    id: "same-external-secret",
    requirement: Requirement::new(2, 1),
    severity: Severity::Warning,
    summary: "two ClusterExternalSecrets make an ExternalSecret of the same name",
    help: "Give each its own externalSecretName: in a namespace that asks for both, the second one finds the name taken and makes nothing.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let all = &context.model.distributions;
    let mut findings = Vec::new();
    for (number, first) in all.iter().enumerate() {
        for second in all.iter().skip(number + 1) {
            // One Secret for both is another fault.
            let collide = first.external_secret == second.external_secret && first.secret != second.secret;
            if collide && first.namespace().is_none() && second.namespace().is_none() && can_meet(first, second) {
                let message = format!("{} makes ExternalSecret {} as well", second.name, first.external_secret);
                findings.push(RULE.at(context.place(first), message));
            }
        }
    }
    findings
}

/// True if some namespace asks for both.
fn can_meet(first: &Distribution, second: &Distribution) -> bool {
    let others = selecting_labels(second);
    selecting_labels(first).iter().any(|labels| {
        others.iter().any(|other| {
            let mut both = labels.clone();
            both.extend(other.clone());
            let both = effective_labels("somewhere", &both);
            first.selection.matches(&both) && second.selection.matches(&both)
        })
    })
}
