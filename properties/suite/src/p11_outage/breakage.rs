//! Makes a fault, and takes it back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::{FIELD_MANAGER, RUN_LABEL};
use credence_cluster::cluster::{ClusterError, Component, Replacement};
use credence_cluster::faults::proxy::Mode;
use credence_cluster::vault::{Vault, VaultError};
use credence_core::text::chain;
use credence_model::config::{ClusterSecretStore, SourceRef};
use credence_model::model::{Distribution, Model, PROPAGATION_SLACK};
use credence_model::values::World;
use credence_programs::process::Paused;
use credence_watch::wait::{self, Progress, WaitError};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::Value;
use tokio::time::Instant;

use super::fault::Fault;
use super::fixture::Means;
use super::loss::{can_go, keys_to_lose};
use super::rights::{Revoked, RightsError};
use super::scope::Scope;
use crate::supplies::FaultProxies;
use crate::testbed::TestBed;
use crate::testbed::operator_api;
use crate::testbed::sources::{ExclusiveLease, Part, SourceError, Withdrawn};
use crate::testbed::vault_login::{self, VaultLoginError};

/// Time between two polls of what cannot be watched.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Time that a program may take to stand still once it was told.
const STANDS: Duration = Duration::from_secs(5);

/// Error of etcd when its quota is used up.
const NO_SPACE: &str = "database space exceeded";

