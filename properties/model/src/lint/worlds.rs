//! Namespaces at which a configuration may contradict itself.

use std::collections::BTreeMap;

use credence_core::labels::Labels;

use super::{Context, Finding, Rule};
use crate::model::{Conflict, Distribution, selecting_labels};
use crate::selector::{effective_labels, opt_ins};

/// Namespaces of Kubernetes itself, which have no label but their name.
const OF_KUBERNETES: [&str; 3] = ["kube-node-lease", "kube-public", "kube-system"];

/// Namespaces that may get a copy of a distribution, each with its labels: one for each way to ask, and those that the
/// configuration makes or names.
pub(super) fn asking(context: &Context<'_>, distribution: &Distribution) -> BTreeMap<String, Labels> {
    let mut worlds = BTreeMap::new();
    // The labels of one that nothing makes are those that it needs, so that only what no labels mend is found at it.
    let needed = distribution.named_ways();
    for way in opt_ins(&distribution.selection) {
        for name in way.names.into_iter().flatten() {
            let labels = needed.iter().find(|(names, _)| names.contains(&name)).map(|(_, labels)| labels);
            worlds.insert(name, labels.unwrap_or(&way.labels).clone());
        }
    }
    worlds.extend(context.config.namespaces.clone());
    let is_admitted_by_name = distribution.opt_in_labels().is_empty();
    for (number, labels) in selecting_labels(distribution).into_iter().enumerate() {
        // Stores that admit by name alone keep out whoever has another name, and mean to.
        let fits = |needed: &Labels| needed.iter().all(|(key, value)| labels.get(key) == Some(value));
        let admitted = needed.iter().find(|(_, needed)| is_admitted_by_name && fits(needed));
        let name = match admitted.and_then(|(names, _)| names.first()) {
            Some(name) => name.clone(),
            None if number == 0 => "that-asks".to_owned(),
            None => format!("that-asks-{}", number + 1),
        };
        worlds.insert(name, labels);
    }
    worlds
}

/// The contradictions of a distribution: at namespaces that ask with its labels or names and decline with each label, at one without
/// labels, and at those that never ask.
pub(super) fn conflicts(context: &Context<'_>, distribution: &Distribution) -> Vec<Conflict> {
    let mut worlds: BTreeMap<String, Labels> =
        OF_KUBERNETES.iter().map(|name| ((*name).to_owned(), Labels::new())).collect();
    let intended = context.model.intended.protected.iter().map(|name| (name.clone(), Labels::new()));
    worlds.extend(intended);
    for labels in selecting_labels(distribution) {
        for key in labels.keys() {
            let mut declined = labels.clone();
            declined.insert(key.clone(), "false".to_owned());
            worlds.insert(format!("with-{}-false", key.replace('/', "-")), declined);
        }
    }
    worlds.extend(asking(context, distribution));
    worlds.insert("without-labels".to_owned(), Labels::new());
    // It contradicts itself nowhere else, and all others would be asked about each.
    worlds.retain(|name, labels| distribution.selection.matches(&effective_labels(name, labels)));
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
