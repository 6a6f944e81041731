//! Namespaces for cases: a pool that is relabelled instead of created and deleted, [standing] ones that every case may look at, and
//! named ones behind a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use credence_cluster::apply::{FIELD_MANAGER, RUN_LABEL};
use credence_cluster::cluster::Cluster;
use credence_core::labels::Labels;
use credence_model::model::expected_in;
use credence_report::verdict::{Outcome, Violation};
use credence_watch::observer::Observer;
use credence_watch::wait::{self, Progress, WaitError};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::{OwnedMutexGuard, watch};

use crate::observation;
use crate::oracle::{self, Names};
use crate::testbed::TestBed;
use crate::testbed::background::Background;
use crate::testbed::known_bugs::{self, EXTERNAL_SECRET_STAYS, FINALIZER};

mod standing;

use standing::{Standing, labels_by_name};

/// Time that all namespaces of a run may take to go.
const REMOVED: Duration = Duration::from_secs(120);
/// Time between two looks at them.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Why a namespace could not be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum NamespaceError {
    #[error("failed to {act} namespace {namespace}")]
    Refused {
        act: &'static str,
        namespace: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// It did not become what it should.
    #[error("failed to settle namespace {namespace}")]
    Unsettled {
        namespace: String,
        #[source]
        source: WaitError,
    },
    /// Nobody but the team may label those that can get a copy.
    #[error(
        "no namespace that can get {copy} may be labelled for it: each is protected, or the team gave it another value of \
         the label"
    )]
    NotOurs { copy: String },
}

fn refused(act: &'static str, namespace: &str) -> impl FnOnce(kube::Error) -> NamespaceError {
    let namespace = namespace.to_owned();
    move |source| NamespaceError::Refused { act, namespace, source: Box::new(source) }
}

/// The namespaces of a run, and the clean-up of those that were given back. A clone has the same of both.
#[derive(Clone)]
pub struct Namespaces {
    pool: Arc<Pool>,
    clean_up: Arc<Background>,
}

struct Pool {
    run: String,
    next: AtomicU32,
    free: Mutex<BTreeSet<String>>,
    named: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Baseline>>>>,
    standing: Standing,
    orphans: Mutex<Vec<Violation>>,
    inconclusive: Mutex<Vec<String>>,
    /// Namespaces that are being cleaned.
    cleaning: watch::Sender<usize>,
}

/// The labels that a namespace has when no case has it; none before the first case has looked.
type Baseline = Option<BTreeMap<String, String>>;

/// One namespace that belongs to one case.
pub struct Lease {
    /// Name of the namespace.
    pub name: String,
    kind: LeaseKind,
}

enum LeaseKind {
    Pooled,
    /// A namespace of which there is only one, with the labels that it has when no case has it.
    Named {
        baseline: OwnedMutexGuard<Baseline>,
    },
}

impl Lease {
    /// The labels that the namespace has when no case has it.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        match &self.kind {
            LeaseKind::Pooled => &NONE,
            LeaseKind::Named { baseline } => baseline.as_ref().unwrap_or(&NONE),
        }
    }
}

impl Namespaces {
    /// An empty pool for a run.
    pub fn new(run: &str) -> Self {
        let pool = Pool {
            run: run.to_owned(),
            next: AtomicU32::new(0),
            free: Mutex::default(),
            named: Mutex::default(),
            standing: Standing::default(),
            orphans: Mutex::default(),
            inconclusive: Mutex::default(),
            cleaning: watch::Sender::default(),
        };
        Self { pool: Arc::new(pool), clean_up: Arc::default() }
    }

    /// The same pool, with clean-up that can be waited for alone.
    #[must_use]
    pub fn with_own_clean_up(&self) -> Self {
        Self { pool: Arc::clone(&self.pool), clean_up: Arc::default() }
    }

    /// Waits for the clean-up in `cluster` that is still going on.
    pub async fn settle(&self, cluster: &Cluster) {
        self.clean_up.settle(cluster).await;
    }

    /// A namespace without labels and copies: a free one of the pool, or a new one.
    ///
    /// # Errors
    /// When it cannot be created.
    pub async fn lease(&self, client: &Client) -> Result<Lease, NamespaceError> {
        let free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
        let name = match free {
            Some(name) => name,
            None => self.create(client, &BTreeMap::new()).await?,
        };
        Ok(Lease { name, kind: LeaseKind::Pooled })
    }

    /// True if a namespace is of the pool, and so was clean when it was leased.
    pub(crate) fn is_pooled(&self, name: &str) -> bool {
        name.strip_prefix("credence-")
            .and_then(|rest| rest.strip_prefix(self.run()))
            .is_some_and(|rest| rest.starts_with('-'))
    }

