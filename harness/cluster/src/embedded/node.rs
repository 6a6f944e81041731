//! A real node for the embedded cluster: containerd and kubelet in namespaces of their own. Needs root.
//!
//! ```text
//!  credence ──▶ unshare: private mounts and process ids, /run, /var/lib and /var/log of its own
//!                 ├─ containerd ── shims ── containers
//!                 └─ kubelet
//!               on the machine: one bridge device, and one directory in each cgroup hierarchy, of the same name
//! ```
//!
//! kubelet and containerd have paths that no option changes (`/run/containerd/s`, `/var/lib/cni`,
//! `/var/lib/kubelet/device-plugins`, `/var/log/containers`), and kubelet sets sysctls of the whole machine. In its own
//! mount namespace a node has its own of all these, so that nodes of several runs, and a node that the machine may have
//! already, do not meet. The namespaces also make its end certain: with their first process the kernel kills all
//! others and drops every mount. What is left is the bridge and the cgroups, see the module `cleanup`.
//!
//! The network stays the machine's, so that API server and registry on loopback can be reached.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use credence_core::file_error::FileError;
use credence_programs::certificates::{Authority, CertificateError};
use credence_programs::oci::{ImageError, SLEEPER_IMAGE};
use credence_programs::process::{Death, Process, ProcessError, first_death};
use credence_watch::wait::{self, Progress, WaitError};
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Node as NodeObject;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleRef, Subject};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::error::ClusterError;
use crate::kubeconfig;
use crate::node::{PodNode, RegistryError, write_registry};
use crate::start_up::KUBELET_CLIENT;

mod cgroups;
mod cleanup;
mod config;
mod isolation;
mod network;
mod record;
mod support;

use cleanup::Cleanup;
pub(super) use cleanup::clear;
use isolation::Isolation;
use network::Network;
use record::Record;

