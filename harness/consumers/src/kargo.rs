//! Kargo's controller outside a pod: the user's own program, with settings and rights from the user's own chart.
//!
//! ```text
//!  chart ──helm──▶ definitions, ServiceAccount, roles, variables
//!  Warehouse ──▶ controller ──▶ git (wrapped), registry client ──CONNECT──▶ forge
//! ```
//!
//! It is not obtained by credence: its module is in no registry of Go modules, and its image is for clusters with nodes.
//!
//! What decides when Kargo 1.11 logs in to a repository, by `pkg/credentials/kubernetes`, `pkg/subscription` and
//! `pkg/controller/warehouses` of its source:
//! - It lists the Secrets of the project at each discovery, live and not from a cache, so a copy that has changed is used
//!   at once. Its ServiceAccount may read them only where Kargo's management controller has bound a role. That program
//!   does not run here, so each Warehouse comes with this binding.
//! - A discovery of commits lists the branch and clones it where it has moved; one of images lists tags, with a bearer
//!   token of its own each time, and reads the manifest and the configuration of the newest.
//! - A discovery that fails is tried again after 5 ms, then after twice as long each time, while the Warehouse stays
//!   unhealthy.

pub use credence_programs::supply::UserKargo;
use std::path::Path;
use std::time::Duration;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply;
use credence_cluster::cluster::{Cluster, SET_UP};
use credence_cluster::kubeconfig;
use credence_programs::helm::{self, Chart};
use credence_programs::process::{Death, Process};
use credence_watch::shared::SharedWatch;
use credence_watch::wait::{Progress, WaitError};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::controller_objects::{create, delete};
use crate::forge::Network;

mod error;
mod files;
pub mod login;
pub mod login_by_rules;
mod release;
mod warehouses;

pub use error::KargoError;
pub use warehouses::{Discovery, Failure, Generation, Subscription, Warehouse, WarehouseSeen};

use files::Files;
use release::Release;

/// The namespace of the controller, and the release's name.
pub const NAMESPACE: &str = "kargo";
/// The reason that a Warehouse gives when it could not ask a repository.
pub(crate) const DISCOVERY_FAILED: &str = "DiscoveryFailed";
/// Time that the program may take to say its version.
const VERSION: Duration = Duration::from_secs(20);
/// A Warehouse whose repository is nowhere (RFC 2606): that it fails is the controller's first sign of life.
const FIRST: Warehouse<'_> = Warehouse {
    namespace: NAMESPACE,
    name: "ready",
    subscription: Subscription::Git { repo_url: "https://kargo.invalid/o/ready.git", branch: "main" },
};

/// Checks that program and chart are what they should be, and gives the version that the program says it has.
///
/// # Errors
/// When one of them is something else.
pub async fn version_of(supplied: &UserKargo) -> Result<String, KargoError> {
    if !supplied.chart.is_file() && !supplied.chart.join("Chart.yaml").is_file() {
        return Err(KargoError::NoChart { path: supplied.chart.clone() });
    }
    let wrong = |message: String| KargoError::Program { path: supplied.program.clone(), message };
    let mut version = Command::new(&supplied.program);
    let output = timeout(VERSION, version.arg("version").kill_on_drop(true).output()).await;
    let output = output.map_err(|_| wrong(format!("no answer within {VERSION:?}")))?;
    let output = output.map_err(|error| wrong(error.to_string()))?;
    let no_version = || wrong("it does not say its version as that of the control plane does".to_owned());
    version_in(&output.stdout).ok_or_else(no_version)
}

fn version_in(said: &[u8]) -> Option<String> {
    let said: Value = serde_json::from_slice(said).ok()?;
    said["version"].as_str().filter(|version| !version.is_empty()).map(str::to_owned)
}

/// Inputs from which the controller is started.
pub struct Setup<'a> {
    /// An existing directory, for this controller alone.
    pub directory: &'a Path,
    /// The user's program and chart.
    pub supplied: &'a UserKargo,
    /// helm, which renders the chart.
    pub helm: &'a Path,
    /// Cluster whose API server the controller watches.
    pub cluster: &'a Cluster,
    /// Access of the controller to repositories.
    pub network: &'a Network,
}

/// A running controller. It ends when this is dropped; what it put into the cluster stays.
pub struct Kargo {
    account: String,
    warehouses: SharedWatch<WarehouseSeen>,
    process: Process,
}

impl Kargo {
    /// Installs Kargo, starts its controller, and waits until it looks at Warehouses.
    ///
    /// # Errors
    /// When the chart cannot be used, an object is refused, or the controller cannot be started, dies, or is not ready
    /// in time.
    pub async fn start(setup: &Setup<'_>) -> Result<Self, KargoError> {
        let Setup { directory, supplied, helm, cluster, network } = *setup;
        let client = &cluster.client;
        let chart = Chart { path: &supplied.chart, release: NAMESPACE, namespace: NAMESPACE, values: release::VALUES };
        let release = Release::of(helm::render(helm, &chart, directory).await?)?;
        let files = Files::write(directory, supplied, network)?;
        install(client, &release).await?;
        let administrator = &cluster.description.kubeconfig;
        kubeconfig::for_account(&files.kubeconfig(), administrator, client, NAMESPACE, &release.account)
            .await
            .map_err(|error| KargoError::Kubeconfig(Box::new(error)))?;
        let process = Process::start(&files.controller(supplied, &release, network))?;
        let all = Api::all_with(client.clone(), &warehouses::kind());
        let warehouses = SharedWatch::open(all, "Warehouses", WarehouseSeen::of).await?;
        let kargo = Self { account: release.account, warehouses, process };
        tokio::select! {
            ready = kargo.until_ready(client) => ready?,
            death = kargo.died() => return Err(death),
        }
        Ok(kargo)
    }

