//! The state as Prometheus metrics, in the text format 0.0.4.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use credence_watch::own_usage::Usage;
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::health::{Credential, Health, Part, Problem, Sign};
use super::state::{State, StateEvent};
use super::status::{StoreState, WatchedKind};
use super::sync_state::SyncState;

/// Upper bounds of the histogram in seconds: from a forced refresh to twice the operator's default interval of an hour.
const BUCKETS: [f64; 14] = [0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0];

type Label = [(&'static str, String); 1];

/// Metrics that Prometheus scrapes: gauges that follow from the state at the moment of the scrape, and what happened until then.
pub(super) struct Metrics {
    registry: Registry,
    propagation: Family<Label, Histogram>,
    foreign_writes: Family<Label, Counter>,
    failures: Family<Label, Counter>,
    /// The credentials' names, by number.
    names: Vec<String>,
}

impl Metrics {
    pub(super) fn new(state: &Arc<Mutex<State>>, sync_state: &watch::Sender<SyncState>) -> Self {
        let (names, kinds) = {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            (
                state.model.distributions.iter().map(|distribution| distribution.name.clone()).collect::<Vec<_>>(),
                state.kinds(),
            )
        };
        let metrics = Self {
            registry: Registry::default(),
            propagation: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            foreign_writes: Family::default(),
            failures: Family::default(),
            names,
        };
        // A counter that only appears with its first increment has no increase that an alert could see.
        for name in &metrics.names {
            drop(metrics.propagation.get_or_create(&credential(name)));
            drop(metrics.foreign_writes.get_or_create(&credential(name)));
        }
        for kind in kinds {
            drop(metrics.failures.get_or_create(&[("kind", kind.as_str().to_owned())]));
        }
        metrics.registered(state, sync_state)
    }

    fn registered(mut self, state: &Arc<Mutex<State>>, sync_state: &watch::Sender<SyncState>) -> Self {
        let Self { registry, propagation, foreign_writes, failures, .. } = &mut self;
        registry.register(
            "credence_propagation_seconds",
            "Time from a write of a source until a copy changed",
            propagation.clone(),
        );
        registry.register(
            "credence_foreign_writes",
            "Writes to copies, and Secrets with the name or the labels of copies, by others than the operator",
            foreign_writes.clone(),
        );
        registry.register("credence_watch_failures", "Failures of a watch; each was begun anew", failures.clone());
        registry.register_collector(Box::new(Present { state: Arc::clone(state), sync_state: sync_state.subscribe() }));
        self
    }

    /// Counts what an event showed.
    pub(super) fn count(&self, state_event: StateEvent) {
        match state_event {
            StateEvent::Arrived { credential: number, seconds } => {
                self.propagation.get_or_create(&credential(&self.names[number])).observe(seconds);
            }
            StateEvent::ForeignWrite { credential: number } => {
                self.foreign_writes.get_or_create(&credential(&self.names[number])).inc();
            }
        }
    }

    /// Counts a failure of a watch.
    pub(super) fn count_failure(&self, kind: WatchedKind) {
        self.failures.get_or_create(&[("kind", kind.as_str().to_owned())]).inc();
    }

    /// All metrics now, in the text format of Prometheus.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        prometheus_text::encode(&mut text, &self.registry).ok();
        text
    }
}

fn credential(name: &str) -> Label {
    [("credential", name.to_owned())]
}

/// Gauges at the moment of a scrape.
struct Present {
    state: Arc<Mutex<State>>,
    sync_state: watch::Receiver<SyncState>,
}

impl fmt::Debug for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Present")
    }
}

impl Collector for Present {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut page = Page { encoder };
        let sync_state = self.sync_state.borrow().clone();
        let version = env!("CARGO_PKG_VERSION");
        page.gauge("credence_build_info", "The version of credence", [([("version", version)], 1_u32)])?;
        let up = sync_state.kinds().map(|(kind, up)| ([("kind", kind.as_str())], u32::from(up)));
        page.gauge("credence_watch_up", "Whether this kind of objects is in sight (1) or not (0)", up)?;
        page.process(Usage::now())?;
        // Before the first lists are complete, nothing is known, which is not the same as nothing being wrong.
        if !sync_state.is_complete() {
            return Ok(());
        }
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let health = state.health(Timestamp::now());
        page.credentials(&health)?;
        page.sources_and_stores(&health)
    }
}

