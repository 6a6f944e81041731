//! The summary of a run as plain text.

use std::collections::BTreeMap;
use std::fmt::Write;

use credence_report::claim::ClaimVerdict;
use credence_report::report::coverage::{CopyReport, counted};
use credence_report::report::routes;
use credence_report::report::{PropertyReport, Report, RequirementReport};
use credence_report::verdict::Verdict;

/// The summary: a table of properties, what did not hold with its replay line, and totals.
pub fn render_summary(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    write_summary(&mut text, report, colour).expect("a String takes every write");
    text
}

/// The operator that ran, as it says its version, with the version of its chart where that stands beside it.
fn write_operator(text: &mut String, versions: &BTreeMap<String, String>) -> std::fmt::Result {
    let Some(version) = versions.get("external-secrets") else { return Ok(()) };
    let chart = versions.get("external-secrets chart").map(|chart| format!(", chart {chart}")).unwrap_or_default();
    writeln!(text, "operator      External Secrets Operator {version}{chart}")
}

fn write_summary(text: &mut String, report: &Report, colour: bool) -> std::fmt::Result {
    write_table(text, &report.properties, colour)?;
    let open = |property: &&PropertyReport| !matches!(property.verdict, Verdict::Held | Verdict::Skipped);
    for property in report.properties.iter().filter(open) {
        write_findings(text, property, report.strict, colour)?;
    }
    write_checks(text, &report.properties, colour)?;
    write_skips(text, &report.properties, colour)?;
    let totals = &report.totals;
    writeln!(text, "\nproperties    {}", totals.properties)?;
    writeln!(text, "cases         {} of {} ran", totals.cases.run, totals.cases.planned)?;
    write_copies(text, &report.copies)?;
    write_routes(text, &report.properties)?;
    writeln!(text, "requirements  {}", totals.requirements)?;
    let partial = ids(report, |found| found.verdict == ClaimVerdict::HeldInPart);
    let missing = ids(report, |found| found.verdict == ClaimVerdict::NotCovered);
    for (what, ids) in [("held in part", partial), ("not covered", missing)] {
        if !ids.is_empty() {
            writeln!(text, "              {what}: {ids}")?;
        }
    }
    write_operator(text, &report.cluster.versions)?;
    let strict = if report.strict { ", strict" } else { "" };
    writeln!(text, "run           seed {}, {} cluster, {}{strict}", report.seed, report.cluster.provider, report.took())
}

fn write_table(text: &mut String, properties: &[PropertyReport], colour: bool) -> std::fmt::Result {
    let title = properties.iter().map(|property| property.title.len()).max().unwrap_or(0).max(8);
    let cases = properties.iter().map(|property| property.cases_text().len()).max().unwrap_or(0).max(5);
    write!(text, "{:<4} {:<title$}  {:<16}  {:<cases$}", "id", "property", "verdict", "cases")?;
    writeln!(text, "  {:>9}  {:>9}  {:>9}  {:>9}", "p50", "p95", "max", "bound")?;
    for property in properties {
        let verdict = paint(property.verdict, &format!("{:<16}", property.verdict), colour);
        let id = property.id.to_string();
        write!(text, "{id:<4} {:<title$}  {verdict}  {:<cases$}", property.title, property.cases_text())?;
        let latency = property.latency_ms;
        let bound = latency.and_then(|latency| latency.bound);
        for value in [latency.map(|of| of.p50), latency.map(|of| of.p95), latency.map(|of| of.max), bound] {
            write!(text, "  {:>9}", value.map_or_else(|| "-".into(), |value| value.to_string()))?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn write_findings(text: &mut String, property: &PropertyReport, strict: bool, colour: bool) -> std::fmt::Result {
    let verdict = paint(property.verdict, &property.verdict.to_string(), colour);
    writeln!(text, "\n{} {}: {verdict}", property.id, property.title)?;
    let first = property.findings.first();
    let smallest = first.and_then(|finding| finding.smallest.clone());
    let reproduced = first.and_then(|finding| finding.reproduced).map(|reproduced| format!("{reproduced}, run alone"));
    let trail = first.and_then(|finding| finding.trail.clone());
    let facts = [
        ("reason", &property.reason),
        ("reproduced", &reproduced),
        ("smallest", &smallest),
        ("replay", &property.replay),
        ("trail", &trail),
    ];
    for (label, value) in facts {
        if let Some(value) = value {
            // Further lines of a text stand under its first.
            writeln!(text, "  {label:<10}  {}", value.replace('\n', "\n              "))?;
        }
    }
    let counts = if strict { "; a failure, as the run is strict" } else { "" };
    for bug in &property.known {
        writeln!(text, "  known       {} {}, {}{counts}", bug.id, bug.title, bug.met(property.cases.run))?;
        writeln!(text, "              {}", bug.link)?;
    }
    Ok(())
}

fn write_checks(text: &mut String, properties: &[PropertyReport], colour: bool) -> std::fmt::Result {
    let checks: Vec<_> = properties.iter().flat_map(|of| of.checks.iter().map(move |check| (of.id, check))).collect();
    if !checks.is_empty() {
        writeln!(text, "\nchecks beside the cases")?;
    }
    for (id, check) in checks {
        let verdict = paint(check.verdict, &check.verdict.to_string(), colour);
        writeln!(text, "  {id} {}: {verdict}: {}", check.what, check.text().replace('\n', "\n      "))?;
    }
    Ok(())
}

fn write_skips(text: &mut String, properties: &[PropertyReport], colour: bool) -> std::fmt::Result {
    let mut skips = Vec::new();
    for property in properties {
        if property.verdict == Verdict::Skipped {
            let why = property.reason.as_deref().unwrap_or_default();
            skips.push(format!("  {} {}: {why}", property.id, property.title));
        }
        let parts = property.not_covered.iter();
        skips.extend(parts.map(|(requirement, why)| format!("  {} requirement {requirement}: {why}", property.id)));
        let checks = property.skipped_checks.iter();
        skips.extend(checks.map(|(what, why)| format!("  {} {what}: {why}", property.id)));
    }
    if !skips.is_empty() {
        writeln!(text, "\n{}", paint(Verdict::Skipped, "skipped", colour))?;
    }
    skips.iter().try_for_each(|skip| writeln!(text, "{skip}"))
}

/// Number of copies that were judged, and which were not, by the reason; the whole table is in the other forms of the report.
fn write_copies(text: &mut String, copies: &[CopyReport]) -> std::fmt::Result {
    if copies.is_empty() {
        return Ok(());
    }
    writeln!(text, "copies        {}", counted(copies))?;
    let mut open: Vec<(&str, Vec<&str>)> = Vec::new();
    for (reason, copy) in copies.iter().filter_map(|copy| Some((copy.reason.as_deref()?, copy))) {
        match open.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, names)) => names.push(&copy.copy.secret),
            None => open.push((reason, vec![&copy.copy.secret])),
        }
    }
    open.into_iter()
        .try_for_each(|(reason, names)| writeln!(text, "              not judged: {} ({reason})", names.join(", ")))
}