    async fn until_ready(&self, client: &Client) -> Result<(), KargoError> {
        let asked = self.subscribe(client, &FIRST).await?;
        self.until(FIRST.namespace, FIRST.name, "Kargo's controller ready", SET_UP, |seen| {
            match seen.and_then(|seen| seen.discovery(asked)) {
                Some(_) => Progress::Done(()),
                None => Progress::NotYet("it has not looked at a Warehouse".to_owned()),
            }
        })
        .await?;
        self.unsubscribe(client, FIRST.namespace, FIRST.name).await
    }

    /// The controller, to be written down by whoever has to end it should this process die.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Resolves when the controller ends by itself.
    pub async fn died(&self) -> KargoError {
        Death::of(&self.process, self.process.ended().await).into()
    }

    /// Creates a Warehouse, and lets the controller read the Secrets of its namespace.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn subscribe(&self, client: &Client, warehouse: &Warehouse<'_>) -> Result<Generation, KargoError> {
        let Warehouse { namespace, name, .. } = *warehouse;
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
        let binding = warehouses::binding(warehouse, &self.account);
        create::<_, KargoError>(&bindings, binding, "let Kargo read Secrets for", name).await?;
        let api = warehouses::api(client, namespace);
        let created = create::<_, KargoError>(&api, warehouses::object(warehouse), "create Warehouse", name).await?;
        Ok(generation(&created))
    }

    /// Has a Warehouse discover again; `change` must be another number each time.
    ///
    /// # Errors
    /// When there is no such Warehouse or the API server refuses.
    pub(crate) async fn discover_again(
        &self,
        client: &Client,
        namespace: &str,
        name: &str,
        change: u32,
    ) -> Result<Generation, KargoError> {
        let patch = Patch::Merge(warehouses::change(change));
        let patched = warehouses::api(client, namespace).patch(name, &PatchParams::default(), &patch).await;
        Ok(generation(&patched.map_err(request("change Warehouse", name))?))
    }

    /// Waits until `step`, asked at each change to any Warehouse, is done with this one.
    ///
    /// # Errors
    /// When the deadline passes, when `step` says never, or when the watch has lost sight of the cluster.
    pub async fn until<T>(
        &self,
        namespace: &str,
        name: &str,
        what: &str,
        within: Duration,
        step: impl FnMut(Option<&WarehouseSeen>) -> Progress<T>,
    ) -> Result<T, WaitError> {
        self.warehouses.until((namespace, name), what, within, step).await
    }

    /// Deletes a Warehouse, with the controller's right that came with it. One that is gone already is as good.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(crate) async fn unsubscribe(&self, client: &Client, namespace: &str, name: &str) -> Result<(), KargoError> {
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
        delete::<_, KargoError>(&warehouses::api(client, namespace), name, "delete Warehouse").await?;
        delete(&bindings, &warehouses::binding_name(name), "delete RoleBinding").await
    }
}

/// Installs what the controller needs, and removes what an earlier run that was killed left of its own.
async fn install(client: &Client, release: &Release) -> Result<(), KargoError> {
    apply::install(client, &release.definitions, NAMESPACE, &release.objects).await?;
    let api = warehouses::api(client, NAMESPACE);
    delete::<_, KargoError>(&api, FIRST.name, "delete Warehouse").await?;
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), NAMESPACE);
    delete(&bindings, &warehouses::binding_name(FIRST.name), "delete RoleBinding").await
}

fn generation(warehouse: &DynamicObject) -> Generation {
    Generation(warehouse.metadata.generation.unwrap_or_default())
}

fn request(act: &'static str, object: &str) -> impl Fn(kube::Error) -> KargoError + use<> {
    ApiError::of(act, object)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use credence_programs::process::test_program;

    use super::*;

    fn supplied(directory: &Path, says: &str) -> UserKargo {
        let (program, chart) = (directory.join("kargo"), directory.join("chart"));
        test_program::write(&program, &format!("#!/bin/sh\necho '{says}'\n"));
        fs::create_dir(&chart).unwrap();
        fs::write(chart.join("Chart.yaml"), "name: kargo\n").unwrap();
        UserKargo { program, chart }
    }

    #[tokio::test]
    async fn the_control_plane_says_its_version() {
        let directory = tempfile::tempdir().unwrap();
        let supplied = supplied(directory.path(), "{\"version\": \"v1.11.2\", \"gitCommit\": \"0\"}");
        assert_eq!(version_of(&supplied).await.unwrap(), "v1.11.2");
    }

    #[tokio::test]
    async fn what_is_no_control_plane_or_no_chart_is_refused_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let mut supplied = supplied(directory.path(), "Client Version: v1.11.2");
        let error = version_of(&supplied).await.unwrap_err().to_string();
        assert!(error.contains("kargo as Kargo's program"), "{error}");
        supplied.program = directory.path().join("nothing");
        assert!(matches!(version_of(&supplied).await, Err(KargoError::Program { .. })));
        supplied.chart = directory.path().to_owned();
        let error = version_of(&supplied).await.unwrap_err();
        assert!(matches!(&error, KargoError::NoChart { path } if path == directory.path()), "{error}");
    }
}
