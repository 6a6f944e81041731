//! Argo CD: redis-server, repo-server and application-controller, as processes on loopback where there are no nodes, in
//! pods by its own manifests where there are.
//!
//! What decides when Argo CD 3.6.1 logs in to a repository, by `controller/state.go`, `reposerver/repository` and
//! `util/git` of its source:
//! - The controller reads credentials from an informer on the Secrets of its namespace and hands one to repo-server
//!   with each request. Repo-server keeps none.
//! - A hard refresh passes over the caches of manifests and of revisions, and over the grace period of errors: it asks
//!   the repository for its references, logged in from the first request on. An Application that follows a commit
//!   would not ask, so those here follow a branch.
//! - Only a commit that repo-server has not seen is fetched. Git then asks for the credential through a socket, after
//!   the server has refused it once without; it reads one line, so a token with a line break in it never fetches.
//!
//! So each hard refresh logs in, and one that finds a new commit does so twice. Resynchronising by time is off: what
//! else logs in is the controller's own look after it has deployed something.
//!
//! Memory: the controller takes 200 MB, and 380 MB while it deploys 40 Applications; repo-server takes 130 MB,
//! redis-server 12 MB.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::{self, Applier, FIELD_MANAGER};
use credence_cluster::containers::ContainerNetwork;
use credence_core::labels::Labels;
use credence_programs::process::Process;
use credence_watch::shared::SharedWatch;
use credence_watch::wait::{Progress, WaitError};
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::controller_objects::{self, create, gone_is_fine};
use crate::forge::Network;

mod applications;
mod error;
mod files;
mod image;
pub(crate) mod login;
mod objects;
mod pods;
mod processes;
mod settings;

pub(crate) use applications::ApplicationSeen;
pub(crate) use error::ArgoCdError;
pub(crate) use image::Images;

use pods::Pods;
use processes::Processes;

/// Programs that Argo CD needs on the `PATH`, and the package that has each on Debian.
const NEEDED: [(&str, &str); 2] = [("redis-server", "redis-server"), ("git", "git")];
/// The definitions that the controller needs; that of ApplicationSets, the largest, belongs to another controller.
const DEFINITIONS: [&str; 2] = ["application-crd.yaml", "appproject-crd.yaml"];
/// Time that an Application may take to go, with what it has deployed: an event that the controller misses on a busy machine
/// is made up for by its next periodic refresh, after 120 s and up to 60 more (`timeout.reconciliation` and its jitter).
const GONE: Duration = Duration::from_secs(200);

/// Source and destination of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Application<'a> {
    /// Its name, a DNS label.
    pub name: &'a str,
    /// URL that its source names, by which Argo CD finds credentials.
    pub repo_url: &'a str,
    /// The directory with the manifests. Argo CD manages nothing but ConfigMaps here.
    pub path: &'a str,
    /// The branch. A commit would be taken without asking the repository.
    pub branch: &'a str,
    /// The namespace that it deploys to, which must exist.
    pub namespace: &'a str,
    /// Its project; none for the default one.
    pub project: Option<&'a str>,
}

/// A hard refresh that was asked for; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Refresh(u64);

/// Inputs from which Argo CD is started.
pub(crate) struct Setup<'a> {
    /// A directory for it alone.
    pub directory: &'a Path,
    /// A copy of its source with `manifests` and `hack/git-verify-wrapper.sh`.
    pub assets: &'a Path,
    /// A client with an administrator's rights.
    pub client: &'a Client,
    /// Its route to the forge.
    pub network: &'a Network,
    pub place: ArgoCdPlacement<'a>,
    /// Its own namespace, where it looks for credentials.
    pub namespace: &'a str,
    pub labels: &'a Labels,
}

pub(crate) enum ArgoCdPlacement<'a> {
    /// On this machine, beside the cluster.
    Machine {
        /// Argo CD's multi-call binary.
        program: &'a Path,
        /// An administrator's: Argo CD's own installation gives the controller every right as well.
        kubeconfig: &'a Path,
    },
    /// In pods, with the rights of its own installation.
    Node {
        /// The network of the node, whose engine has the images.
        containers: &'a ContainerNetwork,
        images: &'a Images,
        /// The program that renders the manifests.
        kustomize: &'a Path,
    },
}

/// A running Argo CD. Its processes end when this is dropped, its pods with their cluster; what it put into the cluster
/// stays.
pub(crate) struct ArgoCd {
    client: Client,
    namespace: String,
    api: Api<DynamicObject>,
    applications: SharedWatch<ApplicationSeen>,
    programs: Programs,
    refreshes: AtomicU64,
}

enum Programs {
    Processes(Processes),
    Pods(Pods),
}

impl ArgoCd {
    /// Why Argo CD cannot run as processes of this machine, with what would enable it.
    pub(crate) fn unsupported() -> Option<String> {
        unsupported_with(&env::var_os("PATH").unwrap_or_default())
    }

    /// Starts Argo CD and waits until it is ready. Applications that an earlier run left behind are removed first.
    ///
    /// # Errors
    /// When an object is refused, or a program cannot be started, dies, or is not ready in time.
    pub(crate) async fn start(setup: &Setup<'_>) -> Result<Self, ArgoCdError> {
        let programs = match setup.place {
            ArgoCdPlacement::Machine { program, kubeconfig } => {
                Programs::Processes(Processes::start(setup, program, kubeconfig).await?)
            }
            ArgoCdPlacement::Node { containers, images, kustomize } => {
                Programs::Pods(Pods::start(setup, containers, images, kustomize).await?)
            }
        };
        let (client, namespace) = (setup.client.clone(), setup.namespace.to_owned());
        let api = api(&client, "Application", &namespace);
        let applications = SharedWatch::open(api.clone(), "Applications", ApplicationSeen::of).await?;
        Ok(Self { client, namespace, api, applications, programs, refreshes: AtomicU64::new(0) })
    }

