//! Kargo as a consumer where its controller does not run: its lookup rules over the live Secrets choose a login, and git or
//! a registry client really uses it.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use std::time::Duration;

use credence_core::credential::Credential;
use credence_core::endpoints::Owner;
use credence_core::kargo_lookup::{self, Candidate, Kind, NoLogin};
use credence_programs::oci::{ImageError, Registry};
use tokio::process::Command;
use tokio::time::timeout;

use crate::running::{Answer, Consumers};
use crate::start::{ASK_PASS, AUTHORITY, PASSWORD, USERNAME};

/// How long git may take to list the references of a repository on loopback.
const LISTED: Duration = Duration::from_secs(30);
/// Why a lookup could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// git could not be run.
    #[error("failed to run git ls-remote of {url}")]
    Git {
        /// The repository.
        url: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// git did not end.
    #[error("failed to list the references of {url} within {LISTED:?}")]
    NoAnswer {
        /// The repository.
        url: String,
    },
    /// The registry client cannot be made.
    #[error("failed to ask the registry")]
    Registry(#[from] ImageError),
}

/// A login, or why there is none: then Kargo goes on as nobody.
type Login = Result<(Credential, Credential), NoLogin>;

impl Consumers {
    /// The login that Kargo finds in a project's namespace for a repository.
    fn kargo_login(&self, namespace: &str, kind: Kind, url: &str) -> Login {
        self.site.observer.look(|view| {
            let secrets: Vec<Candidate<'_>> = view
                .secrets(namespace)
                .map(|(name, secret)| Candidate { name, labels: &secret.labels, data: &secret.data })
                .collect();
            kargo_lookup::login(&secrets, &[], kind, url, false)
                .map(|login| (login.username.clone(), login.password.clone()))
        })
    }

    /// Lists the references of a repository as Kargo would.
    ///
    /// # Errors
    /// When git cannot be run or does not end.
    pub async fn list_references(&self, namespace: &str, owner: &Owner, name: &str) -> Result<Answer, LookupError> {
        let url = owner.repository(name);
        let login = self.kargo_login(namespace, Kind::Git, &url);
        let listed = self.ls_remote(&url, login.as_ref().ok()).await?;
        Ok(answer(listed, login, "git was refused"))
    }

    async fn ls_remote(&self, url: &str, login: Option<&(Credential, Credential)>) -> Result<bool, LookupError> {
        let failed = |source| LookupError::Git { url: url.to_owned(), source };
        let mut command = Command::new("git");
        command
            .args(["ls-remote", url, "HEAD"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.directory)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSL_CAINFO", self.directory.join(AUTHORITY))
            .env("HTTPS_PROXY", self.forge.proxy())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some((username, password)) = login {
            command
                .env("GIT_ASKPASS", self.directory.join(ASK_PASS))
                .env(USERNAME, OsStr::from_bytes(username.expose()))
                .env(PASSWORD, OsStr::from_bytes(password.expose()));
        }
        let status = timeout(LISTED, command.status()).await;
        let status = status.map_err(|_| LookupError::NoAnswer { url: url.to_owned() })?;
        Ok(status.map_err(failed)?.success())
    }

    /// Lists the tags of an image as Kargo would.
    ///
    /// # Errors
    /// When no client can be made.
    pub async fn list_tags(&self, namespace: &str, owner: &Owner, name: &str) -> Result<Answer, LookupError> {
        let login = self.kargo_login(namespace, Kind::Image, &owner.image(name));
        let address = self.forge.addresses()[0].to_string();
        let registry = match &login {
            Ok((username, password)) => {
                let username = username.expose_str().unwrap_or_default();
                Registry::new(&address, &self.authority.certificate(), username, password)?
            }
            Err(_) => Registry::anonymous(&address, &self.authority.certificate())?,
        };
        let listed = registry.tags(&format!("{}/{name}", owner.name)).await.is_ok();
        Ok(answer(listed, login, "the registry refused"))
    }
}

/// What came of a request, and of the lookup before it.
fn answer(admitted: bool, login: Login, refused: &str) -> Answer {
    match (admitted, login) {
        (true, _) => Answer::Admitted,
        (false, Ok(_)) => Answer::Refused(refused.to_owned()),
        (false, Err(none)) => Answer::Refused(format!("{none}, and {refused} without a login")),
    }
}
