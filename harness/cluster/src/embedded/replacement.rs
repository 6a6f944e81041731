//! A second process of External Secrets Operator, which takes the place of the first.
//!
//! With leader election, the operator takes the namespace of its lease from a file that pods have
//! (sigs.k8s.io/controller-runtime pkg/leaderelection/leader_election.go, `getInClusterNamespace`), and no flag of it names
//! another. So both processes get that file, in a file system that they alone see.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use credence_core::file_error::FileError;
use credence_programs::process::path::find_program;
use credence_programs::process::{Death, Process, Program};
use credence_watch::wait::{self, Progress, WaitError};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use super::EmbeddedCluster;
use crate::error::ClusterError;
use crate::operator::{self, LIVE_ADDRESS};
use crate::provisioned::Replacement;
use crate::start_up::free_ports;

/// Why no leader is elected.
pub(super) const NO_MOUNTS: &str = "two operators that elect a leader need mount namespaces of their own: run as root, or \
    allow user namespaces; and the program unshare (on Debian: apt-get install util-linux)";
/// The program that gives another a file system of its own.
const UNSHARE: &str = "unshare";
/// Makes the file of pods, and becomes the program.
const AS_IN_A_POD: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount && \
    printf %s \"$0\" > /run/secrets/kubernetes.io/serviceaccount/namespace && exec \"$@\"";
/// Directories of the programs of that script.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// The operator's lease (its `main.go`, `LeaderElectionID`).
const LEASE: &str = "external-secrets-controller";
/// Time that the next leader may take: a lease is over after 15 s (controller-runtime pkg/manager/internal.go,
/// `defaultLeaseDuration`), and is asked for every 2 s; the rest is for a busy machine.
const ELECTION: Duration = Duration::from_secs(45);
/// Time that a process that is told to end may take.
const END: Duration = Duration::from_secs(45);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The programs that stand by while the operator is replaced.
pub(super) enum Standby {
    /// The process that is to be the only one.
    Beside(Arc<Process>),
    /// The process of the service, which waits for the lease of this holder.
    Elected(String),
}

/// True if a process can have a file system of its own here.
pub(super) fn has_mounts() -> bool {
    let Some(unshare) = find_program(UNSHARE) else { return false };
    let mut command = Command::new(unshare);
    command.args(namespaces()).args(["sh", "-c", "mount -t tmpfs tmpfs /run"]).env("PATH", PATH);
    let tried = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

fn namespaces() -> Vec<&'static str> {
    let mut arguments = vec!["--mount", "--propagation", "private"];
    if !rustix::process::geteuid().is_root() {
        arguments.push("--map-root-user");
    }
    arguments
}

impl EmbeddedCluster {
    pub(super) async fn begin_to_replace(&self, how: Replacement) -> Result<(), ClusterError> {
        let standby = match how {
            Replacement::Rolled => Standby::Beside(self.start_beside("external-secrets-next", &[]).await?),
            Replacement::Elected => self.kill_the_leader().await?,
        };
        self.standby.lock().await.replace(standby);
        Ok(())
    }

    pub(super) async fn end_to_replace(&self) -> Result<(), ClusterError> {
        match self.standby.lock().await.take().ok_or(ClusterError::NoReplacement)? {
            Standby::Beside(next) => {
                let Some(former) = self.operator.succeed(next) else { return Ok(()) };
                former.terminate();
                if tokio::time::timeout(END, former.ended()).await.is_err() {
                    former.kill();
                }
                Ok(())
            }
            Standby::Elected(former) => {
                Ok(self.until_led("another operator leads", |holder| holder != former).await.map(drop)?)
            }
        }
    }

    /// Starts two operators that elect a leader in the place of the one that runs, and kills the leader.
    async fn kill_the_leader(&self) -> Result<Standby, ClusterError> {
        let before = self.holder().await?;
        let flags = ["--enable-leader-election=true"];
        self.operator.stop().await;
        let leader = self.start_beside("external-secrets-leader", &flags).await?;
        self.operator.succeed(leader);
        let what = "an operator leads";
        let holder = self.until_led(what, |holder| before.as_deref() != Some(holder)).await?;
        let next = self.start_beside("external-secrets-standby", &flags).await?;
        if let Some(leader) = self.operator.succeed(next) {
            leader.kill();
            leader.ended().await;
        }
        Ok(Standby::Elected(holder))
    }

    /// Starts one more process of the operator, with more arguments, and waits until it lives.
    async fn start_beside(&self, name: &str, more: &[&str]) -> Result<Arc<Process>, ClusterError> {
        let ports = free_ports().map_err(FileError::of::<ClusterError>("find", Path::new("a free loopback port")))?;
        let [port]: [u16; 1] = ports;
        let live = format!("{}:{port}", Ipv4Addr::LOCALHOST);
        let mut program = self.operator.program().clone();
        program.arguments.retain(|argument| !argument.to_string_lossy().starts_with(LIVE_ADDRESS));
        program.arguments.push(format!("{LIVE_ADDRESS}={live}").into());
        program.arguments.extend(more.iter().map(OsString::from));
        program.name = name.to_owned();
        program.log = self.run.path().join(format!("{name}.log"));
        let program = if more.is_empty() { program } else { as_in_a_pod(program) };
        let process = Arc::new(Process::start(&program)?);
        self.run.record(&process)?;
        let url = format!("http://{live}/healthz");
        tokio::select! {
            ready = operator::wait_until_live(&url) => ready?,
            status = process.ended() => {
                return Err(Death::of(&process, status).into());
            }
        }
        Ok(process)
    }

    /// Waits until somebody holds the operator's lease who `is_next`.
    async fn until_led(&self, what: &str, is_next: impl Fn(&str) -> bool) -> Result<String, WaitError> {
        wait::poll(what, ELECTION, POLL_INTERVAL, || async {
            match self.holder().await {
                Ok(Some(holder)) if is_next(&holder) => Progress::Done(holder),
                Ok(holder) => Progress::NotYet(format!("the lease is held by {holder:?}")),
                Err(error) => Progress::NotYet(error.to_string()),
            }
        })
        .await
    }

    /// The holder of the operator's lease, if it was ever held.
    async fn holder(&self) -> Result<Option<String>, ClusterError> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), operator::NAMESPACE);
        let lease = leases.get_opt(LEASE).await;
        let failed = |source| ClusterError::Request { act: "read the operator's lease", source: Box::new(source) };
        Ok(lease.map_err(failed)?.and_then(|lease| lease.spec?.holder_identity).filter(|holder| !holder.is_empty()))
    }
}

/// The same program in a file system of its own, where it finds the namespace of a pod.
fn as_in_a_pod(program: Program) -> Program {
    let mut arguments: Vec<OsString> = namespaces().into_iter().map(OsString::from).collect();
    arguments.extend(["sh", "-ec", AS_IN_A_POD, operator::NAMESPACE].map(OsString::from));
    arguments.push(program.executable.into_os_string());
    arguments.extend(program.arguments);
    let mut environment = program.environment;
    environment.insert("PATH".to_owned(), PATH.into());
    // Without it nothing could be elected, which was found out before.
    let executable = find_program(UNSHARE).unwrap_or_else(|| UNSHARE.into());
    Program { executable, arguments, environment, ..program }
}