/// Metrics as they are written.
struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    fn gauge<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        // The registry ends the help of what it registers with a full stop.
        let mut metric = self.encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?;
        for (labels, value) in series {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn process(&mut self, usage: Usage) -> fmt::Result {
        let cpu = ConstCounter::new(usage.cpu.as_secs_f64());
        let help = "Total user and system CPU time spent in seconds.";
        cpu.encode(self.encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?)?;
        let name = "process_resident_memory_bytes";
        self.gauge(name, "Resident memory size in bytes", [([] as [(&str, &str); 0], usage.resident)])
    }

    fn credentials(&mut self, health: &Health<'_>) -> fmt::Result {
        let all = &health.credentials;
        self.per_credential(
            "credence_dependent_namespaces",
            "Namespaces that ask for the credential",
            all,
            |credential| credential.dependents,
        )?;
        self.per_credential("credence_copies", "Copies in namespaces that ask for them", all, |credential| {
            credential.copies
        })?;
        let name = "credence_propagation_bound_seconds";
        let help = "How soon a write of the source must have reached every copy, by the configuration";
        self.per_credential(name, help, all, |credential| credential.bound.as_secs_f64())?;
        for (problem, name, help) in [
            (Problem::Missing, "credence_copies_missing", "Copies that a namespace asks for and that do not exist"),
            (Problem::Unasked, "credence_copies_unasked", "Copies in namespaces that do not ask for them"),
            (
                Problem::Stale,
                "credence_copies_stale",
                "Copies not read since their source was written, beyond the bound",
            ),
            (Problem::Failed, "credence_external_secrets_failed", "ExternalSecrets that report a failure"),
            (
                Problem::Overdue,
                "credence_external_secrets_overdue",
                "ExternalSecrets that report no failure and were not refreshed in time",
            ),
        ] {
            self.per_credential(name, help, all, |credential| count(credential, problem))?;
        }
        let drifted = all.iter().flat_map(|credential| {
            let labels = |part: Part| [("credential", credential.name), ("part", part.as_str())];
            Part::ALL.into_iter().map(move |part| (labels(part), count(credential, Problem::Drifted(part))))
        });
        self.gauge("credence_copies_drifted", "Copies that are not as the operator left them, by part", drifted)?;
        let hand_made = all.iter().flat_map(|credential| {
            let labels = |sign: Sign| [("credential", credential.name), ("sign", sign.as_str())];
            Sign::ALL.into_iter().map(move |sign| (labels(sign), count(credential, Problem::HandMade(sign))))
        });
        let help = "Secrets that pass for copies and that the operator did not make, by what they pass for one by";
        self.gauge("credence_secrets_hand_made", help, hand_made)
    }

    fn per_credential<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        all: &[Credential<'_>],
        value: impl Fn(&Credential<'_>) -> V,
    ) -> fmt::Result {
        self.gauge(name, help, all.iter().map(|credential| ([("credential", credential.name)], value(credential))))
    }

    fn sources_and_stores(&mut self, health: &Health<'_>) -> fmt::Result {
        let sources = || health.sources.iter().map(|(source, written)| ([("source", source.to_string())], *written));
        let present = sources().map(|(labels, written)| (labels, u32::from(written.is_some())));
        self.gauge("credence_source_present", "Whether the source exists (1) or not (0)", present)?;
        let written = sources().filter_map(|(labels, written)| Some((labels, written?.as_second())));
        let help = "When the source was last written, data or other metadata";
        self.gauge("credence_source_written_timestamp_seconds", help, written)?;
        let states = health.stores.iter().flat_map(|(store, now)| {
            let labels = |state: StoreState| [("store", *store), ("state", state.as_str())];
            StoreState::ALL.into_iter().map(move |state| (labels(state), u32::from(state == *now)))
        });
        self.gauge("credence_store_state", "The state of the store: 1 for the one that it is in", states)
    }
}

fn count(credential: &Credential<'_>, problem: Problem) -> u64 {
    credential.problems.get(&problem).copied().unwrap_or_default()
}
