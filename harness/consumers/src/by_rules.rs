//! Logins where a consumer's controller does not run: its lookup rules choose one, and git or a registry client really
//! uses it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::Stdio;
use std::time::Duration;

use credence_core::credential::Credential;
use credence_core::owner::Owner;
use credence_programs::oci::{ImageError, Registry};
use tokio::process::Command;
use tokio::time::timeout;

use crate::running::Consumers;
use crate::start::{ASK_PASS, AUTHORITY, PASSWORD, USERNAME};

/// Time that git may take to list the references of a repository on loopback.
pub(crate) const LISTED: Duration = Duration::from_secs(30);

/// A lookup could not be tried.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum LookupError {
    /// git could not be run.
    #[error("failed to run git ls-remote of {url}")]
    Git {
        url: String,
        #[source]
        source: io::Error,
    },
    #[error("failed to list the references of {url} within {LISTED:?}")]
    NoAnswer { url: String },
    /// The registry client cannot be made.
    #[error("failed to ask the registry")]
    Registry(#[from] ImageError),
}

/// Credential that git logs in with.
pub(crate) enum GitLogin {
    /// No credential: git asks anonymously.
    Nobody,
    /// A username and a password.
    Basic(Credential, Credential),
    /// A bearer token.
    Bearer(Credential),
}

impl Consumers {
    /// git that lists the references of a repository, and in which no configuration of this machine has a say.
    pub(crate) fn git_ls_remote(&self, url: &str) -> Command {
        let mut command = Command::new("git");
        command
            .args(["ls-remote", url, "HEAD"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.directory)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// True if git can list the references of a repository.
    ///
    /// # Errors
    /// When git cannot be run or does not end.
    pub(crate) async fn lists_references(&self, url: &str, login: &GitLogin) -> Result<bool, LookupError> {
        let failed = |source| LookupError::Git { url: url.to_owned(), source };
        let mut command = self.git_ls_remote(url);
        command
            .env("GIT_SSL_CAINFO", self.directory.join(AUTHORITY))
            .env("HTTPS_PROXY", self.forge.proxy())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match login {
            GitLogin::Nobody => {}
            GitLogin::Basic(username, password) => {
                command
                    .env("GIT_ASKPASS", self.directory.join(ASK_PASS))
                    .env(USERNAME, OsStr::from_bytes(username.expose()))
                    .env(PASSWORD, OsStr::from_bytes(password.expose()));
            }
            GitLogin::Bearer(token) => {
                // As a setting in the environment: an argument could be read by everybody on this machine.
                let header = [b"Authorization: Bearer ", token.expose()].concat();
                command
                    .env("GIT_CONFIG_COUNT", "1")
                    .env("GIT_CONFIG_KEY_0", "http.extraHeader")
                    .env("GIT_CONFIG_VALUE_0", OsString::from_vec(header));
            }
        }
        let status = timeout(LISTED, command.status()).await;
        let status = status.map_err(|_| LookupError::NoAnswer { url: url.to_owned() })?;
        Ok(status.map_err(failed)?.success())
    }

    /// True if a registry client can list the tags of an image.
    ///
    /// # Errors
    /// When no client can be made.
    pub(crate) async fn lists_tags(
        &self,
        owner: &Owner,
        name: &str,
        login: Option<&(Credential, Credential)>,
    ) -> Result<bool, LookupError> {
        let (address, trusted) = (self.forge.addresses()[0].to_string(), self.authority.certificate());
        let registry = match login {
            Some((username, password)) => {
                Registry::new(&address, &trusted, username.expose_str().unwrap_or_default(), password)?
            }
            None => Registry::anonymous(&address, &trusted)?,
        };
        Ok(registry.tags(&format!("{}/{name}", owner.path)).await.is_ok())
    }
}
