//! Gitea as a child process, on loopback.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use credence_cluster::cluster::free_ports;
use credence_core::credential::Credential;
use credence_core::file_error::FileError;
use credence_programs::process::{Death, Process, Program};

use super::{CREATE_ADMINISTRATOR, Gitea, LOG, Server, Setup, check_path, token, wait_until_ready};
use crate::forge::ForgeError;

/// Starts are tried again with another port when one was taken between choosing and binding it.
const ATTEMPTS: usize = 3;

pub(super) async fn start(setup: &Setup<'_>, program: &Path, assets: &Path) -> Result<Gitea, ForgeError> {
    check_path(assets)?;
    let mut attempt = 1;
    loop {
        match start_once(setup, program, assets).await {
            Err(ForgeError::Died(death)) if attempt < ATTEMPTS && death.is_port_taken() => attempt += 1,
            outcome => return outcome,
        }
    }
}

async fn start_once(setup: &Setup<'_>, program: &Path, assets: &Path) -> Result<Gitea, ForgeError> {
    let ports = free_ports().map_err(|error| ForgeError::Port(error.to_string()))?;
    let [listen, ssh] = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let configuration = setup.configure(assets, listen, ssh)?;
    let process = Process::start(&Program {
        name: "gitea".to_owned(),
        executable: program.to_owned(),
        arguments: vec!["--config".into(), configuration.clone().into(), "web".into()],
        environment: environment(setup.directory),
        log: setup.directory.join(LOG),
    })?;
    let died = async { Death::of(&process, process.ended().await) };
    let url = format!("http://{listen}");
    wait_until_ready(&url, died).await?;
    let token = create_administrator(setup, program, &configuration).await?;
    Ok(Gitea { server: Server::Process(process), url, ssh, token })
}

async fn create_administrator(
    setup: &Setup<'_>,
    program: &Path,
    configuration: &Path,
) -> Result<Credential, ForgeError> {
    let output = tokio::process::Command::new(program)
        .arg("--config")
        .arg(configuration)
        .args(CREATE_ADMINISTRATOR)
        .env_clear()
        .envs(environment(setup.directory))
        .kill_on_drop(true)
        .output()
        .await
        .map_err(FileError::of::<ForgeError>("run", program))?;
    let token = token(&Credential::new(output.stdout)).filter(|_| output.status.success());
    token.ok_or_else(|| ForgeError::Administrator { status: output.status.to_string() })
}

/// The whole environment: git and a shell for its hooks are on this process's path.
fn environment(directory: &Path) -> BTreeMap<String, OsString> {
    let common = super::environment(directory).into_iter().map(|(name, value)| (name.to_owned(), value.into()));
    common.chain([("PATH".to_owned(), std::env::var_os("PATH").unwrap_or_default())]).collect()
}
