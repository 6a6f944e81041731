//! A forge of our own: GitHub and its container registry in one, and what came to it as evidence.
//!
//! ```text
//!  consumer ──TLS──▶ façade ──HTTP──▶ Gitea
//!      └─CONNECT─▶ proxy ┘ │             │
//!                      request log ◀── access log
//! ```
//!
//! Over SSH clients come to Gitea's own server, see [`ssh`].
//!
//! Gitea is a child process on loopback, or on kind a container on the cluster's network. The façade is in this process
//! wherever Gitea runs: it terminates TLS with a certificate of the run's authority, also in the names of real hosts, and
//! logs what each request offered. Whom a client was taken for is what Gitea itself says. No value of a credential is
//! logged, neither here nor by Gitea.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use credence_cluster::containers::ContainerNetwork;
use credence_core::file_error::FileError;
use credence_programs::certificates::Authority;
use credence_programs::process::Process;
use credence_programs::tls::listener::{self, TlsListener};
use credence_watch::wait::WaitError;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

mod access;
mod accounts;
mod error;
mod evidence;
mod facade;
mod gitea;
mod github;
pub(crate) mod key_pair;
mod log;
mod oauth;
mod offer;
mod proxy;
mod registry;
mod request;
pub(crate) mod ssh;
mod ssh_keys;
mod ssh_session;

pub(crate) use accounts::WRITE_PACKAGE;
pub use accounts::{AccessToken, File, Organization, READ_PACKAGE, READ_REPOSITORY};
pub use error::ForgeError;
pub use gitea::image::{GiteaImage, GiteaImageError};
pub use key_pair::SshKey;
pub use log::Mark;
pub use oauth::{Application, Authorization};
pub use offer::Offered;
pub use proxy::Network;
pub use request::{Caller, Request};
pub use ssh_keys::RegisteredKey;

use accounts::{Administrator, Call};
use evidence::Evidence;
use facade::{Facade, Users};
use gitea::{Gitea, Server, Setup};
use log::RequestLog;
use ssh::{Relay, SshServer};
use ssh_keys::SshKeys;

/// Time that Gitea may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The name of the file with all requests, in the forge's directory.
const EVIDENCE: &str = "requests.jsonl";
/// Time that Gitea may take to answer a request that seeds it.
const ANSWER: Duration = Duration::from_secs(30);

/// Process or container that Gitea runs in.
pub enum GiteaPlacement<'a> {
    /// A child process, on loopback.
    Process {
        /// Gitea's binary, built from its module or released.
        program: &'a Path,
        /// Root of Gitea's `templates`, `options` and `public`: the directory of its module.
        assets: &'a Path,
    },
    /// A container beside the node of a cluster of kind.
    Container {
        /// Network of the cluster's containers, which Gitea's joins.
        network: &'a ContainerNetwork,
        /// The image, with program and assets.
        image: &'a GiteaImage,
    },
}

/// Inputs from which a forge is started.
pub struct ForgeSetup<'a> {
    /// An existing directory, for this forge alone. Its path must not have `#`, `?`, `%` or a backtick in it, which mean
    /// something to SQLite or to Gitea's configuration.
    pub directory: &'a Path,
    /// Process or container that Gitea runs in.
    pub gitea: GiteaPlacement<'a>,
    /// Authority that signs the façade's certificate, and that clients are to trust.
    pub authority: &'a Authority,
    /// Host names to answer for, beside `localhost` and the addresses, such as `github.com` and `ghcr.io`.
    pub names: &'a [&'a str],
    /// Address to listen at, on a port of its own choice: loopback, or an address of this machine that nodes reach, as does
    /// Gitea in a container.
    pub host: IpAddr,
    /// Addresses to listen on beside that; a port 0 is chosen by the kernel.
    pub addresses: &'a [SocketAddr],
}

/// A running forge; ends when dropped.
pub struct Forge {
    gitea: Server,
    administrator: Administrator,
    /// A client from outside: over TLS, through the façade.
    outside: reqwest::Client,
    log: Arc<RequestLog>,
    users: Arc<Users>,
    ssh_keys: Arc<SshKeys>,
    addresses: Vec<SocketAddr>,
    proxy: SocketAddr,
    ssh: SshServer,
    names: AtomicU64,
    /// Tells open connections of the façade to end.
    _stop: oneshot::Sender<()>,
    /// Everything that serves, apart from open connections.
    _tasks: JoinSet<()>,
}