    /// Creates a namespace of this run with `labels` and gives its name. It is not part of the pool.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn create(&self, client: &Client, labels: &BTreeMap<String, String>) -> Result<String, NamespaceError> {
        let name = format!("credence-{}-{}", self.pool.run, self.pool.next.fetch_add(1, Ordering::Relaxed));
        self.create_named(client, &name, labels).await?;
        Ok(name)
    }

    pub(crate) async fn create_named(
        &self,
        client: &Client,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), NamespaceError> {
        let mut all = labels.clone();
        all.insert(RUN_LABEL.to_owned(), self.pool.run.clone());
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.to_owned());
        namespace.metadata.labels = Some(all);
        let api: Api<Namespace> = Api::all(client.clone());
        api.create(&PostParams::default(), &namespace).await.map(drop).map_err(refused("create", name))
    }

    /// Creates the namespaces whose names decide that they get copies, and those that an example of the intent names, where they
    /// do not exist, with the labels that they need beside the name. Those that are protected stay as they are.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn create_selected_by_name(&self, env: &TestBed) -> Result<(), NamespaceError> {
        let mut all = labels_by_name(&env.model);
        for name in env.model.intended.examples.iter().filter_map(|example| example.name.clone()) {
            all.entry(name).or_default();
        }
        let client = &env.cluster.client;
        for (name, labels) in &all {
            let has = env.observer.look(|view| view.namespace(name).map(|seen| seen.labels.clone()));
            match (has, env.model.intended.protected.contains(name)) {
                (Some(has), true) => self.pool.standing.note(name, &has),
                (Some(has), false) => self.pool.standing.join(client, name, &has, labels).await?,
                (None, true) => {}
                (None, false) => {
                    self.create_named(client, name, labels).await?;
                    self.pool.standing.note(name, labels);
                }
            }
        }
        Ok(())
    }

    /// True if a namespace has these labels from the beginning of the run to its end.
    pub(crate) fn stands(&self, name: &str, labels: &Labels) -> bool {
        self.pool.standing.has(name, labels)
    }

    /// A namespace of which there is only one, with the labels that it has when no case has it: they are what it gets back.
    /// Waits while another case has it.
    pub async fn lease_named(&self, name: &str, observer: &Observer) -> Lease {
        let lock = {
            let mut named = self.pool.named.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(named.entry(name.to_owned()).or_default())
        };
        let mut baseline = lock.lock_owned().await;
        // Looked at once: later on, what is seen may still be the labels of the case before.
        baseline.get_or_insert_with(|| {
            observer.look(|view| view.namespace(name).map(|seen| seen.labels.clone())).unwrap_or_default()
        });
        Lease { name: name.to_owned(), kind: LeaseKind::Named { baseline } }
    }

    /// Deletes every namespace of this run and waits until all are gone: for a cluster that lives on.
    ///
    /// # Errors
    /// When the API server refuses or a namespace stays.
    pub async fn remove_all(&self, env: &TestBed) -> Result<(), NamespaceError> {
        let client = &env.cluster.client;
        self.pool.standing.give_back(client).await?;
        let ours = env.observer.look(|view| {
            let ours = view.namespaces().filter(|(_, seen)| seen.labels.get(RUN_LABEL) == Some(&self.pool.run));
            ours.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        });
        for name in &ours {
            delete(client, name).await?;
            remove_finalizers(client, name).await?;
        }
        // What would show that the watches are open goes with them.
        let gone = wait::poll("all namespaces of the run gone", REMOVED, POLL_INTERVAL, || async {
            match env.observer.look(|view| ours.iter().find(|name| view.namespace(name).is_some())) {
                Some(name) => Progress::NotYet(format!("{name} is still there")),
                None => Progress::Done(()),
            }
        });
        gone.await.map_err(|source| NamespaceError::Unsettled { namespace: self.pool.run.clone(), source })
    }

    /// Takes a namespace back: removes `labels`, waits in the background until its copies are gone, and pools it.
    pub fn give_back(&self, env: &Arc<TestBed>, lease: Lease, labels: BTreeSet<String>) {
        let env = Arc::clone(env);
        self.pool.cleaning.send_modify(|count| *count += 1);
        self.clean_up.spawn(async move {
            match env.namespaces.clean(&env, &lease, &labels).await {
                Ok(()) if matches!(lease.kind, LeaseKind::Pooled) => {
                    env.namespaces.pool.free.lock().unwrap_or_else(PoisonError::into_inner).insert(lease.name);
                }
                Ok(()) => {}
                Err(Outcome::Violated(left)) => env.namespaces.add_orphan(left),
                Err(Outcome::Unknown(why)) => env.namespaces.note_inconclusive(why.reason),
                Err(Outcome::Held) => {}
            }
            env.namespaces.pool.cleaning.send_modify(|count| *count -= 1);
        });
    }

    /// Waits until every namespace that was given back is clean.
    pub async fn cleaned(&self) {
        // The sender lives as long as this, so the channel cannot be closed.
        self.pool.cleaning.subscribe().wait_for(|count| *count == 0).await.ok();
    }

    /// Cleans a namespace. What the cluster did not answer, or what was out of sight, is no evidence against anybody.
    async fn clean(&self, env: &TestBed, lease: &Lease, labels: &BTreeSet<String>) -> Result<(), Outcome> {
        let unanswered = |error: &(dyn std::error::Error + 'static)| Outcome::Unknown(observation::unknown(error));
        let own = |key: &String| lease.labels().get(key).cloned();
        let before: BTreeMap<&String, Option<String>> = labels.iter().map(|key| (key, own(key))).collect();
        let relabelled = set_labels(&env.cluster.client, FIELD_MANAGER, &lease.name, &before).await;
        relabelled.map_err(|error| unanswered(&error))?;
        if matches!(lease.kind, LeaseKind::Named { .. }) {
            return Ok(());
        }
        // Some configurations give every namespace something, or every one but those that decline.
        let expected = expected_in(&env.model, &lease.name, &BTreeMap::new());
        let what = format!("namespace {} with no more than any has after its labels are gone", lease.name);
        let names = Names::of(&env.model);
        let empty = || {
            wait::until(&env.observer, &what, env.provisioning_bound(), |view| {
                let look = oracle::exact(view, &lease.name, &expected, &names);
                look.into()
            })
        };
        let Err(error) = empty().await else { return Ok(()) };
        let asked = expected.values().map(|distribution| distribution.external_secret.as_str()).collect();
        let nothing = BTreeMap::from([(lease.name.as_str(), asked)]);
        let orphaned = known_bugs::orphaned(env, &known_bugs::makers(&env.model), &nothing).await;
        let orphaned = orphaned.map_err(|error| unanswered(&error))?;
        if orphaned.is_empty() {
            return Err(observation::failed(&error));
        }
        known_bugs::sweep(&env.cluster.client, &orphaned).await.map_err(|error| unanswered(&error))?;
        empty().await.map_err(|error| observation::failed(&error))?;
        let names: Vec<&str> = orphaned.iter().map(|orphaned| orphaned.name.as_str()).collect();
        let reason = format!("namespace {} kept {} after its labels were gone", lease.name, names.join(", "));
        self.add_orphan(Violation { reason, known: Some(EXTERNAL_SECRET_STAYS) });
        Ok(())
    }

    /// The run that these namespaces belong to.
    pub fn run(&self) -> &str {
        &self.pool.run
    }

    /// Writes down something that the system under test should have removed and did not.
    pub fn add_orphan(&self, what: Violation) {
        self.pool.orphans.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn note_inconclusive(&self, why: String) {
        self.pool.inconclusive.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }

    /// Why it cannot be told of some namespaces whether anything was left behind in them.
    pub fn inconclusive(&self) -> Vec<String> {
        self.pool.inconclusive.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Objects that could not be cleaned up by taking labels away, and so were left behind by the system under test.
    pub fn orphans(&self) -> Vec<Violation> {
        self.pool.orphans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Sets labels of a namespace; a null removes one.
///
/// # Errors
/// When the API server refuses.
pub async fn set_labels<K: serde::Serialize + Ord, V: serde::Serialize>(
    client: &Client,
    manager: &str,
    namespace: &str,
    labels: &BTreeMap<K, V>,
) -> Result<(), NamespaceError> {
    let api: Api<Namespace> = Api::all(client.clone());
    let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    api.patch_metadata(namespace, &params, &Patch::Merge(json!({ "metadata": { "labels": labels } })))
        .await
        .map(drop)
        .map_err(refused("label", namespace))
}

/// Takes labels off a namespace.
///
/// # Errors
/// When the API server refuses.
pub async fn remove_labels<'a>(
    client: &Client,
    manager: &str,
    namespace: &str,
    keys: impl IntoIterator<Item = &'a String>,
) -> Result<(), NamespaceError> {
    let removed: BTreeMap<&String, Value> = keys.into_iter().map(|key| (key, Value::Null)).collect();
    set_labels(client, manager, namespace, &removed).await
}

/// Begins the deletion of a namespace.
///
/// # Errors
/// When the API server refuses.
pub async fn delete(client: &Client, namespace: &str) -> Result<(), NamespaceError> {
    let api: Api<Namespace> = Api::all(client.clone());
    match api.delete(namespace, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        outcome => outcome.map(drop).map_err(refused("delete", namespace)),
    }
}

/// Takes ESO's finalizers off a namespace, the only remedy for eso#6677.
///
/// # Errors
/// When the API server refuses.
pub async fn remove_finalizers(client: &Client, namespace: &str) -> Result<(), NamespaceError> {
    let api: Api<Namespace> = Api::all(client.clone());
    let Some(found) = api.get_metadata_opt(namespace).await.map_err(refused("read", namespace))? else {
        return Ok(());
    };
    let kept: Vec<&String> = found.metadata.finalizers.iter().flatten().filter(|f| !f.starts_with(FINALIZER)).collect();
    let patch = json!({ "metadata": { "finalizers": kept } });
    match api.patch_metadata(namespace, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        // Gone between the two requests: the finalizers are gone with it.
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(refused("take the finalizers off", namespace)(error)),
    }
}
