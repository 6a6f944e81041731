//! A cluster that stays up between runs: held by a process of its own, which ends it when told to.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use credence_cluster::cluster::{self, ControlPlaneFiles, Description};
use credence_cluster::embedded;
use credence_cluster::providers;
use credence_programs::run_dir::{self, RunDir};
use credence_programs::supply::{self, Part, Progress as _};
use credence_programs::{dirs, external_secrets, process};
use credence_report::verdict::ExitCode;
use credence_suite::events::PhaseTimer;
use credence_suite::options::UP;
use credence_watch::wait::{self, Progress};

use super::signals::signal;
use crate::console::Console;

/// Time that the holder may take; on a machine without programs it builds them first, which takes up to 25 minutes.
const READY: Duration = Duration::from_secs(45 * 60);
/// Time that the holder may take to end what it started.
const GONE: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Starts the holder in the background and waits until the cluster is ready.
pub(super) async fn start() -> anyhow::Result<ExitCode> {
    let state = dirs::state()?;
    if let Some(description) = running(&state)? {
        print(&description)?;
        return Ok(ExitCode::Held);
    }
    std::fs::create_dir_all(&state).with_context(|| format!("failed to create {}", state.display()))?;
    let log = state.join("up.log");
    let out = File::create(&log).with_context(|| format!("failed to create {}", log.display()))?;
    let this = std::env::current_exe().context("failed to find this program")?;
    let arguments = std::env::args_os().skip(1).chain(["--foreground".into()]);
    let mut holder = std::process::Command::new(this)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out.try_clone().context("failed to share the log file")?)
        .stderr(out)
        // In a group of its own, so that a Ctrl-C in this terminal does not end it.
        .process_group(0)
        .spawn()
        .context("failed to start the process that holds the cluster")?;
    let holder_id = holder.id();
    let ready = wait::poll("cluster ready", READY, POLL_INTERVAL, || {
        let seen = match (holder.try_wait(), running(&state)) {
            (_, Ok(Some(description))) => Progress::Done(description),
            (Ok(Some(status)), _) => Progress::Never(format!("{status}:\n{}", process::tail(&log, 12))),
            (Err(error), _) => Progress::Never(error.to_string()),
            (_, Err(error)) => Progress::Never(error.to_string()),
            (Ok(None), Ok(None)) => Progress::NotYet(process::tail(&log, 1)),
        };
        std::future::ready(seen)
    });
    let outcome = tokio::select! {
        ready = ready => ready.map_err(anyhow::Error::from),
        () = signal() => Err(anyhow::anyhow!("interrupted")),
    };
    if outcome.is_err() {
        // Without this it would go on to bring a cluster up that nobody waits for any more.
        process::terminate(holder_id);
    }
    print(&outcome?)?;
    Ok(ExitCode::Held)
}

/// Holds a cluster until a signal comes or a part of it dies.
pub(super) async fn hold(options: &supply::Options) -> anyhow::Result<ExitCode> {
    let console = Console::stderr();
    let state = dirs::state()?;
    if running(&state)?.is_some() {
        bail!("a cluster is up already; see `credence status`");
    }
    let run = RunDir::create(&state, UP, providers::clear)?;
    let bring_up = async {
        external_secrets::given(options, &console).await?;
        let programs = supply::obtain(options, &Part::CONTROL_PLANE, &console).await?;
        let assets = external_secrets::assets(options, &console).await?;
        let timer = PhaseTimer::begin(&console, "cluster");
        let cluster = embedded::start(run, &programs, &assets, &ControlPlaneFiles::reference()).await?;
        timer.finish();
        anyhow::Ok(cluster)
    };
    let cluster = tokio::select! {
        cluster = bring_up => cluster?,
        () = signal() => bail!("interrupted"),
    };
    console.note(&format!("up: KUBECONFIG={}", cluster.description.kubeconfig.display()));
    tokio::select! {
        () = signal() => Ok(ExitCode::Held),
        death = cluster.died() => Err(death.into()),
    }
}

/// Says whether a cluster is up.
pub(super) fn status() -> anyhow::Result<ExitCode> {
    match holder(&dirs::state()?)? {
        Holder::Ready(description) => {
            print(&description)?;
            Ok(ExitCode::Held)
        }
        Holder::Starting(owner) => {
            writeln!(std::io::stdout(), "a cluster is being brought up by process {owner}")?;
            Ok(ExitCode::NothingRan)
        }
        Holder::None => {
            writeln!(std::io::stdout(), "no cluster is up; start one with `credence up`")?;
            Ok(ExitCode::NothingRan)
        }
    }
}

/// Ends the cluster that is up, or that is being brought up.
pub(super) async fn down() -> anyhow::Result<ExitCode> {
    let state = dirs::state()?;
    let owner = match holder(&state)? {
        Holder::Ready(description) => description.owner,
        Holder::Starting(owner) => owner,
        Holder::None => {
            writeln!(std::io::stdout(), "no cluster is up")?;
            return Ok(ExitCode::Held);
        }
    };
    process::terminate(owner);
    wait::poll("cluster gone", GONE, POLL_INTERVAL, || {
        std::future::ready(match holder(&state) {
            Ok(Holder::None) => Progress::Done(()),
            Ok(_) => Progress::NotYet(format!("process {owner} still holds it")),
            Err(error) => Progress::NotYet(error.to_string()),
        })
    })
    .await?;
    writeln!(std::io::stdout(), "the cluster is down")?;
    Ok(ExitCode::Held)
}

/// Holder of the cluster that stays up.
enum Holder {
    None,
    /// The process that is still bringing it up.
    Starting(u32),
    Ready(Box<Description>),
}

/// Holder of the cluster, after what dead holders left has been swept.
fn holder(state: &Path) -> anyhow::Result<Holder> {
    let directory: PathBuf = state.join("runs").join(UP);
    if !run_dir::sweep(state, providers::clear)?.alive.contains(&directory) {
        return Ok(Holder::None);
    }
    // A holder describes the cluster only when it is ready.
    Ok(match (cluster::describe(&directory), run_dir::owner(&directory)) {
        (Ok(description), _) => Holder::Ready(Box::new(description)),
        (Err(_), Some(owner)) => Holder::Starting(owner),
        (Err(_), None) => Holder::None,
    })
}

/// The cluster that is up and ready.
fn running(state: &Path) -> anyhow::Result<Option<Description>> {
    Ok(match holder(state)? {
        Holder::Ready(description) => Some(*description),
        Holder::Starting(_) | Holder::None => None,
    })
}

fn print(description: &Description) -> anyhow::Result<()> {
    let Description { provider, versions, url, kubeconfig, owner, .. } = description;
    let versions: Vec<String> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    writeln!(
        std::io::stdout(),
        "{provider} cluster up at {url} ({})\nheld by process {owner}\nexport KUBECONFIG={}",
        versions.join(", "),
        kubeconfig.display()
    )?;
    Ok(())
}
