//! A cluster to test on: started by credence, or found up.
//!
//! The embedded cluster is real etcd, kube-apiserver, kube-controller-manager and External Secrets Operator as local
//! processes; that of kind has nodes that are containers, and runs the operator in pods. Either belongs to the process
//! that started it and ends with it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use credence_core::credential::Credential;
use credence_programs::certificates::Authority;
use credence_programs::process::Process;
use credence_watch::paused_time::PausedTime;
use kube::Client;

use crate::capability::{Capability, Lacks, supports};
use crate::containers::ContainerNetwork;
use crate::description;
use crate::evidence::capture::Traffic;
use crate::operator;
use crate::provisioned::Provisioned;

pub use crate::control_plane_files::ControlPlaneFiles;
pub use crate::description::{Description, describe, operator_identity};
pub use crate::error::{ClusterError, ProviderError};
pub use crate::node::{PodNode, RegistryError};
pub use crate::provisioned::{Component, Replacement};
pub use crate::start_up::{SET_UP, free_ports};

/// Why the programs of a cluster are left alone that another process owns.
const NOT_OURS: &str = "the cluster belongs to another process; credence down, and run starts one of its own";

/// Limits of a cluster that another process owns.
pub(crate) const OF_OTHERS: Lacks = &[
    (Capability::Outages, NOT_OURS),
    (Capability::StoreProxies, NOT_OURS),
    (Capability::KeyRotation, NOT_OURS),
    (Capability::Webhook, "the cluster belongs to another process; --cluster kind starts one of its own"),
    (Capability::Pods, "a node needs a cluster of this run, not one of `credence up`"),
    (Capability::Replicas, NOT_OURS),
    (Capability::LeaderElection, NOT_OURS),
    (Capability::ControlPlane, NOT_OURS),
    (Capability::SecondCluster, NOT_OURS),
];

/// A cluster that is ready, with External Secrets Operator running in it.
pub struct Cluster {
    /// Addresses, versions and files by which it is found and told apart.
    pub description: Description,
    /// A client with its administrator's rights.
    pub client: Client,
    directory: PathBuf,
    /// The means to change it; none for a cluster that another process owns.
    pub(crate) provider: Option<Box<dyn Provisioned>>,
    /// Why it is of no use any more.
    lost: OnceLock<String>,
}

impl Cluster {
    /// A cluster that this process has started.
    pub(crate) fn of(
        provider: Box<dyn Provisioned>,
        description: Description,
        client: Client,
    ) -> Result<Self, ClusterError> {
        let directory = provider.run().path().to_owned();
        description::write(&directory, &description)?;
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

    /// True if this process started it.
    pub fn is_owned(&self) -> bool {
        self.provider.is_some()
    }

    /// The authority behind its certificates; none for a cluster that another process owns.
    pub fn authority(&self) -> Option<&Authority> {
        self.provider.as_ref().map(|provider| provider.authority())
    }

    /// Succeeds if it has a capability.
    ///
    /// # Errors
    /// Why not, and what has to be different.
    pub fn supports(&self, capability: Capability) -> Result<(), &'static str> {
        supports(self.provider.as_ref().map_or(OF_OTHERS, |provider| provider.lacks()), capability)
    }

    /// Its node, if it has one of its own, for pods.
    pub fn node(&self) -> Option<Arc<dyn PodNode>> {
        self.provider.as_ref()?.node()
    }

    /// The network of its node, if that is a container, for containers beside the node.
    pub fn containers(&self) -> Option<&ContainerNetwork> {
        self.provider.as_ref()?.containers()
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
        self.client_in_the_name_of(agent, &operator::user())
    }

    /// The same for requests that count as those of `user`, by impersonation.
    pub fn client_in_the_name_of(&self, agent: &str, user: &str) -> Client {
        self.client_in_the_name_of_member(agent, user, &[])
    }

    /// The same for a `user` who is a member of these `groups`, and of no others but that of all who log in.
    pub fn client_in_the_name_of_member(&self, agent: &str, user: &str, groups: &[&str]) -> Client {
        let user = (http::HeaderName::from_static("impersonate-user"), user);
        let groups = groups.iter().map(|group| (http::HeaderName::from_static("impersonate-group"), *group));
        let headers = [(http::header::USER_AGENT, agent), user].into_iter().chain(groups);
        with_headers(self.client.clone(), headers)
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
    pub fn paused_time(&self) -> Option<PausedTime> {
        self.provider.as_ref()?.paused_time()
    }

    /// Leaves the run directory behind for a person to look at; the programs end all the same.
    pub fn keep_directory(&mut self) {
        if let Some(provider) = &mut self.provider {
            provider.run_mut().keep();
        }
    }
}

/// The same client with these headers and a limit on the time for an answer.
fn with_headers<'a>(client: Client, headers: impl IntoIterator<Item = (http::HeaderName, &'a str)>) -> Client {
    let of = |value| http::HeaderValue::from_str(value).unwrap_or(http::HeaderValue::from_static("credence"));
    let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, of(value))).collect();
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

/// Time that a case waits for the answer to a request.
const ANSWER: Duration = Duration::from_secs(30);
