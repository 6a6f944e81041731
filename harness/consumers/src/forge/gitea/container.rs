//! Gitea in a container beside the node of a cluster of kind.
//!
//! It runs as the user of this process and has the forge's directory at the same path, so that what it writes goes with
//! the run. testcontainers removes it; where that has no time, the clean-up of the cluster does, by its label.

use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use credence_cluster::containers::{ContainerNetwork, LABEL};
use credence_core::credential::Credential;
use credence_core::file_error::FileError;
use credence_programs::engine::Engine;
use credence_programs::engine::container::ended;
use credence_programs::process::{self, Death, TAIL_LINES};
use testcontainers::core::logs::LogFrame;
use testcontainers::core::{CmdWaitFor, ExecCommand, Mount, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt, TestcontainersError};
use tokio::runtime::Handle;

use super::configuration::STARTED;
use super::image::{ASSETS, GiteaImage, PROGRAM};
use super::{CREATE_ADMINISTRATOR, Gitea, LOG, READY, Server, Setup, environment, token, wait_until_ready};
use crate::forge::ForgeError;

/// Address of the server: nobody else is in the container.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 3000);
/// Address of its server for SSH.
const LISTEN_SSH: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 3022);

/// A running container; removed when dropped.
pub(in crate::forge) struct Container {
    /// Only a drop takes it.
    inner: Option<ContainerAsync<GenericImage>>,
    engine: Engine,
    name: String,
    log: PathBuf,
}

/// Starts the container, waits until Gitea is ready and makes the administrator.
pub(super) async fn start(
    setup: &Setup<'_>,
    network: &ContainerNetwork,
    image: &GiteaImage,
) -> Result<Gitea, ForgeError> {
    let configuration = setup.configure(Path::new(ASSETS), LISTEN, LISTEN_SSH)?;
    let log = setup.directory.join(LOG);
    let file = File::options().create(true).append(true).open(&log);
    let file = file.map_err(FileError::of::<ForgeError>("create", &log))?;
    let name = name(network.name());
    let failed = |act| {
        let container = name.clone();
        move |source| ForgeError::Container { act, container, source: Box::new(source) }
    };
    let request = request(setup.directory, &configuration, network.name(), image, file);
    let inner = request.start().await.map_err(failed("start"))?;
    let address = inner.get_bridge_ip_address().await.map_err(failed("find the address of"))?;
    let url = format!("http://{}", SocketAddr::from((address, LISTEN.port())));
    wait_until_ready(&url, died(network.engine(), &name, &log)).await?;
    let token = create_administrator(&inner, &configuration).await.map_err(failed("create the administrator in"))?;
    let token = token.ok_or_else(|| ForgeError::Administrator { status: "success but no token".to_owned() })?;
    let container = Container { inner: Some(inner), engine: network.engine().clone(), name, log };
    let ssh = SocketAddr::from((address, LISTEN_SSH.port()));
    Ok(Gitea { server: Server::Container(Box::new(container)), url, ssh, token })
}

/// The container's name on the network of a cluster.
fn name(network: &str) -> String {
    format!("{network}-forge")
}

/// A request to the engine.
fn request(
    directory: &Path,
    configuration: &Path,
    network: &str,
    image: &GiteaImage,
    log: File,
) -> ContainerRequest<GenericImage> {
    // A cluster of kind has been refused a run directory that is not UTF-8.
    let path = directory.display().to_string();
    let (repository, tag) = image.parts();
    let user = format!("{}:{}", rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let configuration = configuration.display().to_string();
    let request = GenericImage::new(repository, tag)
        .with_wait_for(WaitFor::message_on_stdout(STARTED))
        .with_startup_timeout(READY)
        .with_cmd([PROGRAM, "--config", &configuration, "web"])
        .with_container_name(name(network))
        .with_network(network)
        // The network is named after the cluster.
        .with_label(LABEL, network)
        .with_user(user)
        // The user need have no name in the image, and Gitea wants one.
        .with_env_var("USER", "credence")
        .with_mount(Mount::bind_mount(path.clone(), path))
        // A line that cannot be written is one less for a person to read.
        .with_log_consumer(move |frame: &LogFrame| drop((&log).write_all(frame.bytes())));
    let environment = environment(directory).into_iter();
    environment.fold(request, |request, (name, value)| request.with_env_var(name, value.display().to_string()))
}

async fn create_administrator(
    container: &ContainerAsync<GenericImage>,
    configuration: &Path,
) -> Result<Option<Credential>, TestcontainersError> {
    let configuration = configuration.display().to_string();
    let command = [PROGRAM, "--config", &configuration].into_iter().chain(CREATE_ADMINISTRATOR);
    let command = ExecCommand::new(command).with_cmd_ready_condition(CmdWaitFor::exit_code(0));
    let printed = container.exec(command).await?.stdout_to_vec().await?;
    Ok(token(&Credential::new(printed)))
}

async fn died(engine: &Engine, name: &str, log: &Path) -> Death {
    let status = ended(engine, name).await;
    Death::new(&format!("container {name} with gitea"), &status, &process::tail(log, TAIL_LINES))
}

impl Container {
    /// Resolves when it ends by itself.
    pub(super) async fn died(&self) -> Death {
        died(&self.engine, &self.name, &self.log).await
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let inner = self.inner.take();
        if Handle::try_current().is_err() {
            // testcontainers would panic. The clean-up of the cluster removes the container then.
            std::mem::forget(inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_of_its_cluster_and_writes_as_this_user_where_the_run_is() {
        let image = GiteaImage::named("credence/gitea:0123456789ab");
        let directory = Path::new("/state/runs/1a2b/forge");
        let log = tempfile::tempfile().unwrap();
        let request = request(directory, &directory.join("app.ini"), "credence-1a2b", &image, log);
        assert_eq!(request.labels().get("credence.cluster").map(String::as_str), Some("credence-1a2b"));
        assert_eq!(request.network().as_deref(), Some("credence-1a2b"));
        assert_eq!(request.container_name().as_deref(), Some("credence-1a2b-forge"));
        assert_eq!(request.descriptor(), "credence/gitea:0123456789ab");
        let mounts: Vec<_> = request.mounts().map(|mount| (mount.source(), mount.target())).collect();
        assert_eq!(mounts, [(directory.to_str(), directory.to_str())]);
        let user = format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        assert_eq!(request.user(), Some(&*user));
        let command: Vec<_> = request.cmd().collect();
        assert_eq!(command, ["/usr/local/bin/gitea", "--config", "/state/runs/1a2b/forge/app.ini", "web"]);
        let environment: Vec<_> = request.env_vars().map(|(name, _)| name.into_owned()).collect();
        assert!(environment.contains(&"HOME".to_owned()) && !environment.contains(&"PATH".to_owned()));
        assert!(matches!(request.ready_conditions()[..], [WaitFor::Log(_)]));
    }
}
