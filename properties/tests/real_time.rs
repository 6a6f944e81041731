//! An outage in the time that production takes: the operator's own five minutes between two looks at a store, and its backoff of up
//! to seven, which every other run leaves behind since its outages are short.
//!
//! It takes about an hour and runs at night: `cargo test --test real_time -- --ignored`.

use std::path::PathBuf;

use credence_cluster::embedded::Embedded;
use credence_model::overlay::Time;
use credence_report::verdict::Verdict;
use credence_suite::options::Options;
use credence_suite::registry;

#[path = "support/execute.rs"]
mod execute;
mod support;

/// A case of the slot that begins with a store that is not ready.
const CASE: u32 = 0;

#[test]
#[ignore = "takes an hour; ci/nightly runs it"]
fn a_store_that_is_not_ready_for_minutes_changes_no_copy_and_all_recovers_by_itself() {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("real-time");
    let options = Options {
        cluster: Some(&Embedded),
        properties: vec![registry::find("p11").expect("p11 is registered")],
        only: Some(CASE),
        cases: CASE + 1,
        time: Time::AsIs,
        shrink: std::time::Duration::ZERO,
        ..support::options(&out)
    };
    let report = execute::execute(&options).unwrap_or_else(|error| panic!("{error:?}"));
    let property = report.properties.iter().find(|property| property.cases.run > 0).expect("p11 was tried");
    let reasons: Vec<&str> = property.findings.iter().map(|finding| finding.reason.as_str()).collect();
    assert_eq!(property.verdict, Verdict::Held, "{reasons:#?}");
    let reached = property.operations.keys().any(|operation| operation.contains("until it is not ready"));
    assert!(reached, "{:?}", property.operations);
}
