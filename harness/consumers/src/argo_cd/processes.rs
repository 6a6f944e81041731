//! Argo CD's programs as processes of this machine.

use std::path::Path;
use std::time::Duration;

use credence_cluster::cluster::{SET_UP, free_ports};
use credence_programs::process::{Process, first_death};
use credence_watch::wait::{self, Progress, WaitError};
use tokio::net::TcpStream;

use super::files::{Files, Ports};
use super::{ArgoCdError, Setup, install, objects};

/// Time between two polls of a server that is starting.
const PROBE: Duration = Duration::from_millis(50);
/// Starts are tried again with other ports when one was taken between choosing and binding it.
const ATTEMPTS: usize = 3;

/// The processes. They end when this is dropped.
pub(super) struct Processes {
    processes: Vec<Process>,
    files: Files,
}

impl Processes {
    /// Starts the programs, and waits until all of them answer.
    pub(super) async fn start(setup: &Setup<'_>, program: &Path, kubeconfig: &Path) -> Result<Self, ArgoCdError> {
        let Setup { directory, assets, network, namespace, .. } = *setup;
        let files = Files::write(directory, assets, network, namespace, program, kubeconfig)?;
        let mut attempt = 1;
        let processes = loop {
            match launch(&files, setup).await {
                Err(ArgoCdError::Died(death)) if attempt < ATTEMPTS && death.is_port_taken() => attempt += 1,
                outcome => break outcome?,
            }
        };
        Ok(Self { processes, files })
    }

    pub(super) fn all(&self) -> &[Process] {
        &self.processes
    }

    /// Resolves when one ends by itself.
    pub(super) async fn died(&self) -> ArgoCdError {
        first_death(&self.processes).await.into()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.processes.iter().for_each(Process::kill);
        self.files.unlock();
    }
}

/// Installs what Argo CD needs, starts its programs, and waits until all of them answer.
async fn launch(files: &Files, setup: &Setup<'_>) -> Result<Vec<Process>, ArgoCdError> {
    let [redis, repo_server, repo_server_metrics, controller_metrics] = free_ports().map_err(ArgoCdError::Ports)?;
    let ports = Ports { redis, repo_server, repo_server_metrics, controller_metrics };
    let mut processes = vec![Process::start(&files.redis(&ports))?, Process::start(&files.repo_server(&ports))?];
    install(setup, &objects::settings(setup.namespace, setup.labels)).await?;
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