impl Forge {
    /// Starts Gitea and the façade in front of it. Must be called within a tokio runtime that outlives the forge.
    ///
    /// # Errors
    /// When an address cannot be listened on, or Gitea cannot be started, dies, or is not ready in time.
    pub async fn start(setup: &ForgeSetup<'_>) -> Result<Self, ForgeError> {
        credence_watch::crypto::use_ring();
        let listeners = Listeners::open(setup).await?;
        let addresses = listeners.facade.iter().map(local_address).collect::<Result<Vec<_>, _>>()?;
        let [access_log, relay, proxy] = [&listeners.access_log, &listeners.relay, &listeners.proxy].map(local_address);
        let (access_log, relay, proxy) = (access_log?, relay?, proxy?);
        let names = certified_names(setup.names, &addresses);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let identity = setup.authority.server("forge", &names)?;
        let config = listener::configure(&identity).map_err(ForgeError::Tls)?;

        let path = setup.directory.join(EVIDENCE);
        let evidence = Evidence::create(&path).map_err(FileError::of::<ForgeError>("create", &path))?;
        let log = RequestLog::new(gitea::secret()?[..16].to_owned(), evidence);
        let mut tasks = JoinSet::new();
        tasks.spawn(access::receive(listeners.access_log, Arc::clone(&log)));
        let (host_key, known_hosts) = ssh::make_host_key(setup.directory)?;
        let root_url = format!("https://{}/", addresses[0]);
        let (directory, place, root_url) = (setup.directory, &setup.gitea, root_url.as_str());
        let started = Setup { directory, place, root_url, access_log, host_key: &host_key, relay };
        let Gitea { server, url, ssh, token } = Gitea::start(&started).await?;
        let ssh = SshServer { address: ssh, known_hosts };

        let (users, ssh_keys) = (Arc::new(Users::default()), Arc::new(SshKeys::default()));
        let inside = client().build().map_err(ForgeError::Client)?;
        let relay = Relay {
            gitea: url.clone(),
            client: inside.clone(),
            log: Arc::clone(&log),
            keys: Arc::clone(&ssh_keys),
            host: ssh.address.ip(),
        };
        tasks.spawn(async move {
            // Serving itself never fails.
            axum::serve(listeners.relay, relay.router()).await.ok();
        });
        let facade = Facade::new(url.clone(), inside.clone(), Arc::clone(&log), Arc::clone(&users));
        let listener = listener::listen(listeners.facade, addresses[0], config, &mut tasks);
        let stop = serve_until_dropped(listener, facade.router(), &mut tasks);
        tasks.spawn(proxy::serve(listeners.proxy, addresses[0]));
        let forge = Self {
            gitea: server,
            outside: client_from_outside(setup.authority)?,
            administrator: Administrator { client: inside, url, token },
            log,
            users,
            ssh_keys,
            addresses,
            proxy,
            ssh,
            names: AtomicU64::default(),
            _stop: stop,
            _tasks: tasks,
        };
        forge.know_administrator().await?;
        Ok(forge)
    }

    /// The façade's URL at the host of the set-up, without a slash at its end.
    pub fn url(&self) -> String {
        format!("https://{}", self.addresses[0])
    }

    /// Addresses of the façade: first at its host, then on the addresses of the set-up, in their order.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// URL of the proxy that leads every host to the façade, for `HTTPS_PROXY`.
    pub fn proxy(&self) -> String {
        format!("http://{}", self.proxy)
    }

    pub(crate) fn ssh(&self) -> &SshServer {
        &self.ssh
    }

    /// Gitea, to record; none if it is a container, which the clean-up of the cluster knows.
    pub fn process(&self) -> Option<&Process> {
        match &self.gitea {
            Server::Process(process) => Some(process),
            Server::Container(_) => None,
        }
    }

    /// Resolves when Gitea ends by itself.
    pub async fn died(&self) -> ForgeError {
        self.gitea.died().await.into()
    }

    /// Login name of the administrator, who may read and write everything.
    pub fn administrator(&self) -> &str {
        gitea::ADMINISTRATOR
    }

    /// The place in the request log that is its end now.
    pub fn mark(&self) -> Mark {
        self.log.mark()
    }

    /// The requests that began after `mark` and before this call, in the order in which they began.
    ///
    /// It waits, for 5 s at most, until Gitea has said of each whom it took the client for. So a client that has its
    /// answer is in it, and absence from it is evidence.
    pub async fn since(&self, mark: &Mark) -> Vec<Request> {
        self.log.since(mark).await
    }

