//! Routes that were tried, and what came of each: the table has a zero where nothing was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::text::printable;
use crate::route::{DeclaredRoute, RouteEnd};
use crate::verdict::CaseRecord;

/// One route, and how often it came to which end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRow {
    /// Name of the route, as in the list of those declared.
    pub route: String,
    /// Number of times that it came to each end; all ends are there.
    pub ends: BTreeMap<RouteEnd, u64>,
    /// Why it cannot be seen to work, or is not tried at all, if that is so.
    pub remark: Option<String>,
}

impl RouteRow {
    /// Number of times that it came to this end.
    pub fn count(&self, end: &RouteEnd) -> u64 {
        self.ends.get(end).copied().unwrap_or_default()
    }

    /// True if it was tried, and it could be told what came of it.
    pub fn is_told(&self) -> bool {
        self.ends.iter().any(|(end, count)| end.is_told() && *count > 0)
    }
}

/// The rows of a property that ran: the routes that it `declared`, with what its cases came to by each.
pub(super) fn rows(declared: &[DeclaredRoute], records: &[CaseRecord]) -> Vec<RouteRow> {
    let mut counted: BTreeMap<&str, BTreeMap<RouteEnd, u64>> = BTreeMap::new();
    for ((route, end), count) in records.iter().flat_map(|record| &record.routes) {
        *counted.entry(route).or_default().entry(*end).or_default() += count;
    }
    let row = |route: &str, remark: Option<String>, found: BTreeMap<RouteEnd, u64>| {
        let ends = RouteEnd::ALL.map(|end| (end, found.get(&end).copied().unwrap_or_default())).into();
        RouteRow { route: printable(route), ends, remark }
    };
    let mut rows = Vec::with_capacity(declared.len());
    for DeclaredRoute { name, remark } in declared {
        let found = counted.remove(name.as_str()).unwrap_or_default();
        rows.push(row(name, remark.as_deref().map(printable), found));
    }
    // What was tried counts, whatever was declared.
    rows.extend(counted.into_iter().map(|(route, found)| row(route, None, found)));
    rows
}

/// Number of routes that were tried: `48 of 60 tried, 0 worked`.
pub fn counted(rows: &[RouteRow]) -> String {
    let told = rows.iter().filter(|row| row.is_told()).count();
    let worked = rows.iter().filter(|row| row.count(&RouteEnd::Worked) > 0).count();
    format!("{told} of {} tried, {worked} worked", rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::record;
    use crate::verdict::Outcome;

    #[test]
    fn every_declared_route_has_a_row_with_a_zero_where_nothing_came() {
        let declared = |name: &str, remark: Option<&str>| DeclaredRoute {
            name: name.to_owned(),
            remark: remark.map(str::to_owned),
        };
        let mut one = record(0, Outcome::Held);
        one.routes = BTreeMap::from([(("a".to_owned(), RouteEnd::RefusedByRights), 2)]);
        let mut other = record(1, Outcome::Held);
        other.routes = BTreeMap::from([
            (("a".to_owned(), RouteEnd::RefusedByRights), 1),
            (("unforeseen".to_owned(), RouteEnd::NothingToTry), 1),
        ]);
        let rows = rows(&[declared("a", None), declared("b", Some("needs a node"))], &[one, other]);
        let names: Vec<&str> = rows.iter().map(|row| row.route.as_str()).collect();
        assert_eq!(names, ["a", "b", "unforeseen"]);
        assert!(rows.iter().all(|row| row.ends.len() == RouteEnd::ALL.len()));
        assert_eq!(rows[0].count(&RouteEnd::RefusedByRights), 3);
        assert_eq!((rows[1].is_told(), rows[1].remark.as_deref()), (false, Some("needs a node")));
        // There was nothing to try it on.
        assert!(!rows[2].is_told());
        assert_eq!(counted(&rows), "1 of 3 tried, 0 worked");
    }
}
