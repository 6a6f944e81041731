//! Repositories over SSH as Argo CD, Kargo and Flux go there: their rules take a key from the live Secrets, and git with ssh really
//! uses it.

use std::io::Write;
use std::process::Output;
use std::time::Duration;

use credence_core::consumer::Consumer;
use credence_core::credential::Credential;
use credence_core::formats::{ARGO_CD_SSH_RULES, FLUX_SSH_RULES, KARGO_SSH_RULES, NoSshKey, argo_cd_key, flux_key};
use credence_core::kargo_lookup::{self, SHARED_NAMESPACE};
use credence_core::owner::Owner;
use credence_core::text::Reason;
use credence_watch::observer::View;
use tempfile::NamedTempFile;
use tokio::process::Command;
use tokio::time::timeout;

use crate::argo_cd::ArgoCd;
use crate::by_rules::{LISTED, LookupError};
use crate::forge::key_pair::fingerprint;
use crate::forge::ssh::HOST_ALIAS;
use crate::forge::{Mark, Request};
use crate::kargo::login_by_rules::candidates;
use crate::login::{Login, LoginError, LoginFuture, Runner};
use crate::obtain::Facts;
use crate::running::{Consumers, LoginAnswer, is_denial};

/// Time for which what the forge says of a key may be behind the end of ssh.
const SAID: Duration = Duration::from_secs(5);
/// Line of ssh when a server takes none of its keys (`sshconnect2.c` of OpenSSH).
const TURNED_AWAY: &str = "Permission denied (publickey)";

/// Line of ssh for a file with a key that it cannot read (`sshkey.c` of OpenSSH), such as one without an end of its last line.
const UNREADABLE: &str = "Load key ";

/// The rules of one consumer.
pub(crate) struct GitOverSsh {
    consumer: Consumer,
    of: Of,
}

/// Consumer whose rules they are.
enum Of {
    ArgoCd,
    Kargo,
    Flux,
}

impl GitOverSsh {
    pub(crate) const BY_ARGO_CD: Self = Self { consumer: ARGO_CD_SSH_RULES, of: Of::ArgoCd };
    pub(crate) const BY_KARGO: Self = Self { consumer: KARGO_SSH_RULES, of: Of::Kargo };
    pub(crate) const BY_FLUX: Self = Self { consumer: FLUX_SSH_RULES, of: Of::Flux };

    /// The key that the consumer takes for a repository, or why it takes none.
    fn key(&self, view: &View<'_>, login: &Login, url: &str) -> Result<Credential, Reason> {
        let namespace = login.namespace.as_str();
        match self.of {
            Of::ArgoCd => {
                let secrets = view.secrets(namespace).map(|(_, secret)| (&secret.labels, &secret.data));
                argo_cd_key(secrets, url).map_err(Reason::of)
            }
            Of::Kargo => {
                let (project, shared) = (candidates(view, namespace), candidates(view, SHARED_NAMESPACE));
                kargo_lookup::ssh_key(&project, &shared, url).cloned().map_err(Reason::of)
            }
            Of::Flux => {
                let named = login.secret.as_ref().and_then(|name| view.secret(namespace, name));
                let key = named.ok_or(NoSshKey::NoSecret).and_then(|secret| flux_key(&secret.data));
                key.map_err(Reason::of)
            }
        }
    }
}

impl Runner for GitOverSsh {
    fn consumer(&self) -> Consumer {
        self.consumer
    }

    fn missing(&self, facts: &Facts) -> Option<String> {
        facts.no_git().or_else(|| facts.no_ssh()).or_else(|| match self.of {
            // Its namespace is there, and asks for copies, only where Argo CD runs.
            Of::ArgoCd if !facts.has_argo_cd_images() => ArgoCd::unsupported(),
            Of::ArgoCd | Of::Kargo | Of::Flux => None,
        })
    }

