//! The command line: what the user may ask for, and which code answers.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use credence_core::id::{CaseId, PropertyId};
use credence_core::manifest::Manifest;
use credence_model::config::Config;
use credence_model::explain::NothingOfThatName;
use credence_model::model::Model;
use credence_model::overlay::Time;
use credence_monitor::monitor::MonitorError;
use credence_programs::dirs::{self, DirsError};
use credence_programs::external_secrets::OperatorError;
use credence_programs::pod_image::UserImage;
use credence_programs::run_dir::RunDirError;
use credence_programs::supply::{self, ComponentError, Part, Providers, Source, UserKargo};
use credence_report::verdict::ExitCode;
use credence_suite::error::RunError;
use credence_suite::events::Events;
use credence_suite::load;
use credence_suite::options::{self, CASES, ClusterKind, Keep, Options};
use credence_suite::registry::{self, UnknownProperty};
use credence_suite::run;
use credence_suite::stop::Stop;
use credence_suite::trail::Trail;
use credence_watch::connect::ConnectError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::console::Console;

mod doctor;
mod explain;
mod init;
mod lint;
mod monitor;
mod node_image;
mod rendering;
mod signals;
mod up;

use rendering::Rendering;

/// Exit codes, as `--help` explains them.
const EXIT_CODES: &str = "\
Exit codes: 0 all held (documented upstream bugs aside) · 1 violated · 2 unknown · 3 bad usage or configuration · 4 nothing ran

Examples:
  credence run                                   the reference configuration, all properties, 100 cases each
  credence run --config my/config -p p02 -p p03  two properties on a configuration of your own
  credence run --config my/chart --values prod.yaml  a chart of Helm, as it is installed
  credence run --config my/config --substitute CLUSTER=prod  manifests with variables of Flux
  credence run --cases 1000 --seed 7 --out out   a nightly run that can be repeated
  credence run --lanes 1                         one case after the other, for a machine that is busy otherwise
  credence run --cluster kind                    the same on a cluster of kind, with the operator in pods
  credence run --external-secrets bin/external-secrets --external-secrets-chart charts/external-secrets  your own version of ESO
  credence replay p03:7:42                       one recorded case again
  credence lint my/config                        check a configuration without a cluster
  credence init my/config                        write a first credence.yaml: who must have what, and who must not
  credence monitor --context prod                watch a live cluster and serve Prometheus metrics
  credence up && credence run && credence down   keep the cluster between runs";

/// Conformance suite for Kubernetes secret distribution with External Secrets Operator.
#[derive(Debug, Parser)]
#[command(name = "credence", version, after_help = EXIT_CODES)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what this machine can run, and what each missing thing costs.
    Doctor {
        /// The command of Docker or Podman; docker or podman from the PATH if not given.
        #[arg(long, value_name = "COMMAND", env = "CREDENCE_ENGINE")]
        engine: Option<PathBuf>,
        #[command(flatten)]
        programs: Programs,
    },
    /// Obtain the pinned programs ahead of time.
    #[command(
        after_help = "Examples:\n  credence fetch\n  credence fetch etcd kube-apiserver\n  credence fetch --source build"
    )]
    Fetch {
        /// Programs to obtain; all if none is named.
        #[arg(value_name = "PART", value_parser = parse_part)]
        parts: Vec<Part>,
        #[command(flatten)]
        programs: Programs,
    },
    /// Make the image of kind's nodes without a registry, if the container engine does not have it, and print its name.
    #[command(after_help = node_image::NOTES)]
    NodeImage {
        /// The command of Docker or Podman; docker or podman from the PATH if not given.
        #[arg(long, value_name = "COMMAND", env = "CREDENCE_ENGINE")]
        engine: Option<PathBuf>,
        /// Make nothing, but remove images that were made by other versions of credence or with other programs.
        #[arg(long)]
        prune: bool,
        #[command(flatten)]
        programs: Programs,
    },
    /// Start a cluster that stays up between runs; `run` attaches to it.
    Up {
        /// Stay in the foreground until Ctrl-C.
        #[arg(long)]
        foreground: bool,
        #[command(flatten)]
        programs: Programs,
    },
    /// Say whether a cluster is up, and where.
    Status,
    /// Stop the cluster that is up.
    Down,
    /// Write a first credence.yaml: the team's intent, from what is found in its configuration.
    #[command(after_help = init::NOTES)]
    Init(Box<init::Options>),
    /// Check a configuration with no cluster.
    #[command(after_help = lint::NOTES)]
    Lint(Box<lint::Options>),
    /// Say what was understood of a configuration: who gets what, and what each key is made of.
    #[command(after_help = explain::NOTES)]
    Explain(Box<explain::Options>),
    /// Watch a live cluster with a configuration, and serve Prometheus metrics. Only reads, and no values.
    #[command(after_help = monitor::NOTES)]
    Monitor(Box<monitor::Options>),
    /// Test a configuration on a real cluster and write reports.
    #[command(after_help = EXIT_CODES)]
    Run(Box<Run>),
    /// Run one recorded case again, from its seed.
    #[command(after_help = "Example:\n  credence replay p03:42:7 --config my/config")]
    Replay {
        /// The case, as a report names it: PROPERTY:SEED:INDEX.
        case: CaseId,
        #[command(flatten)]
        target: Box<Target>,
    },
}

