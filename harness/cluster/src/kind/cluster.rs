//! Bringing a cluster of kind up.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use credence_core::file_error::FileError;
use credence_programs::certificates::{Authority, write_private};
use credence_programs::engine::container::{self, inspect};
use credence_programs::engine::{Engine, EngineError};
use credence_programs::node_image::How;
use credence_programs::process::Paused;
use credence_programs::run_dir::RunDir;
use credence_programs::supply::{Part, UNKNOWN};
use credence_watch::paused_time::PausedTime;
use futures::FutureExt;
use futures::future::BoxFuture;
use kube::Client;

use super::command::{create, load};
use super::config::{AUDIT, AUTHORITY, HOSTS};
use super::node::KindNode;
use super::{ID, KindError, LACKS, Setup, cleanup, network, operator, room};
use crate::capability::Lacks;
use crate::cluster::Cluster;
use crate::containers::ContainerNetwork;
use crate::control_plane_files::{ControlPlaneFiles, with_keys};
use crate::description::{self, Description, OPERATOR, OPERATOR_PROVIDERS, versions};
use crate::error::ClusterError;
use crate::evidence::capture::Traffic;
use crate::kubeconfig;
use crate::node::PodNode;
use crate::provisioned::{Component, Provisioned};
use crate::start_up::wait_until_ready;

mod outage;

/// The port of the API server inside the node, which kind gives to kubeadm.
const API_PORT: &str = "6443/tcp";
/// Name of the audit log in its directory.
const AUDIT_LOG: &str = "audit.log";
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Everything that ends with this process. Fields drop in this order: what watches first, the run directory last, which removes
/// the containers and the network that it has written down.
pub(super) struct KindCluster {
    engine: Engine,
    node: Arc<KindNode>,
    network: ContainerNetwork,
    client: Client,
    /// Process id of the node's first process, on this machine.
    pid: u32,
    authority: Authority,
    run: RunDir,
}

/// Starts a cluster of kind in `run`, with the audit policy and the encryption that are configured.
///
/// # Errors
/// When the engine cannot be used, or a part cannot be made, dies, or is not ready in time.
pub(super) async fn start(run: RunDir, setup: &Setup<'_>) -> Result<Cluster, ClusterError> {
    let directory = run.path().to_owned();
    let Made { name, host, authority } = make(&run, setup).await?;
    let container = format!("{name}-control-plane");
    let url = format!("https://{}", published(setup.engine, &container).await?);
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address: Ipv4Addr =
        inspect(setup.engine, &container, "the node's address", address).await.map_err(KindError::from)?;
    let admin = authority.client("credence", Some("system:masters"))?;
    let kubeconfig =
        kubeconfig::with_certificate(&directory.join("admin.kubeconfig"), &url, &authority.certificate(), &admin)?;
    let client = kubeconfig::client(&kubeconfig, "credence").await?;
    wait_until_ready(&client).await?;
    let network = ContainerNetwork {
        engine: setup.engine.clone(),
        name: name.clone(),
        node: container.clone(),
        tools_image: setup.tools_image.cloned(),
        images: setup.images.to_vec(),
    };
    install_operator(&run, setup, &network, &client).await?;

    let description = Description {
        provider: ID.to_owned(),
        versions: versions_of(setup, &client).await?,
        url,
        url_for_operator: None,
        host,
        operator_token: PathBuf::from(operator::TOKEN),
        kubeconfig,
        audit_log: setup.configured.audit_policy.as_ref().map(|_| directory.join(AUDIT).join(AUDIT_LOG)),
        etcd: format!("https://{address}:2379"),
        operator: description::operator_identity(setup.programs, setup.assets),
        control_plane_files: setup.configured.digest(),
        owner: std::process::id(),
    };
    let pid = inspect(setup.engine, &container, "the node's process id", "{{.State.Pid}}").await;
    let kind = KindCluster {
        engine: setup.engine.clone(),
        node: Arc::new(KindNode::new(&container, address, &directory)),
        network,
        client: client.clone(),
        pid: pid.map_err(KindError::from)?,
        authority,
        run,
    };
    Cluster::of(Box::new(kind), description, client)
}

