//! Gitea as a child process: configuration, start, and the administrator that seeds it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{ForgeError, access};
use crate::certificates::write_private;
use crate::cluster::free_ports;
use crate::credential::Credential;
use crate::process::{Death, Process, Program};
use crate::wait::{self, Progress};

/// Login name of the administrator. Gitea reserves the name `admin`.
pub(super) const ADMINISTRATOR: &str = "credence";
/// How long Gitea may take to be ready; it takes about 2 s on two idle cores.
const READY: Duration = Duration::from_secs(60);
/// How often a server that is starting is asked.
const PROBE: Duration = Duration::from_millis(25);
/// Starts are tried again with another port when one was taken between choosing and binding it.
const ATTEMPTS: usize = 3;
/// What the command line prints before the token (`cmd/admin_user_create.go` of Gitea 1.26).
const TOKEN_LINE: &str = "Access token was successfully created... ";

/// A running Gitea and the token of its administrator.
pub(super) struct Gitea {
    pub(super) process: Process,
    pub(super) url: String,
    pub(super) token: Credential,
}

/// What a start needs to know.
pub(super) struct Setup<'a> {
    /// Holds the configuration and everything that Gitea writes.
    pub(super) directory: &'a Path,
    /// The executable.
    pub(super) program: &'a Path,
    /// Root of `templates`, `options` and `public`.
    pub(super) assets: &'a Path,
    /// The façade, as clients see it.
    pub(super) root_url: &'a str,
    /// Where the access log goes.
    pub(super) access_log: SocketAddr,
}

