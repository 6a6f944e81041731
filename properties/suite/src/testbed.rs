//! What cases run against: one cluster, the configuration's model, its sources and the pool of namespaces.

use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZero;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use credence_cluster::cluster::{Cluster, ClusterError, ControlPlaneFiles};
use credence_cluster::evidence::audit::AuditLog;
use credence_cluster::faults::proxy::Gate;
use credence_cluster::operator;
use credence_consumers::running::{self, Consumers, Preparation, Setup, Site};
use credence_core::id::{CaseId, agent};
use credence_core::text::chain;
use credence_model::model::{Bound, Model, Tampering, Target};
use credence_programs::run_dir::RunDir;
use credence_watch::observer::Observer;
use credence_watch::wait::{self, Progress, WaitError};
use kube::Client;
use tokio::sync::{Mutex, OnceCell, oneshot};
use tokio::task::JoinSet;

use crate::p04_selector_patterns::Populations;
use crate::p08_access_control::Kinds;
use crate::schedule::MOST_NAMESPACES;
use crate::testbed::namespaces::Namespaces;
use crate::testbed::sources::Sources;

pub mod bindings;
pub mod denial;
pub mod deploy;
pub mod known_bugs;
pub mod leftovers;
pub mod namespaces;
pub mod operator_resync;
pub mod rotation;
pub mod settle;
pub mod sources;
pub mod tenant;

/// How long nothing may change before an absence is believed, after the case's positive twin has been served.
///
/// ESO handles each event of a namespace in one pass over all namespaces of a ClusterExternalSecret, so the pass
/// that served the twin has seen the namespace that must stay empty; the window covers what follows that pass.
pub const HOLD: Duration = Duration::from_millis(300);

/// How long the watches may take to see again, which they try every half second.
const SIGHT: Duration = Duration::from_secs(30);
/// How often is asked.
const EVERY: Duration = Duration::from_millis(50);

/// Namespaces that every bound allows for, with the clean-up of the cases before.
const BUSY: u32 = MOST_NAMESPACES;
/// Reconciles that ESO runs at the same time.
pub const WORKERS: NonZero<u32> = NonZero::new(operator::CONCURRENCY).expect("a constant above zero");

/// Why audit policy and encryption cannot be judged.
pub const NO_CONTROL_PLANE: &str = "the configuration has no directory control-plane with audit-policy.yaml and \
     encryption-config.yaml; pass theirs with --control-plane DIR";

/// Everything that a case needs.
pub struct Environment {
    // They go before the cluster that they are part of.
    consumers: OnceCell<Result<Consumers, String>>,
    /// What consumers are started from, once it has been obtained.
    setup: Option<Setup>,
    /// What that is obtained from, if a property wants it.
    preparation: Option<Preparation>,
    /// The same cluster with what could be obtained.
    equipped: OnceCell<Arc<Self>>,
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// What is seen of it.
    pub observer: Arc<Observer>,
    /// Audit policy and encryption, if they belong to the configuration under test.
    pub control_plane: Option<ControlPlaneFiles>,
    /// What stands between External Secrets Operator and the API server it reads sources from, by store: none unless the
    /// run makes outages.
    pub gates: Arc<BTreeMap<String, Gate>>,
    /// What the configuration asks for.
    pub model: Model,
    /// The sources and their leases.
    pub sources: Sources,
    /// The namespaces for cases.
    pub namespaces: Arc<Namespaces>,
    /// Namespaces that are truth tables, for p04.
    pub populations: Populations,
    /// The kinds that the cluster serves, for p08.
    pub kinds: Arc<Kinds>,
    /// Held by whoever changes an admission policy of the configuration.
    pub policies: Mutex<()>,
    /// Clean-up that goes on while the next cases run.
    background: std::sync::Mutex<JoinSet<()>>,
    /// Why the cluster is of no use any more.
    death: Arc<OnceLock<String>>,
    /// The run's own directory where the cluster's belongs to another process. Goes last, with what others left in it.
    own_directory: Option<Arc<RunDir>>,
}

