//! Roles that give the account of a store more than it distributes, for want of names.

use credence_core::id::Requirement;

use std::collections::BTreeSet;

use crate::config::SourcePosition;
use crate::lint::rights;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "role-without-resource-names",
    requirement: Requirement::new(5, 2),
    severity: Severity::Warning,
    summary: "the account of a store reads every Secret beside its sources",
    help: "List the sources of the store in resourceNames.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for store in context.model.stores.values().filter(|store| !rights::is_searched(context, store)) {
        let foreign = rights::foreign_sources(context, store);
        let names: BTreeSet<String> = foreign.iter().map(ToString::to_string).collect();
        let names = Vec::from_iter(names).join(", ");
        for right in rights::of(context, store).iter().filter(|right| right.names.is_none() && !foreign.is_empty()) {
            let message = format!("has no resourceNames: the account of store {} also reads {names}", store.name);
            findings.push(RULE.at(&SourcePosition::of(right.role), message));
        }
    }
    findings
}
