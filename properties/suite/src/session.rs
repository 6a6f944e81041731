//! A configuration deployed to a cluster, tested property by property, and reported.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use credence_cluster::apply::RUN_LABEL;
use credence_cluster::capability::Capability;
use credence_cluster::cluster::{ControlPlaneFiles, operator_identity};
use credence_cluster::providers::CLEAR;
use credence_cluster::{embedded, kind as kind_cluster, operator};
use credence_consumers::running::Preparation;
use credence_core::credential::Credential;
use credence_core::id::PropertyId;
use credence_core::left_out::LeftOut;
use credence_core::overlay_field::OverlayField;
use credence_model::applied;
use credence_model::config::{self, SourceRef};
use credence_model::model::Model;
use credence_model::overlay::{self, Server, StandInServer};
use credence_model::values::Values;
use credence_programs::dirs;
use credence_programs::external_secrets;
use credence_programs::run_dir::{self, RunDir};
use credence_programs::supply::{self, Part};
use credence_report::report::{self, Config, Phase, PropertyMeta, PropertyReport, Report, Resources};
use credence_report::verdict::Verdict;
use credence_watch::observer::Observer;
use credence_watch::own_usage::Usage;
use jiff::Timestamp;
use proptest::strategy::{Strategy, ValueTree};
use tokio::task::JoinHandle;

use crate::coverage;
use crate::driver::{Executed, Plan, Property, Registered};
use crate::error::RunError;
use crate::events::{Event, Events, PhaseTimer};
use crate::fixture::{Evidence, Fixture};
use crate::load;
use crate::options::{ClusterKind, Keep, Options};
use crate::p03_label_distribution::LabelDistribution;
use crate::p07_credential_types::labels_of_argo_cd;
use crate::registry::PROPERTIES;
use crate::reports::{self, Written};
use crate::stop::Stop;
use crate::supplies::{ConsumerSupply, FaultProxies, Need, Supplies, TemplateSupply};
use crate::testbed::namespaces::Namespaces;
use crate::testbed::sources::SourceError;
use crate::testbed::stores::Backends;
use crate::testbed::{TestBed, cleanup, deploy};
use crate::{generate, side_by_side};

mod cluster;
mod inputs;
mod kind;
mod name;

use cluster::{attach, open_proxies, stand_in};
use inputs::{control_plane, digest, endpoints, notes_of, replay_flags};
use kind::{KindInputs, find_engine};
use name::run_name;

/// What `--cluster auto` takes, what it goes without, and why.
const EMBEDDED: &str = "cluster: embedded, which needs no container engine and starts in seconds; kind would add the \
     operator in pods with its webhook, and a node set up by kubeadm: --cluster kind";