impl Gitea {
    /// Starts Gitea, waits until it is ready and makes the administrator.
    pub(super) async fn start(setup: &Setup<'_>) -> Result<Self, ForgeError> {
        check_path(setup.directory)?;
        check_path(setup.assets)?;
        for directory in ["home", "data", "tmp"].map(|name| setup.directory.join(name)) {
            fs::create_dir_all(&directory).map_err(|source| ForgeError::file("create", &directory, source))?;
        }
        let mut attempt = 1;
        loop {
            match Self::attempt(setup).await {
                Err(ForgeError::Died(death)) if attempt < ATTEMPTS && death.is_port_taken() => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn attempt(setup: &Setup<'_>) -> Result<Self, ForgeError> {
        let [port] = free_ports().map_err(|error| ForgeError::Port(error.to_string()))?;
        let configuration = setup.directory.join("app.ini");
        write_private(&configuration, configure(setup, port)?.as_bytes())?;
        let process = Process::start(&Program {
            name: "gitea".to_owned(),
            executable: setup.program.to_owned(),
            arguments: vec!["--config".into(), configuration.clone().into(), "web".into()],
            environment: environment(setup.directory),
            log: setup.directory.join("gitea.log"),
        })?;
        let url = format!("http://127.0.0.1:{port}");
        tokio::select! {
            ready = wait_until_ready(&url) => ready?,
            died = death(&process) => return Err(died),
        }
        let token = create_administrator(setup, &configuration).await?;
        Ok(Self { process, url, token })
    }
}

/// The path of the database becomes part of a URI, and all paths are quoted with backticks in the configuration.
fn check_path(path: &Path) -> Result<(), ForgeError> {
    let has_any = path.as_os_str().as_encoded_bytes().iter().any(|byte| b"#?%`\n".contains(byte));
    if has_any { Err(ForgeError::Path { path: path.to_owned() }) } else { Ok(()) }
}

/// Resolves when Gitea ends by itself.
pub(super) async fn death(process: &Process) -> ForgeError {
    Death::of(process, process.ended().await).into()
}

async fn wait_until_ready(url: &str) -> Result<(), ForgeError> {
    let client = reqwest::Client::builder().no_proxy().build().map_err(ForgeError::Client)?;
    let url = format!("{url}/api/healthz");
    wait::poll("Gitea ready", READY, PROBE, || async {
        match client.get(&url).send().await {
            Ok(answer) if answer.status().is_success() => Progress::Done(()),
            Ok(answer) => Progress::NotYet(answer.status().to_string()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    })
    .await
    .map_err(ForgeError::NotReady)
}

/// Makes the administrator and gives a token with all of its rights. Neither its password nor the token is ever on a
/// command line: Gitea makes both and prints them.
async fn create_administrator(setup: &Setup<'_>, configuration: &Path) -> Result<Credential, ForgeError> {
    let output = tokio::process::Command::new(setup.program)
        .arg("--config")
        .arg(configuration)
        .args(["admin", "user", "create", "--admin", "--random-password", "--access-token"])
        .args(["--access-token-name", "credence", "--access-token-scopes", "all"])
        .args(["--username", ADMINISTRATOR, "--email", "credence@forge.invalid"])
        .env_clear()
        .envs(environment(setup.directory))
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| ForgeError::file("run", setup.program, source))?;
    let printed = Credential::new(output.stdout);
    let token = printed.expose_str().and_then(|text| text.lines().find_map(|line| line.strip_prefix(TOKEN_LINE)));
    match token {
        Some(token) if output.status.success() => Ok(Credential::new(token.trim())),
        _ => Err(ForgeError::Administrator { status: output.status.to_string() }),
    }
}

/// The whole environment: git and a shell for its hooks on the path, an empty home.
fn environment(directory: &Path) -> BTreeMap<String, OsString> {
    let mut environment = BTreeMap::from([
        ("HOME".to_owned(), directory.join("home").into()),
        ("TMPDIR".to_owned(), directory.join("tmp").into()),
        ("PATH".to_owned(), std::env::var_os("PATH").unwrap_or_default()),
        ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".into()),
    ]);
    if rustix::process::geteuid().is_root() {
        // Gitea refuses to run as root otherwise; here it listens on loopback alone and ends with the run.
        environment.insert("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT".to_owned(), "true".into());
    }
    environment
}

/// Tasks that Gitea would run by itself: one asks upstream for news, the others tidy what is thrown away with the run.
const TASKS: [&str; 10] = [
    "update_checker",
    "update_mirrors",
    "repo_health_check",
    "check_repo_stats",
    "archive_cleanup",
    "sync_external_users",
    "deleted_branches_cleanup",
    "update_migration_poster_id",
    "cleanup_hook_task_table",
    "cleanup_packages",
];

/// The configuration, `app.ini`. Keys are those of Gitea's `custom/conf/app.example.ini`.
fn configure(setup: &Setup<'_>, port: u16) -> Result<String, ForgeError> {
    let path = |path: PathBuf| format!("`{}`", path.display());
    let work = path(setup.directory.to_owned());
    let data = path(setup.directory.join("data"));
    let repositories = path(setup.directory.join("repositories"));
    let database = path(setup.directory.join("gitea.db"));
    let assets = path(setup.assets.to_owned());
    let (root_url, access_log) = (setup.root_url, setup.access_log);
    let (template, request_id) = (access::TEMPLATE, access::REQUEST_ID);
    let [internal, key, jwt] = [secret()?, secret()?, secret()?];
    let mut text = format!(
        "\
APP_NAME = credence forge
RUN_MODE = prod
WORK_PATH = {work}

[server]
PROTOCOL = http
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = {root_url}
STATIC_ROOT_PATH = {assets}
APP_DATA_PATH = {data}
DISABLE_SSH = true
START_SSH_SERVER = false
LFS_START_SERVER = false
; No content delivery network, no Gravatar.
OFFLINE_MODE = true

[database]
DB_TYPE = sqlite3
PATH = {database}
SQLITE_JOURNAL_MODE = WAL
SQLITE_TIMEOUT = 20000
LOG_SQL = false

[repository]
ROOT = {repositories}
DEFAULT_BRANCH = main
DEFAULT_PRIVATE = private
ENABLE_PUSH_CREATE_USER = true
ENABLE_PUSH_CREATE_ORG = true
DISABLE_MIGRATIONS = true

[security]
INSTALL_LOCK = true
INTERNAL_TOKEN = {internal}
SECRET_KEY = {key}
; Accounts live for one run: a strong hash would only slow the tests down.
PASSWORD_HASH_ALGO = pbkdf2$1$50
MIN_PASSWORD_LENGTH = 1
PASSWORD_COMPLEXITY = off
DISABLE_QUERY_AUTH_TOKEN = true
DISABLE_WEBHOOKS = true

[oauth2]
JWT_SECRET = {jwt}
; The default, RS256, takes seconds to make its key.
JWT_SIGNING_ALGORITHM = ES256
DEFAULT_APPLICATIONS =

[service]
DISABLE_REGISTRATION = true
ENABLE_NOTIFY_MAIL = false
ENABLE_CAPTCHA = false
DEFAULT_USER_VISIBILITY = private
DEFAULT_ORG_VISIBILITY = private

[openid]
ENABLE_OPENID_SIGNIN = false
ENABLE_OPENID_SIGNUP = false

[mailer]
ENABLED = false

[indexer]
ISSUE_INDEXER_TYPE = db
REPO_INDEXER_ENABLED = false

[queue]
TYPE = channel

[session]
PROVIDER = memory

[cache]
ADAPTER = memory

[actions]
ENABLED = false

[api]
ENABLE_SWAGGER = false

[log]
MODE = console, fatal
LEVEL = fatal
logger.router.MODE =
logger.xorm.MODE =
logger.access.MODE = facade
ACCESS_LOG_TEMPLATE = {template}
REQUEST_ID_HEADERS = {request_id}

; Errors of requests quote the tokens and headers that were offered, so only those of the start and fatal ones are written.
[log.console]
LEVEL = error
EXPRESSION = ^(cmd|modules/graceful|modules/setting|routers/init|routers/common/db)[^ ]*\\.go:

[log.fatal]
MODE = console
LEVEL = fatal

[log.facade]
MODE = conn
PROTOCOL = tcp
ADDR = {access_log}
LEVEL = info
"
    );
    for task in TASKS {
        text.push_str(&format!("\n[cron.{task}]\nENABLED = false\n"));
    }
    Ok(text)
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

    fn configuration() -> String {
        let setup = Setup {
            directory: Path::new("/run dir/;1"),
            program: Path::new("/gitea"),
            assets: Path::new("/assets"),
            root_url: "https://127.0.0.1:1/",
            access_log: SocketAddr::from(([127, 0, 0, 1], 2)),
        };
        configure(&setup, 3).unwrap()
    }

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
    fn paths_are_quoted_against_comments() {
        assert!(configuration().contains("\nAPP_DATA_PATH = `/run dir/;1/data`\n"));
    }

    #[test]
    fn two_configurations_share_no_secret() {
        let secrets = |text: String| -> Vec<String> {
            let keys = ["INTERNAL_TOKEN = ", "SECRET_KEY = ", "JWT_SECRET = "];
            let lines = text.lines().filter(|line| keys.iter().any(|key| line.starts_with(key)));
            lines.map(str::to_owned).collect()
        };
        let (one, other) = (secrets(configuration()), secrets(configuration()));
        assert_eq!(one.len(), 3);
        assert!(one.iter().all(|secret| !other.contains(secret)));
    }

    #[test]
    fn the_access_log_has_no_url() {
        assert!(configuration().contains(&format!("\nACCESS_LOG_TEMPLATE = {}\n", access::TEMPLATE)));
        assert!(!access::TEMPLATE.contains("URL"));
    }
}