    /// The file with every request until now, one JSON object a line, numbered in the order in which they began: who asked
    /// for what, how they offered to authenticate, whom the forge took them for, and what it answered.
    ///
    /// # Errors
    /// When the file could not be written.
    pub async fn evidence(&self) -> Result<PathBuf, ForgeError> {
        self.log.evidence().await.map_err(|(path, source)| FileError::new("write", path, source).into())
    }

    /// Waits for the first answered request after `mark` that `fits`.
    ///
    /// # Errors
    /// When none comes within the limit; the error names `what` and the last request seen.
    pub async fn wait_for(
        &self,
        mark: &Mark,
        what: &str,
        within: Duration,
        fits: impl Fn(&Request) -> bool,
    ) -> Result<Request, WaitError> {
        self.log.wait_for(mark, what, within, fits).await
    }

    /// A name that no token and no application has yet.
    fn unused_name(&self) -> String {
        format!("credence-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    async fn know_administrator(&self) -> Result<(), ForgeError> {
        #[derive(Deserialize)]
        struct User {
            id: i64,
            login: String,
        }
        let (act, object, path) = ("look up", gitea::ADMINISTRATOR, "/user".to_owned());
        let call = Call { act, object, method: reqwest::Method::GET, path, body: Value::Null };
        let user: User = self.administrator.call(call).await?;
        self.users.insert(user.id, &user.login);
        Ok(())
    }
}

/// Sockets of a forge, apart from Gitea's own.
struct Listeners {
    /// At the host of the set-up, and then on its addresses, in their order.
    facade: Vec<TcpListener>,
    proxy: TcpListener,
    access_log: TcpListener,
    relay: TcpListener,
}

impl Listeners {
    async fn open(setup: &ForgeSetup<'_>) -> Result<Self, ForgeError> {
        let host = SocketAddr::from((setup.host, 0));
        let mut facade = vec![listen(host).await?];
        for address in setup.addresses {
            facade.push(listen(*address).await?);
        }
        let beside_gitea = match setup.gitea {
            GiteaPlacement::Process { .. } => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            GiteaPlacement::Container { .. } => host,
        };
        // Who reaches the façade reaches the proxy, too.
        let proxy = listen(host).await?;
        let (access_log, relay) = (listen(beside_gitea).await?, listen(beside_gitea).await?);
        Ok(Self { facade, proxy, access_log, relay })
    }
}

/// Serves until the sender is dropped.
fn serve_until_dropped(listener: TlsListener, router: axum::Router, tasks: &mut JoinSet<()>) -> oneshot::Sender<()> {
    let (stop, stopped) = oneshot::channel::<()>();
    tasks.spawn(async move {
        let serve = axum::serve(listener, router);
        // That the sender is dropped is the signal. Serving itself never fails.
        serve.with_graceful_shutdown(async move { drop(stopped.await) }).await.ok();
    });
    stop
}

/// A client that trusts the façade's authority alone.
fn client_from_outside(authority: &Authority) -> Result<reqwest::Client, ForgeError> {
    let trusted = reqwest::Certificate::from_pem(authority.certificate().as_bytes()).map_err(ForgeError::Client)?;
    client().tls_certs_only([trusted]).timeout(ANSWER).build().map_err(ForgeError::Client)
}

/// A client that asks no proxy and follows no redirect, so that each request is one that the caller meant.
fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).connect_timeout(CONNECT)
}

/// Names and addresses that the façade's certificate is good for.
fn certified_names(hosts: &[&str], addresses: &[SocketAddr]) -> Vec<String> {
    let hosts = ["localhost"].iter().chain(hosts).map(|host| (*host).to_owned());
    hosts.chain(addresses.iter().map(|address| address.ip().to_string())).collect()
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ForgeError> {
    TcpListener::bind(address).await.map_err(|source| ForgeError::Listen { address, source })
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, ForgeError> {
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    listener.local_addr().map_err(|source| ForgeError::Listen { address: unknown, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forge_can_be_shared_between_lanes() {
        fn shared<T: Send + Sync>() {}
        shared::<Forge>();
    }

    #[test]
    fn the_certificate_is_good_for_hosts_and_for_addresses() {
        let addresses = ["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()];
        assert_eq!(certified_names(&["ghcr.io"], &addresses), ["localhost", "ghcr.io", "127.0.0.1", "::1"]);
    }
}
