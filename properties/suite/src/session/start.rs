//! Start of a session: the configuration is read, the programs are obtained, and it is deployed to a cluster.

use std::sync::Arc;
use std::time::Instant;

use credence_cluster::cluster::ControlPlaneFiles;
use credence_cluster::providers::CLEAR;
use credence_consumers::running::Preparation;
use credence_core::adjustments::OverlayField;
use credence_model::model::Distribution;
use credence_programs::dirs;
use credence_programs::run_dir::{self, RunDir};
use credence_report::report::Config;
use jiff::Timestamp;

use super::cluster::{BroughtUp, bring_up};
use super::configuration::Configuration;
use super::deployment::{Deployment, Place};
use super::name::run_name;
use super::programs::Obtained;
use super::sources::write_sources;
use super::{Session, needs};
use crate::error::RunError;
use crate::events::{Events, PhaseTimer};
use crate::options::{ClusterKind, Keep, Options};
use crate::p07_credential_types::labels_of_argo_cd;
use crate::supplies::{ConsumerSupply, Need, Supplies, TemplateSupply};

impl Session {
    /// Sweeps what dead runs left, obtains the programs, reads the configuration, and deploys it.
    ///
    /// # Errors
    /// When one of these cannot be done.
    pub async fn start(options: Options, events: &Arc<dyn Events>) -> Result<Self, RunError> {
        if options.cluster != ClusterKind::Kind && !options.images.is_empty() {
            return Err(RunError::Images);
        }
        let (started, clock) = (Timestamp::now(), Instant::now());
        let mut phases = Vec::new();
        let state = dirs::state()?;
        for (directory, why) in run_dir::sweep(&state, CLEAR)?.left {
            events.note(&format!("what an earlier run left in {} stays for now: {why}", directory.display()));
        }
        let name = run_name();
        let run = RunDir::create(&state, &name, CLEAR)?;
        let scratch = run.path().to_owned();

        let timer = PhaseTimer::begin(events.as_ref(), "configuration");
        let mut configuration = Configuration::read(&options, &scratch, events.as_ref()).await?;
        phases.push(timer.finish());

        let timer = PhaseTimer::begin(events.as_ref(), "programs");
        let obtained = Obtained::obtain(&options, &scratch, events.as_ref()).await?;
        configuration.vault.obtain(&options.components, events.as_ref()).await?;
        phases.push(timer.finish());

        let timer = PhaseTimer::begin(events.as_ref(), "cluster");
        let files = configuration.control_plane.clone().unwrap_or_else(ControlPlaneFiles::reference);
        let BroughtUp { mut cluster, lock, own_directory } =
            bring_up(run, &state, &files, obtained, events.as_ref()).await?;
        phases.push(timer.finish());
        if lock.is_some() {
            events.note(&format!("attached to the cluster that is up in {}", cluster.directory().display()));
        }
        if options.keep == Keep::Always {
            cluster.keep_directory();
        }

        let timer = PhaseTimer::begin(events.as_ref(), "deploy");
        let place = Place { cluster, is_used: lock.is_some(), name: &name, directory: &scratch };
        let deployment = Deployment::of(&configuration, place, &options, events.as_ref()).await?;
        let Deployment { bed, proxies, vault, derived, overlay } = deployment;
        let own_directory = own_directory.map(Arc::new);
        let prepare =
            || Preparation::new(&options.components, configuration.endpoints.clone(), Arc::clone(events) as _);
        let consumers = needs(&options, Need::Consumers).then(|| {
            let labels = labels_of_argo_cd(&bed.model, &configuration.endpoints);
            ConsumerSupply::new(prepare().with_argo_cd_labels(labels), own_directory.clone())
        });
        let forge = needs(&options, Need::Forge)
            .then(|| ConsumerSupply::new(prepare().of_the_forge_alone(), own_directory.clone()));
        let composes = bed.model.distributions.iter().any(|distribution| !distribution.composed.is_empty());
        let engine = Arc::new(TemplateSupply::new(&options.components, scratch, Arc::clone(events) as _));
        let templates = (composes && needs(&options, Need::TemplateEngine)).then(|| Arc::clone(&engine));
        let is_needed = bed.model.distributions.iter().any(Distribution::needs_rendering);
        let renderings = (is_needed && needs(&options, Need::Renderings)).then_some(engine);
        let supplies = Supplies {
            control_plane: configuration.control_plane,
            proxies: Arc::new(proxies),
            vault,
            consumers,
            forge,
            templates,
            renderings,
        };
        let env = Arc::new(bed);
        env.namespaces.create_selected_by_name(&env).await?;
        write_sources(&env, options.seed).await?;
        phases.push(timer.finish());
        for OverlayField { object, field, value } in &overlay {
            events.note(&format!("overlay: {object}: {field} = {value}"));
        }
        let of_model = env.model.not_judged.iter().map(ToString::to_string);
        let not_judged: Vec<String> = of_model.chain(configuration.vault.notes()).chain(derived).collect();
        for one in &not_judged {
            events.note(&format!("not judged: {one}"));
        }
        let Configuration { path, digest, left_out, .. } = configuration;
        Ok(Self {
            options,
            fixtures: Vec::new(),
            supplies: Arc::new(supplies),
            env,
            config: Config { path, digest, overlay, left_out, not_judged },
            phases,
            properties: Vec::new(),
            started,
            clock,
            obtaining: None,
            _attached: lock,
            _own_directory: own_directory,
        })
    }
}