    /// The processes, to be written down by whoever has to end them should this process die. None where it runs in pods.
    pub(crate) fn processes(&self) -> &[Process] {
        match &self.programs {
            Programs::Processes(processes) => processes.all(),
            Programs::Pods(_) => &[],
        }
    }

    /// Resolves when a program ends by itself.
    pub(crate) async fn died(&self) -> ArgoCdError {
        match &self.programs {
            Programs::Processes(processes) => processes.died().await,
            Programs::Pods(pods) => pods.died().await,
        }
    }

    /// Writes what its programs have logged into its directory, where it is not there anyhow: for a person to look at.
    pub(crate) async fn save_logs(&self) {
        if let Programs::Pods(pods) = &self.programs {
            pods.save_logs().await;
        }
    }

    /// Creates an Application that deploys by itself what it finds.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(crate) async fn create(&self, application: &Application<'_>) -> Result<(), ArgoCdError> {
        if let Some(project) = application.project {
            let projects = api(&self.client, "AppProject", &self.namespace);
            let patch = Patch::Apply(objects::project(&self.namespace, project));
            let applied = projects.patch(project, &PatchParams::apply(FIELD_MANAGER).force(), &patch).await;
            applied.map_err(request("apply AppProject", project))?;
        }
        let object = objects::application(application, &self.namespace);
        create::<_, ArgoCdError>(&self.api, object, "create Application", application.name).await.map(drop)
    }

    /// Asks for a hard refresh. It is done once [`ApplicationSeen::has_done`] says so.
    ///
    /// After a change to a credential, the controller's own watch of Secrets may be a moment behind, so that a refresh
    /// at once still logs in with the old one.
    ///
    /// # Errors
    /// When there is no such Application or the API server refuses.
    pub(crate) async fn hard_refresh(&self, name: &str) -> Result<Refresh, ArgoCdError> {
        let refresh = Refresh(self.refreshes.fetch_add(1, Ordering::Relaxed) + 1);
        let patch = Patch::Merge(objects::hard_refresh(refresh));
        let patched = self.api.patch_metadata(name, &PatchParams::default(), &patch).await;
        patched.map_err(request("refresh Application", name))?;
        Ok(refresh)
    }

    /// Waits until `step`, asked at each change to any Application, is done with the one of this name.
    ///
    /// # Errors
    /// When the deadline passes, when `step` says never, or when the watch has lost sight of the cluster.
    pub(crate) async fn until<T>(
        &self,
        name: &str,
        what: &str,
        within: Duration,
        step: impl FnMut(Option<&ApplicationSeen>) -> Progress<T>,
    ) -> Result<T, WaitError> {
        self.applications.until((&self.namespace, name), what, within, step).await
    }

    /// Deletes an Application with all that it has deployed, and waits until it is gone. One that is gone already is as
    /// good.
    ///
    /// # Errors
    /// When the API server refuses, or it does not go.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), ArgoCdError> {
        // The finalizer comes only now: it would hold back an Application whose controller is gone.
        let patch = Patch::Merge(json!({ "metadata": { "finalizers": [objects::FINALIZER] } }));
        let patched = self.api.patch_metadata(name, &PatchParams::default(), &patch).await.map(drop);
        let deleted = match patched {
            Ok(()) => self.api.delete(name, &DeleteParams::default()).await.map(drop),
            refused => refused,
        };
        gone_is_fine(deleted).map_err(request("delete Application", name))?;
        self.until(name, &format!("Application {name} gone"), GONE, |seen| match seen {
            None => Progress::Done(()),
            Some(seen) => Progress::NotYet(seen.to_string()),
        })
        .await
        .map_err(ArgoCdError::NotDeleted)
    }
}

/// Installs the definitions and what `objects` there are beside them, and removes what an earlier run left.
async fn install(setup: &Setup<'_>, objects: &[Value]) -> Result<Applier, ArgoCdError> {
    let Setup { client, assets, namespace, .. } = *setup;
    apply::apply_definitions(client, &definitions(assets)?).await?;
    let applier = Applier::discover(client).await?;
    applier.apply_all(objects).await?;
    let ours = ListParams::default().labels(&controller_objects::selector());
    let applications = api(client, "Application", namespace);
    let deleted = applications.delete_collection(&DeleteParams::default(), &ours).await;
    deleted.map_err(request("delete the Applications of an earlier run in", namespace))?;
    Ok(applier)
}

fn api(client: &Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind));
    Api::namespaced_with(client.clone(), namespace, &kind)
}

fn request(act: &'static str, object: &str) -> impl Fn(kube::Error) -> ArgoCdError + use<> {
    ApiError::of(act, object)
}

fn definitions(assets: &Path) -> Result<Vec<Value>, ArgoCdError> {
    let files = DEFINITIONS.map(|name| assets.join("manifests/crds").join(name));
    controller_objects::definitions(files)
}

fn unsupported_with(path: &OsStr) -> Option<String> {
    let missing = |name: &str| !env::split_paths(path).any(|directory| directory.join(name).is_file());
    let (name, package) = NEEDED.into_iter().find(|(name, _)| missing(name))?;
    Some(format!("Argo CD needs {name} on the PATH; install it (on Debian: apt-get install {package})"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().as_os_str();
        assert!(unsupported_with(path).unwrap().contains("apt-get install redis-server"));
        fs::write(directory.path().join("redis-server"), "").unwrap();
        assert!(unsupported_with(path).unwrap().contains("apt-get install git"));
        fs::write(directory.path().join("git"), "").unwrap();
        assert_eq!(unsupported_with(path), None);
    }
}