impl Environment {
    /// Puts the parts together.
    pub fn new(cluster: Cluster, observer: Observer, model: Model, namespaces: Namespaces) -> Self {
        let sources = Sources::new(model.sources.keys().cloned());
        Self {
            consumers: OnceCell::new(),
            setup: None,
            preparation: None,
            equipped: OnceCell::new(),
            cluster: Arc::new(cluster),
            observer: Arc::new(observer),
            control_plane: None,
            gates: Arc::default(),
            model,
            sources,
            namespaces: Arc::new(namespaces),
            populations: Populations::default(),
            kinds: Arc::default(),
            policies: Mutex::default(),
            background: std::sync::Mutex::default(),
            death: Arc::default(),
            own_directory: None,
        }
    }

    /// The same cluster with more credentials in it: shares all but the consumers and its own clean-up.
    #[must_use]
    pub fn with_credentials(&self, more: &Model) -> Self {
        Self { model: self.model.with(more), sources: self.sources.with(more.sources.keys().cloned()), ..self.beside() }
    }

    /// The same cluster, with clean-up of its own and without consumers.
    fn beside(&self) -> Self {
        Self {
            consumers: OnceCell::new(),
            setup: None,
            preparation: None,
            equipped: OnceCell::new(),
            cluster: Arc::clone(&self.cluster),
            observer: Arc::clone(&self.observer),
            control_plane: self.control_plane.clone(),
            gates: Arc::clone(&self.gates),
            model: self.model.clone(),
            sources: self.sources.with([]),
            namespaces: Arc::clone(&self.namespaces),
            populations: Populations::default(),
            kinds: Arc::clone(&self.kinds),
            policies: Mutex::default(),
            background: std::sync::Mutex::default(),
            death: Arc::clone(&self.death),
            own_directory: self.own_directory.clone(),
        }
    }

    /// Lets consumers be obtained as `preparation` says.
    #[must_use]
    pub fn preparing(mut self, preparation: Preparation) -> Self {
        self.preparation = Some(preparation);
        self
    }

    /// The same cluster with the consumers that can be obtained; whoever asks first obtains them, while all others wait.
    /// Those that cannot be had are absent in its model, with the reason.
    pub async fn equipped(&self) -> &Arc<Self> {
        let equip = || async {
            let mut equipped = self.beside();
            if let Some(preparation) = &self.preparation {
                let (absent, setup) = preparation.obtain(&self.cluster).await;
                equipped.model.absent_consumers = absent;
                equipped.model.endpoints = preparation.endpoints().clone();
                equipped.setup = setup;
            }
            Arc::new(equipped)
        };
        self.equipped.get_or_init(equip).await
    }

    /// The same as [`equipped`](Self::equipped), if somebody has asked for it.
    pub fn if_equipped(&self) -> Option<&Arc<Self>> {
        self.equipped.get()
    }

    /// Ends the consumers.
    pub fn retire(&mut self) {
        self.equipped.take();
    }

    /// Keeps a directory of the run's own, for a cluster whose directory belongs to another process.
    #[must_use]
    pub fn with_directory(mut self, own: RunDir) -> Self {
        self.own_directory = Some(Arc::new(own));
        self
    }

    /// The cluster's audit log, if it has one and its policy belongs to the configuration under test.
    ///
    /// # Errors
    /// Why it says nothing about the configuration, and what to pass so that it does.
    pub fn audit_log(&self) -> Result<AuditLog, String> {
        if self.control_plane.is_none() {
            return Err(NO_CONTROL_PLANE.to_owned());
        }
        let path = self.cluster.description.audit_log.as_ref();
        path.map(|path| AuditLog::new(path))
            .ok_or_else(|| "the cluster has no audit log: there is no audit policy".into())
    }

    /// Where consumers run.
    fn site(&self) -> Site {
        Site {
            cluster: Arc::clone(&self.cluster),
            observer: Arc::clone(&self.observer),
            run: self.namespaces.run().to_owned(),
            own_directory: self.own_directory.clone(),
        }
    }