/// A fault could not be made or taken back.
#[derive(Debug, thiserror::Error)]
pub(super) enum BreakageError {
    /// A source could not be taken away, written or put back.
    #[error("failed to change the source")]
    Source(#[from] SourceError),
    /// The rights of a store could not be changed.
    #[error("failed to change the rights of a store")]
    Rights(#[from] RightsError),
    /// Vault could not be sealed or unsealed.
    #[error("failed to seal or unseal Vault")]
    Vault(#[from] VaultError),
    /// The login of a store at Vault could not be ended or made anew.
    #[error(transparent)]
    VaultLogin(#[from] VaultLoginError),
    /// A program could not be stopped or started.
    #[error("failed to cause the outage of a program")]
    Cluster(#[from] ClusterError),
    /// It did not take place.
    #[error("failed to make an outage")]
    Wait(#[from] WaitError),
    /// There is nothing to make it with.
    #[error("failed to cause an outage: {0}")]
    Nothing(String),
}

/// The leases of a slot, taken in the order of the sources.
pub(super) type Leases = BTreeMap<SourceRef, ExclusiveLease>;

/// Writes new values to all sources; gives the instant of the last.
pub(super) async fn write(env: &TestBed, leases: &mut Leases, world: &World) -> Result<Instant, SourceError> {
    let mut written = Instant::now();
    for (source, lease) in leases {
        if let Some(values) = world.get(source) {
            written = lease.write(&env.cluster.client, FIELD_MANAGER, values).await?;
        }
    }
    Ok(written)
}

/// A fault that is on.
pub(super) struct Broken {
    proxies: Arc<FaultProxies>,
    undo: Undo,
    /// Connections that each store's proxy had taken before.
    contacts: BTreeMap<String, u64>,
}

enum Undo {
    Nothing,
    Connection,
    Sources(BTreeMap<SourceRef, Withdrawn>),
    Rights(Revoked),
    Sealed(Arc<Vault>),
    Login(Arc<Vault>),
    Running(Paused),
    Start(Component),
    Replacement,
    Etcd,
    ControlPlane,
}

impl Broken {
    /// Makes a fault. One that is over at once is over when this ends.
    pub(super) async fn make(
        env: &TestBed,
        means: &Means,
        scope: &Scope,
        leases: &Leases,
        fault: Fault,
    ) -> Result<Self, BreakageError> {
        let proxies = &means.proxies;
        let undo = match fault {
            Fault::Connection(mode) => {
                set(proxies, scope, mode);
                Undo::Connection
            }
            Fault::SourceDeleted | Fault::KeyDeleted(_) | Fault::SourceUntagged => {
                Undo::Sources(withdraw(env, leases, fault).await?)
            }
            Fault::RightsRevoked | Fault::StoreNotReady => Undo::Rights(Revoked::revoke(env, scope).await?),
            Fault::VaultSealed => Undo::Sealed(seal(means).await?),
            Fault::VaultLoginEnded => Undo::Login(end_logins(env, means, scope).await?),
            Fault::OperatorKilled => {
                env.cluster.stop(Component::ExternalSecrets).await?;
                Undo::Start(Component::ExternalSecrets)
            }
            Fault::OperatorPaused => Undo::Running(pause(env).await?),
            Fault::OperatorRestarted => {
                restart(env, Component::ExternalSecrets).await?;
                Undo::Nothing
            }
            Fault::ApiServerRestarted => {
                env.cluster.stop(Component::ApiServer).await?;
                Undo::Start(Component::ApiServer)
            }
            Fault::OperatorReplaced(how) => {
                replace_operator(env, how).await?;
                Undo::Replacement
            }
            Fault::EtcdFull => {
                fill_etcd(env).await?;
                Undo::Etcd
            }
            Fault::ControlPlaneLost => {
                env.cluster.lose_control_plane().await?;
                Undo::ControlPlane
            }
        };
        let contacts = proxies.iter().map(|(store, proxy)| (store.clone(), proxy.connections()));
        Ok(Self { proxies: Arc::clone(proxies), undo, contacts: contacts.collect() })
    }

    /// Waits until External Secrets Operator has come to each of the stores of `distribution` since.
    pub(super) async fn until_contacted(
        &self,
        env: &TestBed,
        distribution: &Distribution,
        within: Duration,
    ) -> Result<(), BreakageError> {
        for store in &distribution.stores {
            let proxy = self.proxies.get(&store.name);
            let proxy = proxy.ok_or_else(|| BreakageError::Nothing(format!("no proxy before store {}", store.name)))?;
            let before = self.contacts.get(&store.name).copied().unwrap_or_default();
            proxy.until_contacted(&env.observer, before, within).await?;
        }
        Ok(())
    }

    /// Takes the fault back; a source that was taken away comes back with the values of `world`. Gives the instant from
    /// which everything can work again.
    pub(super) async fn heal(
        self,
        env: &TestBed,
        scope: &Scope,
        leases: &mut Leases,
        world: &World,
    ) -> Result<Instant, BreakageError> {
        match self.undo {
            Undo::Nothing => {}
            Undo::Connection => set(&self.proxies, scope, Mode::Open),
            Undo::Sources(withdrawn) => {
                for (source, lease) in leases {
                    let values = world.get(source).cloned().unwrap_or_default();
                    let client = &env.cluster.client;
                    match withdrawn.get(source) {
                        Some(part) => lease.put_back(client, FIELD_MANAGER, part, &values).await?,
                        None => lease.write(client, FIELD_MANAGER, &values).await?,
                    };
                }
            }
            Undo::Rights(revoked) => revoked.restore(env).await?,
            Undo::Sealed(vault) => {
                vault.unseal().await?;
                write(env, leases, world).await?;
            }
            Undo::Login(vault) => {
                for store in stores(env, scope) {
                    vault_login::renew(&env.cluster.client, &vault, &env.model, store).await?;
                }
            }
            Undo::Running(paused) => drop(paused),
            Undo::Start(component) => start(env, component).await?,
            Undo::Replacement => {
                if let Err(error) = env.cluster.end_replacement().await {
                    restart(env, Component::ExternalSecrets).await?;
                    return Err(error.into());
                }
            }
            Undo::Etcd => env.cluster.free_etcd().await?,
            Undo::ControlPlane => {
                if let Err(error) = env.cluster.bring_control_plane_back().await {
                    return Err(BreakageError::Nothing(env.cluster.mark_lost(error)));
                }
                env.until_synced().await?;
            }
        }
        Ok(Instant::now())
    }
}

fn set(proxies: &FaultProxies, scope: &Scope, mode: Mode) {
    for (_, proxy) in proxies.iter().filter(|(store, _)| scope.stores.contains(*store)) {
        proxy.set(mode);
    }
}

async fn withdraw(
    env: &TestBed,
    leases: &Leases,
    fault: Fault,
) -> Result<BTreeMap<SourceRef, Withdrawn>, BreakageError> {
    let mut withdrawn = BTreeMap::new();
    for (source, lease) in leases {
        if let Some(part) = lost_part(&env.model, source, fault) {
            let taken = lease.withdraw(&env.cluster.client, FIELD_MANAGER, part).await?;
            withdrawn.insert(source.clone(), taken);
        }
    }
    if withdrawn.is_empty() {
        return Err(BreakageError::Nothing("no source has such a part".to_owned()));
    }
    Ok(withdrawn)
}

/// Part that a source loses by a fault.
fn lost_part(model: &Model, source: &SourceRef, fault: Fault) -> Option<Part> {
    match fault {
        Fault::KeyDeleted(pick) => {
            let keys = keys_to_lose(model, source);
            (!keys.is_empty()).then(|| Part::Key((*pick.of(&keys)).clone()))
        }
        Fault::SourceUntagged => {
            let tags = &model.sources.get(source)?.tags;
            (!tags.is_empty() && can_go(model, source)).then(|| Part::Labels(tags.clone()))
        }
        _ => can_go(model, source).then_some(Part::Whole),
    }
}

fn vault(means: &Means) -> Result<Arc<Vault>, BreakageError> {
    means.vault.clone().ok_or_else(|| BreakageError::Nothing("no store reads from a Vault here".to_owned()))
}

async fn seal(means: &Means) -> Result<Arc<Vault>, BreakageError> {
    let vault = vault(means)?;
    vault.seal().await?;
    Ok(vault)
}

fn stores<'a>(env: &'a TestBed, scope: &'a Scope) -> impl Iterator<Item = &'a ClusterSecretStore> {
    let all = env.model.stores.values().filter(|store| scope.stores.contains(&store.name));
    all.filter(|store| store.is_served_by_vault())
}

/// Ends what the stores of a scope log in with at Vault. If one of them keeps its login, all have one again.
async fn end_logins(env: &TestBed, means: &Means, scope: &Scope) -> Result<Arc<Vault>, BreakageError> {
    let (client, vault) = (&env.cluster.client, vault(means)?);
    for store in stores(env, scope) {
        if let Err(error) = vault_login::end(client, &vault, store).await {
            for store in stores(env, scope) {
                vault_login::renew(client, &vault, &env.model, store).await?;
            }
            return Err(error.into());
        }
    }
    Ok(vault)
}

async fn replace_operator(env: &TestBed, how: Replacement) -> Result<(), BreakageError> {
    if let Err(error) = env.cluster.begin_replacement(how).await {
        // One that was stopped for it has to run whatever became of the other.
        start(env, Component::ExternalSecrets).await?;
        return Err(error.into());
    }
    Ok(())
}

/// Fills etcd and waits until it takes nothing more. If it goes on taking, it is emptied again.
async fn fill_etcd(env: &TestBed) -> Result<(), BreakageError> {
    env.cluster.fill_etcd().await?;
    if let Err(error) = until_refused(env).await {
        env.cluster.free_etcd().await?;
        return Err(error);
    }
    Ok(())
}

async fn pause(env: &TestBed) -> Result<Paused, BreakageError> {
    let paused = env.cluster.pause(Component::ExternalSecrets).await?;
    let paused = paused.ok_or_else(|| BreakageError::Nothing("External Secrets Operator does not run".to_owned()))?;
    let stands = wait::poll("External Secrets Operator stands still", STANDS, POLL_INTERVAL, || async {
        if paused.holds() { Progress::Done(()) } else { Progress::NotYet("it runs".to_owned()) }
    });
    stands.await?;
    Ok(paused)
}

/// Starts a program again. Without it nothing can be told any more, so its failure is the cluster's end.
pub(super) async fn start(env: &TestBed, component: Component) -> Result<(), BreakageError> {
    if let Err(error) = env.cluster.start_again(component).await {
        return Err(BreakageError::Nothing(env.cluster.mark_lost(error)));
    }
    if component == Component::ApiServer {
        env.until_synced().await?;
    }
    Ok(())
}

/// Kills a program and starts it again.
pub(super) async fn restart(env: &TestBed, component: Component) -> Result<(), BreakageError> {
    env.cluster.stop(component).await?;
    start(env, component).await
}

/// Waits until etcd refuses what is written for want of space (etcd, `ErrNoSpace` in api/v3rpc/rpctypes/error.go).
async fn until_refused(env: &TestBed) -> Result<(), BreakageError> {
    let maps: Api<ConfigMap> = Api::namespaced(env.cluster.client.clone(), "default");
    let labels = BTreeMap::from([(RUN_LABEL.to_owned(), env.namespaces.run().to_owned())]);
    let generate_name = Some("credence-full-".to_owned());
    let metadata = ObjectMeta { generate_name, labels: Some(labels), ..ObjectMeta::default() };
    let map = ConfigMap { metadata, ..ConfigMap::default() };
    let refused = wait::poll("etcd refuses a write", STANDS, POLL_INTERVAL, || async {
        match maps.create(&PostParams::default(), &map).await {
            Ok(made) => {
                // The next sweep finds what cannot be deleted now.
                maps.delete(&made.name_any(), &DeleteParams::default()).await.ok();
                Progress::NotYet("it takes one".to_owned())
            }
            Err(kube::Error::Api(status)) if status.message.contains(NO_SPACE) => Progress::Done(()),
            Err(error) => Progress::NotYet(chain(&error)),
        }
    });
    Ok(refused.await?)
}

/// Waits until each store of a distribution says that it is not ready.
pub(super) async fn until_not_ready(env: &TestBed, distribution: &Distribution) -> Result<(), BreakageError> {
    for store in &distribution.stores {
        let stores = operator_api::api(&env.cluster.client, store.kind(), store.namespace());
        let what = format!("store {} says that it is not ready", store.name);
        let bound = store.validated_every() + PROPAGATION_SLACK;
        let not_ready = wait::poll(&what, bound, POLL_INTERVAL, || async {
            match stores.get(store.object_name()).await {
                Ok(seen) if says_not_ready(&seen.data) => Progress::Done(()),
                Ok(_) => Progress::NotYet("it is ready, or says nothing".to_owned()),
                Err(error) => Progress::NotYet(chain(&error)),
            }
        });
        not_ready.await?;
    }
    Ok(())
}

fn says_not_ready(store: &Value) -> bool {
    let conditions = store.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "False")
}
