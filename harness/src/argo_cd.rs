//! Argo CD outside a pod: redis-server, repo-server and application-controller as processes on loopback.
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
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::apply::{self, Applier, FIELD_MANAGER};
use crate::cluster::{SET_UP, free_ports};
use crate::manifest;
use crate::process::{Process, first_death};
use crate::wait::{self, Progress, WaitError};

mod applications;
mod error;
mod files;
mod message;
mod objects;

pub use applications::ApplicationSeen;
pub use error::ArgoCdError;
pub use message::{Cause, Condition};

use applications::Applications;
use files::{Files, Ports};

/// The namespace of Argo CD, where it looks for credentials.
pub const NAMESPACE: &str = "argocd";
/// Programs that Argo CD needs on the `PATH`, and the package that has each on Debian.
const NEEDED: [(&str, &str); 2] = [("redis-server", "redis-server"), ("git", "git")];
/// The definitions that the controller needs; that of ApplicationSets, the largest, belongs to another controller.
const DEFINITIONS: [&str; 2] = ["application-crd.yaml", "appproject-crd.yaml"];
/// How often a server that is starting is asked.
const PROBE: Duration = Duration::from_millis(50);
/// How long an Application may take to go, with what it has deployed.
const GONE: Duration = Duration::from_secs(60);
/// Starts are tried again with other ports when one was taken between choosing and binding it.
const ATTEMPTS: usize = 3;

/// How repositories are reached.
#[derive(Debug, Clone)]
pub struct Network {
    /// URL of the HTTP proxy through which repo-server reaches every host by `CONNECT`.
    pub https_proxy: String,
    /// Certificates of the authorities that it trusts, PEM. They hold for all hosts, so that a host that must not get
    /// a credential is not saved by its certificate.
    pub authorities: String,
}

/// What to deploy, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Application<'a> {
    /// Its name, a DNS label.
    pub name: &'a str,
    /// The repository.
    pub repo_url: &'a str,
    /// The directory with the manifests. Argo CD manages nothing but ConfigMaps here.
    pub path: &'a str,
    /// The branch. A commit would be taken without asking the repository.
    pub branch: &'a str,
    /// The namespace that it deploys to, which must exist.
    pub namespace: &'a str,
}

/// A hard refresh that was asked for; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refresh(u64);

/// A running Argo CD. Its programs end when this is dropped; what it put into the cluster stays.
pub struct ArgoCd {
    api: Api<DynamicObject>,
    applications: Applications,
    processes: Vec<Process>,
    files: Files,
    refreshes: AtomicU64,
}

impl ArgoCd {
    /// Why Argo CD cannot run on this machine, with what would enable it.
    pub fn unsupported() -> Option<String> {
        unsupported_with(&env::var_os("PATH").unwrap_or_default())
    }

    /// Starts Argo CD in `directory` and waits until it is ready.
    ///
    /// `program` is its multi-call binary, `assets` a copy of its source with `manifests/crds` and
    /// `hack/git-verify-wrapper.sh`. `kubeconfig` and `client` are an administrator's: Argo CD's own installation gives
    /// the controller every right as well. Applications that an earlier run left behind are removed first.
    ///
    /// # Errors
    /// When an object is refused, or a program cannot be started, dies, or is not ready in time.
    pub async fn start(
        directory: &Path,
        program: &Path,
        assets: &Path,
        kubeconfig: &Path,
        client: &Client,
        network: &Network,
    ) -> Result<Self, ArgoCdError> {
        let files = Files::write(directory, program, assets, kubeconfig, network)?;
        let definitions = definitions(assets)?;
        let mut attempt = 1;
        let processes = loop {
            match launch(&files, client, &definitions).await {
                Err(ArgoCdError::Died(death)) if attempt < ATTEMPTS && death.is_port_taken() => attempt += 1,
                outcome => break outcome?,
            }
        };
        let api = api(client);
        let applications = Applications::watch(&api).await?;
        Ok(Self { api, applications, processes, files, refreshes: AtomicU64::new(0) })
    }

    /// The programs, to be written down by whoever has to end them should this process die.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// Resolves when a program ends by itself.
    pub async fn died(&self) -> ArgoCdError {
        first_death(&self.processes).await.into()
    }

