//! The cluster of a session: one that is up already, and what stands before its API server.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use credence_cluster::capability::Capability;
use credence_cluster::cluster::{Cluster, ControlPlaneFiles, Description, describe, operator_identity};
use credence_cluster::faults::proxy::{FaultProxy, FaultProxyError};
use credence_cluster::providers::{Inputs, Provider};
use credence_cluster::stand_in::{StandIn, StandInError};
use credence_core::manifest::Manifest;
use credence_model::config::{is_store, stood_in_provider, store_key};
use credence_model::model::Disturbance;
use credence_programs::run_dir::RunDir;

use super::programs::Obtained;
use super::vault::Served;
use crate::error::RunError;
use crate::events::Events;
use crate::options::UP;
use crate::supplies::FaultProxies;

/// Stand-in for the providers of stores that are neither of Kubernetes nor `served` otherwise; none if there is no such store.
pub(super) async fn stand_in(
    cluster: &Cluster,
    manifests: &[Manifest],
    served: &BTreeSet<String>,
) -> Result<Option<Arc<StandIn>>, StandInError> {
    let stores = manifests.iter().filter(|manifest| is_store(manifest));
    let mut stores = stores.filter(|store| !served.contains(&store_key(store)));
    if stores.any(|store| stood_in_provider(&store.object).is_some()) {
        StandIn::start(cluster.description.host).await.map(|server| Some(Arc::new(server)))
    } else {
        Ok(None)
    }
}

/// A proxy for each store, in front of what has its sources.
pub(super) async fn open_proxies(
    cluster: &Cluster,
    manifests: &[Manifest],
    stand_in: Option<&StandIn>,
    vault: Option<&Served>,
) -> Result<FaultProxies, FaultProxyError> {
    let (mut proxies, description) = (FaultProxies::new(), &cluster.description);
    for store in manifests.iter().filter(|manifest| is_store(manifest)) {
        let stand_in = stand_in.filter(|_| stood_in_provider(&store.object).is_some());
        let vault = vault.filter(|served| served.stores.contains(&store_key(store)));
        let (url, authority) = match (vault, stand_in) {
            (Some(Served { vault, .. }), _) => (vault.url(), Some(vault.authority())),
            (None, Some(server)) => (server.url(), Some(server.authority())),
            (None, None) => (description.url.clone(), cluster.authority()),
        };
        proxies.insert(store_key(store), FaultProxy::open(&url, description.host, authority).await?);
    }
    Ok(proxies)
}

/// Disturbances that cannot be made on `cluster`, with the reason.
pub(super) fn undisturbed(cluster: &Cluster) -> BTreeMap<Disturbance, String> {
    let why = |disturbance| {
        let capability = match disturbance {
            Disturbance::Replicas => Capability::Replicas,
            Disturbance::LeaderElection => Capability::LeaderElection,
            Disturbance::ControlPlane => Capability::ControlPlane,
        };
        Some((disturbance, cluster.supports(capability).err()?.to_owned()))
    };
    Disturbance::ALL.into_iter().filter_map(why).collect()
}

/// The cluster that `credence up` keeps, if it is ready and of the wanted kind, was started with the same files and the same
/// `operator`, and no other run is using it.
async fn attach(
    state: &Path,
    provider: &dyn Provider,
    files: &ControlPlaneFiles,
    operator: &str,
) -> Option<(Cluster, File)> {
    let directory = state.join("runs").join(UP);
    if describe(&directory).ok()?.provider != provider.id() {
        return None;
    }
    let lock = File::create(directory.join("run.lock")).ok()?;
    // Two runs on one cluster would rotate each other's sources.
    lock.try_lock().ok()?;
    let cluster = Cluster::attach(&directory).await.ok()?;
    let Description { control_plane_files, operator: running, .. } = &cluster.description;
    (*control_plane_files == files.digest() && running == operator).then_some((cluster, lock))
}

/// The cluster of a session.
pub(super) struct BroughtUp {
    pub(super) cluster: Cluster,
    /// Held as long as the session has it, if it is one that was up already.
    pub(super) lock: Option<File>,
    /// The run's own directory, if the cluster's belongs to another process.
    pub(super) own_directory: Option<RunDir>,
}

/// Attaches to the cluster that is up, if it will do, or starts one.
pub(super) async fn bring_up(
    run: RunDir,
    state: &Path,
    provider: &dyn Provider,
    configured: &ControlPlaneFiles,
    obtained: Obtained,
    events: &dyn Events,
) -> Result<BroughtUp, RunError> {
    let Obtained { programs, assets, cluster } = obtained;
    if let Some((cluster, lock)) = attach(state, provider, configured, &operator_identity(&programs, &assets)).await {
        return Ok(BroughtUp { cluster, lock: Some(lock), own_directory: Some(run) });
    }
    let inputs = Inputs { programs: &programs, assets: &assets, configured };
    let cluster = cluster.start(run, &inputs, events).await?;
    Ok(BroughtUp { cluster, lock: None, own_directory: None })
}
