//! Bringing a cluster of kind up, and the outages that are made of it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kube::Client;

use super::config::{self, AUDIT, AUTHORITY, HOSTS, Run};
use super::engine::Engine;
use super::node::KindNode;
use super::node_image::How;
use super::{CONFIG, ClusterNetwork, KindError, Setup, network, operator, remains};
use crate::capture::Traffic;
use crate::certificates::{Authority, write_private};
use crate::cluster::{
    ClusterError, Component, ControlPlaneFiles, Description, Provider, kubeconfig, versions, wait_until_ready,
    with_keys,
};
use crate::components::Part;
use crate::process::{self, Paused, Process, Program};
use crate::run_dir::RunDir;
use crate::standstill::Standstill;
use crate::wait::{self, Progress};

/// The port of the API server inside the node, which kind gives to kubeadm.
const API_PORT: &str = "6443/tcp";
/// Where the kubelet looks for the control plane's pods, and where the API server's is put away.
const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
const PUT_AWAY: &str = "/etc/kubernetes/kube-apiserver.yaml";
/// Name of the audit log in its directory.
const AUDIT_LOG: &str = "audit.log";
/// How long a command inside the node may be repeated until it has its effect.
const EFFECT: Duration = Duration::from_secs(60);
/// How often is looked.
const EVERY: Duration = Duration::from_millis(100);

/// What ends with this process. Fields drop in this order: what watches first, the run directory last, which removes
/// the containers and the network that it has written down.
pub(crate) struct Kind {
    engine: Engine,
    node: KindNode,
    network: ClusterNetwork,
    client: Client,
    /// Process id of the node's first process, on this machine.
    pid: u32,
    authority: Authority,
    run: RunDir,
}

/// Starts a cluster of kind in `run`.
pub(crate) async fn start(run: RunDir, setup: &Setup<'_>) -> Result<(Kind, Description, Client), ClusterError> {
    let directory = run.path().to_owned();
    if directory.to_str().is_none_or(|path| path.contains(':')) {
        return Err(KindError::Unmountable { path: directory }.into());
    }
    if let Some(how) = setup.engine.apart().await.map_err(KindError::from)? {
        return Err(KindError::Apart { name: setup.engine.name(), how }.into());
    }
    let name = cluster_name(&directory);
    refuse_foreign(setup.engine, &name).await?;
    remains::record(&directory, setup.engine.path(), &name)?;
    let host = network::create(setup.engine, &name).await?;
    let authority = Authority::new("credence")?;
    write_files(&directory, setup.configured, &authority)?;
    create(&run, setup, &name, host).await?;
    // The node has it mounted and needs no second copy of it on this machine's disk.
    let key = directory.join(AUTHORITY[1]);
    fs::remove_file(&key).map_err(KindError::file("remove", &key))?;

    let container = format!("{name}-control-plane");
    let url = format!("https://{}", published(setup.engine, &container).await?);
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address: Ipv4Addr = inspect(setup.engine, &container, "the node's address", address).await?;
    let admin = authority.client("credence", Some("system:masters"))?;
    let kubeconfig =
        kubeconfig::with_certificate(&directory.join("admin.kubeconfig"), &url, &authority.certificate(), &admin)?;
    let client = kubeconfig::client(&kubeconfig, "credence").await?;
    wait_until_ready(&client).await?;
    (setup.report)("External Secrets Operator");
    load(&run, setup, &name).await?;
    operator::install(&client, setup, &directory).await?;

    let mut versions = versions();
    if setup.node_image.how == How::Pulled {
        // It comes with one of its own.
        versions.remove("etcd");
    }
    versions.insert("kind".to_owned(), Part::Kind.version().to_owned());
    // An official image may have another patch release than the pinned one.
    let version = client.apiserver_version().await;
    let version = version
        .map_err(|source| KindError::Request { act: "ask for the API server's version", source: Box::new(source) })?;
    versions.insert("kubernetes".to_owned(), version.git_version.trim_start_matches('v').to_owned());
    versions.insert(setup.engine.name().as_str().to_owned(), setup.engine.version().to_owned());
    versions.insert("node image".to_owned(), setup.node_image.name.clone());
    let description = Description {
        provider: "kind".to_owned(),
        versions,
        url,
        url_for_operator: None,
        host,
        operator_token: PathBuf::from(operator::TOKEN),
        kubeconfig,
        audit_log: setup.configured.audit_policy.as_ref().map(|_| directory.join(AUDIT).join(AUDIT_LOG)),
        etcd: format!("https://{address}:2379"),
        control_plane_files: setup.configured.digest(),
        owner: std::process::id(),
    };
    let kind = Kind {
        engine: setup.engine.clone(),
        node: KindNode::new(&container, address, &directory),
        network: ClusterNetwork::new(setup.engine, &name, setup.tools_image),
        client: client.clone(),
        pid: inspect(setup.engine, &container, "the node's process id", "{{.State.Pid}}").await?,
        authority,
        run,
    };
    Ok((kind, description, client))
}

