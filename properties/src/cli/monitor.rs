//! `credence monitor`: watches a live cluster until it is told to stop.

use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use credence_model::config::Config;
use credence_monitor::monitor::{self, Monitor, SyncState, USER_AGENT};
use credence_programs::supply::Progress as _;
use credence_report::verdict::ExitCode;
use credence_suite::load;
use credence_suite::run::RunError;
use credence_watch::connect;

use super::configuration::{Configuration, read};
use super::programs::Programs;
use super::signals::signal;
use crate::console::Console;

/// The end of `--help`, after the options.
pub(super) const NOTES: &str = "\
It only reads, and it requests the metadata of Secrets, never their values. But Kubernetes has no permission for metadata
alone, so its ServiceAccount must be allowed to list Secrets: guard that account as you guard the sources.

What it cannot see:
  · whether a value is correct: it compares times, hashes and writers; `credence run` compares bytes
  · an edit by somebody who poses as the operator's field manager and updates its hash, unless the copy then differs from
    the other copies of its credential
  · an edit that was made and undone while it was disconnected
  · a hand-made credential under another name and without the labels, unless it is a pull secret
  · a store that has lost its rights, until the operator checks it again (5 minutes); failed ExternalSecrets show it sooner
  · who reads Secrets: see the audit log
A change of other metadata of a source counts as a change of the source. The clocks of API server and operator must agree.

/metrics is for Prometheus, /healthz answers 200 while all watches are up to date, /findings lists each faulty object.

Examples:
  credence monitor --print rbac | kubectl apply -f -     the permissions that it needs
  credence monitor --print alerts > credence-rules.yaml  alert rules
  credence monitor --config my/config --context prod     watch the cluster of this context
  credence monitor --config my/chart --values prod.yaml  with a Helm chart
  curl -s http://127.0.0.1:9464/findings";

/// Objects to watch, and options of the watch.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    configuration: Configuration,
    /// Context of the kubeconfig; by default, its current context. In a pod without a kubeconfig, the pod's own cluster.
    #[arg(long)]
    context: Option<String>,
    /// The kubeconfig; by default, that of KUBECONFIG, or ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Address to serve metrics at.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    listen: SocketAddr,
    /// The operator's own --concurrent, its number of parallel reconciles: more of them shorten the bound.
    #[arg(long, value_name = "N", default_value_t = NonZero::<u32>::MIN)]
    concurrent: NonZero<u32>,
    /// Print a companion file and exit.
    #[arg(long, value_enum)]
    print: Option<Print>,
    #[command(flatten)]
    programs: Programs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Print {
    /// The ServiceAccount, ClusterRole and binding that the monitor needs.
    Rbac,
    /// Alert rules for Prometheus.
    Alerts,
}

/// Watches until Ctrl-C or SIGTERM.
pub(super) async fn monitor(options: &Options) -> anyhow::Result<ExitCode> {
    if let Some(print) = options.print {
        let text = match print {
            Print::Rbac => monitor::RBAC,
            Print::Alerts => monitor::ALERTS,
        };
        std::io::stdout().write_all(text.as_bytes())?;
        return Ok(ExitCode::Held);
    }
    tokio::select! {
        outcome = watch(options) => outcome,
        () = signal() => Ok(ExitCode::Held),
    }
}

async fn watch(options: &Options) -> anyhow::Result<ExitCode> {
    let console = Console::stderr();
    let components = options.programs.options()?;
    let Configuration { directory, reading } = &options.configuration;
    let (path, manifests) = read(directory.as_deref(), &reading.rendering, &components).await?;
    let schema = load::schema(&components, &console).await?;
    let (config, of_another_version) = Config::of_live_cluster(manifests, &schema).map_err(RunError::from)?;
    for fault in of_another_version {
        console.note(&format!("not known to this version, and taken as the cluster takes it: {fault}"));
    }
    let model = reading.intended(&config, directory.as_deref()).await?;
    let began = Instant::now();
    let client = connect::connect(options.kubeconfig.as_deref(), options.context.as_deref(), USER_AGENT).await?;
    let credentials = model.distributions.len();
    let settings = monitor::Options { listen: options.listen, workers: options.concurrent };
    let monitor = Monitor::start(&client, model, &settings).await?;
    console.note(&format!(
        "{path}: {credentials} credentials in sight after {:.1} s; metrics at http://{}/metrics",
        began.elapsed().as_secs_f64(),
        monitor.address()
    ));
    let mut sync_state = monitor.sync_state();
    let mut known = SyncState::default();
    loop {
        let now = sync_state.borrow_and_update().clone();
        for (kind, failure) in
            now.failures().iter().filter(|(kind, failure)| known.failures().get(kind) != Some(failure))
        {
            console.note(&format!("out of sight, trying again: {}: {}", kind.as_str(), failure.text));
        }
        for kind in known.failures().keys().filter(|kind| !now.failures().contains_key(kind)) {
            console.note(&format!("in sight again: {}", kind.as_str()));
        }
        known = now;
        // The monitor holds the sender for as long as this runs.
        sync_state.changed().await?;
    }
}
