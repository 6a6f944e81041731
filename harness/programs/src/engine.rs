//! The container engine of the machine: Docker or Podman, found and checked before anything is asked of it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

pub mod container;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
pub mod limited;
#[cfg(test)]
mod tests;

/// Commands that are looked for, the first that can be used is.
const COMMANDS: [&str; 2] = ["docker", "podman"];
/// The first API that can give a container cgroups of its own, which kind asks for: that of Docker 20.10
/// (kind, `pkg/cluster/internal/providers/docker/provision.go`).
const OLDEST_API: (u32, u32) = (1, 41);
/// The first Podman whose networks have names that containers can resolve (its netavark).
const OLDEST_PODMAN: (u32, u32) = (4, 0);
/// Time that an engine may think about its version. A daemon that is started by its socket needs seconds.
const ANSWER: Duration = Duration::from_secs(60);
/// Time that any other command may take that moves no image: to remove or to start a container takes seconds.
const COMMAND: Duration = Duration::from_secs(120);
/// Time that a pull may take: the largest image, that of a node, has about 400 MB.
const PULL: Duration = Duration::from_secs(600);
/// Lines of a command's output that an error carries.
const TAIL_LINES: usize = 12;

/// There is no engine, or it did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum EngineError {
    #[error(
        "failed to find a container engine: there is neither docker nor podman on the PATH; \
             install Docker (on Debian the package docker.io), or name its command"
    )]
    None,
    /// The command cannot be executed.
    #[error("failed to run {command}; name the command of Docker or Podman")]
    Run {
        command: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The command is neither Docker's nor Podman's.
    #[error("failed to use {command}: it answers `--version` with {said:?}; name the command of Docker or Podman")]
    Stranger { command: PathBuf, said: String },
    /// The engine does not answer.
    #[error("failed to ask {command} for its version: no answer within {seconds} s; restart its daemon")]
    Silent { command: PathBuf, seconds: u64 },
    /// The engine does not come to an end with a command.
    #[error("failed to {act} with {name}: no answer within {seconds} s; restart its daemon, and run again")]
    Hangs { act: String, name: Name, seconds: u64 },
    /// The user may not use the daemon's socket.
    #[error(
        "failed to use {name}: this user may not use its socket ({said}); \
             add the user to the group docker and log in again, or run credence as root"
    )]
    Rights { name: Name, said: String },
    /// The client is there, but no daemon answers it.
    #[error(
        "failed to reach the daemon of {name} ({said}); \
             start it, for example with `systemctl start docker`, or point DOCKER_HOST to one that runs"
    )]
    NoDaemon { name: Name, said: String },
    /// The engine cannot run nodes of kind.
    #[error("failed to use {name} {found}: too old for kind, {needed} or newer is needed; upgrade it")]
    TooOld {
        name: Name,
        found: String,
        /// The oldest version that will do.
        needed: &'static str,
    },
    /// The engine answered something unexpected.
    #[error("failed to learn {what} from the container engine, which says {answer:?}")]
    Answer { what: &'static str, answer: String },
    #[error("failed to {act} with {name}, {status}:\n{tail}")]
    Command {
        act: String,
        name: Name,
        status: ExitStatus,
        /// The last lines of what it said.
        tail: String,
    },
}

/// Container engine, by its product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the names of products")]
pub enum Name {
    Docker,
    Podman,
}

impl Name {
    /// Name in `KIND_EXPERIMENTAL_PROVIDER`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Docker => "Docker",
            Self::Podman => "Podman",
        })
    }
}

/// An engine that answered, that this user may use, and that is new enough for kind.
#[derive(Debug, Clone)]
pub struct Engine {
    command: PathBuf,
    name: Name,
    version: String,
}

/// Output of `version --format '{{json .}}'`. Podman without a service has no server.
#[derive(Deserialize)]
struct Versions {
    #[serde(rename = "Client")]
    client: Version,
    #[serde(rename = "Server")]
    server: Option<Version>,
}