/// The name of a run's cluster, of its network and, with a suffix, of its node.
fn cluster_name(run: &Path) -> String {
    let run = run.file_name().unwrap_or_default().to_string_lossy();
    format!("credence-{run}")
}

/// Somebody else's cluster of this name is refused; those of dead runs have been swept, and the living have other names.
async fn refuse_foreign(engine: &Engine, name: &str) -> Result<(), KindError> {
    let filter = format!("label={}={name}", remains::CLUSTER_LABEL);
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
            .map_err(|source| ClusterError::io("generate", Path::new("the encryption keys"), source))?;
        write_private(&directory.join(ControlPlaneFiles::ENCRYPTION), filled.as_bytes())?;
    }
    for name in [AUDIT, HOSTS] {
        let path = directory.join(name);
        fs::create_dir_all(&path).map_err(|source| ClusterError::io("create", &path, source))?;
    }
    if configured.audit_policy.is_some() {
        // The API server would make it for root alone; to one that is there it appends.
        write_private(&directory.join(AUDIT).join(AUDIT_LOG), b"")?;
    }
    Ok(())
}

/// Lets kind make the cluster.
async fn create(run: &RunDir, setup: &Setup<'_>, name: &str, host: IpAddr) -> Result<(), ClusterError> {
    let cgroup_version = setup.engine.cgroup_version().await.map_err(KindError::from)?;
    if cgroup_version == 1 {
        (setup.report)("control groups of this machine are of version 1: the kubelet is patched to take them");
    }
    let config = config::render(
        CONFIG,
        &Run {
            directory: run.path(),
            configured: setup.configured,
            host,
            cgroup_version,
            has_own_network: setup.node_image.how != How::Pulled,
        },
    )?;
    let file = run.path().join("kind-config.json");
    fs::write(&file, config).map_err(KindError::file("write", &file))?;
    let arguments =
        ["create", "cluster", "--name", name, "--wait", "120s", "--image", &setup.node_image.name, "--config"];
    let mut arguments: Vec<std::ffi::OsString> = arguments.map(Into::into).to_vec();
    // Not the user's own kubeconfig, which kind would add the cluster to.
    arguments.extend([file.into(), "--kubeconfig".into(), run.path().join("kind.kubeconfig").into()]);
    kind(run, setup, name, "create the cluster", arguments).await
}

/// Loads the operator's image into the node.
async fn load(run: &RunDir, setup: &Setup<'_>, name: &str) -> Result<(), ClusterError> {
    let (archive, image) = operator::image(setup).map_err(ClusterError::from)?;
    (setup.report)(&format!("loading {image}"));
    let file = run.path().join("external-secrets.tar");
    fs::write(&file, archive).map_err(KindError::file("write", &file))?;
    let arguments: Vec<_> = ["load", "image-archive", "--name", name].map(Into::into).to_vec();
    let arguments = [arguments, vec![file.clone().into()]].concat();
    kind(run, setup, name, "load an image into the node", arguments).await?;
    fs::remove_file(&file).map_err(KindError::file("remove", &file))?;
    Ok(())
}

