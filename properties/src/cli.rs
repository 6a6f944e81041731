//! The command line: subcommands, their options, and the code that carries them out.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use credence_core::id::CaseId;
use credence_model::explain::NothingOfThatName;
use credence_monitor::monitor::MonitorError;
use credence_programs::dirs::DirsError;
use credence_programs::external_secrets::OperatorError;
use credence_programs::run_dir::RunDirError;
use credence_programs::supply::{ComponentError, Part};
use credence_report::verdict::ExitCode;
use credence_suite::registry::UnknownProperty;
use credence_suite::run::RunError;
use credence_suite::trail::Trail;
use credence_watch::connect::ConnectError;
use tracing_subscriber::filter::{FromEnvError, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

mod configuration;
mod doctor;
mod explain;
mod init;
mod lint;
mod monitor;
mod node_image;
mod programs;
mod rendering;
mod run;
mod signals;
mod up;

use programs::{Programs, parse_part};
use run::{Run, Target};

/// The end of `--help` of the command and of `run`: exit codes, and examples.
const NOTES: &str = "\
Exit codes: 0 all held (apart from documented upstream bugs) · 1 violated · 2 unknown · 3 bad usage or configuration · 4 nothing ran

Examples:
  credence run                                   the reference configuration, all properties, 100 cases each
  credence run --config my/config -p p02 -p p03  two properties on a configuration of your own
  credence run --config my/chart --values prod.yaml  a Helm chart, rendered with the values of an installation
  credence run --config my/config --substitute CLUSTER=prod  manifests with Flux variables
  credence run --cases 1000 --seed 7 --out out   a nightly run that can be reproduced
  credence run --lanes 1                         one case at a time, for a busy machine
  credence run --cluster kind                    the same on a kind cluster, with the operator in pods
  credence run --external-secrets bin/external-secrets --external-secrets-chart charts/external-secrets  your own version of ESO
  credence replay p03:7:42                       run one recorded case again
  credence lint my/config                        check a configuration without a cluster
  credence init my/config                        write a first credence.yaml: who must have what, and who must not
  credence monitor --context prod                watch a live cluster and serve Prometheus metrics
  credence up && credence run && credence down   keep the cluster between runs

Environment:
  CREDENCE_CACHE  programs and builds, kept between runs; by default ~/.cache/credence
  CREDENCE_STATE  directories of runs; by default ~/.local/state/credence
  CREDENCE_LOG    log filter for debugging, such as kube=debug; by default off";

/// Environment variable with the filter of the log on standard error.
const LOG: &str = "CREDENCE_LOG";

/// Conformance suite for Kubernetes secret distribution with External Secrets Operator.
#[derive(Debug, Parser)]
#[command(name = "credence", version, after_help = NOTES)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Report what this machine can run, and what each missing program would cost to obtain.
    Doctor {
        /// The Docker or Podman command; by default, docker or podman from the PATH.
        #[arg(long, value_name = "COMMAND", env = "CREDENCE_ENGINE")]
        engine: Option<PathBuf>,
        #[command(flatten)]
        programs: Programs,
    },
    /// Download or build the pinned programs ahead of time.
    #[command(
        after_help = "Examples:\n  credence fetch\n  credence fetch etcd kube-apiserver\n  credence fetch --source build"
    )]
    Fetch {
        /// Programs to obtain; by default, all of them.
        #[arg(value_name = "PART", value_parser = parse_part)]
        parts: Vec<Part>,
        #[command(flatten)]
        programs: Programs,
    },
    /// Build the node image for kind without a registry, unless the container engine has it, and print its name.
    #[command(after_help = node_image::NOTES)]
    NodeImage {
        /// The Docker or Podman command; by default, docker or podman from the PATH.
        #[arg(long, value_name = "COMMAND", env = "CREDENCE_ENGINE")]
        engine: Option<PathBuf>,
        /// Only remove images that other versions of credence built, or that contain other programs.
        #[arg(long)]
        prune: bool,
        #[command(flatten)]
        programs: Programs,
    },
    /// Start a cluster that stays up between runs; `run` then uses it.
    Up {
        /// Run in the foreground until Ctrl-C.
        #[arg(long)]
        foreground: bool,
        #[command(flatten)]
        programs: Programs,
    },
    /// Show whether a cluster is up, and its address.
    Status,
    /// Stop the cluster that is up.
    Down,
    /// Write a first credence.yaml, the team's intent, derived from its configuration.
    #[command(after_help = init::NOTES)]
    Init(Box<init::Options>),
    /// Check a configuration without a cluster.
    #[command(after_help = lint::NOTES)]
    Lint(Box<lint::Options>),
    /// Explain a configuration: who gets what, and what each key is made of.
    #[command(after_help = explain::NOTES)]
    Explain(Box<explain::Options>),
    /// Watch a live cluster and serve Prometheus metrics. Read-only, and reads no values.
    #[command(after_help = monitor::NOTES)]
    Monitor(Box<monitor::Options>),
    /// Test a configuration on a real cluster, and write reports.
    #[command(after_help = NOTES)]
    Run(Box<Run>),
    /// Run one recorded case again, from its seed.
    #[command(after_help = "Example:\n  credence replay p03:42:7 --config my/config")]
    Replay {
        /// The id of the case, from a report: PROPERTY:SEED:INDEX.
        case: CaseId,
        #[command(flatten)]
        target: Box<Target>,
    },
}