/// Number of routes that were tried, and which were not although they could have been; the whole table is in the other
/// forms of the report.
fn write_routes(text: &mut String, properties: &[PropertyReport]) -> std::fmt::Result {
    for property in properties.iter().filter(|property| !property.routes.is_empty()) {
        writeln!(text, "routes        {}: {}", property.id, routes::counted(&property.routes))?;
        let open = property.routes.iter().filter(|row| !row.is_told() && row.remark.is_none());
        let open: Vec<&str> = open.map(|row| row.route.as_str()).collect();
        if !open.is_empty() {
            writeln!(text, "              not tried by these cases: {}", open.join("; "))?;
        }
    }
    Ok(())
}

fn ids(report: &Report, wanted: impl Fn(&RequirementReport) -> bool) -> String {
    let wanted = report.requirements.iter().filter(|found| wanted(found));
    wanted.map(|requirement| requirement.id.to_string()).collect::<Vec<_>>().join(" ")
}

/// `text` in the colour of `verdict`, if colour is wanted.
pub(super) fn paint(verdict: Verdict, text: &str, colour: bool) -> String {
    let code = match verdict {
        Verdict::Held => 32,
        Verdict::Violated => 31,
        Verdict::KnownViolated | Verdict::Unknown => 33,
        Verdict::Skipped => 2,
    };
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use credence_report::copy::{CopyName, Declared, Scope};
    use credence_report::report::testing::{
        META, OTHER, execution, known, property, record, report, report_of_copies, violated,
    };
    use credence_report::report::{Execution, PropertyReport, Reproduced, WRITERS};
    use credence_report::route::{DeclaredRoute, RouteEnd};
    use credence_report::verdict::Outcome;

    use super::render_summary;

    #[test]
    fn the_summary_explains_what_did_not_hold() {
        let mut record = violated(1, "copy stayed\nin one namespace");
        record.smallest = Some("one namespace".into());
        let reproduced = BTreeMap::from([(record.id, Reproduced { failed: 1, runs: 2 })]);
        let execution = Execution { reproduced, ..execution(2) };
        let property = PropertyReport::from_records(&META, &execution, &[record, known(2)]);
        let properties = vec![property, PropertyReport::skipped(&OTHER, "needs root")];
        let expected = "\
id   property            verdict           cases                                      p50        p95        max      bound
p03  label distribution  violated          2/2, 1 violated, 1 violated (known)     100 ms     400 ms     400 ms     20.0 s
p07  credential types    skipped           -                                            -          -          -          -

p03 label distribution: violated
  reason      copy stayed
              in one namespace
  reproduced  1 of 2, run alone
  smallest    one namespace
  replay      credence replay p03:42:1
  known       eso#6677 finalizer stays, in 1 of 2 cases
              https://github.com/external-secrets/external-secrets/issues/6677

skipped
  p07 credential types: needs root

properties    0 held, 1 violated, 0 violated (known), 0 unknown, 1 skipped
cases         2 of 2 ran
requirements  0 held, 0 held in part, 2 violated, 0 violated (known), 0 unknown, 23 not covered
              not covered: 1.1 1.2 1.3 1.4 1.5 2.1 2.2 2.4 3.1 3.2 3.3 3.4 3.5 4.1 4.2 4.3 4.4 4.5 5.1 5.2 5.3 5.4 5.5
operator      External Secrets Operator v0.20.4
run           seed 42, embedded cluster, 2 m 05 s
";
        let shown = render_summary(&report(false, properties), false);
        assert_eq!(shown, expected, "\n{shown}");
    }

    #[test]
    fn every_form_of_a_report_names_the_operator_that_ran() {
        for version in ["2.9.0", "unknown"] {
            let mut report = report(false, vec![property(&[record(0, Outcome::Held)])]);
            let versions = [("external-secrets", version), ("external-secrets chart", "2.9.0")];
            report.cluster.versions = versions.map(|(name, version)| (name.to_owned(), version.to_owned())).into();
            let expected = [
                ("json", format!(r#""external-secrets": "{version}""#)),
                ("json", r#""external-secrets chart": "2.9.0""#.to_owned()),
                ("junit", format!(r#"<property name="version.external-secrets" value="{version}""#)),
                ("junit", r#"<property name="version.external-secrets chart" value="2.9.0""#.to_owned()),
                ("html", format!("<td>external-secrets</td><td>{version}</td>")),
                ("html", "<td>external-secrets chart</td><td>2.9.0</td>".to_owned()),
                ("console", format!("External Secrets Operator {version}, chart 2.9.0\n")),
            ];
            let written = WRITERS.iter().map(|writer| (writer.name(), writer.report(&report).unwrap()));
            let forms: BTreeMap<&str, String> = written.chain([("console", render_summary(&report, false))]).collect();
            for (form, named) in expected {
                assert!(forms[form].contains(&named), "{form} has no {named}: {}", forms[form]);
                assert!(!forms[form].contains("0.20.4"), "{form} names the pinned version: {}", forms[form]);
            }
        }
    }

    #[test]
    fn copies_that_were_not_judged_are_named_with_the_reason() {
        let copy = |name: &str| CopyName { object: format!("ClusterExternalSecret {name}"), secret: name.into() };
        let copies = vec![copy("a"), copy("b"), copy("c")];
        let hidden =
            |copy: &CopyName| Scope::NotHere(format!("hidden {}", if copy.secret == "a" { "one" } else { "two" }));
        let declared =
            copies.iter().map(|copy| Declared { copy: copy.clone(), consumer: None, scope: hidden(copy) }).collect();
        let execution = Execution { declared, ..execution(1) };
        let property = PropertyReport::from_records(&META, &execution, &[record(0, Outcome::Held)]);
        let shown = render_summary(&report_of_copies(copies, false, vec![property]), false);
        let expected = "\
copies        0 of 3 judged
              not judged: a (hidden one)
              not judged: b, c (hidden two)
requirements";
        assert!(shown.contains(expected), "{shown}");
    }

    #[test]
    fn routes_that_no_case_tried_are_named() {
        let route = |name: &str, remark: Option<&str>| DeclaredRoute {
            name: name.to_owned(),
            remark: remark.map(str::to_owned),
        };
        let routes = vec![route("a", None), route("b", None), route("c", Some("needs a node"))];
        let mut held = record(0, Outcome::Held);
        held.routes = BTreeMap::from([(("a".to_owned(), RouteEnd::RefusedByRights), 1)]);
        let property = PropertyReport::from_records(&META, &Execution { routes, ..execution(1) }, &[held]);
        let shown = render_summary(&report(false, vec![property]), false);
        let expected = "\
routes        p03: 1 of 3 tried, 0 worked
              not tried by these cases: b
requirements";
        assert!(shown.contains(expected), "{shown}");
    }

    #[test]
    fn partial_coverage_and_strictness_are_named() {
        let properties = vec![property(&[record(0, Outcome::Held)]), PropertyReport::skipped(&OTHER, "needs root")];
        assert!(render_summary(&report(false, properties), false).contains("held in part: 2.5\n"));
        let shown = render_summary(&report(true, vec![property(&[known(0)])]), false);
        assert!(shown.contains("a failure, as the run is strict") && shown.contains(", strict\n"), "{shown}");
    }

    #[test]
    fn escape_codes_appear_only_when_colour_is_wanted() {
        let report = report(false, vec![property(&[violated(0, "\u{1b}[2J")])]);
        assert!(render_summary(&report, true).contains("\u{1b}[31mviolated"));
        assert!(!render_summary(&report, false).contains('\u{1b}'));
    }
}
