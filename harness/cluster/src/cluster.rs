//! A cluster to test on: started by credence, or found up.
//!
//! The embedded cluster is real etcd, kube-apiserver, kube-controller-manager and External Secrets Operator as local
//! processes; that of kind has nodes that are containers, and runs the operator in pods. Either belongs to the process
//! that started it and ends with it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use std::{fs, io};

use credence_core::credential::Credential;
use credence_programs::certificates::{Authority, CertificateError};
use credence_programs::process::{Death, Process, ProcessError};
use credence_programs::run_dir::{Clear, RunDir, RunDirError};
use credence_programs::supply::{Part, Programs};
use credence_watch::paused_time::Standstill;
use credence_watch::wait::WaitError;
use kube::Client;
use serde::{Deserialize, Serialize};

use crate::apply::ApplyError;
use crate::embedded::node;
use crate::evidence::capture::Traffic;
use crate::kind::{self, ClusterNetwork, KindError, KindNode};
use crate::operator;

pub(crate) use crate::control_plane_files::with_keys;
pub use crate::control_plane_files::{ControlPlaneFiles, ControlPlaneFilesError};
pub use crate::embedded::control_plane::free_ports;
pub(crate) use crate::embedded::control_plane::{KUBELET_CLIENT, wait_until_ready};
pub use crate::provider::Component;
pub(crate) use crate::provider::Provider;

/// File in a run directory that describes a cluster that is ready.
const DESCRIPTION: &str = "cluster.json";
/// A setting of Go's garbage collector for programs of the embedded cluster: it took a quarter of the API server's processor
/// time, and there is memory for collecting a fourth as often.
pub(crate) const COLLECT_LATER: (&str, &str) = ("GOGC", "400");
/// Under which the store providers of the operator stand beside the versions.
pub(crate) const OPERATOR_PROVIDERS: &str = "external-secrets providers";