/// The node's directory in the run directory.
const DIRECTORY: &str = "node";
/// Time that a step of the start may take; the longest takes about 1 s on two idle cores.
const READY: Duration = Duration::from_mins(3);
/// Time between two polls of a program that is starting.
const PROBE: Duration = Duration::from_millis(50);

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum NodeError {
    /// This machine cannot run one.
    #[error("this machine cannot run a node: {0}")]
    Unsupported(String),
    /// No network is left for its pods.
    #[error("failed to find a free network for the node: all of {0} are taken")]
    NoNetwork(&'static str),
    /// A program could not be started.
    #[error("failed to start the node")]
    Process(#[from] ProcessError),
    /// A program ended by itself.
    #[error(transparent)]
    Died(#[from] Death),
    #[error("failed to {act}: {message}")]
    Command { act: String, message: String },
    /// A certificate could not be made or written.
    #[error("failed to make the node's certificates")]
    Certificate(#[from] CertificateError),
    /// The kubeconfig could not be written.
    #[error("failed to write the node's kubeconfig")]
    Kubeconfig(#[source] Box<ClusterError>),
    /// The image that pods sleep in could not be made.
    #[error("failed to make the sandbox image")]
    Image(#[from] ImageError),
    /// Something did not become ready.
    #[error("failed to bring the node up; last lines of {name}:\n{tail}")]
    NotReady {
        /// The program that was waited for.
        name: String,
        /// The end of its log.
        tail: String,
        #[source]
        source: WaitError,
    },
    /// The API server refused a request of the set-up.
    #[error("failed to {act}")]
    Request {
        act: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
    /// It could not be told where to pull images from.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A file, a cgroup or a socket cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The programs of a node, each an absolute path.
#[derive(Debug, Clone)]
pub struct NodePrograms {
    /// The container runtime, which pulls images and starts pods.
    pub containerd: PathBuf,
    /// `containerd-shim-runc-v2`.
    pub shim: PathBuf,
    /// `ctr`, of the same version.
    pub ctr: PathBuf,
    /// The kubelet, which runs the pods of the node.
    pub kubelet: PathBuf,
    /// The CNI plugin `ptp`.
    pub ptp: PathBuf,
    /// The CNI plugin `host-local`.
    pub host_local: PathBuf,
    /// The CNI plugin `loopback`.
    pub loopback: PathBuf,
    /// runc, with seccomp; see [`find_program`].
    pub runc: PathBuf,
    /// etcd, which sandboxes sleep in; see [`SLEEPER_IMAGE`].
    pub etcd: PathBuf,
}

/// Programs and places of a node.
pub struct Options<'a> {
    /// Directory of the run that the node belongs to.
    pub run: &'a Path,
    /// URL of the API server.
    pub url: &'a str,
    /// The authority of the cluster's certificates.
    pub authority: &'a Authority,
    /// A client with the administrator's rights.
    pub client: &'a Client,
    /// Programs that the node is started from.
    pub programs: &'a NodePrograms,
}

/// A node that is ready. Dropping it ends all its containers and removes what it made on the machine, which takes a
/// fraction of a second; it has to be dropped before its cluster.
pub struct Node {
    // Fields drop in this order: the kernel ends every process before the handles to the first three go.
    _remains: Cleanup,
    processes: Vec<Process>,
    isolation: Isolation,
    network: Network,
    directory: PathBuf,
}

impl Node {
    /// Why this machine cannot run a node and what would change that, found without starting anything.
    pub fn unsupported() -> Option<String> {
        support::unsupported()
    }

    /// Starts a node and waits until the API server calls it ready, which takes about 1.5 s on two idle cores.
    ///
    /// Until [`set_registry`](PodNode::set_registry) it can pull no image from anywhere.
    ///
    /// # Errors
    /// When the machine cannot run a node, or a part cannot be started, dies, or is not ready in time. What had been
    /// started is ended.
    pub async fn start(options: &Options<'_>) -> Result<Self, NodeError> {
        if let Some(reason) = Self::unsupported() {
            return Err(NodeError::Unsupported(reason));
        }
        let (record, cleanup) = (Record::of(options.run), Cleanup::of(options.run));
        let directory = options.run.join(DIRECTORY);
        config::create_directories(&directory)?;
        let network = Network::claim(&record)?;
        cgroups::create(&network.name)?;
        let port = free_port(network.address)?;
        write_files(options, &directory, &network, port)?;

        let (isolation, init) = Isolation::start(&directory, options.programs).await?;
        record.init(isolation.first_process())?;
        let log = |name: &str| options.run.join(format!("{name}.log"));
        let containerd = Process::start(&isolation.program("containerd", &config::CONTAINERD, log("containerd")))?;
        let mut node = Self { _remains: cleanup, processes: vec![init, containerd], isolation, network, directory };
        node.race("containerd", node.isolation.wait_for_containerd()).await?;

        let kubelet_arguments = config::kubelet_arguments(&node.network);
        let arguments: Vec<&str> = kubelet_arguments.iter().map(String::as_str).collect();
        let kubelet = Process::start(&node.isolation.program("kubelet", &arguments, log("kubelet")))?;
        node.processes.push(kubelet);
        let (etcd, below) = (options.programs.etcd.clone(), node.directory.clone());
        let import_sleeper = async {
            let pack = move || credence_programs::oci::archive_sleeper(&etcd, &below);
            // A closure that cannot be joined has panicked, and its panic has been shown.
            let archive = tokio::task::spawn_blocking(pack).await.map_err(io::Error::other);
            let archive = archive.map_err(FileError::of::<NodeError>("pack", Path::new(SLEEPER_IMAGE)))??;
            node.import(archive.path()).await
        };
        let (sleeper, ready, admin) = tokio::join!(
            import_sleeper,
            node.race("kubelet", wait_until_ready(options.client, &node.network.name)),
            allow_kubelet_client(options.client),
        );
        sleeper.and(ready).and(admin)?;
        Ok(node)
    }

    /// The node's address, at which pods reach servers on this machine.
    pub fn address(&self) -> Ipv4Addr {
        self.network.address
    }

    /// Its programs, for the list of the run directory.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// Imports an [archive](credence_programs::oci::Image::archive), which is in the node's directory, as a preloaded image that is
    /// never collected, for pods with `imagePullPolicy: Never`.
    async fn import(&self, archive: &Path) -> Result<(), NodeError> {
        // The label is the one by which containerd's CRI plugin knows images that a kubelet may not remove.
        let label = "io.cri-containerd.pinned=pinned";
        let inside = isolation::inside(&self.directory, archive);
        self.isolation
            .run("import an image", &["ctr", "--namespace=k8s.io", "images", "import", "--label", label, &inside])
            .await
    }

    /// Waits, unless one of the node's programs ends before that.
    async fn race(&self, name: &str, ready: impl Future<Output = Result<(), WaitError>>) -> Result<(), NodeError> {
        tokio::select! {
            ready = ready => ready.map_err(|source| NodeError::NotReady {
                name: name.to_owned(),
                tail: self.log_tail(name),
                source,
            }),
            died = first_death(&self.processes) => Err(died.into()),
        }
    }

    fn log_tail(&self, name: &str) -> String {
        let process = self.processes.iter().find(|process| process.name() == name);
        process.map(Process::log_tail).unwrap_or_default()
    }
}

fn write_files(options: &Options<'_>, directory: &Path, network: &Network, port: u16) -> Result<(), NodeError> {
    let ca = options.authority.certificate();
    let address = network.address.to_string();
    options.authority.server(&network.name, &[&address])?.write(directory, "kubelet")?;
    // User and group are what the Node authoriser takes a kubelet by (documentation, "Using Node Authorization").
    let identity = options.authority.client(&format!("system:node:{}", network.name), Some("system:nodes"))?;
    kubeconfig::with_certificate(&directory.join("kubeconfig"), options.url, &ca, &identity)
        .map_err(|error| NodeError::Kubeconfig(Box::new(error)))?;
    config::write_all(directory, network, port, &ca)
}

/// A port of the node's address, which nobody else uses unless on all addresses of the machine.
fn free_port(address: Ipv4Addr) -> Result<u16, NodeError> {
    TcpListener::bind((address, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(FileError::of::<NodeError>("find a free port of", Path::new(&address.to_string())))
}

async fn wait_until_ready(client: &Client, name: &str) -> Result<(), WaitError> {
    let nodes: Api<NodeObject> = Api::all(client.clone());
    wait::poll("node ready", READY, PROBE, || async {
        let node = match nodes.get_opt(name).await {
            Ok(Some(node)) => node,
            Ok(None) => return Progress::NotYet("not registered".to_owned()),
            Err(error) => return Progress::NotYet(error.to_string()),
        };
        let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
        match conditions.into_iter().find(|condition| condition.type_ == "Ready") {
            Some(ready) if ready.status == "True" => Progress::Done(()),
            Some(ready) => Progress::NotYet(ready.message.unwrap_or_default()),
            None => Progress::NotYet("no condition Ready".to_owned()),
        }
    })
    .await
}

/// Lets kube-apiserver ask the kubelet for logs and run commands in containers.
async fn allow_kubelet_client(client: &Client) -> Result<(), NodeError> {
    let group = "rbac.authorization.k8s.io".to_owned();
    let binding = ClusterRoleBinding {
        metadata: ObjectMeta { name: Some("credence:kubelet-api-admin".to_owned()), ..ObjectMeta::default() },
        role_ref: RoleRef {
            api_group: Some(group.clone()),
            kind: "ClusterRole".to_owned(),
            name: "system:kubelet-api-admin".to_owned(),
        },
        subjects: Some(vec![Subject {
            api_group: Some(group),
            kind: "User".to_owned(),
            name: KUBELET_CLIENT.to_owned(),
            namespace: None,
        }]),
    };
    match Api::<ClusterRoleBinding>::all(client.clone()).create(&PostParams::default(), &binding).await {
        Ok(_) => Ok(()),
        // An earlier node of the same cluster has made it.
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(source) => {
            Err(NodeError::Request { act: "let the API server use the kubelet's API", source: Box::new(source) })
        }
    }
}

/// Creates a directory with those above it; one that is there is fine.
fn create_directory(path: &Path) -> Result<(), NodeError> {
    fs::create_dir_all(path).map_err(FileError::of::<NodeError>("create", path))
}
impl PodNode for Node {
    fn name(&self) -> &str {
        &self.network.name
    }

    fn reachable_address(&self) -> IpAddr {
        // Its network is this machine's.
        Ipv4Addr::LOCALHOST.into()
    }

    /// Images keep their names; the server gets the registry's in the query parameter `ns`.
    fn set_registry(&self, address: &str, ca: &str) -> Result<(), RegistryError> {
        write_registry(&self.directory.join(config::HOSTS), config::HOSTS_INSIDE, address, ca)
    }

    fn died(&self) -> BoxFuture<'_, String> {
        async move { first_death(&self.processes).await.to_string() }.boxed()
    }
}
