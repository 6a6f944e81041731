//! Searches by an account that may not list.

use credence_core::id::Requirement;

use crate::lint::rights;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "search-without-list",
    requirement: Requirement::new(2, 1),
    severity: Severity::Error,
    summary: "a search through a store whose account may not list Secrets",
    help: "Allow the verb list in a rule without resourceNames, which are never those of a list: without it the API server refuses the search, and no copy is made. Or name the sources.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let stores = context.model.stores.values();
    let searched = stores.filter(|store| rights::is_searched(context, store));
    let refused = searched.filter(|store| rights::lists(context, store) == Some(false));
    refused
        .map(|store| RULE.at(&store.place, "dataFrom.find searches through it, and its account may not list Secrets"))
        .collect()
}
