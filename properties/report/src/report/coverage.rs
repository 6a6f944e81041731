//! Copies of the configuration that were judged, by which property and for which consumer: counted from what ran.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use credence_core::id::PropertyId;
use serde::{Deserialize, Serialize};

use super::text::printable;
use crate::copy::{CopyName, Declared, Reached, Scope};
use crate::verdict::{CaseRecord, Outcome, Verdict};

/// Coverage of a copy, or of its use by a consumer, by one property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageRow {
    /// Distribution and Secret of the copy.
    #[serde(flatten)]
    pub copy: CopyName,
    /// Its user, where the property is about that.
    pub consumer: Option<String>,
    /// State of the copy before the property, which says whether its cases judged it.
    #[serde(flatten)]
    pub state: CoverageState,
}

/// States of a property's judgement of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CoverageState {
    /// Cases about it ended with evidence.
    Judged {
        /// Number of those cases.
        cases: u64,
    },
    /// The property could have, but none of its cases had it before it and ended with evidence.
    NotReached {
        /// Number of cases that ran.
        cases: u64,
    },
    /// It cannot be judged here.
    NotJudged {
        /// Obstacle on this cluster or in the configuration.
        reason: String,
    },
    /// The property has nothing to do with it.
    NotApplicable {
        /// Reason for which it is none of the property's concern.
        reason: String,
    },
}

impl CoverageState {
    /// The state in a cell of a table: how many cases judged it, or a sign that it could not be judged.
    pub fn mark(&self) -> String {
        match self {
            Self::Judged { cases } => cases.to_string(),
            Self::NotReached { .. } => "0".to_owned(),
            Self::NotJudged { .. } => "–".to_owned(),
            Self::NotApplicable { .. } => "·".to_owned(),
        }
    }
}

impl fmt::Display for CoverageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Judged { cases } => write!(f, "judged by {cases} case{}", plural(*cases)),
            Self::NotReached { cases } => write!(f, "no case reached it in {cases} case{}", plural(*cases)),
            Self::NotJudged { reason } | Self::NotApplicable { reason } => f.write_str(reason),
        }
    }
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Coverage of a copy by all properties together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyReport {
    /// Distribution and Secret of the copy.
    #[serde(flatten)]
    pub copy: CopyName,
    /// State of the copy before all properties together.
    pub state: CopyState,
    /// The properties that judged it, in order.
    pub judged_by: Vec<PropertyId>,
    /// Why no property judged it; none if one did.
    pub reason: Option<String>,
}

/// States of the judgement of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// At least one property did.
    Judged,
    /// A property that ran could have, and no case of it did.
    NotReached,
    /// Nothing that ran could have, for reasons that are named.
    NotJudged,
}

impl CopyState {
    /// The stable machine name, as in `report.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Judged => "judged",
            Self::NotReached => "not_reached",
            Self::NotJudged => "not_judged",
        }
    }
}

/// The rows of a property that ran: what it `declared`, with what its cases reached.
pub(super) fn rows(declared: &[Declared], records: &[CaseRecord]) -> Vec<CoverageRow> {
    let mut reached: BTreeMap<&Reached, u64> = BTreeMap::new();
    let told = records.iter().filter(|record| !matches!(record.outcome, Outcome::Unknown(_)));
    for one in told.flat_map(|record| &record.reached) {
        *reached.entry(one).or_default() += 1;
    }
    let ran = records.len() as u64;
    let mut rows = Vec::with_capacity(declared.len());
    for Declared { copy, consumer, scope } in declared {
        let counted = reached.remove(&Reached { copy: copy.clone(), consumer: *consumer });
        let state = match (counted, scope) {
            // What was seen counts, whatever was expected.
            (Some(cases), _) => CoverageState::Judged { cases },
            (None, Scope::Within) => CoverageState::NotReached { cases: ran },
            (None, Scope::NotHere(reason)) => CoverageState::NotJudged { reason: printable(reason) },
            (None, Scope::NotApplicable(reason)) => CoverageState::NotApplicable { reason: printable(reason) },
        };
        let consumer = consumer.map(|consumer| consumer.title().to_owned());
        rows.push(CoverageRow { copy: copy.clone(), consumer, state });
    }
    rows.extend(reached.into_iter().map(|(Reached { copy, consumer }, cases)| CoverageRow {
        copy: copy.clone(),
        consumer: consumer.map(|consumer| consumer.title().to_owned()),
        state: CoverageState::Judged { cases },
    }));
    rows
}