/// Versions of the client or of the server.
#[derive(Deserialize)]
struct Version {
    #[serde(rename = "Version")]
    version: String,
    #[serde(rename = "ApiVersion", alias = "APIVersion", default)]
    api: String,
}

impl Engine {
    /// The engine behind the command `given`, else the first usable of `docker` and `podman` on the `PATH`.
    ///
    /// # Errors
    /// When there is none, it does not answer, this user may not use it, or it is too old. Of several that cannot be
    /// used, the first says why.
    pub async fn find(given: Option<&Path>) -> Result<Self, EngineError> {
        if let Some(command) = given {
            return Self::ask(command).await;
        }
        let mut refused = None;
        for command in COMMANDS.map(Path::new) {
            match Self::ask(command).await {
                Ok(engine) => return Ok(engine),
                Err(EngineError::Run { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(EngineError::None))
    }

    /// Product that answered, whatever its command is called.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Path of the command that it is called by.
    pub fn path(&self) -> &Path {
        &self.command
    }

    /// Separation of the engine from this process, if it is apart: its containers then are out of reach. None for one of this
    /// machine that runs as root.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn apart(&self) -> Result<Option<&'static str>, EngineError> {
        let (field, sign) = match self.name {
            Name::Docker => ("{{json .SecurityOptions}}", "name=rootless"),
            Name::Podman => ("{{.Host.Security.Rootless}}", "true"),
        };
        let answer = self.output("ask whether it runs as root", &["info", "--format", field]).await?;
        if String::from_utf8_lossy(&answer).contains(sign) {
            return Ok(Some("rootless"));
        }
        let elsewhere = std::env::var("DOCKER_HOST").is_ok_and(|host| !host.is_empty() && !host.starts_with("unix://"));
        Ok((self.name == Name::Docker && elsewhere).then_some("on another machine, by DOCKER_HOST"))
    }

    /// The version of control groups where containers run.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn cgroup_version(&self) -> Result<u8, EngineError> {
        let field = match self.name {
            Name::Docker => "{{.CgroupVersion}}",
            Name::Podman => "{{.Host.CgroupsVersion}}",
        };
        let answer = self.output("ask for the version of control groups", &["info", "--format", field]).await?;
        // Podman says v1 and v2; an engine that says nothing is older than version 2.
        Ok(String::from_utf8_lossy(&answer).trim().trim_start_matches('v').parse().unwrap_or(1))
    }

    /// The version of what runs the containers: the daemon's, where there is one.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A command of the engine, killed when it is dropped.
    pub fn command(&self, arguments: &[&str]) -> Command {
        command(&self.command, arguments)
    }

    /// Runs a command to its end and gives its standard output. `act` is what it is for, as in `list the images`.
    ///
    /// # Errors
    /// When it cannot be run, fails, or does not end within two minutes.
    pub async fn output(&self, act: &str, arguments: &[&str]) -> Result<Vec<u8>, EngineError> {
        self.output_within(COMMAND, act, arguments).await
    }

    /// The same for what may take longer, or must not take that long.
    ///
    /// # Errors
    /// When it cannot be run, fails, or does not end in that time.
    pub(crate) async fn output_within(
        &self,
        within: Duration,
        act: &str,
        arguments: &[&str],
    ) -> Result<Vec<u8>, EngineError> {
        let output = self.command(arguments).stdin(Stdio::null()).output();
        let hangs = |_| EngineError::Hangs { act: act.to_owned(), name: self.name, seconds: within.as_secs() };
        self.checked(act, timeout(within, output).await.map_err(hangs)?)
    }

    /// Directory of its images and volumes, if that is a directory of this machine: one elsewhere has its own disk.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn root(&self) -> Result<Option<PathBuf>, EngineError> {
        let field = match self.name {
            Name::Docker => "{{.DockerRootDir}}",
            Name::Podman => "{{.Store.GraphRoot}}",
        };
        let root = self.output("ask for the place of images", &["info", "--format", field]).await?;
        Ok(Some(PathBuf::from(String::from_utf8_lossy(&root).trim())).filter(|root| root.is_dir()))
    }