/// Options for obtaining programs.
#[derive(Debug, Clone, Args)]
struct Programs {
    /// Use this executable instead of obtaining one, such as etcd=/usr/bin/etcd; may be repeated.
    #[arg(long = "program", value_name = "PART=PATH", value_parser = parse_given)]
    overrides: Vec<(Part, PathBuf)>,
    /// External Secrets Operator's own program, of another version than the pinned one or built with other providers; the same as
    /// --program external-secrets=PROGRAM. An esoctl beside it is used with it.
    #[arg(long, value_name = "PROGRAM", env = "CREDENCE_EXTERNAL_SECRETS")]
    external_secrets: Option<PathBuf>,
    /// An image to take External Secrets Operator's program out of, without a container engine, such as
    /// ghcr.io/external-secrets/external-secrets:v2.9.0.
    #[arg(
        long,
        value_name = "IMAGE",
        requires = "external_secrets_chart",
        conflicts_with = "external_secrets",
        env = "CREDENCE_EXTERNAL_SECRETS_IMAGE"
    )]
    external_secrets_image: Option<String>,
    /// External Secrets Operator's chart of the same version: a directory, such as deploy/charts/external-secrets in its source,
    /// or a package. Kinds and fields of the configuration are checked against its definitions.
    #[arg(long, value_name = "CHART", env = "CREDENCE_EXTERNAL_SECRETS_CHART")]
    external_secrets_chart: Option<PathBuf>,
    /// Kargo's own program, the one of its control plane, which cannot be obtained: without it, only Kargo's lookup rules
    /// are tested.
    #[arg(long, value_name = "PROGRAM", requires = "kargo_chart", env = "CREDENCE_KARGO")]
    kargo: Option<PathBuf>,
    /// Kargo's chart of the same version: a directory, such as charts/kargo in its source, or a package.
    #[arg(long, value_name = "CHART", requires = "kargo", env = "CREDENCE_KARGO_CHART")]
    kargo_chart: Option<PathBuf>,
    /// Where programs come from that are not in the cache.
    #[arg(long, value_enum, default_value_t = Origin::Any, env = "CREDENCE_SOURCE")]
    source: Origin,
    /// Base URL that replaces scheme and host of official releases, for sites without internet.
    #[arg(long, value_name = "URL", env = "CREDENCE_MIRROR")]
    mirror: Option<String>,
    /// Store providers that External Secrets Operator is built with.
    #[arg(long, value_enum, default_value_t = ProvidersFlag::Used, env = "CREDENCE_EXTERNAL_SECRETS_PROVIDERS")]
    external_secrets_providers: ProvidersFlag,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProvidersFlag {
    /// Those that credence uses: AWS, Fake, Kubernetes, Vault and Webhook.
    Used,
    /// All that upstream has, which takes three times as long to build.
    All,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Origin {
    /// An official release where it can be had, else a build.
    Any,
    /// Official releases only.
    Release,
    /// Builds from the pinned Go modules only.
    Build,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TimeFlag {
    /// Refresh intervals as the configuration has them.
    AsIs,
    /// Refresh intervals shortened to two seconds.
    Compressed,
}

/// What is tested, and how.
#[derive(Debug, Clone, Args)]
struct Target {
    /// The configuration: a directory of manifests, rendered by kustomize if it has a kustomization and by helm if it is a
    /// chart. The reference configuration if not given.
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    #[command(flatten)]
    rendering: Rendering,
    /// The file with the team's intent; credence.yaml in the configuration if not given, and none if that is not there.
    #[arg(long, value_name = "FILE")]
    intent: Option<PathBuf>,
    /// Manifests of what uses the credentials: workloads with imagePullSecrets, Argo CD Applications, Kargo Warehouses.
    /// Those of the reference configuration if neither this nor --config is given.
    #[arg(long, value_name = "DIR")]
    consumers: Option<PathBuf>,
    /// Directory with audit-policy.yaml and encryption-config.yaml, which the API server is started with.
    /// The directory control-plane in the configuration if not given.
    #[arg(long, value_name = "DIR")]
    control_plane: Option<PathBuf>,
    /// Apply objects of this kind too, such as Deployment, although it is not known what comes of them; may be repeated.
    /// Kinds that reach beyond the cluster are never applied.
    #[arg(long, value_name = "KIND")]
    also_apply: Vec<String>,
    /// Where to test.
    #[arg(long, value_enum, default_value_t = ClusterKind::Auto)]
    cluster: ClusterKind,
    /// The command of Docker or Podman for a cluster of kind; docker or podman from the PATH if not given.
    #[arg(long, value_name = "COMMAND", env = "CREDENCE_ENGINE")]
    engine: Option<PathBuf>,
    /// An image of a registry for pods on a cluster of kind, instead of one that is made, such as
    /// argo-cd=NAME@sha256:DIGEST; for external-secrets, argo-cd and redis; may be repeated.
    #[arg(long = "image", value_name = "PART=IMAGE")]
    images: Vec<UserImage>,
    /// Treatment of time in the configuration.
    #[arg(long, value_enum, default_value_t = TimeFlag::Compressed)]
    time: TimeFlag,
    /// Slots of cases that run at the same time, of all properties together, such as --lanes 1 for everything one after
    /// the other.
    #[arg(long, value_name = "N", default_value_t = options::LANES)]
    lanes: NonZero<usize>,
    /// Where the reports go.
    #[arg(long, value_name = "DIR", default_value = "target/credence")]
    out: PathBuf,
    /// When the run directory, with the logs of all programs, is left in place.
    #[arg(long, value_enum, default_value_t = Keep::Never)]
    keep: Keep,
    /// Count documented upstream bugs as failures.
    #[arg(long)]
    strict: bool,
    /// Seconds for making a failing case smaller.
    #[arg(long, value_name = "SECONDS", default_value_t = 90)]
    shrink: u64,
    #[command(flatten)]
    programs: Programs,
}

#[derive(Debug, Args)]
struct Run {
    /// A property to run, by id or title; may be repeated. All if not given.
    #[arg(long = "property", short = 'p', value_name = "PROPERTY", value_parser = parse_property)]
    properties: Vec<PropertyId>,
    /// Cases of each property.
    #[arg(long, default_value_t = CASES, value_parser = clap::value_parser!(u32).range(1..))]
    cases: u32,
    /// Inputs from which all cases follow; random if not given.
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    target: Target,
}

fn parse_part(text: &str) -> Result<Part, String> {
    text.parse::<Part>().map_err(|error| error.to_string())
}

fn parse_given(text: &str) -> Result<(Part, PathBuf), String> {
    let (part, path) = text.split_once('=').ok_or("expected PART=PATH, such as etcd=/usr/bin/etcd")?;
    Ok((parse_part(part)?, PathBuf::from(path)))
}

fn parse_property(text: &str) -> Result<PropertyId, String> {
    registry::find(text).map_err(|error| error.to_string())
}

/// Carries a command out.
///
/// # Errors
/// When it cannot be carried out; [`failure_code`] gives the exit code.
pub fn execute(command: Command) -> anyhow::Result<ExitCode> {
    // Off unless asked for: libraries log each failed attempt of a wait as an error.
    let wanted = EnvFilter::try_from_env("CREDENCE_LOG").unwrap_or_else(|_| EnvFilter::new("off"));
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(wanted);
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
        Action::Run(command) => {
            let Run { properties, cases, seed, target } = *command;
            let seed = seed.unwrap_or_else(random_seed);
            run(Options { properties, cases, trail: Some(trail), ..target.options(seed)? }).await
        }
        Action::Replay { case, target } => {
            registry::find(&case.property.to_string())?;
            let options = target.options(case.seed)?;
            run(Options { properties: vec![case.property], only: Some(case.index), trail: Some(trail), ..options })
                .await
        }
    }
}

impl Programs {
    fn options(&self) -> anyhow::Result<supply::Options> {
        let source = match self.source {
            Origin::Any => Source::Any,
            Origin::Release => Source::Release,
            Origin::Build => Source::Build,
        };
        let overrides: BTreeMap<Part, PathBuf> = self.overrides.iter().cloned().collect();
        let kargo = self.kargo.clone().zip(self.kargo_chart.clone());
        let options = supply::Options {
            overrides,
            operator_image: self.external_secrets_image.clone(),
            operator_chart: self.external_secrets_chart.clone(),
            kargo: kargo.map(|(program, chart)| UserKargo { program, chart }),
            source,
            mirror: self.mirror.clone(),
            providers: match self.external_secrets_providers {
                ProvidersFlag::Used => Providers::Used,
                ProvidersFlag::All => Providers::All,
            },
            ..supply::Options::new(dirs::cache()?)
        };
        Ok(match &self.external_secrets {
            Some(program) => options.with_operator(program),
            None => options,
        })
    }
}

impl Target {
    fn options(&self, seed: u64) -> anyhow::Result<Options> {
        Ok(Options {
            config: self.config.clone(),
            parameters: self.rendering.parameters()?,
            intent: self.intent.clone(),
            control_plane: self.control_plane.clone(),
            consumers: self.consumers.clone(),
            also_apply: self.also_apply.iter().cloned().collect(),
            cluster: self.cluster,
            engine: self.engine.clone(),
            properties: Vec::new(),
            cases: 1,
            lanes: self.lanes,
            only: None,
            seed,
            out: self.out.clone(),
            time: match self.time {
                TimeFlag::AsIs => Time::AsIs,
                TimeFlag::Compressed => Time::Compressed,
            },
            keep: self.keep,
            strict: self.strict,
            shrink: Duration::from_secs(self.shrink),
            images: self.images.clone(),
            trail: None,
            components: self.programs.options()?,
        })
    }
}

/// Reads a configuration for a command that needs no cluster of its own. Gives its path for messages.
async fn load(
    directory: Option<&Path>,
    rendering: &Rendering,
    options: &supply::Options,
) -> anyhow::Result<(String, Config)> {
    let (path, manifests) = read(directory, rendering, options).await?;
    let schema = load::schema(options, &Console::stderr()).await?;
    Ok((path, Config::checked(manifests, &schema).map_err(RunError::from)?))
}

/// Demands of a configuration, as its team intends.
async fn understand(config: &Config, directory: Option<&Path>, intent: Option<&Path>) -> anyhow::Result<Model> {
    Ok(load::understand(config, load::intent(directory, intent).await?.as_ref())?)
}

/// Reads the manifests of a configuration, rendered if it has to be.
async fn read(
    directory: Option<&Path>,
    rendering: &Rendering,
    options: &supply::Options,
) -> anyhow::Result<(String, Vec<Manifest>)> {
    let parameters = rendering.parameters()?;
    let scratch = tempfile::tempdir().context("failed to make a temporary directory")?;
    Ok(load::load(directory, &parameters, scratch.path(), options, &Console::stderr()).await?)
}

/// A seed that a person can type.
fn random_seed() -> u64 {
    let micros = jiff::Timestamp::now().as_microsecond();
    micros.unsigned_abs() % 1_000_000_000
}

async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let console = Arc::new(Console::stderr());
    let events: Arc<dyn Events> = Arc::<Console>::clone(&console);
    let stop = Stop::default();
    let interrupted = tokio::spawn(signals::stop_on_signal(stop.clone()));
    let (report, written) = tokio::select! {
        outcome = run::run(&options, &events, &stop) => outcome?,
        // The second signal does not wait for a report; what was started ends with this process.
        () = signals::second_signal(interrupted) => anyhow::bail!("interrupted"),
    };
    console.print_summary(&report, &written).context("failed to print the summary")?;
    Ok(report.exit_code())
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
                || error.downcast_ref().is_some_and(OperatorError::is_usage)
                || error.downcast_ref().is_some_and(ComponentError::is_usage)
                || matches!(error.downcast_ref(), Some(MonitorError::Listen { .. } | MonitorError::NoOperator))
        }
    };
    if is_usage { ExitCode::Usage } else { ExitCode::Unknown }
}
