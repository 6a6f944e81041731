//! `report.html`: the whole report on one page that needs no other file, script or network.

use askama::Template;

use super::Report;
use crate::verdict::Verdict;

/// Askama escapes every value, because the template's name ends in `.html`.
#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
}

/// The report as an HTML page.
pub(super) fn render(report: &Report) -> Result<String, askama::Error> {
    Page { report }.render()
}

#[cfg(test)]
mod tests {
    use super::super::PropertyReport;
    use super::super::testing::{META, OTHER, known, property, report, violated};

    #[test]
    fn the_page_shows_every_part_of_the_report() {
        let mut record = violated(1, "copy stayed");
        record.smallest = Some("one namespace".into());
        let properties = vec![property(&[record, known(2)]), PropertyReport::skipped(&OTHER, "needs root")];
        let html = super::render(&report(false, properties)).expect("renders");
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
            "20.0 s",
        ] {
            assert!(html.contains(part), "no {part} in {html}");
        }
    }

    #[test]
    fn the_page_escapes_what_it_is_given_and_loads_nothing() {
        let mut record = violated(0, "<script>alert('x')</script>");
        record.smallest = Some("\"><img src=x onerror=alert(1)>".into());
        let properties = vec![property(&[record]), PropertyReport::skipped(&META, "</td>&")];
        let html = super::render(&report(false, properties)).expect("renders");
        for forbidden in ["<script", "<img", "<link", "</td>&", "url(", "@import"] {
            assert!(!html.contains(forbidden), "{forbidden} in {html}");
        }
        assert!(html.contains("&#60;script&#62;"), "{html}");
    }
}