    /// Creates an Application that deploys by itself what it finds.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn create(&self, application: &Application<'_>) -> Result<(), ArgoCdError> {
        let failed = request("create Application", application.name);
        let object = serde_json::from_value(objects::application(application))
            .map_err(|error| failed(kube::Error::SerdeError(error)))?;
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        self.api.create(&params, &object).await.map(drop).map_err(failed)
    }

    /// Asks for a hard refresh. It is done once [`ApplicationSeen::has_done`] says so.
    ///
    /// After a change to a credential, the controller's own watch of Secrets may be a moment behind, so that a refresh
    /// at once still logs in with the old one.
    ///
    /// # Errors
    /// When there is no such Application or the API server refuses.
    pub async fn hard_refresh(&self, name: &str) -> Result<Refresh, ArgoCdError> {
        let refresh = Refresh(self.refreshes.fetch_add(1, Ordering::Relaxed) + 1);
        let patch = Patch::Merge(objects::hard_refresh(refresh));
        let patched = self.api.patch_metadata(name, &PatchParams::default(), &patch).await;
        patched.map_err(request("refresh Application", name))?;
        Ok(refresh)
    }

    /// What an Application is like now, if there is one.
    pub fn look(&self, name: &str) -> Option<ApplicationSeen> {
        self.applications.look(name, |seen| seen.cloned())
    }

    /// Waits until `step`, asked at each change to any Application, is done with the one of this name.
    ///
    /// # Errors
    /// When the deadline passes, when `step` says never, or when the watch has lost sight of the cluster.
    pub async fn until<T>(
        &self,
        name: &str,
        what: &str,
        within: Duration,
        mut step: impl FnMut(Option<&ApplicationSeen>) -> Progress<T>,
    ) -> Result<T, WaitError> {
        wait::until_changed(self.applications.eye(), what, within, || self.applications.look(name, &mut step)).await
    }

    /// Deletes an Application with all that it has deployed, and waits until it is gone. One that is gone already is as
    /// good.
    ///
    /// # Errors
    /// When the API server refuses, or it does not go.
    pub async fn delete(&self, name: &str) -> Result<(), ArgoCdError> {
        // The finalizer comes only now: it would hold back an Application whose controller is gone.
        let patch = Patch::Merge(json!({ "metadata": { "finalizers": [objects::FINALIZER] } }));
        let patched = self.api.patch_metadata(name, &PatchParams::default(), &patch).await.map(drop);
        let deleted = match patched {
            Ok(()) => self.api.delete(name, &DeleteParams::default()).await.map(drop),
            refused => refused,
        };
        match deleted {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            other => other.map_err(request("delete Application", name))?,
        }
        self.until(name, &format!("Application {name} gone"), GONE, |seen| match seen {
            None => Progress::Done(()),
            Some(seen) => Progress::NotYet(seen.to_string()),
        })
        .await
        .map_err(ArgoCdError::NotDeleted)
    }
}

impl Drop for ArgoCd {
    fn drop(&mut self) {
        self.processes.iter().for_each(Process::kill);
        self.files.unlock();
    }
}

/// Installs what Argo CD needs, starts its programs, and waits until all of them answer.
async fn launch(files: &Files, client: &Client, definitions: &[Value]) -> Result<Vec<Process>, ArgoCdError> {
    let [redis, repo_server, repo_server_metrics, controller_metrics] =
        free_ports().map_err(|error| ArgoCdError::Ports(Box::new(error)))?;
    let ports = Ports { redis, repo_server, repo_server_metrics, controller_metrics };
    let mut processes = vec![Process::start(&files.redis(&ports))?, Process::start(&files.repo_server(&ports))?];
    install(client, definitions).await?;
    // It ends when its own kinds are not served, so it comes after the definitions.
    processes.push(Process::start(&files.controller(&ports))?);
    let ready = async {
        tokio::try_join!(
            until_open("redis-server", redis),
            until_healthy("argocd-repo-server", format!("http://127.0.0.1:{repo_server_metrics}/healthz?full=true")),
            until_healthy("argocd-application-controller", format!("http://127.0.0.1:{controller_metrics}/healthz")),
        )
    };
    tokio::select! {
        ready = ready => ready.map(drop)?,
        death = first_death(&processes) => return Err(death.into()),
    }
    Ok(processes)
}

async fn install(client: &Client, definitions: &[Value]) -> Result<(), ArgoCdError> {
    apply::apply_definitions(client, definitions).await?;
    let applier = Applier::discover(client).await?;
    applier.apply_all(&objects::settings()).await?;
    let ours = ListParams::default().labels(objects::OURS);
    let deleted = api(client).delete_collection(&DeleteParams::default(), &ours).await;
    deleted.map(drop).map_err(request("delete the Applications of an earlier run in", NAMESPACE))
}

async fn until_open(name: &str, port: u16) -> Result<(), WaitError> {
    wait::poll(&format!("{name} ready"), SET_UP, PROBE, || async {
        match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(_) => Progress::Done(()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    })
    .await
}

async fn until_healthy(name: &str, url: String) -> Result<(), WaitError> {
    wait::poll(&format!("{name} ready"), SET_UP, PROBE, || async {
        match reqwest::get(&url).await {
            Ok(answer) if answer.status().is_success() => Progress::Done(()),
            Ok(answer) => Progress::NotYet(answer.status().to_string()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    })
    .await
}

fn api(client: &Client) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application"));
    Api::namespaced_with(client.clone(), NAMESPACE, &kind)
}

fn request(act: &'static str, object: &str) -> impl Fn(kube::Error) -> ArgoCdError {
    move |source| ArgoCdError::Request { act, object: object.to_owned(), source: Box::new(source) }
}

fn definitions(assets: &Path) -> Result<Vec<Value>, ArgoCdError> {
    let mut definitions = Vec::new();
    for name in DEFINITIONS {
        let path = assets.join("manifests/crds").join(name);
        let text = fs::read_to_string(&path).map_err(files::failed("read", &path))?;
        definitions.extend(manifest::parse_documents(&path, &text)?.into_iter().map(|manifest| manifest.object));
    }
    Ok(definitions)
}

fn unsupported_with(path: &OsStr) -> Option<String> {
    let missing = |name: &str| !env::split_paths(path).any(|directory| directory.join(name).is_file());
    let (name, package) = NEEDED.into_iter().find(|(name, _)| missing(name))?;
    Some(format!("Argo CD needs {name} on the PATH; install it (on Debian: apt-get install {package})"))
}

#[cfg(test)]
mod tests {
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
