//! Namespaces at which a configuration may contradict itself.

use std::collections::BTreeMap;

use credence_core::labels::Labels;

use super::{Context, Finding, Rule};
use crate::model::{Conflict, Distribution, selecting_labels};

/// Namespaces of Kubernetes itself, which have no label but their name.
const OF_KUBERNETES: [&str; 3] = ["kube-node-lease", "kube-public", "kube-system"];

/// The contradictions of a distribution: at namespaces that ask with its labels and decline with each of them, at one without
/// labels, and at those that never ask.
pub(super) fn conflicts(context: &Context<'_>, distribution: &Distribution) -> Vec<Conflict> {
    let mut worlds: BTreeMap<String, Labels> =
        OF_KUBERNETES.iter().map(|name| ((*name).to_owned(), Labels::new())).collect();
    // Their labels are known only where the configuration makes them.
    let of_sources = context.config.namespaces.iter().filter(|(name, _)| context.model.is_protected(name));
    let intended = context.model.intended.protected.iter().map(|name| (name.clone(), Labels::new()));
    worlds.extend(intended);
    worlds.extend(of_sources.map(|(name, labels)| (name.clone(), labels.clone())));
    for labels in selecting_labels(distribution) {
        for key in labels.keys() {
            let mut declined = labels.clone();
            declined.insert(key.clone(), "false".to_owned());
            worlds.insert(format!("with-{}-false", key.replace('/', "-")), declined);
        }
        worlds.insert("that-asks".to_owned(), labels);
    }
    worlds.insert("without-labels".to_owned(), Labels::new());
    let conflicts = context.model.expectation(&worlds).conflicts;
    conflicts.into_iter().filter(|conflict| names(conflict).contains(&distribution.name.as_str())).collect()
}

/// Findings of a rule that is about the conflicts of one sort.
pub(super) fn findings(context: &Context<'_>, rule: &Rule, is_of_it: fn(&Conflict) -> bool) -> Vec<Finding> {
    let conflicts = |distribution| conflicts(context, distribution).into_iter().filter(is_of_it);
    let found = |distribution| {
        conflicts(distribution).map(move |conflict| rule.at(context.place(distribution), message(&conflict)))
    };
    context.model.distributions.iter().flat_map(found).collect()
}

/// The text of a conflict of one distribution, without the distribution's name in front.
fn message(conflict: &Conflict) -> String {
    let text = conflict.to_string();
    text.strip_prefix(names(conflict)[0]).map_or(text.clone(), |rest| rest.trim_start().to_owned())
}

/// The distributions that a conflict is of; one twice if there is only one.
fn names(conflict: &Conflict) -> [&str; 2] {
    match conflict {
        Conflict::NotAdmitted { distribution, .. }
        | Conflict::Declined { distribution, .. }
        | Conflict::Protected { distribution, .. } => [distribution, distribution],
        Conflict::SameCopy { first, second, .. } => [first, second],
    }
}