/// A cluster that kind has made, and nothing is installed in.
struct Made {
    name: String,
    /// Address of this machine on the cluster's network.
    host: IpAddr,
    authority: Authority,
}

/// Makes the network, the files that are mounted into the node, and the cluster.
async fn make(run: &RunDir, setup: &Setup<'_>) -> Result<Made, ClusterError> {
    let directory = run.path();
    if directory.to_str().is_none_or(|path| path.contains(':')) {
        return Err(KindError::Unmountable { path: directory.to_owned() }.into());
    }
    // The images may have taken some of the room.
    room::check(setup.engine, directory).await?;
    let name = cluster_name(directory);
    refuse_foreign(setup.engine, &name).await?;
    cleanup::record(directory, setup.engine.path(), &name)?;
    let host = network::create(setup.engine, &name).await?;
    let authority = Authority::new("credence")?;
    write_files(directory, setup.configured, &authority)?;
    create(run, setup, &name, host).await?;
    // The node has it mounted and needs no second copy of it on this machine's disk.
    let key = directory.join(AUTHORITY[1]);
    fs::remove_file(&key).map_err(FileError::of::<KindError>("remove", &key))?;
    Ok(Made { name, host, authority })
}

/// Loads the operator's image, of the user or made of the program, and installs the operator.
async fn install_operator(
    run: &RunDir,
    setup: &Setup<'_>,
    network: &ContainerNetwork,
    client: &Client,
) -> Result<(), ClusterError> {
    (setup.report)("External Secrets Operator");
    match operator::given_image(setup) {
        Some(given) => network.load(&[&given.kept_as]).await.map_err(KindError::from)?,
        None => load(run, setup, &network.name).await?,
    }
    Ok(operator::install(client, setup, run.path()).await?)
}

/// Versions of the programs and images of a cluster.
async fn versions_of(setup: &Setup<'_>, client: &Client) -> Result<BTreeMap<String, String>, KindError> {
    let mut versions = versions(setup.programs, setup.assets);
    if operator::given_image(setup).is_some() {
        // An image of somebody else does not say.
        versions.remove(OPERATOR_PROVIDERS);
        versions.insert(OPERATOR.to_owned(), UNKNOWN.to_owned());
    }
    if setup.node_image.how == How::Pulled {
        // It comes with one of its own.
        versions.remove("etcd");
    }
    versions.insert("kind".to_owned(), setup.programs.version(Part::Kind).to_owned());
    // An official image may have another patch release than the pinned one.
    let version = client.apiserver_version().await;
    let version = version
        .map_err(|source| KindError::Request { act: "ask for the API server's version", source: Box::new(source) })?;
    versions.insert("kubernetes".to_owned(), version.git_version.trim_start_matches('v').to_owned());
    versions.insert(setup.engine.name().as_str().to_owned(), setup.engine.version().to_owned());
    versions.insert("node image".to_owned(), setup.node_image.name.clone());
    versions.extend(setup.images.iter().map(|given| (format!("{} image", given.of), given.reference.clone())));
    Ok(versions)
}

/// The name of a run's cluster, of its network and, with a suffix, of its node.
fn cluster_name(run: &Path) -> String {
    let run = run.file_name().unwrap_or_default().to_string_lossy();
    format!("credence-{run}")
}

/// Somebody else's cluster of this name is refused; those of dead runs have been swept, and the living have other names.
async fn refuse_foreign(engine: &Engine, name: &str) -> Result<(), KindError> {
    let filter = format!("label={}={name}", cleanup::CLUSTER_LABEL);
    let there = engine.output("look for clusters", &["ps", "--all", "--quiet", "--filter", &filter]).await?;
    if there.iter().any(|byte| !byte.is_ascii_whitespace()) {
        return Err(KindError::Foreign { name: name.to_owned() });
    }
    Ok(())
}

