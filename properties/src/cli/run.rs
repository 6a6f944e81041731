//! `credence run` and `credence replay`.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use credence_cluster::providers::{self, PROVIDERS, Provider};
use credence_core::id::{CaseId, PropertyId};
use credence_core::text::Reason;
use credence_model::overlay::Time;
use credence_programs::pod_image::UserImage;
use credence_report::verdict::ExitCode;
use credence_suite::events::Events;
use credence_suite::options::{self, CASES, Keep, Options};
use credence_suite::registry;
use credence_suite::run;
use credence_suite::run::Stop;
use credence_suite::trail::Trail;

use super::configuration::Configuration;
use super::programs::Programs;
use super::signals;
use crate::console::Console;

/// Configuration to test, and options of the test.
#[derive(Debug, Clone, Args)]
pub(super) struct Target {
    #[command(flatten)]
    configuration: Configuration,
    /// Manifests of what uses the credentials: workloads with imagePullSecrets, Argo CD Applications, Kargo Warehouses, Flux
    /// sources. By default, and only without --config, those of the reference configuration.
    #[arg(long, value_name = "DIR")]
    consumers: Option<PathBuf>,
    /// Directory with the audit-policy.yaml and encryption-config.yaml of the API server; by default, the directory
    /// control-plane in the configuration.
    #[arg(long, value_name = "DIR")]
    control_plane: Option<PathBuf>,
    /// Also apply objects of this kind, such as Deployment, which are left out by default; may be repeated. Kinds that reach
    /// beyond the cluster are never applied.
    #[arg(long, value_name = "KIND")]
    also_apply: Vec<String>,
    /// Cluster to test on.
    #[arg(long, default_value = AUTO, value_parser = cluster_flag())]
    cluster: ClusterFlag,
    /// The Docker or Podman command for a kind cluster; by default, docker or podman from the PATH.
    #[arg(long, value_name = "COMMAND", env = "CREDENCE_ENGINE")]
    engine: Option<PathBuf>,
    /// An image from a registry for pods on a kind cluster, instead of one that credence builds, as in
    /// argo-cd=NAME@sha256:DIGEST; for external-secrets, argo-cd and redis; may be repeated.
    #[arg(long = "image", value_name = "PART=IMAGE")]
    images: Vec<UserImage>,
    /// Refresh intervals to test with.
    #[arg(long, value_enum, default_value_t = TimeFlag::Compressed)]
    time: TimeFlag,
    /// Number of slots of cases that run in parallel, over all properties; --lanes 1 runs one case at a time.
    #[arg(long, value_name = "N", default_value_t = options::LANES)]
    lanes: NonZero<usize>,
    /// Directory for the reports.
    #[arg(long, value_name = "DIR", default_value = "target/credence")]
    out: PathBuf,
    /// Keep the run directory, with the logs of all programs.
    #[arg(long, value_enum, default_value_t = Keep::Never)]
    keep: Keep,
    /// Count documented upstream bugs as failures.
    #[arg(long)]
    strict: bool,
    /// Seconds to spend on shrinking a failing case.
    #[arg(long, value_name = "SECONDS", default_value_t = 90)]
    shrink: u64,
    #[command(flatten)]
    programs: Programs,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// A property to run, by id or title; may be repeated. By default, all.
    #[arg(long = "property", short = 'p', value_name = "PROPERTY", value_parser = parse_property)]
    properties: Vec<PropertyId>,
    /// Number of cases of each property.
    #[arg(long, default_value_t = CASES, value_parser = clap::value_parser!(u32).range(1..))]
    cases: u32,
    /// Seed of all cases; by default, random.
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    target: Target,
}

/// The value that leaves the choice of a cluster open.
const AUTO: &str = "auto";

/// A kind of clusters; none for the default.
#[derive(Debug, Clone, Copy)]
struct ClusterFlag(Option<&'static dyn Provider>);

/// Parses the name of a kind of clusters, or [`AUTO`].
fn cluster_flag() -> impl TypedValueParser<Value = ClusterFlag> {
    let auto = PossibleValue::new(AUTO).help(providers::DEFAULT_HELP);
    let kinds = PROVIDERS.iter().map(|provider| PossibleValue::new(provider.id()).help(provider.help()));
    let named = |id: String| ClusterFlag(PROVIDERS.iter().copied().find(|provider| provider.id() == id));
    PossibleValuesParser::new([auto].into_iter().chain(kinds)).map(named)
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TimeFlag {
    /// Keep those of the configuration.
    AsIs,
    /// Shorten them to two seconds.
    Compressed,
}

fn parse_property(text: &str) -> Result<PropertyId, Reason> {
    registry::find(text).map_err(Reason::of)
}

impl Target {
    fn options(&self, seed: u64) -> anyhow::Result<Options> {
        let Configuration { directory, reading } = &self.configuration;
        Ok(Options {
            config: directory.clone(),
            parameters: reading.rendering.parameters()?,
            intent: reading.intent.clone(),
            control_plane: self.control_plane.clone(),
            consumers: self.consumers.clone(),
            also_apply: self.also_apply.iter().cloned().collect(),
            cluster: self.cluster.0,
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

/// Tests properties of a configuration.
pub(super) async fn run(command: Run, trail: Trail) -> anyhow::Result<ExitCode> {
    let Run { properties, cases, seed, target } = command;
    let seed = seed.unwrap_or_else(random_seed);
    test(Options { properties, cases, trail: Some(trail), ..target.options(seed)? }).await
}

/// Runs one recorded case again.
pub(super) async fn replay(case: CaseId, target: &Target, trail: Trail) -> anyhow::Result<ExitCode> {
    registry::find(&case.property.to_string())?;
    let options = target.options(case.seed)?;
    test(Options { properties: vec![case.property], only: Some(case.index), trail: Some(trail), ..options }).await
}

/// A seed that a person can type.
fn random_seed() -> u64 {
    let micros = jiff::Timestamp::now().as_microsecond();
    micros.unsigned_abs() % 1_000_000_000
}

async fn test(options: Options) -> anyhow::Result<ExitCode> {
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

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_cluster_is_asked_for_by_the_name_of_its_kind_or_left_open() {
        let parse = |name: &str| cluster_flag().parse_ref(&clap::Command::new("credence"), None, OsStr::new(name));
        for provider in PROVIDERS {
            assert_eq!(parse(provider.id()).unwrap().0.map(|found| found.id()), Some(provider.id()));
        }
        assert!(parse(AUTO).unwrap().0.is_none());
        assert!(parse("minikube").is_err());
    }
}