/// Runs kind to its end, as a child that ends with this process.
async fn kind(
    run: &RunDir,
    setup: &Setup<'_>,
    name: &str,
    act: &'static str,
    arguments: Vec<std::ffi::OsString>,
) -> Result<(), ClusterError> {
    let log = run.path().join("kind.log");
    // What decides which engine it talks to, and how; credence's own commands of the engine inherit everything.
    let inherited = [
        "PATH",
        "HOME",
        "TMPDIR",
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_CONFIG",
        "DOCKER_CERT_PATH",
        "DOCKER_TLS_VERIFY",
        "CONTAINER_HOST",
        "CONTAINER_CONNECTION",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "SSH_AUTH_SOCK",
        "DBUS_SESSION_BUS_ADDRESS",
    ];
    let mut environment: BTreeMap<_, _> =
        inherited.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?))).collect();
    environment.insert("KIND_EXPERIMENTAL_PROVIDER".to_owned(), setup.engine.name().as_str().into());
    environment.insert("KIND_EXPERIMENTAL_DOCKER_NETWORK".to_owned(), name.into());
    environment.insert("KIND_EXPERIMENTAL_PODMAN_NETWORK".to_owned(), name.into());
    let program = Program {
        name: "kind".to_owned(),
        executable: setup.programs.path(Part::Kind).to_owned(),
        arguments,
        environment,
        log: log.clone(),
    };
    // Its own children would go on to make containers that nobody knows of.
    let group = Group(Process::start(&program)?);
    run.record(&group.0)?;
    let status = group.0.ended().await;
    if !status.success() {
        let tail = process::tail(&log, 20);
        return Err(KindError::Kind { act, status: status.to_string(), tail }.into());
    }
    Ok(())
}

/// A program that ends with all that it has started.
struct Group(Process);

impl Drop for Group {
    fn drop(&mut self) {
        self.0.kill_group();
    }
}

/// Where the API server is on this machine's loopback.
async fn published(engine: &Engine, container: &str) -> Result<String, KindError> {
    let answer = engine.output("find the API server's port", &["port", container, API_PORT]).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let found = answer.lines().map(str::trim).find(|line| line.parse::<std::net::SocketAddr>().is_ok());
    let found = found.map(str::to_owned);
    found.ok_or(KindError::Answer { what: "the API server's port", answer })
}

/// One thing that the engine knows of a container, by a template of its `inspect`.
async fn inspect<T: FromStr>(
    engine: &Engine,
    container: &str,
    what: &'static str,
    template: &str,
) -> Result<T, KindError> {
    let answer = engine.output("look at the node", &["inspect", "--format", template, container]).await?;
    let answer = String::from_utf8_lossy(&answer).trim().to_owned();
    answer.parse().map_err(|_| KindError::Answer { what, answer })
}

impl Kind {
    /// Runs a shell script inside the node.
    async fn inside(&self, act: &'static str, script: &str) -> Result<(), KindError> {
        self.engine.output(act, &["exec", self.node.name(), "sh", "-ec", script]).await?;
        Ok(())
    }

    /// Repeats a script inside the node until it succeeds.
    async fn until(&self, what: &'static str, script: &str) -> Result<(), KindError> {
        let done = wait::poll(what, EFFECT, EVERY, || async {
            match self.inside(what, script).await {
                Ok(()) => Progress::Done(()),
                Err(error) => Progress::NotYet(error.to_string()),
            }
        });
        Ok(done.await?)
    }

    async fn hold(&self, component: Component) -> Result<Option<Paused>, KindError> {
        let pattern = pattern(component);
        if !self.runs(component).await? {
            return Ok(None);
        }
        let (stop, go_on) = (format!("pkill -STOP {pattern}"), format!("pkill -CONT {pattern}"));
        let stands = format!("for pid in $(pgrep {pattern}); do grep -q '^State:.T' /proc/$pid/status; done");
        let (engine, node) = (self.engine.path().to_owned(), self.node.name().to_owned());
        let resume = move || {
            let mut command = Command::new(&engine);
            command.args(["exec", &node, "sh", "-ec", &go_on]).stdin(Stdio::null());
            // Whoever waits for its work learns that it stands still for good.
            command.output().ok();
        };
        // Made before the first signal, so that the program goes on whatever comes of this.
        let paused = Paused::new(|| true, resume);
        self.inside("stop a program where it is", &stop).await?;
        self.until("a program stands still", &stands).await?;
        Ok(Some(paused))
    }