/// The rows of a property that did not run.
pub(super) fn skipped_rows(copies: &[CopyName], reason: &str) -> Vec<CoverageRow> {
    let row = |copy: &CopyName| CoverageRow {
        copy: copy.clone(),
        consumer: None,
        state: CoverageState::NotJudged { reason: reason.to_owned() },
    };
    copies.iter().map(row).collect()
}

/// Reports on each copy by the properties together, by the rows of each.
pub(super) fn copies(copies: &[CopyName], properties: &[(PropertyId, &[CoverageRow])]) -> Vec<CopyReport> {
    copies.iter().map(|copy| one_copy(copy, properties)).collect()
}

fn one_copy(copy: &CopyName, properties: &[(PropertyId, &[CoverageRow])]) -> CopyReport {
    let mut judged_by = BTreeSet::new();
    // What could have been comes first, then what cannot be here, then what does not concern it.
    let mut reasons: BTreeMap<(u8, String), BTreeSet<PropertyId>> = BTreeMap::new();
    let rows = properties.iter().flat_map(|(id, rows)| rows.iter().map(move |row| (*id, row)));
    for (id, row) in rows.filter(|(_, row)| row.copy == *copy) {
        let weight = match row.state {
            CoverageState::Judged { .. } => {
                judged_by.insert(id);
                continue;
            }
            CoverageState::NotReached { .. } => 0,
            CoverageState::NotJudged { .. } => 1,
            CoverageState::NotApplicable { .. } => 2,
        };
        reasons.entry((weight, row.state.to_string())).or_default().insert(id);
    }
    let state = match reasons.first_key_value() {
        _ if !judged_by.is_empty() => CopyState::Judged,
        Some(((0, _), _)) => CopyState::NotReached,
        _ => CopyState::NotJudged,
    };
    let reason = (state != CopyState::Judged).then(|| told(&reasons));
    CopyReport { copy: copy.clone(), state, judged_by: judged_by.into_iter().collect(), reason }
}

