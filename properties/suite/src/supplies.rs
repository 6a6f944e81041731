//! Supplies that a run sets up beside the test bed because a property that it runs needs them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use credence_cluster::cluster::ControlPlaneFiles;
use credence_cluster::faults::proxy::FaultProxy;
use credence_cluster::vault::Vault;
use credence_consumers::running::{self, Consumers, Preparation, Setup, Site, StartError};
use credence_core::text::chain;
use credence_programs::esoctl::TemplateEngine;
use credence_programs::run_dir::RunDir;
use credence_programs::supply::{self, ComponentError, Part};
use tokio::sync::OnceCell;

use crate::testbed::TestBed;

/// Why audit policy and encryption cannot be judged.
const NO_CONTROL_PLANE: &str = "the configuration has no directory control-plane with audit-policy.yaml and \
     encryption-config.yaml; pass theirs with --control-plane DIR";

/// Advice where the template engine cannot be obtained.
pub(crate) const GIVE_ESOCTL: &str = "give the program with --program esoctl=PATH";

/// Needs of a property beside the test bed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Audit policy and encryption as part of the configuration under test. Without them, the property is skipped.
    ControlPlaneFiles,
    /// A fault proxy for each store, between External Secrets Operator and the API server that it reads sources from.
    StoreProxies,
    /// The forge, for those who log in with nothing but a copy and their own rules. Obtained like consumers.
    Forge,
    /// Consumers. Their programs are obtained while other properties run, and the property begins when they are there.
    Consumers,
    /// The operator's template engine, if a template composes anything. It is obtained while other properties run, too.
    TemplateEngine,
    /// The same engine, if it alone can tell what some key of a copy must hold.
    Renderings,
}

/// The fault proxies, by store.
pub(crate) type FaultProxies = BTreeMap<String, FaultProxy>;

/// Supplies of a run for those that [need](Need) them.
pub struct Supplies {
    /// Audit policy and encryption, if they belong to the configuration under test.
    pub control_plane: Option<ControlPlaneFiles>,
    /// The fault proxies; none unless a property needs them.
    pub proxies: Arc<FaultProxies>,
    /// Vault; none unless a store reads from it.
    pub vault: Option<Arc<Vault>>,
    /// The consumers; none unless a property needs them.
    pub consumers: Option<ConsumerSupply>,
    /// The template engine; none unless a property needs it.
    pub templates: Option<Arc<TemplateSupply>>,
    /// The same, where it alone can tell what some key of a copy must hold.
    pub renderings: Option<Arc<TemplateSupply>>,
    /// The forge alone; none unless a property needs it.
    pub forge: Option<ConsumerSupply>,
}

impl Supplies {
    /// Why a property with these `needs` cannot be told here, if so.
    pub fn missing(&self, needs: &[Need]) -> Option<String> {
        if needs.contains(&Need::ControlPlaneFiles) && self.control_plane.is_none() {
            return Some(NO_CONTROL_PLANE.to_owned());
        }
        let renderings = self.renderings.as_ref().filter(|_| needs.contains(&Need::Renderings))?;
        let why = chain(renderings.obtained.get()?.as_ref().err()?);
        Some(format!("a template composes what only the operator's own engine can tell: {why}; {GIVE_ESOCTL}"))
    }

    /// Resolves when what is `needed` is there, so that nobody waits for it who has begun.
    pub async fn ready(&self, needs: &[Need], bed: &TestBed) {
        if let Some(consumers) = self.of(needs) {
            consumers.obtain(bed).await;
        }
        if let Some(templates) = self.templates.as_ref().filter(|_| needs.contains(&Need::TemplateEngine)) {
            // Whoever uses it hears why it cannot be had.
            templates.obtain().await.ok();
        }
        if let Some(renderings) = self.renderings.as_ref().filter(|_| needs.contains(&Need::Renderings))
            && let Ok(engine) = renderings.obtain().await
        {
            bed.sources.renderings().use_engine(engine.clone());
        }
    }

    fn of(&self, needs: &[Need]) -> Option<&ConsumerSupply> {
        let consumers = self.consumers.as_ref().filter(|_| needs.contains(&Need::Consumers));
        consumers.or(self.forge.as_ref().filter(|_| needs.contains(&Need::Forge)))
    }

