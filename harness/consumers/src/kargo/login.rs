//! Kargo as a consumer: its controller discovers what is new in private repositories, with the copies in a project's
//! namespace.

use std::time::Duration;

use credence_core::kargo_lookup::Kind;
use credence_watch::wait::{Progress, WaitError};
use kube::Client;

use crate::git_error::Cause;
use crate::kargo::{Asked, DISCOVERY_FAILED, Discovery, Kargo, KargoError, Subscription, Warehouse, WarehouseSeen};
use crate::running::{Answer, Consumers};

/// How long a discovery may take; measured at 1 to 3 s.
const DISCOVERED: Duration = Duration::from_secs(60);

/// Why a discovery could not be tried, or did not end.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The controller does not run.
    #[error("failed to discover anything for Warehouse {warehouse}: Kargo's controller does not run")]
    NoController {
        /// The Warehouse.
        warehouse: String,
    },
    /// The Warehouse was refused.
    #[error("failed to use a Warehouse")]
    Kargo(#[from] KargoError),
    /// Kargo did not say.
    #[error("failed to learn of a discovery")]
    NoAnswer(#[from] WaitError),
}

/// A Warehouse with one subscription. It does not exist before its first discovery.
pub struct Subscribed {
    /// The project's namespace.
    pub namespace: String,
    /// Its name, which is also that of the repository.
    pub name: String,
    /// What it looks for.
    pub kind: Kind,
    /// Where it looks.
    pub repo_url: String,
    discoveries: u32,
}

impl Subscribed {
    /// A Warehouse that is yet to be.
    pub fn new(namespace: &str, name: &str, kind: Kind, repo_url: String) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned(), kind, repo_url, discoveries: 0 }
    }

    fn warehouse(&self) -> Warehouse<'_> {
        let repo_url = &self.repo_url;
        let subscription = match self.kind {
            Kind::Git => Subscription::Git { repo_url, branch: "main" },
            Kind::Image | Kind::Helm => Subscription::Image { repo_url },
        };
        Warehouse { namespace: &self.namespace, name: &self.name, subscription }
    }
}

impl Consumers {
    fn controller(&self, warehouse: &str) -> Result<&Kargo, DiscoveryError> {
        self.kargo.as_ref().ok_or_else(|| DiscoveryError::NoController { warehouse: warehouse.to_owned() })
    }

    /// Has Kargo discover, and waits until it has found `fresh`, the id of a commit or the tag of an image that it cannot
    /// have seen before, or was refused.
    ///
    /// # Errors
    /// When the API server refuses, or Kargo does not say how it went.
    pub async fn discover(
        &self,
        client: &Client,
        subscribed: &mut Subscribed,
        fresh: &str,
    ) -> Result<Answer, DiscoveryError> {
        let kargo = self.controller(&subscribed.name)?;
        let asked = match subscribed.discoveries {
            0 => kargo.subscribe(client, &subscribed.warehouse()).await?,
            number => kargo.discover_again(client, &subscribed.namespace, &subscribed.name, number).await?,
        };
        subscribed.discoveries += 1;
        let Subscribed { namespace, name, .. } = &*subscribed;
        let what = format!("discovery of Warehouse {namespace}/{name}");
        let look = |seen: Option<&WarehouseSeen>| answer(seen, asked, fresh);
        Ok(kargo.until(namespace, name, &what, DISCOVERED, look).await?)
    }

    /// Removes the Warehouse, if it was made.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn unsubscribe(&self, client: &Client, subscribed: &Subscribed) -> Result<(), DiscoveryError> {
        let Subscribed { namespace, name, .. } = subscribed;
        Ok(self.controller(name)?.unsubscribe(client, namespace, name).await?)
    }
}

fn answer(seen: Option<&WarehouseSeen>, asked: Asked, fresh: &str) -> Progress<Answer> {
    match seen.and_then(|seen| seen.discovery(asked)) {
        None => Progress::NotYet("Kargo has not answered".to_owned()),
        Some(Discovery::Made(artifacts)) if artifacts.contains(fresh) => Progress::Done(Answer::Admitted),
        Some(Discovery::Made(_)) => Progress::NotYet("Kargo discovered something else".to_owned()),
        Some(Discovery::Failed(failure)) => match failure.message.cause {
            // It tries again by itself, for instance where its right to read the Secrets is a moment late.
            Cause::Other => Progress::NotYet(failure.message.text.clone()),
            cause if failure.reason == DISCOVERY_FAILED => {
                Progress::Done(Answer::Refused(format!("{DISCOVERY_FAILED}, {cause:?}")))
            }
            _ => Progress::NotYet(failure.reason.clone()),
        },
    }
}
