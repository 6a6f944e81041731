//! `report.html`: the whole report on one page that needs no other file, script or network.

use askama::Template;

use super::{EncodeError, Report, State, Unfinished, Writer, coverage, routes};
use crate::route::RouteEnd;
use crate::verdict::Verdict;

pub(super) struct Html;

/// Askama escapes every value, because the template's name ends in `.html`.
#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
}

#[derive(Template)]
#[template(path = "unfinished.html")]
struct UnfinishedPage<'a> {
    run: &'a Unfinished,
}

impl Writer for Html {
    fn name(&self) -> &'static str {
        "html"
    }

    fn file_name(&self) -> &'static str {
        "report.html"
    }

    fn report(&self, report: &Report) -> Result<String, EncodeError> {
        Page { report }.render().map_err(EncodeError::of(self.name()))
    }

    fn unfinished(&self, run: &Unfinished) -> Result<String, EncodeError> {
        UnfinishedPage { run }.render().map_err(EncodeError::of(self.name()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use credence_core::formats::KUBELET;

    use super::super::testing::{
        KNOWN, META, OTHER, execution, known, property, record, report, report_of_copies, unfinished, violated,
    };
    use super::super::{Execution, PropertyReport, Reproduced, Writer};
    use super::Html;
    use crate::copy::{CopyName, Declared, Reached, Scope};
    use crate::route::{DeclaredRoute, RouteEnd};
    use crate::verdict::{Outcome, Violation};

    #[test]
    fn the_page_shows_every_part_of_the_report() {
        let mut record = violated(1, "copy stayed");
        record.smallest = Some("one namespace".into());
        let properties = vec![property(&[record, known(2)]), PropertyReport::skipped(&OTHER, "needs root")];
        let html = Html.report(&report(false, properties)).expect("renders");
        for part in [
            "label distribution",
            "2/2, 1 violated, 1 violated (known)",
            "copy stayed",
            "one namespace",
            "credence replay p03:42:1",
            "eso#6677",
            "needs root",
            "4 × relabel",
            "control plane",
            "v0.20.4",
            "spec.provider.kubernetes.server.url",
            "follow label changes, both ways",
            "no executed property",
            "copies follow the labels",
            "0 held in part, 2 violated",
            "90 % (1 of 20 cases)",
            "6 × namespace looked at",
            "20.0 s",
        ] {
            assert!(html.contains(part), "no {part} in {html}");
        }
    }

    #[test]
    fn the_page_has_a_table_of_copies_by_properties() {
        let copy = |name: &str| CopyName { object: format!("ClusterExternalSecret {name}"), secret: name.into() };
        let declared = |name: &str, scope| Declared { copy: copy(name), consumer: Some(KUBELET), scope };
        let mut held = record(0, Outcome::Held);
        held.reached.insert(Reached { copy: copy("seen"), consumer: Some(KUBELET) });
        let declared = vec![declared("seen", Scope::Within), declared("hidden", Scope::NotHere("no <label>".into()))];
        let property = PropertyReport::from_records(&META, &Execution { declared, ..execution(1) }, &[held]);
        let copies = vec![copy("seen"), copy("hidden")];
        let html = Html.report(&report_of_copies(copies, true, vec![property])).expect("renders");
        for part in [
            "1 of 2 judged; properties or cases were left out on request",
            "ClusterExternalSecret hidden",
            "title=\"judged by 1 case\"",
            &format!("{}: 1</div>", KUBELET.title()),
            "no &#60;label&#62;",
        ] {
            assert!(html.contains(part), "no {part} in {html}");
        }
    }

    #[test]
    fn the_page_has_a_table_of_routes_by_ends() {
        let declared = |name: &str, remark: Option<String>| DeclaredRoute { name: name.to_owned(), remark };
        let routes = vec![declared("pod <beside>", None), declared("by a node", Some("needs a node".to_owned()))];
        let mut held = record(0, Outcome::Held);
        held.routes = BTreeMap::from([(("pod <beside>".to_owned(), RouteEnd::RefusedByRights), 12_345)]);
        let property = PropertyReport::from_records(&META, &Execution { routes, ..execution(1) }, &[held]);
        let html = Html.report(&report(false, vec![property])).expect("renders");
        for part in [
            "routes: 1 of 2 tried, 0 worked",
            "pod &#60;beside&#62;</td><td class=\"number\">0</td><td class=\"number\">12345</td>",
            "<th class=\"number\">refused by RBAC</th>",
            "needs a node",
        ] {
            assert!(html.contains(part), "no {part} in {html}");
        }
    }

    #[test]
    fn the_page_escapes_what_it_is_given_and_loads_nothing() {
        let mut record = violated(0, "<script>alert('x')</script>");
        record.smallest = Some("\"><img src=x onerror=alert(1)>".into());
        let properties = vec![property(&[record]), PropertyReport::skipped(&META, "</td>&")];
        let html = Html.report(&report(false, properties)).expect("renders");
        for forbidden in ["<script", "<img", "<link", "</td>&", "url(", "@import"] {
            assert!(!html.contains(forbidden), "{forbidden} in {html}");
        }
        assert!(html.contains("&#60;script&#62;"), "{html}");
    }

    #[test]
    fn the_page_says_how_often_a_failure_came_again_and_what_was_left_behind() {
        let records = [violated(0, "copy stayed"), record(1, Outcome::Held)];
        let reproduced = BTreeMap::from([(records[0].id, Reproduced { failed: 0, runs: 3 })]);
        let mut property = PropertyReport::from_records(&META, &Execution { reproduced, ..execution(2) }, &records);
        property.add_violation(&Violation { reason: "a finalizer stayed".into(), known: Some(KNOWN) });
        let html = Html.report(&report(false, vec![property])).expect("renders");
        for part in ["reproduced 0 of 3", "a finalizer stayed", "in 1 leftover<", "2/2, 1 violated, and 1 leftover<"] {
            assert!(html.contains(part), "no {part} in {html}");
        }
    }

    #[test]
    fn the_page_of_a_run_without_a_report_says_why_and_no_verdict() {
        let html = Html.unfinished(&unfinished().failed("<b>no answer</b>")).expect("renders");
        assert!(html.contains("the set-up failed") && html.contains("&#60;b&#62;no answer"), "{html}");
        let begun = Html.unfinished(&unfinished()).expect("renders");
        assert!(begun.contains("unfinished") && begun.contains("did not finish"), "{begun}");
        assert!(![html, begun].iter().any(|html| html.contains("held") || html.contains("<script")));
    }
}
