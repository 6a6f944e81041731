//! A route that is refused proves something only if it would work where nothing refuses it. On `fixtures/unguarded`, where
//! nothing is guarded, every route of p08 must be seen to obtain its value, or is declared not to, with the reason.
//!
//! It takes minutes and runs at night: `cargo test --test unguarded -- --ignored`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use credence::console::Console;
use credence_cluster::embedded::Embedded;
use credence_core::text::chain;
use credence_programs::supply::Part;
use credence_report::report::routes::RouteRow;
use credence_report::route::RouteEnd;
use credence_suite::options::Options;
use credence_suite::registry;
use credence_suite::run;
use credence_suite::run::Stop;
use credence_suite::unguarded::{Unguarded, cases};

mod support;

#[test]
#[ignore = "takes minutes; ci/nightly runs it"]
fn every_route_works_where_nothing_is_guarded() {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("unguarded");
    let options = Options {
        config: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/unguarded")),
        cluster: Some(&Embedded),
        properties: vec![registry::find("p08").expect("p08 is registered")],
        cases: cases(),
        shrink: std::time::Duration::ZERO,
        ..support::options(&out)
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    let events: Arc<dyn credence_suite::events::Events> = Arc::new(Console::stderr());
    let report = runtime.block_on(async {
        let mut session =
            run::set_up(&options, &events, &Stop::default()).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
        session.test(&events, &[&Unguarded], &Stop::default()).await;
        let (report, _) = session.finish(events.as_ref()).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
        report
    });
    let property =
        report.properties.iter().find(|property| !property.routes.is_empty()).expect("the routes were tried");
    let worked = |row: &&RouteRow| row.count(&RouteEnd::Worked) > 0;
    let routes = &property.routes;
    for row in routes.iter().filter(|row| !worked(row)) {
        let refused = (row.count(&RouteEnd::RefusedByOperator) > 0).then_some("refused by the operator");
        eprintln!("unguarded: {}: {}", row.route, row.remark.as_deref().or(refused).unwrap_or("not seen to work"));
    }
    // Another version of the operator may refuse by itself what the pinned one does not, and says so.
    let version = report.cluster.versions.get("external-secrets").map(String::as_str);
    let is_closed = |row: &&RouteRow| {
        version != Some(Part::ExternalSecrets.version()) && row.count(&RouteEnd::RefusedByOperator) > 0
    };
    let dead: Vec<&str> = routes
        .iter()
        .filter(|row| !worked(row) && !is_closed(row) && row.remark.is_none())
        .map(|row| row.route.as_str())
        .collect();
    let reasons: Vec<&str> = property.findings.iter().map(|finding| finding.reason.as_str()).collect();
    assert!(dead.is_empty(), "not seen to work: {dead:#?}\n{reasons:#?}");
    // What is declared not to work must not: the declaration would hide it elsewhere.
    let risen: Vec<&RouteRow> = routes.iter().filter(|row| worked(row) && row.remark.is_some()).collect();
    assert!(risen.is_empty(), "declared not to work: {risen:#?}");
}