    fn log_in<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> LoginFuture<'a> {
        Box::pin(async move {
            let owner = login.owner()?;
            consumers.fresh_commit(login).await?;
            let url = owner.repository_over_ssh(&login.repository);
            let key = match consumers.site.observer.look(|view| self.key(view, login, &url)) {
                // Over SSH nobody goes anywhere without a key.
                Err(none) => return Ok(LoginAnswer::Withheld(none.into())),
                Ok(key) => key,
            };
            let Some(fingerprint) = fingerprint(&key) else {
                return Ok(LoginAnswer::Withheld("what it holds is no private key in the form of OpenSSH".to_owned()));
            };
            consumers.lists_over_ssh(login, &key, &fingerprint).await
        })
    }

    /// Of a client that was turned away, the forge knows the key and not what it came for. All that have the key at this time were
    /// turned away for it.
    fn is_cause_of(&self, login: &Login, request: &Request) -> bool {
        let keys = || login.data.values().filter(|value| request.offered.is(value)).count();
        let is_at = login.owner.as_ref().is_some_and(|owner| request.path == path_of(owner, login));
        is_at || (request.path.is_empty() && is_denial(request) && keys() > 0)
    }
}

/// The path of the repository of a login at the forge, which has no groups within groups.
fn path_of(owner: &Owner, login: &Login) -> String {
    format!("/{}/{}", owner.account_of_repositories(), login.repository)
}

impl Consumers {
    /// True if git can list the references of a repository with this key.
    async fn lists_over_ssh(
        &self,
        login: &Login,
        key: &Credential,
        fingerprint: &str,
    ) -> Result<LoginAnswer, LoginError> {
        let mark = self.forge.mark();
        let url = format!("ssh://git@{HOST_ALIAS}{}.git", path_of(login.owner()?, login));
        let failed = |source| LookupError::Git { url: url.clone(), source };
        let file = private_file(key).map_err(failed)?;
        let mut command = self.git_over_ssh(&url, &file);
        let listed = timeout(LISTED, command.output()).await.map_err(|_| LookupError::NoAnswer { url: url.clone() })?;
        let Output { status, stderr, .. } = listed.map_err(failed)?;
        if status.success() {
            return Ok(LoginAnswer::Admitted);
        }
        let said = String::from_utf8_lossy(&stderr);
        if said.contains(UNREADABLE) {
            return Ok(LoginAnswer::Withheld("ssh cannot read the key that it holds".to_owned()));
        }
        if said.contains(TURNED_AWAY) {
            self.until_turned_away(&mark, fingerprint).await;
        }
        Ok(LoginAnswer::Refused("git was refused over SSH".to_owned()))
    }

    /// Waits until the forge has said of a key that nobody has it. If it does not, its log lacks the refusal, and that is for the
    /// reader of the log to find.
    async fn until_turned_away(&self, mark: &Mark, fingerprint: &str) {
        let is_of_key = |request: &Request| is_denial(request) && request.offered.secret() == Some(fingerprint);
        self.forge.wait_for(mark, "refusal of a key", SAID, is_of_key).await.ok();
    }

    fn git_over_ssh(&self, url: &str, key: &NamedTempFile) -> Command {
        let server = self.forge.ssh();
        let options = [
            ("HostName", server.address.ip().to_string()),
            ("Port", server.address.port().to_string()),
            ("HostKeyAlias", HOST_ALIAS.to_owned()),
            ("UserKnownHostsFile", quoted(&server.known_hosts.display().to_string())),
            ("GlobalKnownHostsFile", "/dev/null".to_owned()),
            ("StrictHostKeyChecking", "yes".to_owned()),
            ("IdentityFile", quoted(&key.path().display().to_string())),
            ("IdentitiesOnly", "yes".to_owned()),
            ("IdentityAgent", "none".to_owned()),
            ("BatchMode", "yes".to_owned()),
        ];
        let options: String = options.iter().map(|(name, value)| format!(" -o '{name} {value}'")).collect();
        let mut command = self.git_ls_remote(url);
        // What ssh says is read, in English, and no configuration of this machine's users has a say in it either.
        command.env("LC_ALL", "C").env("GIT_SSH_COMMAND", format!("ssh -F /dev/null{options}"));
        command
    }
}

/// A path as a value in ssh's configuration, within single quotes of the shell.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\'', "'\\''"))
}

/// A file that only this user reads, as ssh demands, and that goes when it is dropped.
fn private_file(key: &Credential) -> std::io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    file.write_all(key.expose())?;
    file.flush()?;
    Ok(file)
}
