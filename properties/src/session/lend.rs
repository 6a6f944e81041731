//! Clusters that sessions of one process use one after the other, each as if it were its own.
//!
//! Bringing a cluster up takes many times as long as cleaning one. A cluster is lent again only if it was seen to be as it
//! was before its first session: the configuration is gone, its admission policies are out of force, what cases made is
//! gone, and no object is there, is gone or is changed but those that the cluster itself makes. In doubt it ends, and the
//! next session starts a new one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use credence_harness::cluster::{Cluster, ControlPlaneFiles};
use futures::FutureExt;

use super::inventory::{Inventory, InventoryError};
use crate::console::Console;
use crate::copies::chain;
use crate::deploy::{self, DeployError};
use crate::driver::Property;
use crate::environment::Environment;
use crate::leftovers::{self, LeftoverError};
use crate::p07_credential_types::CredentialTypes;
use crate::p11_outage::Outage;
use crate::run::{ClusterKind, Options};

/// The set-up step in which a cluster is made ready that an earlier session used.
pub const LENT: &str = "lent cluster";
/// How long cleaning may take: a new cluster is up in less.
const CLEAN: Duration = Duration::from_secs(30);
/// Differences that are named in a message.
const NAMED: usize = 5;

/// Why a cluster is not lent again.
#[derive(Debug, thiserror::Error)]
enum LendError {
    /// A part of it ended.
    #[error("a part of it has ended: {0}")]
    Dead(String),
    /// What is in it was not looked at when it was new, or something still uses it.
    #[error("{0}")]
    Doubtful(&'static str),
    /// It could not be cleaned in time.
    #[error("it was not clean within {CLEAN:?}")]
    Slow,
    /// The configuration could not be removed.
    #[error("failed to remove the configuration")]
    Configuration(#[from] DeployError),
    /// What cases made could not be removed.
    #[error("failed to remove what cases made")]
    Leftovers(#[from] LeftoverError),
    /// It did not say what is in it.
    #[error("failed to see whether it is as it was")]
    Inventory(#[from] InventoryError),
    /// Something else is in it than before.
    #[error("it is not as it was: {0}")]
    Changed(String),
}

/// Clusters of this process that are free. They end when this is dropped.
#[derive(Default)]
pub struct Lender {
    free: Mutex<Vec<Lent>>,
}

impl std::fmt::Debug for Lender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lender").finish_non_exhaustive()
    }
}

struct Lent {
    cluster: Cluster,
    /// What was in it before its first session.
    before: Inventory,
}

/// The right of a session to a cluster that others use before or after it.
pub(super) struct Loan {
    lender: Arc<Lender>,
    before: Option<Inventory>,
}

impl Loan {
    /// The loan of a session with these options, if there is a lender and the session leaves a cluster as it was: it starts
    /// no node, ends no program of the cluster, and has no files of its own for the API server, by which it would judge
    /// what is in the audit log and in etcd.
    pub(super) fn of(options: &Options, control_plane: Option<&ControlPlaneFiles>) -> Option<Self> {
        let lender = options.lender.clone()?;
        let is_plain = options.cluster != ClusterKind::Kind && control_plane.is_none();
        let is_harmless = !options.wants(CredentialTypes::META.id) && !options.wants(Outage::META.id);
        (is_plain && is_harmless).then_some(Self { lender, before: None })
    }

    /// A cluster that is free and alive, if there is one.
    pub(super) async fn take(&mut self, console: &Console) -> Option<Cluster> {
        loop {
            let lent = self.lender.free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            match revive(lent.cluster).await {
                Ok(cluster) => {
                    self.before = Some(lent.before);
                    return Some(cluster);
                }
                Err(error) => console.note(&format!("a lent cluster ends: {}", chain(&error))),
            }
        }
    }

    /// Looks at what is in a cluster that was started for this loan, before anything is done with it.
    pub(super) async fn begin(&mut self, cluster: &Cluster, console: &Console) {
        match Inventory::take(&cluster.client).await {
            Ok(before) => self.before = Some(before),
            Err(error) => console.note(&format!("this cluster is not lent again: {}", chain(&error))),
        }
    }

    /// Cleans the cluster, sees that it is as it was before, and gives it back; else it ends.
    pub(super) async fn give_back(self, env: Environment, console: &Console) {
        let timer = console.phase("clean up");
        let cleaned = tokio::time::timeout(CLEAN, clean(env, self.before)).await;
        match cleaned.unwrap_or(Err(LendError::Slow)) {
            Ok(lent) => {
                self.lender.free.lock().unwrap_or_else(PoisonError::into_inner).push(lent);
                timer.finish();
            }
            Err(error) => console.note(&format!("this cluster is not lent again: {}", chain(&error))),
        }
    }
}

/// The cluster with a client of this runtime, if all its programs run.
async fn revive(cluster: Cluster) -> Result<Cluster, credence_harness::cluster::ClusterError> {
    match cluster.died().now_or_never() {
        Some(death) => Err(death),
        None => cluster.reconnect().await,
    }
}

async fn clean(env: Environment, before: Option<Inventory>) -> Result<Lent, LendError> {
    let before = before.ok_or(LendError::Doubtful("what was in it at first is not known"))?;
    if let Some(death) = env.death() {
        return Err(LendError::Dead(death));
    }
    // What watches the cluster ends here, and the run's own directory goes.
    let cluster = env.into_cluster().ok_or(LendError::Doubtful("something still uses it"))?;
    // Those of cases as well: a policy could hinder the removal of the rest.
    leftovers::sweep_policies(&cluster.client).await?;
    deploy::remove_previous(&cluster).await?;
    leftovers::sweep(&cluster.client).await?;
    let differences = Inventory::take(&cluster.client).await?.differences(&before);
    if !differences.is_empty() {
        let (named, more) = (differences.iter().take(NAMED), differences.len().saturating_sub(NAMED));
        let mut text = named.cloned().collect::<Vec<_>>().join(", ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        return Err(LendError::Changed(text));
    }
    match cluster.died().now_or_never() {
        Some(death) => Err(LendError::Dead(chain(&death))),
        None => Ok(Lent { cluster, before }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use credence_harness::components;

    use super::*;
    use crate::overlay::Time;
    use crate::registry;
    use crate::run::{Keep, LANES};

    fn options(properties: &[&str]) -> Options {
        Options {
            config: None,
            consumers: None,
            control_plane: None,
            cluster: ClusterKind::Embedded,
            lender: Some(Arc::default()),
            engine: None,
            properties: properties.iter().map(|id| registry::find(id).unwrap()).collect(),
            cases: 1,
            lanes: LANES,
            only: None,
            seed: 1,
            out: PathBuf::new(),
            time: Time::Compressed,
            keep: Keep::Never,
            strict: false,
            shrink: Duration::ZERO,
            images: Vec::new(),
            components: components::Options::new(PathBuf::new()),
        }
    }

    #[test]
    fn a_run_gets_a_lent_cluster_only_if_it_leaves_one_as_it_was() {
        let is_lent = |options: &Options, files: Option<&ControlPlaneFiles>| Loan::of(options, files).is_some();
        let own_files = ControlPlaneFiles::reference();
        assert!(is_lent(&options(&["p02", "p08"]), None));
        assert!(!is_lent(&options(&["p02", "p07"]), None), "its node would stay");
        assert!(!is_lent(&options(&["p11"]), None), "it ends programs of the cluster");
        assert!(!is_lent(&options(&[]), None), "all properties are those as well");
        assert!(!is_lent(&options(&["p09"]), Some(&own_files)), "it would read an older log");
        assert!(!is_lent(&Options { cluster: ClusterKind::Kind, ..options(&["p02"]) }, None));
        assert!(!is_lent(&Options { lender: None, ..options(&["p02"]) }, None));
    }
}
