//! The metrics as text, and the documents that name them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use credence_core::manifest::parse_documents;
use serde_json::json;
use tokio::sync::watch;

use super::{PULL, at, copy, meta, world};
use crate::monitor::metrics::Metrics;
use crate::monitor::{ALERTS, RBAC, State, StateEvent, SyncState, WatchedKind};

fn metrics_of(state: State, is_listed: bool) -> String {
    let mut sync_state = SyncState::of(state.kinds());
    if is_listed {
        state.kinds().into_iter().for_each(|kind| sync_state.gain(kind));
    }
    let (state, sync_state) = (Arc::new(Mutex::new(state)), watch::Sender::new(sync_state));
    let metrics = Metrics::new(&state, &sync_state);
    metrics.count(StateEvent::Arrived { credential: PULL, seconds: 3.0 });
    metrics.count(StateEvent::ForeignWrite { credential: PULL });
    metrics.count_failure(WatchedKind::Secrets);
    metrics.text()
}

/// The names of the metrics, without the parts of a histogram.
fn names(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

#[test]
fn metrics_say_what_is_known_in_the_text_format() {
    let mut state = world();
    state.secret(&meta(copy("two")), true, at(1));
    let text = metrics_of(state, true);
    for line in [
        "# HELP credence_copies_unasked Copies in namespaces that do not ask for them.",
        "# TYPE credence_copies_unasked gauge",
        "credence_copies_unasked{credential=\"pull\"} 1",
        "credence_copies_unasked{credential=\"git\"} 0",
        "credence_dependent_namespaces{credential=\"pull\"} 1",
        "credence_copies_drifted{credential=\"pull\",part=\"data\"} 0",
        "credence_secrets_hand_made{credential=\"git\",sign=\"type\"} 0",
        "credence_propagation_bound_seconds{credential=\"pull\"} 130.1",
        "# TYPE credence_propagation_seconds histogram",
        "credence_propagation_seconds_bucket{credential=\"pull\",le=\"5\"} 1",
        "credence_propagation_seconds_count{credential=\"git\"} 0",
        "# TYPE credence_foreign_writes_total counter",
        "credence_foreign_writes_total{credential=\"pull\"} 1",
        "credence_foreign_writes_total{credential=\"git\"} 0",
        "credence_source_written_timestamp_seconds{source=\"central/source\"} 1799999400",
        "credence_store_state{store=\"store\",state=\"valid\"} 1",
        "credence_store_state{store=\"store\",state=\"absent\"} 0",
        "credence_watch_up{kind=\"pull_secrets\"} 1",
        "credence_watch_failures_total{kind=\"secrets\"} 1",
    ] {
        assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
    }
}

#[test]
fn before_the_first_lists_nothing_is_said_of_copies() {
    let text = metrics_of(world(), false);
    assert!(text.contains("credence_watch_up{kind=\"secrets\"} 0"), "{text}");
    assert!(!text.contains("credence_copies"), "{text}");
}

#[test]
fn the_documents_name_the_metrics_that_there_are() {
    let text = metrics_of(world(), true);
    let names = names(&text);
    let readme = include_str!("../../../../../fixtures/monitor/README.md");
    for name in &names {
        assert!(readme.contains(&format!("`{name}`")), "README.md does not explain {name}");
    }
    let expression = regex::Regex::new(r"credence_[a-z_]+").unwrap();
    for found in ALERTS.lines().flat_map(|line| expression.find_iter(line)) {
        let name = found.as_str().trim_end_matches("_bucket");
        assert!(names.contains(name), "alerts.yaml uses {name}, which is no metric");
    }
}

#[test]
fn the_rights_are_to_read_only() {
    let manifests = parse_documents(Path::new("rbac.yaml"), RBAC).unwrap();
    let role = manifests.iter().find(|manifest| manifest.kind() == "ClusterRole").unwrap();
    for rule in role.object["rules"].as_array().unwrap() {
        assert_eq!(rule["verbs"], json!(["get", "list", "watch"]));
    }
}