    /// The consumers; started by whoever asks first, while all others wait.
    ///
    /// # Errors
    /// Why they could not be started, as text, for every case that needs them.
    pub async fn consumers(&self) -> Result<&Consumers, String> {
        let start = || async {
            let setup = self.setup.as_ref().ok_or_else(|| "no consumer could be obtained".to_owned())?;
            running::start(&self.site(), setup).await.map_err(|error| chain(&error))
        };
        self.consumers.get_or_init(start).await.as_ref().map_err(Clone::clone)
    }

    /// The consumers, if they have been started.
    pub fn started_consumers(&self) -> Option<&Consumers> {
        self.consumers.get()?.as_ref().ok()
    }

    /// Goes on with `work` beside the cases.
    pub fn background(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.background.lock().unwrap_or_else(PoisonError::into_inner);
        // Finished tasks are taken out here, so that their number does not grow with the number of cases.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    /// Carries `work` to its end even if nobody waits for its outcome any more, so that what it changes for a while is
    /// changed back. None if it panicked.
    pub async fn to_the_end<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (sender, outcome) = oneshot::channel();
        self.background(async move { drop(sender.send(work.await)) });
        outcome.await.ok()
    }

    /// Waits for the clean-up that is still going on.
    pub async fn settle(&self) {
        let mut tasks = std::mem::take(&mut *self.background.lock().unwrap_or_else(PoisonError::into_inner));
        if self.death().is_some() {
            // There is nothing to clean any more, and nobody who would answer.
            return tasks.shutdown().await;
        }
        // A task that panicked has said so on standard error, and what it was to clean is swept with the run.
        while tasks.join_next().await.is_some() {}
    }

    /// Waits until the shared watches see the cluster again, after its API server was away.
    ///
    /// # Errors
    /// When they stay blind.
    pub async fn until_in_sight(&self) -> Result<(), WaitError> {
        wait::poll("the watches see the cluster again", SIGHT, EVERY, || async {
            self.observer.trouble().map_or(Progress::Done(()), Progress::NotYet)
        })
        .await
    }

    /// Why the cluster is of no use any more, if a part of it has died.
    pub fn death(&self) -> Option<String> {
        self.death.get().cloned()
    }

    /// Writes down that a part of the cluster has died, and gives the reason as text.
    pub fn bury(&self, error: ClusterError) -> String {
        self.death.get_or_init(|| error.to_string()).clone()
    }

    /// A client whose user agent names the case, so that audit entries join to it.
    pub fn client_for(&self, case: CaseId) -> Client {
        self.cluster.client_as(&agent(case))
    }

    /// How soon a change of labels must show when as many namespaces change as ask one ClusterExternalSecret at once.
    pub fn provisioning_bound(&self) -> Duration {
        Model::provisioning_bound(BUSY)
    }

    /// The same for one ClusterExternalSecret that selects all of these `namespaces`.
    pub fn provisioning_bound_of(&self, namespaces: usize) -> Duration {
        let namespaces = u32::try_from(namespaces).unwrap_or(u32::MAX);
        Model::provisioning_bound(BUSY.max(namespaces))
    }

    /// How soon an update must reach the copies of `target`, among as many dependents as there are at once.
    pub fn propagation_bound(&self, target: &Target) -> Bound {
        self.model.propagation_bound(target, BUSY, WORKERS)
    }

    /// How soon a copy of `target` must be what it was after it was changed by hand.
    pub fn healing_bound(&self, target: &Target, tampering: Tampering) -> Bound {
        self.model.healing_bound(target, tampering, BUSY, WORKERS)
    }

    /// How soon after an outage that lasted for `outage` the copies of `target` must follow their source again.
    pub fn recovery_bound(&self, target: &Target, outage: Duration) -> Bound {
        self.model.recovery_bound(target, outage, BUSY, WORKERS)
    }
}
