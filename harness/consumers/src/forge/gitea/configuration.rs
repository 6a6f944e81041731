//! Gitea's configuration.

use std::net::SocketAddr;
use std::path::Path;

use super::secret;
use crate::forge::{ForgeError, access};

/// Line that Gitea logs when its server starts (`modules/graceful/server.go` of Gitea 1.26).
pub(super) const STARTED: &str = "Starting new Web server";

/// The only user of a forge over SSH.
const SSH_USER: &str = "git";

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

/// Only the administrator makes accounts. Nothing is mailed, indexed or run for users, and state is kept in memory.
const ACCOUNTS_AND_SERVICES: &str = "\
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
";

/// Fields that differ from one configuration to the next.
pub(super) struct Configuration<'a> {
    /// Holds everything that Gitea writes.
    pub(super) directory: &'a Path,
    /// Root of `templates`, `options` and `public`, where Gitea runs.
    pub(super) assets: &'a Path,
    /// Address of its server for HTTP.
    pub(super) listen: SocketAddr,
    /// The façade, as clients see it.
    pub(super) root_url: &'a str,
    /// Address that takes the access log, and what is said of keys of SSH.
    pub(super) access_log: SocketAddr,
    /// Address of its server for SSH.
    pub(super) ssh: SocketAddr,
    /// The file with its key for that.
    pub(super) host_key: &'a Path,
    /// Address at which sessions of SSH ask for their rights.
    pub(super) relay: SocketAddr,
}

/// The configuration, `app.ini`. Keys are those of Gitea's `custom/conf/app.example.ini`.
pub(super) fn configure(of: &Configuration<'_>) -> Result<String, ForgeError> {
    let identity = format!("APP_NAME = credence forge\nRUN_MODE = prod\nWORK_PATH = {}\n", quoted(of.directory));
    let tasks = TASKS.map(|task| format!("[cron.{task}]\nENABLED = false\n")).join("\n");
    let sections =
        [identity, server(of), storage(of.directory), security()?, ACCOUNTS_AND_SERVICES.to_owned(), log(of), tasks];
    Ok(sections.join("\n"))
}

/// A path as a value, in which `;` and `#` would begin a comment.
fn quoted(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// Addresses of HTTP and SSH, and the directories that the server reads.
fn server(of: &Configuration<'_>) -> String {
    let (host, port, root_url, relay) = (of.listen.ip(), of.listen.port(), of.root_url, of.relay);
    let (ssh_host, ssh_port, ssh_user, host_key) = (of.ssh.ip(), of.ssh.port(), SSH_USER, quoted(of.host_key));
    let (assets, data) = (quoted(of.assets), quoted(&of.directory.join("data")));
    format!(
        "\
[server]
PROTOCOL = http
HTTP_ADDR = {host}
HTTP_PORT = {port}
ROOT_URL = {root_url}
STATIC_ROOT_PATH = {assets}
APP_DATA_PATH = {data}
LOCAL_ROOT_URL = http://{relay}/
START_SSH_SERVER = true
BUILTIN_SSH_SERVER_USER = {ssh_user}
SSH_LISTEN_HOST = {ssh_host}
SSH_LISTEN_PORT = {ssh_port}
SSH_SERVER_HOST_KEYS = {host_key}
SSH_CREATE_AUTHORIZED_KEYS_FILE = false
LFS_START_SERVER = false
; No content delivery network, no Gravatar.
OFFLINE_MODE = true
"
    )
}

/// The database and the repositories, in `directory`.
fn storage(directory: &Path) -> String {
    let (database, repositories) = (quoted(&directory.join("gitea.db")), quoted(&directory.join("repositories")));
    format!(
        "\
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
"
    )
}

/// Secrets of the server, and how it keeps those of its users.
fn security() -> Result<String, ForgeError> {
    let [internal, key, jwt] = [secret()?, secret()?, secret()?];
    Ok(format!(
        "\
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
"
    ))
}

/// Logs: what the start says, whom a client was taken for, and which key of SSH nobody has.
fn log(of: &Configuration<'_>) -> String {
    let (template, request_id, access_log) = (access::TEMPLATE, access::REQUEST_ID, of.access_log);
    format!(
        "\
[log]
MODE = console, start, fatal, ssh
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

; The one line that says that the server starts. The expression is for the file or the message.
[log.start]
MODE = console
LEVEL = info
EXPRESSION = ^{STARTED}:

[log.fatal]
MODE = console
LEVEL = fatal

; Of a key that nobody has, it says the fingerprint.
[log.ssh]
MODE = conn
PROTOCOL = tcp
ADDR = {access_log}
LEVEL = warn
EXPRESSION = ^modules/ssh/ssh\\.go:

[log.facade]
MODE = conn
PROTOCOL = tcp
ADDR = {access_log}
LEVEL = info
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> String {
        let of = Configuration {
            directory: Path::new("/run dir/;1"),
            assets: Path::new("/assets"),
            listen: SocketAddr::from(([0, 0, 0, 0], 3)),
            root_url: "https://127.0.0.1:1/",
            access_log: SocketAddr::from(([172, 18, 0, 1], 2)),
            ssh: SocketAddr::from(([127, 0, 0, 1], 4)),
            host_key: Path::new("/run dir/;1/host_key"),
            relay: SocketAddr::from(([127, 0, 0, 1], 5)),
        };
        configure(&of).unwrap()
    }

    #[test]
    fn paths_are_quoted_against_comments() {
        assert!(configuration().contains("\nAPP_DATA_PATH = `/run dir/;1/data`\n"));
    }

    #[test]
    fn addresses_are_those_of_where_it_runs() {
        let text = configuration();
        assert!(text.contains("\nHTTP_ADDR = 0.0.0.0\nHTTP_PORT = 3\n"), "{text}");
        assert!(text.contains("\nADDR = 172.18.0.1:2\n"), "{text}");
    }

    #[test]
    fn the_line_of_the_start_is_logged_and_told_by_its_beginning() {
        assert!(configuration().contains(&format!("\nLEVEL = info\nEXPRESSION = ^{STARTED}:\n")));
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