/// Why a cluster could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A program could not be started.
    #[error("failed to start the cluster")]
    Process(#[from] ProcessError),
    /// A program ended by itself.
    #[error(transparent)]
    Died(#[from] Death),
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
    Chart(#[from] operator::ReleaseError),
    /// A cluster of kind could not be made or used.
    #[error(transparent)]
    Kind(#[from] KindError),
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
    /// Only the process that started a cluster can do this.
    #[error("failed to {act}: the cluster belongs to another process")]
    NotOwned {
        /// What was tried.
        act: &'static str,
    },
    /// The cluster has no such component.
    #[error("failed to make an outage: {why}")]
    Absent {
        /// Why not, and what would have it.
        why: &'static str,
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
    /// Kind of cluster: `embedded` or `kind`.
    pub provider: String,
    /// Versions of its parts, by name.
    pub versions: BTreeMap<String, String>,
    /// URL of the API server, for processes of this machine.
    pub url: String,
    /// URL of the API server for External Secrets Operator; none if it finds the API server as every pod does.
    pub url_for_operator: Option<String>,
    /// The address of this machine at which External Secrets Operator and pods reach what this process serves.
    pub host: IpAddr,
    /// The file from which External Secrets Operator reads its own token, where it runs.
    pub operator_token: PathBuf,
    /// Kubeconfig of its administrator.
    pub kubeconfig: PathBuf,
    /// The audit log; none without an audit policy.
    pub audit_log: Option<PathBuf>,
    /// URL of etcd. Its certificates are in the run directory.
    pub etcd: String,
    /// [Digest](ControlPlaneFiles::digest) of the files that it was started with.
    pub control_plane_files: String,
    /// Process id of the credence that owns it.
    pub owner: u32,
}

/// The URL at which pods find the API server: a name that its certificate has and that the cluster's DNS resolves.
pub const URL_IN_PODS: &str = "https://kubernetes.default.svc";

impl Description {
    /// URL of the API server as External Secrets Operator reaches it.
    pub fn url_inside(&self) -> &str {
        self.url_for_operator.as_deref().unwrap_or(URL_IN_PODS)
    }
}

/// A cluster that is ready, with External Secrets Operator running in it.
pub struct Cluster {
    /// Where it is.
    pub description: Description,
    /// A client with its administrator's rights.
    pub client: Client,
    directory: PathBuf,
    /// None for a cluster that another process owns.
    pub(crate) provider: Option<Box<dyn Provider>>,
    /// Why it is of no use any more.
    lost: OnceLock<String>,
}

impl Cluster {
    /// Starts an embedded cluster in `run`, with the audit policy and the encryption that are configured.
    ///
    /// # Errors
    /// When a part cannot be started, dies, or is not ready in time.
    pub async fn start(
        run: RunDir,
        programs: &Programs,
        assets: &Path,
        configured: &ControlPlaneFiles,
    ) -> Result<Self, ClusterError> {
        let (embedded, description, client) = crate::embedded::start(run, programs, assets, configured).await?;
        Self::of(Box::new(embedded), description, client)
    }

    /// Starts a cluster of kind in `run`, with the audit policy and the encryption that are configured.
    ///
    /// # Errors
    /// When the engine cannot be used, or a part cannot be made, dies, or is not ready in time.
    pub async fn start_kind(run: RunDir, setup: &kind::Setup<'_>) -> Result<Self, ClusterError> {
        let (kind, description, client) = kind::start(run, setup).await?;
        Self::of(Box::new(kind), description, client)
    }

    fn of(provider: Box<dyn Provider>, description: Description, client: Client) -> Result<Self, ClusterError> {
        let directory = provider.run().path().to_owned();
        let path = directory.join(DESCRIPTION);
        let text = serde_json::to_vec_pretty(&description).unwrap_or_default();
        fs::write(&path, text).map_err(|source| ClusterError::io("write", &path, source))?;
        Ok(Self { description, client, directory, provider: Some(provider), lost: OnceLock::new() })
    }

    /// Attaches to a cluster that another process keeps up in `directory`.
    ///
    /// # Errors
    /// When its description cannot be read or no client can be made.
    pub async fn attach(directory: &Path) -> Result<Self, ClusterError> {
        let description = describe(directory)?;
        let client = crate::kubeconfig::client(&description.kubeconfig, "credence").await?;
        Ok(Self { description, client, directory: directory.to_owned(), provider: None, lost: OnceLock::new() })
    }

    /// The run directory, with the logs of all programs.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether this process started it.
    pub fn is_owned(&self) -> bool {
        self.provider.is_some()
    }

    /// The authority behind its certificates; none for a cluster that another process owns.
    pub fn authority(&self) -> Option<&Authority> {
        self.provider.as_ref().map(|provider| provider.authority())
    }

    /// Its node, if that is one of kind, for pods.
    pub fn kind_node(&self) -> Option<&KindNode> {
        self.provider.as_ref()?.kind_node()
    }

    /// The network of its node, if that is one of kind, for containers beside the node.
    pub fn kind_network(&self) -> Option<&ClusterNetwork> {
        self.provider.as_ref()?.kind_network()
    }

    /// The traffic between its parts.
    pub fn traffic(&self) -> Traffic {
        self.provider.as_ref().map_or(Traffic::Loopback, |provider| provider.traffic())
    }

    /// Writes down a process that was started for this cluster, so that a later sweep can end it. Does nothing for a
    /// cluster that another process owns.
    ///
    /// # Errors
    /// When the list in the run directory cannot be written.
    pub fn record(&self, process: &Process) -> Result<(), ClusterError> {
        self.provider.iter().try_for_each(|provider| provider.run().record(process)).map_err(ClusterError::RunDir)
    }

    /// A client whose requests carry `agent` as user agent, so that audit entries join to cases.
    /// It shares the connections of [`client`](Self::client).
    pub fn client_as(&self, agent: &str) -> Client {
        with_headers(self.client.clone(), [(http::header::USER_AGENT, agent)])
    }

    /// The same for requests that count as those of the operator, by impersonation of its ServiceAccount: the API server adds
    /// the groups of an account by itself (Kubernetes, `WithImpersonation` in k8s.io/apiserver).
    pub fn client_as_operator(&self, agent: &str) -> Client {
        let user = format!("system:serviceaccount:{}:{}", operator::NAMESPACE, operator::SERVICE_ACCOUNT);
        let impersonate = http::HeaderName::from_static("impersonate-user");
        with_headers(self.client.clone(), [(http::header::USER_AGENT, agent), (impersonate, &user)])
    }

    /// A client that authenticates by bearer `token` alone, on connections of its own, with `agent` as user agent.
    ///
    /// # Errors
    /// When the cluster's kubeconfig cannot be used.
    pub async fn client_with_token(&self, agent: &str, token: &Credential) -> Result<Client, ClusterError> {
        let client = crate::kubeconfig::client_with_token(&self.description.kubeconfig, token).await?;
        Ok(with_headers(client, [(http::header::USER_AGENT, agent)]))
    }

    /// Resolves when a program of this cluster ends by itself; never for a cluster that another process owns.
    pub async fn died(&self) -> ClusterError {
        match &self.provider {
            Some(provider) => provider.died().await,
            None => std::future::pending().await,
        }
    }

    /// Writes down that it is of no use any more, because a part of it has died or cannot be started again, and gives the
    /// reason as text: the first that was written down.
    pub fn mark_lost(&self, error: ClusterError) -> String {
        self.lost.get_or_init(|| error.to_string()).clone()
    }

    /// Why it is of no use any more, if that was [written down](Self::mark_lost).
    pub fn lost(&self) -> Option<String> {
        self.lost.get().cloned()
    }

    /// Counts the time that External Secrets Operator stands still, from now on; none for a cluster that another process
    /// owns, and where the operator is no process of this machine's own.
    pub fn standstill(&self) -> Option<Standstill> {
        self.provider.as_ref()?.standstill()
    }

    /// Leaves the run directory behind for a person to look at; the programs end all the same.
    pub fn keep_directory(&mut self) {
        if let Some(provider) = &mut self.provider {
            provider.run_mut().keep();
        }
    }
}

/// The same client with these headers and a limit on the time for an answer.
fn with_headers<const N: usize>(client: Client, headers: [(http::HeaderName, &str); N]) -> Client {
    let headers = headers.map(|(name, value)| {
        (name, http::HeaderValue::from_str(value).unwrap_or(http::HeaderValue::from_static("credence")))
    });
    let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
        request.headers_mut().extend(headers.clone());
        let client = client.clone();
        async move {
            // The embedded API server answers in milliseconds; one that hangs must not hang a case for ever.
            let answer = tokio::time::timeout(ANSWER, client.send(request)).await;
            answer.unwrap_or_else(|elapsed| Err(kube::Error::Service(elapsed.into())))
        }
    });
    Client::new(service, "default")
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

/// The versions of the parts that every cluster of credence's own has, and what the operator is built with.
pub(crate) fn versions(programs: &Programs) -> BTreeMap<String, String> {
    let mut versions: BTreeMap<String, String> =
        [("etcd", Part::Etcd), ("kubernetes", Part::KubeApiserver), ("external-secrets", Part::ExternalSecrets)]
            .into_iter()
            .map(|(name, part)| (name.to_owned(), part.version().to_owned()))
            .collect();
    versions.extend(programs.providers().map(|providers| (OPERATOR_PROVIDERS.to_owned(), providers.describe())));
    versions
}

/// Removes what a run may have made outside its directory: a node on the machine, a cluster of kind with an engine.
pub const CLEAR: &[Clear] = &[node::clear, kind::clear];

/// How long a case waits for the answer to a request.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a part of the set-up may take before it counts as failed.
pub const SET_UP: Duration = Duration::from_mins(3);
