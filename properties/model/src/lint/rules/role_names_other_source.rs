//! Accounts of stores that may not read what is distributed through them.

use credence_core::id::Requirement;
use credence_core::text::nearest;

use crate::lint::rights;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "role-names-other-source",
    requirement: Requirement::new(2, 1),
    severity: Severity::Error,
    summary: "the account of a store may not read a source that is distributed through it",
    help: "Allow the account of the store the verb get on this Secret, by its name in resourceNames, or correct the name: without it the API server refuses the store, and no copy is made.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A search lists, and gets nothing by its name.
    for store in context.model.stores.values().filter(|store| !rights::is_searched(context, store)) {
        let Some(Some(names)) = rights::gets(context, store) else { continue };
        for source in rights::sources_read(context, store).iter().filter(|source| source.is_secret()) {
            if names.contains(source.name.as_str()) {
                continue;
            }
            let meant = nearest(&source.name, names.iter().copied());
            let next = meant.map(|meant| format!(", but {meant}")).unwrap_or_default();
            findings.push(RULE.at(&store.place, format!("its account may not get {source}{next}")));
        }
    }
    findings
}