    /// The test bed for a property with these `needs`: its model knows what was obtained for them.
    pub(crate) fn bed<'a>(&'a self, needs: &[Need], bed: &'a Arc<TestBed>) -> &'a Arc<TestBed> {
        let consumers = self.of(needs);
        consumers.and_then(|consumers| consumers.obtained.get()).map_or(bed, |obtained| &obtained.bed)
    }
}

/// The consumers, from where they can be had to where they are started.
pub struct ConsumerSupply {
    preparation: Preparation,
    /// The run's own directory where the cluster's belongs to another process.
    own_directory: Option<Arc<RunDir>>,
    obtained: OnceCell<Obtained>,
}

/// Consumers that could be had.
struct Obtained {
    /// The same test bed, with those absent from its model that could not be had, each with the reason.
    bed: Arc<TestBed>,
    /// Inputs from which the others are started.
    setup: Option<Setup>,
}

/// Why there are no consumers.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerSupplyError {
    /// No consumer was obtained.
    #[error("no consumer could be obtained")]
    None,
    /// The forge, or a consumer that was obtained, did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl ConsumerSupply {
    /// Consumers that can be obtained as `preparation` says. Nothing is obtained yet.
    pub fn new(preparation: Preparation, own_directory: Option<Arc<RunDir>>) -> Self {
        Self { preparation, own_directory, obtained: OnceCell::new() }
    }

    /// Obtains the programs of those that can be had. Whoever asks first does so, while all others wait.
    pub async fn obtain(&self, bed: &TestBed) {
        let obtain = || async {
            let (absent, setup) = self.preparation.obtain(&bed.cluster).await;
            let mut model = bed.model.clone();
            model.absent_consumers = absent;
            model.endpoints = self.preparation.endpoints().clone();
            Obtained { bed: Arc::new(bed.with_model(model)), setup }
        };
        self.obtained.get_or_init(obtain).await;
    }

    /// Starts those that were obtained.
    ///
    /// # Errors
    /// When there are none, or when they do not start.
    pub async fn start(&self, bed: &TestBed) -> Result<Consumers, ConsumerSupplyError> {
        let setup = self.obtained.get().and_then(|obtained| obtained.setup.as_ref());
        let site = Site {
            cluster: Arc::clone(&bed.cluster),
            observer: Arc::clone(&bed.observer),
            run: bed.namespaces.run().to_owned(),
            own_directory: self.own_directory.clone(),
        };
        Ok(running::start(&site, setup.ok_or(ConsumerSupplyError::None)?).await?)
    }
}

/// The operator's template engine, from where it can be had.
pub struct TemplateSupply {
    options: supply::Options,
    /// For the templates that it is given.
    directory: PathBuf,
    progress: Arc<dyn supply::Progress>,
    obtained: OnceCell<Result<TemplateEngine, ComponentError>>,
}

impl TemplateSupply {
    /// An engine that can be obtained as `options` say and gets its templates in `directory`. Nothing is obtained yet.
    pub fn new(options: &supply::Options, directory: PathBuf, progress: Arc<dyn supply::Progress>) -> Self {
        Self { options: options.clone(), directory, progress, obtained: OnceCell::new() }
    }

    /// Gives the engine, or why it cannot be had. Whoever asks first obtains it, while all others wait.
    ///
    /// # Errors
    /// When it can be had neither way.
    pub async fn obtain(&self) -> Result<&TemplateEngine, &ComponentError> {
        let obtain = || async {
            let programs = supply::obtain(&self.options, &Part::TEMPLATES, self.progress.as_ref()).await?;
            Ok(TemplateEngine::new(programs.path(Part::Esoctl), &self.directory))
        };
        self.obtained.get_or_init(obtain).await.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supplies(control_plane: Option<ControlPlaneFiles>) -> Supplies {
        Supplies {
            control_plane,
            proxies: Arc::default(),
            vault: None,
            consumers: None,
            forge: None,
            templates: None,
            renderings: None,
        }
    }

    #[test]
    fn who_needs_the_files_of_the_api_server_is_told_that_the_configuration_has_none() {
        let needs = [Need::ControlPlaneFiles];
        assert!(supplies(None).missing(&needs).is_some_and(|why| why.contains("--control-plane DIR")));
        assert_eq!(supplies(Some(ControlPlaneFiles::reference())).missing(&needs), None);
        assert_eq!(supplies(None).missing(&[Need::StoreProxies, Need::Consumers]), None);
    }
}