    /// True if the engine has the image of a registry that `reference` names by its digest.
    pub(super) async fn has_pulled(&self, reference: &str) -> bool {
        // An image that is not there is an error of the command as any other.
        self.output("look for an image", &["image", "inspect", "--format", "{{.Id}}", reference]).await.is_ok()
    }

    /// Pulls the image of a registry that `reference` names.
    pub(super) async fn pull(&self, act: &str, reference: &str) -> Result<(), EngineError> {
        self.output_within(PULL, act, &["pull", "--quiet", reference]).await.map(drop)
    }

    /// True if the engine has the image called `name`, with its tag.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub(crate) async fn has_image(&self, name: &str) -> Result<bool, EngineError> {
        let found = self.output("look for an image", &["images", "--quiet", name]).await?;
        Ok(!found.trim_ascii().is_empty())
    }

    /// The standard output of a command of this engine that has ended with success.
    pub fn checked(&self, act: &str, output: io::Result<Output>) -> Result<Vec<u8>, EngineError> {
        let output = output.map_err(|source| EngineError::Run { command: self.command.clone(), source })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let (act, tail) = (act.to_owned(), last_lines(&output.stderr, TAIL_LINES));
        Err(EngineError::Command { act, name: self.name, status: output.status, tail })
    }

    async fn ask(program: &Path) -> Result<Self, EngineError> {
        let said = answer(program, &["--version"]).await?;
        let said = String::from_utf8_lossy(&said.stdout).lines().next().unwrap_or_default().to_owned();
        // Podman may come with a command named docker, so the file's name tells nothing.
        let name = match said.to_lowercase() {
            said if said.starts_with("docker version") => Name::Docker,
            said if said.starts_with("podman version") => Name::Podman,
            _ => return Err(EngineError::Stranger { command: program.to_owned(), said }),
        };
        let output = answer(program, &["version", "--format", "{{json .}}"]).await?;
        let said = || last_lines(&output.stderr, 1);
        let versions: Option<Versions> = serde_json::from_slice(&output.stdout).ok();
        let found = match (name, versions) {
            (Name::Docker, Some(Versions { server: Some(server), .. })) => server,
            (Name::Podman, Some(Versions { server, client })) => server.unwrap_or(client),
            _ if said().contains("permission denied") => return Err(EngineError::Rights { name, said: said() }),
            _ => return Err(EngineError::NoDaemon { name, said: said() }),
        };
        let (is_enough, needed) = match name {
            Name::Docker => (numbers(&found.api) >= Some(OLDEST_API), "20.10 (API 1.41)"),
            Name::Podman => (numbers(&found.version) >= Some(OLDEST_PODMAN), "4.0"),
        };
        if !is_enough {
            return Err(EngineError::TooOld { name, found: found.version, needed });
        }
        Ok(Self { command: program.to_owned(), name, version: found.version })
    }
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    // Messages are read, so they must be in the language that they are known in.
    command.args(arguments).env("LC_ALL", "C").kill_on_drop(true);
    command
}

async fn answer(program: &Path, arguments: &[&str]) -> Result<Output, EngineError> {
    let output = command(program, arguments).stdin(Stdio::null()).output();
    timeout(ANSWER, output)
        .await
        .map_err(|_| EngineError::Silent { command: program.to_owned(), seconds: ANSWER.as_secs() })?
        .map_err(|source| EngineError::Run { command: program.to_owned(), source })
}

/// The first two numbers of `1.41` or `4.3.1-dev`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map_while(|word| {
        let digits = word.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    });
    Some((numbers.next()?, numbers.next()?))
}

/// The last `count` lines that say something.
fn last_lines(output: &[u8], count: usize) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
