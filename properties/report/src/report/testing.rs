//! Small records and reports for the tests of all outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use credence_core::adjustments::OverlayField;
use credence_core::id::{CaseId, PropertyId};

use super::{Cluster, Config, Execution, Phase, PropertyMeta, PropertyReport, Report, Resources, Run, Unfinished};
use crate::claim::Claim;
use crate::copy::CopyName;
use crate::share::Share;
use crate::unknown::Cause;
use crate::verdict::{self, CaseRecord, Known, Outcome, Violation};

/// A documented bug.
pub const KNOWN: Known = Known {
    id: "eso#6677",
    link: "https://github.com/external-secrets/external-secrets/issues/6677",
    title: "finalizer stays",
    at_most: Share::percent(15),
};

/// A property with cases of each verdict.
pub const META: PropertyMeta = PropertyMeta {
    id: PropertyId::new(3),
    title: "label distribution",
    claim: "copies are exactly those the last labels ask for",
    claims: &[Claim::new(2, 3, "copies follow the labels"), Claim::new(2, 5, "nothing stays behind")],
};

/// A property that is skipped.
pub const OTHER: PropertyMeta = PropertyMeta {
    id: PropertyId::new(7),
    title: "credential types",
    claim: "the real consumer authenticates with the copy",
    claims: &[Claim::new(4, 1, "a consumer logs in"), Claim::new(2, 5, "a consumer is refused")],
};

/// A case of [`META`] that ended so.
pub fn record(index: u32, outcome: Outcome) -> CaseRecord {
    CaseRecord {
        id: CaseId { property: META.id, seed: 42, index },
        outcome,
        operations: BTreeMap::from([("relabel".into(), 2)]),
        context: BTreeMap::from([("namespace looked at".into(), 3)]),
        reached: BTreeSet::new(),
        routes: BTreeMap::new(),
        latencies: vec![Duration::from_millis(100), Duration::from_millis(400), Duration::from_micros(99_500)],
        took: Duration::from_millis(1_500),
        bound: Some(Duration::from_secs(20)),
        smallest: None,
    }
}

/// A case that was violated.
pub fn violated(index: u32, reason: &str) -> CaseRecord {
    record(index, Outcome::Violated(Violation { reason: reason.into(), known: None }))
}

/// A case that met a documented bug.
pub fn known(index: u32) -> CaseRecord {
    record(index, Outcome::Violated(Violation { reason: "stays Terminating".into(), known: Some(KNOWN) }))
}

/// A case that could not tell.
pub fn unknown(index: u32, reason: &str) -> CaseRecord {
    record(index, verdict::unknown(Cause::RequestFailed, reason))
}

/// An execution that came to its end.
pub fn execution(planned: u32) -> Execution {
    let started = "2026-01-02T03:04:35Z".parse().expect("valid");
    let whole = Execution::not_begun(planned, started, String::new());
    Execution { took: Duration::from_secs(30), trouble: None, ..whole }
}

/// The report of a property with these cases.
pub fn property(records: &[CaseRecord]) -> PropertyReport {
    let planned = u32::try_from(records.len()).expect("a handful of records");
    PropertyReport::from_records(&META, &execution(planned), records)
}

/// A run that begins.
pub fn unfinished() -> Unfinished {
    let started = "2026-01-02T03:04:05Z".parse().expect("valid");
    Unfinished::begun(42, false, started, "fixtures/central-secret-store")
}

/// The report of a run.
pub fn report(strict: bool, properties: Vec<PropertyReport>) -> Report {
    Report::new(run(strict), properties)
}

/// The report of a run on a configuration with these copies.
pub fn report_of_copies(copies: Vec<CopyName>, is_partial: bool, properties: Vec<PropertyReport>) -> Report {
    Report::new(Run { copies, is_partial, ..run(false) }, properties)
}

fn run(strict: bool) -> Run {
    Run {
        seed: 42,
        strict,
        started: "2026-01-02T03:04:05Z".parse().expect("valid"),
        finished: "2026-01-02T03:06:10.25Z".parse().expect("valid"),
        config: Config {
            path: "fixtures/central-secret-store".into(),
            digest: "blake3:0123".into(),
            overlay: vec![OverlayField {
                object: "ClusterSecretStore/github-pat".into(),
                field: "spec.provider.kubernetes.server.url".into(),
                value: "https://127.0.0.1:6443".into(),
            }],
            left_out: Vec::new(),
            not_judged: vec!["ClusterExternalSecret app at a.yaml:3: spec.x: nobody reads it".into()],
        },
        cluster: Cluster {
            provider: "embedded".into(),
            versions: BTreeMap::from([("external-secrets".into(), "v0.20.4".into())]),
        },
        phases: vec![Phase::new("control plane", Duration::from_millis(2_800))],
        copies: Vec::new(),
        is_partial: false,
        resources: Resources::new(Duration::from_secs(5), Duration::from_secs(125), 64 << 20, 7),
    }
}