    /// Whether there is a process of a component.
    async fn runs(&self, component: Component) -> Result<bool, KindError> {
        let script = format!("pgrep {} || true", pattern(component));
        let found = self.engine.output("look for a program", &["exec", self.node.name(), "sh", "-ec", &script]).await?;
        Ok(!found.trim_ascii().is_empty())
    }

    async fn take_away(&self, component: Component) -> Result<(), KindError> {
        let pattern = pattern(component);
        let kill = format!("if pkill -KILL {pattern}; then exit 1; fi");
        let taken = async {
            match component {
                Component::ApiServer => {
                    let act = "take the API server away";
                    self.inside(act, &format!("mv {MANIFEST} {PUT_AWAY}")).await?;
                    self.until(act, &kill).await
                }
                Component::ExternalSecrets => {
                    operator::stop(&self.client, self.until("kill External Secrets Operator", &kill)).await
                }
            }
        };
        let outcome = taken.await;
        if outcome.is_err() {
            // Nobody else would bring back what went only halfway; the first error is the telling one.
            self.bring_back(component).await.ok();
        }
        outcome
    }

    async fn bring_back(&self, component: Component) -> Result<(), ClusterError> {
        match component {
            Component::ApiServer => {
                let script = format!("if [ -e {PUT_AWAY} ]; then mv {PUT_AWAY} {MANIFEST}; fi");
                self.inside("bring the API server back", &script).await?;
                Ok(wait_until_ready(&self.client).await?)
            }
            Component::ExternalSecrets => Ok(operator::start_again(&self.client).await?),
        }
    }

    /// Resolves when the node's container ends.
    async fn node_died(&self) -> ClusterError {
        let node = self.node.name().to_owned();
        loop {
            let status = match self.engine.output("wait for the node", &["wait", &node]).await {
                Ok(status) => format!("status {}", String::from_utf8_lossy(&status).trim()),
                Err(error) => error.to_string(),
            };
            let state = ["inspect", "--format", "{{.State.Running}}", &node];
            match self.engine.output("look at the node", &state).await {
                // It was the engine that had trouble.
                Ok(running) if running.trim_ascii() == b"true" => wait::pass(EVERY).await,
                _ => return KindError::NodeDied { node, status }.into(),
            }
        }
    }
}

/// What tells a component's process from all others in the node. The controller of External Secrets Operator has flags
/// alone for arguments, its webhook and certificate controller have a command before them.
fn pattern(component: Component) -> &'static str {
    match component {
        Component::ApiServer => "-x kube-apiserver",
        Component::ExternalSecrets => "-f '^/bin/external-secrets --'",
    }
}

impl Provider for Kind {
    fn run(&self) -> &RunDir {
        &self.run
    }

    fn run_mut(&mut self) -> &mut RunDir {
        &mut self.run
    }

    fn authority(&self) -> &Authority {
        &self.authority
    }

    fn kind_node(&self) -> Option<&KindNode> {
        Some(&self.node)
    }

    fn kind_network(&self) -> Option<&ClusterNetwork> {
        Some(&self.network)
    }

    fn traffic(&self) -> Traffic {
        Traffic::Namespace(PathBuf::from(format!("/proc/{}/ns/net", self.pid)))
    }

    fn died(&self) -> BoxFuture<'_, ClusterError> {
        self.node_died().boxed()
    }

    fn standstill(&self) -> Option<Standstill> {
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
    use super::*;

    #[test]
    fn a_cluster_is_named_after_its_run() {
        assert_eq!(cluster_name(Path::new("/state/runs/1a2b")), "credence-1a2b");
    }
}
