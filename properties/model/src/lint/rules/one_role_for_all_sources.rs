//! Accounts that read sources of other stores.

use credence_core::id::Requirement;

use crate::lint::rights;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "one-role-for-all-sources",
    requirement: Requirement::new(5, 2),
    severity: Severity::Warning,
    summary: "the account of a store reads sources of other stores",
    help: "Give each store a ServiceAccount and a Role of its own, with no other sources in resourceNames: who may use the store may read all that its account reads.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for store in context.model.stores.values() {
        let rights = rights::of(context, store);
        let named: Vec<&str> = rights.iter().filter_map(|right| right.names.as_ref()).flatten().copied().collect();
        let foreign = rights::foreign_sources(context, store).into_iter();
        let read: Vec<String> =
            foreign.filter(|source| named.contains(&source.name.as_str())).map(|source| source.to_string()).collect();
        if !read.is_empty() {
            let message = format!("its account also reads {}, which it does not distribute", read.join(", "));
            findings.push(RULE.at(&store.place, message));
        }
    }
    findings
}
