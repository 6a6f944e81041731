//! Commands of kind, each run to its end.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use credence_core::file_error::FileError;
use credence_programs::node_image::{CONFIG, How};
use credence_programs::process::{self, Process, Program};
use credence_programs::run_dir::RunDir;
use credence_programs::supply::Part;
use tokio::time::timeout;

use super::config::{self, Run};
use super::{KindError, Setup, operator};
use crate::error::ClusterError;

/// Time that kind may take for one thing: it waits by itself for what it makes, but not for an engine that hangs.
const LONGEST: Duration = Duration::from_mins(10);

/// Lets kind make the cluster.
pub(super) async fn create(run: &RunDir, setup: &Setup<'_>, name: &str, host: IpAddr) -> Result<(), ClusterError> {
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
    fs::write(&file, config).map_err(FileError::of::<KindError>("write", &file))?;
    let arguments =
        ["create", "cluster", "--name", name, "--wait", "120s", "--image", &setup.node_image.name, "--config"];
    let mut arguments: Vec<std::ffi::OsString> = arguments.map(Into::into).to_vec();
    // Not the user's own kubeconfig, which kind would add the cluster to.
    arguments.extend([file.into(), "--kubeconfig".into(), run.path().join("kind.kubeconfig").into()]);
    kind(run, setup, name, "create the cluster", arguments).await
}

/// Loads the operator's image into the node.
pub(super) async fn load(run: &RunDir, setup: &Setup<'_>, name: &str) -> Result<(), ClusterError> {
    let (file, image) = operator::image(setup, run.path()).map_err(ClusterError::from)?;
    (setup.report)(&format!("loading {image}"));
    let arguments: Vec<_> = ["load", "image-archive", "--name", name].map(Into::into).to_vec();
    let arguments = [arguments, vec![file.clone().into()]].concat();
    kind(run, setup, name, "load an image into the node", arguments).await?;
    fs::remove_file(&file).map_err(FileError::of::<KindError>("remove", &file))?;
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
    let ended = timeout(LONGEST, group.0.ended()).await;
    let exit = ended.map_err(|_| KindError::Silent { act, engine: program.executable, seconds: LONGEST.as_secs() })?;
    if !exit.is_success() {
        let tail = process::tail(&log, 20);
        return Err(failure(act, exit.to_string(), tail).into());
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

/// Why kind gave up, by what it said.
fn failure(act: &'static str, status: String, tail: String) -> KindError {
    // Docker's words, and Podman's.
    let is_port = ["port is already allocated", "cannot listen on the TCP port"].iter().any(|said| tail.contains(said));
    if is_port { KindError::Port { act, tail } } else { KindError::Kind { act, status, tail } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_was_taken_is_told_from_other_failures() {
        let failed = |tail: &str| failure("create the cluster", "exit status: 1".into(), tail.into());
        let taken = "Bind for 127.0.0.1:40123 failed: port is already allocated";
        assert!(matches!(failed(taken), KindError::Port { .. }));
        assert!(failed(taken).to_string().contains("run again"));
        assert!(matches!(failed("node(s) already exist for a cluster"), KindError::Kind { .. }));
    }
}