/// Reasons with the properties that give them, unless all give one.
fn told(reasons: &BTreeMap<(u8, String), BTreeSet<PropertyId>>) -> String {
    if let [((_, reason), _)] = &reasons.iter().collect::<Vec<_>>()[..] {
        return reason.clone();
    }
    let told = reasons.iter().map(|((_, reason), ids)| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        format!("{}: {reason}", ids.join(" "))
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Verdicts for the exit code: one for each copy that could have been judged and was not.
pub(super) fn open(copies: &[CopyReport]) -> impl Iterator<Item = Verdict> {
    copies.iter().filter(|copy| copy.state == CopyState::NotReached).map(|_| Verdict::Unknown)
}

/// Number of copies that were judged: `17 of 17 judged`.
pub fn counted(copies: &[CopyReport]) -> String {
    let judged = copies.iter().filter(|copy| copy.state == CopyState::Judged).count();
    format!("{judged} of {} judged", copies.len())
}

#[cfg(test)]
mod tests {
    use credence_core::formats::{ARGO_CD, KUBELET};

    use super::*;
    use crate::report::PropertyReport;
    use crate::report::testing::{META, OTHER, execution, record, report, report_of_copies, unknown};
    use crate::report::{Execution, Report};

    fn copy(name: &str) -> CopyName {
        CopyName { object: format!("ClusterExternalSecret {name}"), secret: name.to_owned() }
    }

    fn within(name: &str) -> Declared {
        Declared { copy: copy(name), consumer: None, scope: Scope::Within }
    }

    fn reaching(mut record: CaseRecord, names: &[&str]) -> CaseRecord {
        record.reached = names.iter().map(|name| Reached { copy: copy(name), consumer: None }).collect();
        record
    }

    fn property(declared: Vec<Declared>, records: &[CaseRecord]) -> PropertyReport {
        let planned = u32::try_from(records.len()).unwrap();
        PropertyReport::from_records(&META, &Execution { declared, ..execution(planned) }, records)
    }

    #[test]
    fn only_cases_that_ended_with_evidence_judge_a_copy() {
        let records = [
            reaching(record(0, Outcome::Held), &["a"]),
            reaching(record(1, Outcome::Held), &["a"]),
            reaching(unknown(2, "no answer"), &["b"]),
        ];
        let states: Vec<_> =
            property(vec![within("a"), within("b")], &records).coverage.into_iter().map(|row| row.state).collect();
        assert_eq!(states, [CoverageState::Judged { cases: 2 }, CoverageState::NotReached { cases: 3 }]);
    }

    #[test]
    fn what_was_reached_counts_whatever_was_declared() {
        let other = Declared { scope: Scope::NotApplicable("by name alone".into()), ..within("a") };
        let rows = property(vec![other], &[reaching(record(0, Outcome::Held), &["a", "unforeseen"])]).coverage;
        assert!(rows.iter().all(|row| row.state == CoverageState::Judged { cases: 1 }), "{rows:?}");
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn consumers_of_a_copy_are_told_apart() {
        let login = |consumer| Declared { consumer: Some(consumer), ..within("a") };
        let mut held = record(0, Outcome::Held);
        held.reached.insert(Reached { copy: copy("a"), consumer: Some(KUBELET) });
        let rows = property(vec![login(KUBELET), login(ARGO_CD)], &[held]).coverage;
        assert_eq!(rows[0].state, CoverageState::Judged { cases: 1 });
        assert_eq!(rows[1].state, CoverageState::NotReached { cases: 1 });
        assert_eq!(rows[1].consumer.as_deref(), Some(ARGO_CD.title()));
    }

    fn run(is_partial: bool, declared: Vec<Declared>) -> Report {
        let names = declared.iter().map(|declared| declared.copy.clone()).collect();
        let ran = property(declared, &[reaching(record(0, Outcome::Held), &["a"])]);
        report_of_copies(names, is_partial, vec![ran, PropertyReport::skipped(&OTHER, "needs root")])
    }

    #[test]
    fn a_copy_that_nothing_reached_makes_a_whole_run_unknown_and_a_partial_one_says_so() {
        let whole = run(false, vec![within("a"), within("b")]);
        assert_eq!((whole.exit_code().code(), whole.totals.exit_code), (2, 2));
        assert_eq!(counted(&whole.copies), "1 of 2 judged");
        assert_eq!(whole.copies[0].judged_by, [META.id]);
        assert_eq!(whole.copies[1].state, CopyState::NotReached);
        assert_eq!(
            whole.copies[1].reason.as_deref(),
            Some("p03: no case reached it in 1 case; p07: skipped: needs root")
        );
        let partial = run(true, vec![within("a"), within("b")]);
        assert_eq!((partial.exit_code().code(), &partial.copies), (0, &whole.copies));
    }

    #[test]
    fn a_copy_that_nothing_here_can_judge_is_named_and_no_failure() {
        let hidden = Declared { scope: Scope::NotHere("selects nobody".into()), ..within("b") };
        let named = run(false, vec![within("a"), hidden]);
        assert_eq!((named.exit_code().code(), named.copies[1].state), (0, CopyState::NotJudged));
        assert!(named.copies[1].reason.as_deref().is_some_and(|why| why.starts_with("p03: selects nobody")));
    }

    #[test]
    fn a_report_without_copies_is_as_green_as_its_properties() {
        let report = report(false, vec![property(vec![], &[record(0, Outcome::Held)])]);
        assert_eq!((report.exit_code().code(), counted(&report.copies)), (0, "0 of 0 judged".to_owned()));
    }

    #[test]
    fn states_are_named_as_in_json_and_counted_in_words() {
        for state in [CopyState::Judged, CopyState::NotReached, CopyState::NotJudged] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        let said = |cases| CoverageState::Judged { cases }.to_string();
        assert_eq!([said(1), said(2)], ["judged by 1 case", "judged by 2 cases"]);
        let of = |state| CopyReport { copy: copy("a"), state, judged_by: Vec::new(), reason: None };
        let copies = [of(CopyState::Judged), of(CopyState::Judged), of(CopyState::NotReached)];
        assert_eq!(counted(&copies), "2 of 3 judged");
    }

    #[test]
    fn a_cell_tells_how_many_judged_it_or_that_nobody_could() {
        let states = [
            CoverageState::Judged { cases: 12 },
            CoverageState::NotReached { cases: 3 },
            CoverageState::NotJudged { reason: "why".into() },
            CoverageState::NotApplicable { reason: "why".into() },
        ];
        assert_eq!(states.map(|state| state.mark()), ["12", "0", "–", "·"]);
    }
}