/// A configuration deployed to a cluster, and what has been found so far.
pub struct Session {
    options: Options,
    // What properties have set up goes before the cluster that it is part of.
    fixtures: Vec<Box<dyn Fixture>>,
    supplies: Arc<Supplies>,
    env: Arc<TestBed>,
    config: Config,
    phases: Vec<Phase>,
    properties: Vec<PropertyReport>,
    started: Timestamp,
    clock: Instant,
    /// The consumers, while they are being obtained.
    obtaining: Option<JoinHandle<()>>,
    /// Held for as long as this run has a cluster that others could attach to.
    _attached: Option<File>,
    /// The run's own directory where the cluster's belongs to another process. Goes last, with what others left in it.
    _own_directory: Option<Arc<RunDir>>,
}

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
        let template_directory = run.path().to_owned();

        let timer = PhaseTimer::begin(events.as_ref(), "configuration");
        let (path, manifests) = load::load(
            options.config.as_deref(),
            &options.parameters,
            run.path(),
            &options.components,
            events.as_ref(),
        )
        .await?;
        // Faults of the configuration and of the intent are told before anything is obtained or started.
        let intent = load::intent(options.config.as_deref(), options.intent.as_deref()).await?;
        let given = external_secrets::given(&options.components, events.as_ref()).await?;
        given.iter().flat_map(notes_of).for_each(|note| events.note(&note));
        let schema = load::schema(&options.components, events.as_ref()).await?;
        let written = load::understand(&config::Config::checked(manifests.clone(), &schema)?, intent.as_ref())?;
        let digest = digest(&manifests);
        let endpoints = endpoints(&options, run.path()).await?.intending(&written.endpoints);
        if let Some(given) = options.components.kargo.as_ref().filter(|_| needs(&options, Need::Consumers)) {
            events.note(&format!(
                "Kargo {} is given: {}",
                credence_consumers::kargo::version_of(given).await?,
                given.program.display()
            ));
        }
        let control_plane = control_plane(&options)?;
        let mut manifests = manifests;
        let generators = overlay::apply_generators(&mut manifests);
        let (mut manifests, left_out) = applied::select(manifests, &options.also_apply);
        for LeftOut { object, place, reason } in &left_out {
            events.note(&format!("not applied: {object} at {place}: {reason}"));
        }
        phases.push(timer.finish());

        let timer = PhaseTimer::begin(events.as_ref(), "programs");
        let progress = events.as_ref();
        let engine = match options.cluster {
            ClusterKind::Kind => Some(find_engine(options.engine.as_deref(), run.path(), events.as_ref()).await?),
            ClusterKind::Auto => {
                events.note(EMBEDDED);
                None
            }
            ClusterKind::Embedded => None,
        };
        let mut parts = Part::CONTROL_PLANE.to_vec();
        // A path that is no program is told before anything starts.
        parts.extend(Part::TEMPLATES.into_iter().filter(|part| options.components.overrides.contains_key(part)));
        parts.extend((options.cluster == ClusterKind::Kind).then_some(Part::Kind));
        let programs = supply::obtain(&options.components, &parts, progress).await?;
        let assets = external_secrets::assets(&options.components, progress).await?;
        let kind = match engine {
            Some(engine) => Some(KindInputs::obtain(engine, &options, events.as_ref()).await?),
            None => None,
        };
        phases.push(timer.finish());

        let timer = PhaseTimer::begin(events.as_ref(), "cluster");
        let files = control_plane.clone().unwrap_or_else(ControlPlaneFiles::reference);
        let attached = match kind {
            None => attach(&state, &files, &operator_identity(&programs, &assets)).await,
            Some(_) => None,
        };
        let report = |step: &str| events.note(&format!("kind: {step}"));
        let (mut cluster, lock, own_directory) = match (attached, kind) {
            (Some((cluster, lock)), _) => (cluster, Some(lock), Some(run)),
            (None, Some(kind)) => {
                (kind_cluster::start(run, &kind.setup(&programs, &assets, &files, &report)).await?, None, None)
            }
            (None, None) => (embedded::start(run, &programs, &assets, &files).await?, None, None),
        };
        phases.push(timer.finish());
        if lock.is_some() {
            events.note(&format!("attached to the cluster that is up in {}", cluster.directory().display()));
        }
        if options.keep == Keep::Always {
            cluster.keep_directory();
        }

        let timer = PhaseTimer::begin(events.as_ref(), "deploy");
        let stand_in = stand_in(&cluster, &manifests).await?;
        let proxies = match needs(&options, Need::StoreProxies) {
            true => open_proxies(&cluster, &manifests, stand_in.as_deref()).await?,
            false => FaultProxies::new(),
        };
        let server = Server {
            url: cluster.description.url_for_operator.clone(),
            proxies: proxies.iter().map(|(store, proxy)| (store.clone(), proxy.url())).collect(),
            stand_in: stand_in
                .as_ref()
                .map(|server| StandInServer { url: server.url(), certificate: server.authority().certificate() }),
        };
        let mut overlay = generators;
        overlay.extend(overlay::apply(&mut manifests, &server, options.time));
        overlay.extend(overlay::apply_identities(&mut manifests, &written.intended.identities, &operator::user()));
        let model = Model::derive(&config::Config::checked(manifests.clone(), &schema)?).intending(written.intended);
        let (model, unreadable) = model.readable();
        applied::replace_values(&mut manifests);
        let deployed = async {
            let mut removed = 0;
            if lock.is_some() {
                deploy::remove_previous(&cluster).await?;
                removed = cleanup::sweep(&cluster.client).await?;
            }
            let mut notes = deploy::deploy(&cluster, &manifests, &model.source_namespaces(), &model.assumed).await?;
            if removed > 0 {
                notes.push(format!("removed {removed} objects that an earlier run left"));
            }
            let observer = Observer::start(&cluster.client).await?.excluding(cluster.paused_time());
            let labels = BTreeMap::from([(RUN_LABEL.to_owned(), name.clone())]);
            let observer = observer.fenced(&cluster.client, &format!("credence-{name}-fence"), &labels).await?;
            Ok::<_, RunError>((notes, observer))
        };
        let (notes, observer) = tokio::select! {
            // A dead program explains a failed request better than the request does.
            biased;
            death = cluster.died() => return Err(death.into()),
            deployed = deployed => deployed?,
        };
        for note in notes.into_iter().chain(unreadable.iter().map(|unreadable| format!("not judged: {unreadable}"))) {
            events.note(&note);
        }
        let backends = stand_in.into_iter().fold(Backends::default(), Backends::standing_in);
        let mut env = TestBed::new(cluster, observer, model, Namespaces::new(&name), backends);
        env.model.outages_unsupported = env.cluster.supports(Capability::Outages).err().map(str::to_owned);
        env.model.undisturbed = cluster::undisturbed(&env.cluster);
        let own_directory = own_directory.map(Arc::new);
        let prepare = || Preparation::new(&options.components, endpoints.clone(), Arc::clone(events) as _);
        let consumers = needs(&options, Need::Consumers).then(|| {
            let labels = labels_of_argo_cd(&env.model, &endpoints);
            ConsumerSupply::new(prepare().with_argo_cd_labels(labels), own_directory.clone())
        });
        let composes = env.model.distributions.iter().any(|distribution| !distribution.composed.is_empty());
        let templates = (composes && needs(&options, Need::TemplateEngine))
            .then(|| TemplateSupply::new(&options.components, template_directory, Arc::clone(events) as _));
        let forge = needs(&options, Need::Forge)
            .then(|| ConsumerSupply::new(prepare().of_the_forge_alone(), own_directory.clone()));
        let supplies = Supplies { control_plane, proxies: Arc::new(proxies), consumers, forge, templates };
        let supplies = Arc::new(supplies);
        let env = Arc::new(env);
        env.namespaces.create_selected_by_name(&env).await?;
        write_sources(&env, options.seed).await?;
        phases.push(timer.finish());
        for OverlayField { object, field, value } in &overlay {
            events.note(&format!("overlay: {object}: {field} = {value}"));
        }
        let not_judged: Vec<String> = env.model.not_judged.iter().map(ToString::to_string).collect();
        for one in &not_judged {
            events.note(&format!("not judged: {one}"));
        }
        let config = Config { path, digest, overlay, left_out, not_judged };
        Ok(Self {
            options,
            fixtures: Vec::new(),
            supplies,
            env,
            config,
            phases,
            properties: Vec::new(),
            started,
            clock,
            obtaining: None,
            _attached: lock,
            _own_directory: own_directory,
        })
    }

    /// Begins to obtain the consumers, if a property wants them, while other properties run. They are started in the turn of
    /// that property: they would not survive the outages of another.
    pub fn obtain_consumers(&mut self) {
        if self.supplies.consumers.is_some() {
            let (env, supplies) = (Arc::clone(&self.env), Arc::clone(&self.supplies));
            // Whoever needs them asks for the outcome.
            self.obtaining = Some(tokio::spawn(async move { supplies.ready(&[Need::Consumers], &env).await }));
        }
    }

    /// Tests properties, side by side those that do not disturb each other.
    pub async fn test(&mut self, events: &dyn Events, properties: &[&dyn Registered], stop: &Stop) {
        let Options { seed, cases, only, shrink, lanes, .. } = self.options;
        let plan = Plan {
            seed,
            cases,
            only,
            shrink,
            replay_flags: replay_flags(&self.options),
            leaves_trail: self.options.trail.is_some(),
        };
        let (env, supplies, plan) = (&self.env, &*self.supplies, &plan);
        let participants = properties.iter().map(|property| property.participant(&env.model)).collect();
        let ready = |number: usize| properties[number].is_ready(env, supplies, stop);
        let run = |number: usize, turn| async move {
            let (property, timer) = (properties[number], Instant::now());
            let executed = property.execute(env, supplies, events, plan, stop, turn).await;
            let (meta, took) = (property.meta(), timer.elapsed());
            let (report, fixture) = match executed {
                Executed::Ran { records, execution, fixture } => {
                    (PropertyReport::from_records(&meta, &execution, &records), fixture)
                }
                Executed::Skipped(why) => (PropertyReport::skipped(&meta, &why), None),
            };
            events.event(&Event::PropertyEnded(&report));
            (Phase::new(&meta.id.to_string(), took), report, fixture)
        };
        for (phase, report, fixture) in side_by_side::run(participants, lanes.get(), ready, run).await {
            self.phases.push(phase);
            self.fixtures.extend(fixture);
            self.add(report);
        }
    }

    /// Why a property does not apply by the intent of the team; none if it does.
    pub fn not_applicable(&self, property: PropertyId) -> Option<String> {
        self.env.model.intended.not_applicable.get(&property).map(ToString::to_string)
    }

    /// Writes down that a property was not tested, and why.
    pub fn skip(&mut self, events: &dyn Events, meta: &PropertyMeta, reason: &str) {
        let report = PropertyReport::skipped(meta, reason);
        events.event(&Event::PropertyEnded(&report));
        self.add(report);
    }

    /// Keeps a report in the order of the registry.
    fn add(&mut self, report: PropertyReport) {
        let place = self.properties.partition_point(|other| other.id < report.id);
        self.properties.insert(place, report);
    }

    /// What was found out about a property, if it has been tested.
    pub fn report_of(&self, property: PropertyId) -> Option<&PropertyReport> {
        self.properties.iter().find(|report| report.id == property)
    }

    /// The run directory, with the logs of all programs.
    pub fn directory(&self) -> &Path {
        self.env.cluster.directory()
    }

    /// All values that the sources have now and had at the beginning: for a test that searches for them where they must
    /// not be.
    pub fn source_values(&self) -> Vec<Credential> {
        let now = self.env.sources.current();
        let model = &self.env.model;
        let initial = model.sources.keys().enumerate();
        let initial =
            initial.flat_map(|(index, name)| initial_values(model, self.options.seed, index, name).into_values());
        now.into_iter().chain(initial).collect()
    }

    /// Waits for clean-up, writes the reports and ends what this run started.
    ///
    /// # Errors
    /// When the reports cannot be written, or the cluster that is kept up cannot be cleaned.
    pub async fn finish(self, events: &dyn Events) -> Result<(Report, Written), RunError> {
        let (env, supplies, fixtures) = (self.env, self.supplies, self.fixtures);
        if let Some(obtaining) = self.obtaining {
            // What nobody waited for is of no use any more; what is being built goes on where it was another time.
            obtaining.abort();
            obtaining.await.ok();
        }
        for fixture in &fixtures {
            fixture.settle(&env).await;
        }
        env.settle().await;
        let mut properties = self.properties;
        let (left, mut inconclusive) = (env.namespaces.orphans(), env.namespaces.inconclusive());
        if env.cluster.lost().is_some() {
            // Nothing could be cleaned any more, and every verdict says so already.
            inconclusive.clear();
        }
        for reason in left.iter().map(|left| &left.reason) {
            events.note(&format!("left behind by the system under test: {reason}"));
        }
        // What namespaces keep after their labels are gone is what p03 claims, whichever property labelled them.
        let judges = properties.iter_mut().filter(|property| property.verdict != Verdict::Skipped);
        if let Some(judge) = judges.max_by_key(|property| property.id == LabelDistribution::META.id) {
            left.iter().for_each(|left| judge.add_violation(left));
            inconclusive.iter().for_each(|why| judge.add_inconclusive(why));
        }
        let mut phases = self.phases;
        phases.extend(fixtures.iter().filter_map(|fixture| fixture.phase()));
        let usage = Usage::now();
        let watches = env.observer.open_watches() as u64;
        let description = &env.cluster.description;
        let run = report::Run {
            seed: self.options.seed,
            strict: self.options.strict,
            started: self.started,
            finished: Timestamp::now(),
            config: self.config,
            cluster: report::Cluster { provider: description.provider.clone(), versions: description.versions.clone() },
            phases,
            copies: coverage::copies(&env.model),
            is_partial: self.options.is_partial(),
            resources: Resources::new(usage.cpu, self.clock.elapsed(), usage.peak_resident, watches),
        };
        let report = Report::new(run, properties);
        let written = reports::write(&self.options.out, &report)?;
        for fixture in &fixtures {
            if let Some(Evidence { name, path }) = fixture.evidence().await? {
                reports::copy_evidence(&self.options.out, name, &path)?;
            }
        }
        if !env.cluster.is_owned() && env.cluster.lost().is_none() {
            let timer = PhaseTimer::begin(events, "clean up");
            env.namespaces.remove_all(&env).await?;
            deploy::remove_previous(&env.cluster).await?;
            timer.finish();
        }
        let failed = report.exit_code().code() != 0;
        if failed {
            for fixture in &fixtures {
                fixture.save_logs().await;
            }
        }
        drop((fixtures, supplies));
        // Clean-up tasks hold the environment too; they are over by now, so this is its last owner.
        let Some(mut env) = Arc::into_inner(env) else { return Ok((report, written)) };
        if failed
            && self.options.keep == Keep::OnFailure
            && let Some(cluster) = Arc::get_mut(&mut env.cluster)
        {
            cluster.keep_directory();
            events.note(&format!("logs of all programs: {}", env.cluster.directory().display()));
        }
        Ok((report, written))
    }
}

/// True if a property that is to run needs it.
fn needs(options: &Options, need: Need) -> bool {
    PROPERTIES.iter().any(|property| options.wants(property.meta().id) && property.needs().contains(&need))
}

/// Gives each source generated values in place of the configuration's placeholders.
async fn write_sources(env: &TestBed, seed: u64) -> Result<(), SourceError> {
    for (index, (name, source)) in env.model.sources.iter().enumerate() {
        let values = initial_values(&env.model, seed, index, name);
        if let Some(mut lease) = env.sources.rotate(name).await {
            let labels = BTreeMap::from([(RUN_LABEL.to_owned(), env.namespaces.run().to_owned())]);
            lease.write_first(&env.cluster.client, &labels, &source.secret_type, &values).await?;
        }
    }
    Ok(())
}

/// The values that a source has before the first case.
fn initial_values(model: &Model, seed: u64, index: usize, name: &SourceRef) -> Values {
    let mut runner = generate::runner(seed, "sources", u32::try_from(index).unwrap_or_default());
    let strategy = generate::values_of(model, name, &model.sources[name].keys);
    // These strategies filter nothing, so they cannot be rejected.
    strategy.new_tree(&mut runner).expect("nothing is filtered").current()
}
