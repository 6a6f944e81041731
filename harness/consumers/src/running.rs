//! The real consumers of copies, and the forge that they log in to.
//!
//! ```text
//!  copy ──▶ kubelet, Argo CD, Kargo, Flux, OAuth client ──▶ forge ──▶ its request log is the oracle
//!      └──▶ HTTPS server ◀── client that trusts the run's authority
//! ```
//!
//! A consumer that cannot run here is absent, with the reason: no case is generated for it, and the report says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use credence_cluster::cluster::PodNode;
use credence_core::credential::Credential;
use credence_core::endpoints::Endpoints;
use credence_core::id::CaseId;
use credence_core::owner::Owner;
use credence_programs::certificates::Authority;
use credence_programs::oci::{Layer, Registry, Settings};

use crate::argo_cd::ArgoCd;
use crate::backstage::login::BackstageService;
use crate::flux::Flux;
use crate::forge::{Forge, ForgeError, Mark, Offered, Organization, Request};
use crate::kargo::Kargo;

pub use crate::argo_cd::login::SyncError;
pub use crate::backstage::login::{
    BACKSTAGE_VARIABLES, BackstageDeployment, BackstageLoginError, PORTAL_IMAGE, catalog_file,
};
pub use crate::by_rules::LookupError;
pub use crate::flux::login::FetchError;
pub use crate::kargo::login::DiscoveryError;
pub use crate::kubelet::PullError;
pub use crate::kubelet::pod::PodError;
pub use crate::login::{Expected, Login, LoginError, LoginResult, Proof, proof};
pub use crate::obtain::{Nodes, Setup, absent};
pub use crate::preparation::Preparation;
pub use crate::site::Site;
pub use crate::start::StartError;
pub use crate::start::start;

/// Answer that a consumer got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginAnswer {
    /// It got in, by its own word.
    Admitted,
    /// It did not; what it says about that, without values.
    Refused(String),
    /// It did not even ask, for want of a credential; what it says about that, without values.
    Withheld(String),
}

/// The running consumers. Those that are absent are `None`.
pub struct Consumers {
    pub(crate) site: Site,
    // A node has to end before the cluster that it belongs to, and the forge outlives those who ask it.
    pub(crate) node: Option<Arc<dyn PodNode>>,
    pub(crate) argo_cd: Option<ArgoCd>,
    pub(crate) kargo: Option<Kargo>,
    pub(crate) flux: Option<Flux>,
    pub(crate) backstage: Option<BackstageService>,
    /// The forge that all of them log in to.
    pub forge: Forge,
    /// Places where credentials are used.
    pub endpoints: Endpoints,
    pub(crate) organizations: BTreeMap<String, Organization>,
    pub(crate) pusher: Registry,
    pub(crate) sleeper: (Arc<Layer>, Settings),
    pub(crate) person: Person,
    /// Signs the forge's certificates, and those that servers are given.
    pub authority: Authority,
    pub(crate) directory: PathBuf,
    pub(crate) names: AtomicU32,
    /// Repositories that several cases ask for, as far as they are there.
    pub(crate) shared: std::sync::Mutex<BTreeSet<String>>,
    /// Held by the case that asks for one of them.
    pub(crate) shared_turn: tokio::sync::Mutex<()>,
    /// Time that they took to start, side by side.
    pub took: Duration,
}

/// A user of the forge who signs in to applications.
pub struct Person {
    pub(crate) name: String,
    pub(crate) password: Credential,
    /// Held while the person is at the forge: Gitea records a first consent to an application once, and fails a second
    /// one at the same moment.
    pub(crate) browser: tokio::sync::Mutex<()>,
}

impl Consumers {
    /// A name that no repository, image, pod or Application of this run has yet. It begins with that of the case.
    pub fn unused_name(&self, case: CaseId) -> String {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        format!("{}-{}-{number}", case.property, case.index)
    }

    /// Lets a user of the forge read what the owners in the consumers' manifests own.
    ///
    /// # Errors
    /// When the forge refuses.
    pub async fn admit(&self, user: &str) -> Result<(), ForgeError> {
        let owners = self.endpoints.owners();
        let accounts: BTreeSet<String> = owners.into_iter().flat_map(accounts).collect();
        for account in accounts {
            if let Some(organization) = self.organizations.get(&account) {
                self.forge.grant_read(organization, user).await?;
            }
        }
        Ok(())
    }

    /// The requests after `mark` that are about the repository or image `name`.
    pub async fn requests_about(&self, mark: &Mark, name: &str) -> Vec<Request> {
        let mut requests = self.forge.since(mark).await;
        requests.retain(|request| is_about(request, name));
        requests
    }

    /// Writes the logs of those that run in pods beside those of the others, for a person to look at.
    pub async fn save_logs(&self) {
        if let Some(argo_cd) = &self.argo_cd {
            argo_cd.save_logs().await;
        }
    }

    /// Resolves when a program of a consumer ends by itself, with the reason and its last log lines.
    pub async fn died(&self) -> String {
        let node = async {
            match &self.node {
                Some(node) => node.died().await,
                None => std::future::pending().await,
            }
        };
        let argo_cd = async {
            match &self.argo_cd {
                Some(argo_cd) => argo_cd.died().await.to_string(),
                None => std::future::pending().await,
            }
        };
        let kargo = async {
            match &self.kargo {
                Some(kargo) => kargo.died().await.to_string(),
                None => std::future::pending().await,
            }
        };
        let flux = async {
            match &self.flux {
                Some(flux) => flux.died().await.to_string(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            death = node => death,
            death = argo_cd => death,
            death = kargo => death,
            death = flux => death,
            death = self.forge.died() => death.to_string(),
        }
    }
}

/// The accounts of an owner on the forge, whose names are the same in any case.
pub(crate) fn accounts(owner: &Owner) -> [String; 2] {
    [owner.account_of_images().to_lowercase(), owner.account_of_repositories().to_lowercase()]
}

/// True if a request is about the repository or the image of this name.
pub fn is_about(request: &Request, name: &str) -> bool {
    let scope = request.query.get("scope").and_then(Option::as_deref);
    // Names end in a number, so one could begin like another.
    let about = |text: &str| text.split(['/', ':', '.']).any(|part| part == name);
    about(&request.path) || scope.is_some_and(about)
}

/// True if the server refused a request for who made it, or hid from it that there is anything.
pub fn is_denial(request: &Request) -> bool {
    request.status.is_some_and(|status| matches!(status, 400 | 401 | 403 | 404))
}

/// True if the server refused a credential that came with the request. Clients that have one ask without it first, or, as
/// git does for a URL with a user name, with an empty password.
pub fn refuses_credential(request: &Request) -> bool {
    let secret = match &request.offered {
        Offered::Basic { secret, .. } | Offered::Token { secret } | Offered::Client { secret, .. } => secret,
        Offered::Key { .. } => return is_denial(request),
        Offered::Nothing | Offered::Bearer { .. } | Offered::Session | Offered::Other => return false,
    };
    is_denial(request) && *secret != Credential::new("").fingerprint()
}