/// Writes what is mounted into the node, and the client's certificate for etcd.
fn write_files(directory: &Path, configured: &ControlPlaneFiles, authority: &Authority) -> Result<(), ClusterError> {
    let [certificate, key] = AUTHORITY;
    write_private(&directory.join(certificate), authority.certificate().as_bytes())?;
    // Kubeadm signs with it what only the node needs, so the key has to be where the node can read it.
    write_private(&directory.join(key), authority.key().expose())?;
    authority.client("credence", None)?.write(directory, "etcd")?;
    if let Some(policy) = &configured.audit_policy {
        write_private(&directory.join(ControlPlaneFiles::AUDIT_POLICY), policy.as_bytes())?;
    }
    if let Some(encryption) = &configured.encryption {
        let filled = with_keys(encryption)
            .map_err(FileError::of::<ClusterError>("generate", Path::new("the encryption keys")))?;
        write_private(&directory.join(ControlPlaneFiles::ENCRYPTION), filled.as_bytes())?;
    }
    for name in [AUDIT, HOSTS] {
        let path = directory.join(name);
        fs::create_dir_all(&path).map_err(FileError::of::<ClusterError>("create", &path))?;
    }
    if configured.audit_policy.is_some() {
        // The API server would make it for root alone; to one that is there it appends.
        write_private(&directory.join(AUDIT).join(AUDIT_LOG), b"")?;
    }
    Ok(())
}

/// Address of the API server on this machine's loopback.
async fn published(engine: &Engine, container: &str) -> Result<String, KindError> {
    let answer = engine.output("find the API server's port", &["port", container, API_PORT]).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let found = answer.lines().map(str::trim).find(|line| line.parse::<std::net::SocketAddr>().is_ok());
    let found = found.map(str::to_owned);
    Ok(found.ok_or(EngineError::Answer { what: "the API server's port", answer })?)
}

impl Provisioned for KindCluster {
    fn run(&self) -> &RunDir {
        &self.run
    }

    fn run_mut(&mut self) -> &mut RunDir {
        &mut self.run
    }

    fn authority(&self) -> &Authority {
        &self.authority
    }

    fn lacks(&self) -> Lacks {
        LACKS
    }

    fn node(&self) -> Option<Arc<dyn PodNode>> {
        Some(Arc::clone(&self.node) as _)
    }

    fn containers(&self) -> Option<&ContainerNetwork> {
        Some(&self.network)
    }

    fn traffic(&self) -> Traffic {
        Traffic::Namespace(PathBuf::from(format!("/proc/{}/ns/net", self.pid)))
    }

    fn died(&self) -> BoxFuture<'_, ClusterError> {
        async move {
            let node = self.node.name().to_owned();
            let status = container::ended(&self.engine, &node).await;
            KindError::NodeDied { node, status }.into()
        }
        .boxed()
    }

    fn paused_time(&self) -> Option<PausedTime> {
        None
    }

    fn pause(&self, component: Component) -> BoxFuture<'_, Result<Option<Paused>, ClusterError>> {
        async move { Ok(self.hold(component).await?) }.boxed()
    }

    fn stop(&self, component: Component) -> BoxFuture<'_, Result<(), ClusterError>> {
        async move { Ok(self.take_away(component).await?) }.boxed()
    }

    fn start_again(&self, component: Component) -> BoxFuture<'_, Result<(), ClusterError>> {
        self.bring_back(component).boxed()
    }
}

#[cfg(test)]
mod tests {
    use credence_programs::engine::fake::Fake;

    use super::*;

    #[tokio::test]
    async fn a_cluster_that_no_run_made_is_refused_and_named_with_the_next_step() {
        let engine = Fake::usable("echo one");
        let error = refuse_foreign(&engine.find().await.unwrap(), "credence-a").await.unwrap_err().to_string();
        assert!(error.contains("remove it with `kind delete cluster --name credence-a`"), "{error}");
    }

    #[test]
    fn a_cluster_is_named_after_its_run() {
        assert_eq!(cluster_name(Path::new("/state/runs/1a2b")), "credence-1a2b");
    }
}
