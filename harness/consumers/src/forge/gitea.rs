//! Gitea, as a child process or in a container: its files, its start, and the administrator that seeds it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credence_core::credential::Credential;
use credence_core::file_error::FileError;
use credence_programs::certificates::write_private;
use credence_programs::process::{Death, Process};
use credence_watch::wait::{self, Progress};

use super::{ForgeError, GiteaPlacement};

mod configuration;
mod container;
pub(super) mod image;
mod process;

use configuration::{Configuration, configure};
use container::Container;

/// Login name of the administrator. Gitea reserves the name `admin`.
pub(super) const ADMINISTRATOR: &str = "credence";
/// The name of its log, in the forge's directory.
const LOG: &str = "gitea.log";
/// Time that Gitea may take to be ready; it takes about 2 s on two idle cores.
const READY: Duration = Duration::from_mins(3);
/// Time between two polls of a server that is starting.
const PROBE: Duration = Duration::from_millis(25);
/// Makes the administrator and prints a token with all of its rights. Neither its password nor the token is ever on a
/// command line: Gitea makes both.
const CREATE_ADMINISTRATOR: [&str; 14] = [
    "admin",
    "user",
    "create",
    "--admin",
    "--random-password",
    "--access-token",
    "--access-token-name",
    "credence",
    "--access-token-scopes",
    "all",
    "--username",
    ADMINISTRATOR,
    "--email",
    "credence@forge.invalid",
];
/// Output of the command line before the token (`cmd/admin_user_create.go` of Gitea 1.26).
const TOKEN_LINE: &str = "Access token was successfully created... ";

/// A running Gitea and the token of its administrator.
pub(super) struct Gitea {
    pub(super) server: Server,
    pub(super) url: String,
    /// Its address for SSH, as this machine reaches it.
    pub(super) ssh: SocketAddr,
    pub(super) token: Credential,
}

/// Facts that a start needs.
pub(super) struct Setup<'a> {
    /// Holds the configuration and everything that Gitea writes.
    pub(super) directory: &'a Path,
    pub(super) place: &'a GiteaPlacement<'a>,
    /// The façade, as clients see it.
    pub(super) root_url: &'a str,
    /// Address that takes the access log, and what is said of keys of SSH.
    pub(super) access_log: SocketAddr,
    /// The file with its key for SSH.
    pub(super) host_key: &'a Path,
    /// Address at which sessions of SSH ask for their rights.
    pub(super) relay: SocketAddr,
}

impl Setup<'_> {
    /// Writes the configuration of a Gitea that listens at `listen`, for SSH at `ssh`, and finds its assets in `assets`.
    fn configure(&self, assets: &Path, listen: SocketAddr, ssh: SocketAddr) -> Result<PathBuf, ForgeError> {
        let Self { directory, root_url, access_log, host_key, relay, .. } = *self;
        let of = Configuration { directory, assets, listen, root_url, access_log, ssh, host_key, relay };
        let text = configure(&of)?;
        let path = directory.join("app.ini");
        write_private(&path, text.as_bytes())?;
        Ok(path)
    }
}

/// The server; ends when this is dropped.
pub(super) enum Server {
    Process(Process),
    Container(Box<Container>),
}

impl Server {
    /// Resolves when Gitea ends by itself.
    pub(super) async fn died(&self) -> Death {
        match self {
            Self::Process(process) => Death::of(process, process.ended().await),
            Self::Container(container) => container.died().await,
        }
    }
}

impl Gitea {
    /// Starts Gitea, waits until it is ready and makes the administrator.
    pub(super) async fn start(setup: &Setup<'_>) -> Result<Self, ForgeError> {
        check_path(setup.directory)?;
        for directory in ["home", "data", "tmp"].map(|name| setup.directory.join(name)) {
            fs::create_dir_all(&directory).map_err(FileError::of::<ForgeError>("create", &directory))?;
        }
        match setup.place {
            GiteaPlacement::Process { program, assets } => process::start(setup, program, assets).await,
            GiteaPlacement::Container { network, image } => container::start(setup, network, image).await,
        }
    }
}

/// The path of the database becomes part of a URI, and all paths are quoted with backticks in the configuration.
fn check_path(path: &Path) -> Result<(), ForgeError> {
    let has_any = path.as_os_str().as_encoded_bytes().iter().any(|byte| b"#?%`\n".contains(byte));
    if has_any { Err(ForgeError::Path { path: path.to_owned() }) } else { Ok(()) }
}

/// Waits until the server at `url` is ready, or has died.
async fn wait_until_ready(url: &str, died: impl Future<Output = Death>) -> Result<(), ForgeError> {
    let client = reqwest::Client::builder().no_proxy().build().map_err(ForgeError::Client)?;
    let url = format!("{url}/api/healthz");
    let ready = wait::poll("Gitea ready", READY, PROBE, || async {
        match client.get(&url).send().await {
            Ok(answer) if answer.status().is_success() => Progress::Done(()),
            Ok(answer) => Progress::NotYet(answer.status().to_string()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    });
    tokio::select! {
        ready = ready => ready.map_err(ForgeError::NotReady),
        death = died => Err(death.into()),
    }
}

/// The token in what [`CREATE_ADMINISTRATOR`] printed, which holds a password, too.
fn token(printed: &Credential) -> Option<Credential> {
    let token = printed.expose_str()?.lines().find_map(|line| line.strip_prefix(TOKEN_LINE))?;
    Some(Credential::new(token.trim()))
}

/// The environment wherever it runs: an empty home, and no configuration of git but its own.
fn environment(directory: &Path) -> Vec<(&'static str, PathBuf)> {
    let mut environment =
        vec![("HOME", directory.join("home")), ("TMPDIR", directory.join("tmp")), ("GIT_CONFIG_NOSYSTEM", "1".into())];
    if rustix::process::geteuid().is_root() {
        // Gitea refuses to run as root otherwise; here only this machine reaches it, and it ends with the run.
        environment.push(("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT", "true".into()));
    }
    environment
}

/// 32 random bytes in the form that Gitea asks for.
pub(super) fn secret() -> Result<String, ForgeError> {
    let mut bytes = [0; 32];
    // getrandom(2) gives up to 256 bytes whole, see its manual page.
    rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())
        .map_err(|source| ForgeError::Random(source.into()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/run dir/;1/ü", true)]
    #[case("/run/#1", false)]
    #[case("/run/a?b", false)]
    #[case("/run/100%", false)]
    #[case("/run/`", false)]
    fn paths_that_gitea_would_misread_are_refused(#[case] path: &str, #[case] taken: bool) {
        assert_eq!(check_path(Path::new(path)).is_ok(), taken);
    }

    #[test]
    fn the_token_is_found_in_what_the_command_line_prints() {
        let printed = format!("generated random password is 'x y'\nNew user 'a' created\n{TOKEN_LINE}abc123\n");
        assert_eq!(token(&Credential::new(printed)).unwrap().expose_str(), Some("abc123"));
        assert!(token(&Credential::new("generated random password is 'x'\n")).is_none());
    }
}