/// Carries a command out.
///
/// # Errors
/// When it cannot be carried out; [`failure_code`] gives the exit code.
pub fn execute(command: Command) -> anyhow::Result<ExitCode> {
    // Off unless asked for: libraries log each failed attempt of a wait as an error.
    let filter = EnvFilter::builder().with_env_var(LOG).with_default_directive(LevelFilter::OFF.into());
    let filter = filter.from_env().with_context(|| format!("failed to read the log filter in {LOG}"))?;
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(filter);
    let trail = Trail::default();
    tracing_subscriber::registry().with(log).with(trail.clone().with_filter(Trail::filter())).init();
    let runtime = tokio::runtime::Runtime::new().context("failed to start the runtime")?;
    runtime.block_on(carry_out(command.action, trail))
}

async fn carry_out(action: Action, trail: Trail) -> anyhow::Result<ExitCode> {
    match action {
        Action::Doctor { engine, programs } => doctor::doctor(engine.as_deref(), &programs.options()?).await,
        Action::Fetch { parts, programs } => {
            let parts = if parts.is_empty() { Part::ALL.to_vec() } else { parts };
            doctor::fetch(&programs.options()?, &parts).await
        }
        Action::NodeImage { engine, prune: true, programs } => {
            node_image::prune(engine.as_deref(), &programs.options()?).await
        }
        Action::NodeImage { engine, prune: false, programs } => {
            node_image::node_image(engine.as_deref(), &programs.options()?).await
        }
        Action::Up { foreground: true, programs } => up::hold(&programs.options()?).await,
        Action::Up { foreground: false, .. } => up::start().await,
        Action::Status => up::status(),
        Action::Down => up::down().await,
        Action::Init(options) => init::init(&options).await,
        Action::Lint(options) => lint::lint(&options).await,
        Action::Explain(options) => explain::run(&options).await,
        Action::Monitor(options) => monitor::monitor(&options).await,
        Action::Run(command) => run::run(*command, trail).await,
        Action::Replay { case, target } => run::replay(case, &target, trail).await,
    }
}

/// The exit code for a command that could not be carried out.
pub fn failure_code(error: &anyhow::Error) -> ExitCode {
    let is_usage = match error.downcast_ref::<RunError>() {
        Some(error) => error.is_usage(),
        None => {
            error.is::<UnknownProperty>()
                || error.is::<NothingOfThatName>()
                || error.is::<DirsError>()
                || error.is::<RunDirError>()
                || error.is::<ConnectError>()
                || error.is::<FromEnvError>()
                || error.downcast_ref().is_some_and(OperatorError::is_usage)
                || error.downcast_ref().is_some_and(ComponentError::is_usage)
                || matches!(error.downcast_ref(), Some(MonitorError::Listen { .. } | MonitorError::NoOperator))
        }
    };
    if is_usage { ExitCode::Usage } else { ExitCode::Unknown }
}
