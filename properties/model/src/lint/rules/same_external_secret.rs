//! ExternalSecrets that have the name of one that a ClusterExternalSecret makes.

use credence_core::id::Requirement;
use credence_core::labels::Labels;

use crate::lint::worlds;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::{Distribution, selecting_labels};
use crate::selector::effective_labels;

pub(super) const RULE: Rule = Rule {
    id: "same-external-secret",
    requirement: Requirement::new(2, 1),
    severity: Severity::Warning,
    summary: "an ExternalSecret that a ClusterExternalSecret makes has the name of another",
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
            // Those of ClusterExternalSecrets come first.
            if collide && first.namespace().is_none() && can_meet(context, first, second) {
                let message = match second.namespace() {
                    None => format!("{} makes ExternalSecret {} as well", second.name, first.external_secret),
                    Some(namespace) => {
                        format!(
                            "selects namespace {namespace}, which has an ExternalSecret {} already",
                            first.external_secret
                        )
                    }
                };
                findings.push(RULE.at(context.place(first), message));
            }
        }
    }
    findings
}

/// True if some namespace asks for both.
fn can_meet(context: &Context<'_>, first: &Distribution, second: &Distribution) -> bool {
    let others = selecting_labels(second);
    let by_labels = selecting_labels(first).into_iter().any(|labels| {
        others.iter().any(|other| {
            let mut both = labels.clone();
            both.extend(other.clone());
            both_select("somewhere", &both, first, second)
        })
    });
    by_labels
        || worlds::asking(context, second).iter().any(|(name, labels)| both_select(name, labels, first, second))
        || worlds::asking(context, first).iter().any(|(name, labels)| both_select(name, labels, first, second))
}

fn both_select(name: &str, labels: &Labels, first: &Distribution, second: &Distribution) -> bool {
    let labels = effective_labels(name, labels);
    first.selection.matches(&labels) && second.selection.matches(&labels)
}
