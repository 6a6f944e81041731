//! A cluster to test on: started by credence, or found up.
//!
//! The embedded cluster is real etcd, kube-apiserver, kube-controller-manager and External Secrets Operator as local
//! processes. It belongs to the process that started it and ends with it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::select_all;
use kube::Client;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::apply::{self, Applier, ApplyError};
use crate::certificates::{Authority, CertificateError};
use crate::components::{Part, Programs};
use crate::external_secrets::{self, Release};
use crate::process::{Process, ProcessError};
use crate::run_dir::{RunDir, RunDirError};
use crate::wait::WaitError;

mod control_plane;
pub(crate) mod kubeconfig;

use control_plane::ControlPlane;
pub(crate) use control_plane::{KUBELET_CLIENT, free_ports};

/// File in a run directory that describes a cluster that is ready.
const DESCRIPTION: &str = "cluster.json";

/// Why a cluster could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A program could not be started.
    #[error("failed to start the cluster")]
    Process(#[from] ProcessError),
    /// A program ended by itself.
    #[error("{name} ended by itself ({status}); its last lines:\n{tail}")]
    Died {
        /// The program.
        name: String,
        /// How it ended.
        status: String,
        /// The end of its log.
        tail: String,
    },
    /// A certificate could not be made or written.
    #[error("failed to make the cluster's certificates")]
    Certificate(#[from] CertificateError),
    /// Something did not become ready.
    #[error("failed to bring the cluster up")]
    NotReady(#[from] WaitError),
    /// An object that the cluster needs was refused.
    #[error("failed to install External Secrets Operator")]
    Install(#[from] ApplyError),
    /// The chart could not be rendered or read.
    #[error("failed to prepare External Secrets Operator")]
    Chart(#[from] external_secrets::ReleaseError),
    /// The API server gives no token.
    #[error("failed to request a token of ServiceAccount {account}")]
    Token {
        /// The ServiceAccount, with its namespace.
        account: String,
        /// The cause.
        #[source]
        source: Box<kube::Error>,
    },
    /// A kubeconfig cannot be used.
    #[error("failed to make a client from {path}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The run directory cannot be used.
    #[error("failed to use the run directory")]
    RunDir(#[from] RunDirError),
    /// A file or a port cannot be used.
    #[error("failed to {act} {object}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        object: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl ClusterError {
    pub(crate) fn io(act: &'static str, object: &Path, source: io::Error) -> Self {
        Self::Io { act, object: object.display().to_string(), source }
    }
}

/// Where a cluster is, as written beside it for others to attach to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Description {
    /// Kind of cluster: `embedded`.
    pub provider: String,
    /// Versions of its parts, by name.
    pub versions: BTreeMap<String, String>,
    /// URL of the API server.
    pub url: String,
    /// Kubeconfig of its administrator.
    pub kubeconfig: PathBuf,
    /// The audit log.
    pub audit_log: PathBuf,
    /// Process id of the credence that owns it.
    pub owner: u32,
}

/// A cluster that is ready, with External Secrets Operator running in it.
pub struct Cluster {
    /// Where it is.
    pub description: Description,
    /// A client with its administrator's rights.
    pub client: Client,
    directory: PathBuf,
    owned: Option<Owned>,
}

/// What ends with this process. Fields drop in this order: programs first, then their directory.
struct Owned {
    processes: Vec<Process>,
    authority: Authority,
    run: RunDir,
}

impl Cluster {
    /// Starts an embedded cluster in `run`.
    ///
    /// # Errors
    /// When a part cannot be started, dies, or is not ready in time.
    pub async fn start(run: RunDir, programs: &Programs, assets: &Path) -> Result<Self, ClusterError> {
        let directory = run.path().to_owned();
        let release = external_secrets::render(programs, assets, &directory).await?;
        let mut plane = ControlPlane::start(&directory, programs).await?;
        record(&run, &plane.processes)?;
        let operator = install(&plane, &release, programs, &directory).await?;
        plane.start_controllers()?;
        plane.processes.push(operator);
        record(&run, &plane.processes[2..])?;
        tokio::select! {
            ready = external_secrets::wait_until_live(&release) => ready?,
            died = first_death(&plane.processes) => return Err(died),
        }
        let description = Description {
            provider: "embedded".to_owned(),
            versions: versions(),
            url: plane.url.clone(),
            kubeconfig: plane.kubeconfig.clone(),
            audit_log: plane.audit_log.clone(),
            owner: std::process::id(),
        };
        let path = directory.join(DESCRIPTION);
        let text = serde_json::to_vec_pretty(&description).unwrap_or_default();
        fs::write(&path, text).map_err(|source| ClusterError::io("write", &path, source))?;
        let owned = Some(Owned { processes: plane.processes, authority: plane.authority, run });
        Ok(Self { description, client: plane.client, directory, owned })
    }

    /// Attaches to a cluster that another process keeps up in `directory`.
    ///
    /// # Errors
    /// When its description cannot be read or no client can be made.
    pub async fn attach(directory: &Path) -> Result<Self, ClusterError> {
        let description = describe(directory)?;
        let client = kubeconfig::client(&description.kubeconfig, "credence").await?;
        Ok(Self { description, client, directory: directory.to_owned(), owned: None })
    }

    /// The run directory, with the logs of all programs.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether this process started it.
    pub fn is_owned(&self) -> bool {
        self.owned.is_some()
    }

    /// The authority behind its certificates; none for a cluster that another process owns.
    pub fn authority(&self) -> Option<&Authority> {
        self.owned.as_ref().map(|owned| &owned.authority)
    }

    /// Writes down a process that was started for this cluster, so that a later sweep can end it. Does nothing for a
    /// cluster that another process owns.
    ///
    /// # Errors
    /// When the list in the run directory cannot be written.
    pub fn record(&self, process: &Process) -> Result<(), ClusterError> {
        self.owned.iter().try_for_each(|owned| owned.run.record(process)).map_err(ClusterError::RunDir)
    }

    /// A client whose requests carry `agent` as user agent, so that audit entries join to cases.
    /// It shares the connections of [`client`](Self::client).
    pub fn client_as(&self, agent: &str) -> Client {
        let agent = http::HeaderValue::from_str(agent).unwrap_or(http::HeaderValue::from_static("credence"));
        let client = self.client.clone();
        let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
            request.headers_mut().insert(http::header::USER_AGENT, agent.clone());
            let client = client.clone();
            async move {
                // The embedded API server answers in milliseconds; one that hangs must not hang a case for ever.
                let answer = tokio::time::timeout(ANSWER, client.send(request)).await;
                answer.unwrap_or_else(|elapsed| Err(kube::Error::Service(elapsed.into())))
            }
        });
        Client::new(service, "default")
    }

    /// Resolves when a program of this cluster ends by itself; never for a cluster that another process owns.
    pub async fn died(&self) -> ClusterError {
        match &self.owned {
            Some(owned) => first_death(&owned.processes).await,
            None => std::future::pending().await,
        }
    }

    /// Leaves the run directory behind for a person to look at; the programs end all the same.
    pub fn keep_directory(&mut self) {
        if let Some(owned) = &mut self.owned {
            owned.run.keep();
        }
    }
}

/// Reads where the cluster in a run directory is.
///
/// # Errors
/// When there is none, or its description is not readable.
pub fn describe(directory: &Path) -> Result<Description, ClusterError> {
    let path = directory.join(DESCRIPTION);
    let text = fs::read(&path).map_err(|source| ClusterError::io("read", &path, source))?;
    serde_json::from_slice(&text).map_err(|error| ClusterError::io("read", &path, io::Error::other(error)))
}

fn record(run: &RunDir, processes: &[Process]) -> Result<(), ClusterError> {
    processes.iter().try_for_each(|process| run.record(process)).map_err(ClusterError::RunDir)
}

/// Installs the chart's objects, and starts ESO as its own ServiceAccount.
async fn install(
    plane: &ControlPlane,
    release: &Release,
    programs: &Programs,
    directory: &Path,
) -> Result<Process, ClusterError> {
    let namespace: Value = serde_json::json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": external_secrets::NAMESPACE } });
    apply::apply_definitions(&plane.client, &release.definitions).await?;
    let applier = Applier::discover(&plane.client).await?;
    applier.apply(&namespace).await?;
    applier.apply_all(&release.objects).await?;
    let path = directory.join("external-secrets.kubeconfig");
    let (namespace, account) = (external_secrets::NAMESPACE, external_secrets::SERVICE_ACCOUNT);
    let kubeconfig = kubeconfig::for_account(&path, &plane.kubeconfig, &plane.client, namespace, account).await?;
    Ok(Process::start(&external_secrets::program(release, programs, &kubeconfig, directory))?)
}

/// Resolves when the first of the processes ends.
async fn first_death(processes: &[Process]) -> ClusterError {
    let ends = processes.iter().map(|process| Box::pin(async move { (process, process.ended().await) }));
    let ((process, status), ..) = select_all(ends).await;
    // The operator's errors can quote what it was reading, and no value may reach a report.
    let tail = process.log_tail();
    let tail: Vec<&str> = tail.lines().filter(|line| !line.contains("\"error\"")).collect();
    ClusterError::Died { name: process.name().to_owned(), status: status.to_string(), tail: tail.join("\n") }
}

fn versions() -> BTreeMap<String, String> {
    [("etcd", Part::Etcd), ("kubernetes", Part::KubeApiserver), ("external-secrets", Part::ExternalSecrets)]
        .into_iter()
        .map(|(name, part)| (name.to_owned(), part.version().to_owned()))
        .collect()
}

/// How long a case waits for the answer to a request.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a part of the set-up may take before it counts as failed.
pub(crate) const SET_UP: Duration = Duration::from_secs(60);
