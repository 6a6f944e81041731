//! The cluster of a session: one that is up already, and what stands before its API server.

use std::fs::File;
use std::path::Path;

use credence_cluster::cluster::{Cluster, ControlPlaneFiles};
use credence_cluster::faults::proxy::{Gate, GateError};
use credence_core::manifest::Manifest;
use credence_model::config::store_key;

use crate::options::UP;
use crate::supplies::Gates;

/// A gate for each store that reads Kubernetes Secrets.
pub(super) async fn open_gates(cluster: &Cluster, manifests: &[Manifest]) -> Result<Gates, GateError> {
    let (mut gates, description) = (Gates::new(), &cluster.description);
    let reads_kubernetes = |m: &&Manifest| m.object.pointer("/spec/provider/kubernetes").is_some();
    let is_store = |m: &&Manifest| ["ClusterSecretStore", "SecretStore"].contains(&m.kind());
    for store in manifests.iter().filter(is_store).filter(reads_kubernetes) {
        let gate = Gate::open(&description.url, description.host, cluster.authority()).await?;
        gates.insert(store_key(store), gate);
    }
    Ok(gates)
}

/// The cluster that `credence up` keeps, if it is ready, was started with the same files, and no other run is using it.
pub(super) async fn attach(state: &Path, files: &ControlPlaneFiles) -> Option<(Cluster, File)> {
    let directory = state.join("runs").join(UP);
    let lock = File::create(directory.join("run.lock")).ok()?;
    // Two runs on one cluster would rotate each other's sources.
    lock.try_lock().ok()?;
    let cluster = Cluster::attach(&directory).await.ok()?;
    (cluster.description.control_plane_files == files.digest()).then_some((cluster, lock))
}
