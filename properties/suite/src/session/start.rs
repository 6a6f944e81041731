//! Start of a session: the configuration is read, the programs are obtained, and it is deployed to a cluster.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use credence_cluster::cluster::{Cluster, ControlPlaneFiles};
use credence_cluster::providers;
use credence_core::adjustments::OverlayField;
use credence_core::text::chain;
use credence_programs::dirs;
use credence_programs::run_dir::{self, RunDir};
use credence_report::report::{Config, Phase};
use jiff::Timestamp;

use super::cluster::{BroughtUp, bring_up};
use super::configuration::Configuration;
use super::demand::Demand;
use super::deployment::{Deployment, Place};
use super::name::run_name;
use super::programs::Obtained;
use super::sources::write_sources;
use super::{Session, second_cluster};
use crate::error::RunError;
use crate::events::{Events, PhaseTimer};
use crate::options::{Keep, Options};
use crate::supplies::Supplies;

impl Session {
    /// Sweeps what dead runs left, obtains the programs, reads the configuration, and deploys it.
    ///
    /// # Errors
    /// When one of these cannot be done.
    pub async fn start(options: Options, events: &Arc<dyn Events>) -> Result<Self, RunError> {
        if !options.provider().takes_images() && !options.images.is_empty() {
            return Err(RunError::Images);
        }
        let (started, clock) = (Timestamp::now(), Instant::now());
        let mut phases = Vec::new();
        let ready = Ready::bring_up(&options, events.as_ref(), &mut phases).await?;
        let Ready { name, scratch, configuration, cluster, lock, own_directory } = ready;

        let apart = second_cluster::properties(&options, &cluster);
        let here = second_cluster::without(&options, &apart);
        let timer = PhaseTimer::begin(events.as_ref(), "deploy");
        let place = Place { cluster, is_used: lock.is_some(), name: &name, directory: &scratch };
        let Deployment { bed, proxies, vault, derived, overlay } =
            Deployment::of(&configuration, place, &here, events.as_ref()).await?;
        let own_directory = own_directory.map(Arc::new);
        let demand = Demand {
            options: &here,
            model: &bed.model,
            endpoints: &configuration.endpoints,
            own_directory: own_directory.as_ref(),
            events,
        };
        let [templates, renderings] = demand.templates(scratch);
        let supplies = Supplies {
            consumers: demand.consumers(),
            forge: demand.forge(),
            templates,
            renderings,
            control_plane: configuration.control_plane,
            proxies: Arc::new(proxies),
            vault,
        };
        let env = Arc::new(bed);
        env.namespaces.create_selected_by_name(&env).await?;
        write_sources(&env, options.seed).await?;
        phases.push(timer.finish());
        let of_model = env.model.not_judged.iter().map(ToString::to_string);
        let not_judged = of_model.chain(configuration.vault.notes()).chain(derived).collect();
        let Configuration { path, digest, left_out, .. } = configuration;
        let config = Config { path, digest, overlay, left_out, not_judged };
        tell_differences(&config, events.as_ref());
        Ok(Self {
            options,
            fixtures: Vec::new(),
            supplies: Arc::new(supplies),
            env,
            config,
            phases,
            properties: Vec::new(),
            apart,
            second: None,
            started,
            clock,
            obtaining: None,
            _attached: lock,
            _own_directory: own_directory,
        })
    }
}

/// A configuration that was understood, and a cluster that it can be deployed to.
struct Ready {
    /// The name of the run.
    name: String,
    /// The directory of the run.
    scratch: PathBuf,
    configuration: Configuration,
    cluster: Cluster,
    /// Held as long as the session has the cluster, if that was up already.
    lock: Option<File>,
    /// The run's own directory where the cluster's belongs to another process.
    own_directory: Option<RunDir>,
}

impl Ready {
    async fn bring_up(options: &Options, events: &dyn Events, phases: &mut Vec<Phase>) -> Result<Self, RunError> {
        let state = dirs::state()?;
        sweep(&state, events)?;
        let name = run_name();
        let run = RunDir::create(&state, &name, providers::clear)?;
        let scratch = run.path().to_owned();

        let timer = PhaseTimer::begin(events, "configuration");
        let mut configuration = Configuration::read(options, &scratch, events).await?;
        phases.push(timer.finish());

        let timer = PhaseTimer::begin(events, "programs");
        let obtained = Obtained::obtain(options, &scratch, events).await?;
        configuration.vault.obtain(&options.components, events).await?;
        phases.push(timer.finish());

        let timer = PhaseTimer::begin(events, "cluster");
        let files = configuration.control_plane.clone().unwrap_or_else(ControlPlaneFiles::reference);
        let BroughtUp { mut cluster, lock, own_directory } =
            bring_up(run, &state, options.provider(), &files, obtained, events).await?;
        phases.push(timer.finish());
        if lock.is_some() {
            events.note(&format!("attached to the cluster that is up in {}", cluster.directory().display()));
        }
        if options.keep == Keep::Always {
            cluster.keep_directory();
        }
        Ok(Self { name, scratch, configuration, cluster, lock, own_directory })
    }
}

/// Removes what dead runs left on this machine, and says of what cannot be removed now why it stays.
fn sweep(state: &Path, events: &dyn Events) -> Result<(), RunError> {
    for (directory, why) in run_dir::sweep(state, providers::clear)?.left {
        let (directory, why) = (directory.display(), chain(&why));
        events.note(&format!("what an earlier run left in {directory} stays for now: {why}"));
    }
    Ok(())
}

/// Says in which fields the configuration was changed for the test, and what of it is not judged.
fn tell_differences(config: &Config, events: &dyn Events) {
    for OverlayField { object, field, value } in &config.overlay {
        events.note(&format!("overlay: {object}: {field} = {value}"));
    }
    for one in &config.not_judged {
        events.note(&format!("not judged: {one}"));
    }
}
