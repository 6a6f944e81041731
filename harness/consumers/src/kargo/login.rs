//! Kargo as a consumer: its controller discovers what is new in private repositories, with the copies in a project's
//! namespace.

use std::time::Duration;

use credence_core::consumer::Consumer;
use credence_core::formats::{KARGO_GIT, KARGO_IMAGE};
use credence_core::kargo_lookup::CredentialKind;
use credence_watch::wait::{Progress, WaitError};
use futures::future::BoxFuture;
use kube::Client;

use crate::git_error::Cause;
use crate::kargo::{
    DISCOVERY_FAILED, Discovery, Generation, Kargo, KargoError, Subscription, Warehouse, WarehouseSeen,
};
use crate::login::{Login, LoginError, LoginFuture, Runner};
use crate::obtain::Facts;
use crate::running::{Consumers, LoginAnswer};

/// Time that a discovery may take; measured at 1 to 3 s.
const DISCOVERED: Duration = Duration::from_secs(60);

/// A discovery could not be tried, or did not end.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum DiscoveryError {
    /// The controller does not run.
    #[error("failed to discover anything for Warehouse {warehouse}: Kargo's controller does not run")]
    NoController { warehouse: String },
    #[error("failed to use a Warehouse")]
    Kargo(#[from] KargoError),
    #[error("failed to observe a discovery")]
    NoAnswer(#[from] WaitError),
}

/// Why Kargo's controller is absent, what that costs, and the next step.
const NOT_GIVEN: &str = "Kargo cannot be obtained and is not given, so that only its lookup rules are tested: give the \
    program kargo of its control plane (in its image: /usr/local/bin/kargo) with --kargo PROGRAM, and its chart (in its \
    source: charts/kargo) with --kargo-chart CHART";

/// Kargo's controller, which discovers what is new.
pub(crate) struct KargoDiscovery {
    consumer: Consumer,
    kind: CredentialKind,
}

impl KargoDiscovery {
    /// Discovery of new commits.
    pub(crate) const OF_COMMITS: Self = Self { consumer: KARGO_GIT, kind: CredentialKind::Git };
    /// Discovery of new images.
    pub(crate) const OF_IMAGES: Self = Self { consumer: KARGO_IMAGE, kind: CredentialKind::Image };
}

impl Runner for KargoDiscovery {
    fn consumer(&self) -> Consumer {
        self.consumer
    }

    fn is_program(&self) -> bool {
        true
    }

    fn missing(&self, facts: &Facts) -> Option<String> {
        let no_git = if self.kind == CredentialKind::Git { facts.no_git() } else { None };
        no_git.or_else(|| (!facts.has_kargo).then(|| NOT_GIVEN.to_owned()))
    }

    fn log_in<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> LoginFuture<'a> {
        Box::pin(async move {
            let (owner, tag) = (login.owner()?, login.tag());
            let (fresh, repo_url) = match self.kind {
                CredentialKind::Git => (consumers.fresh_commit(login).await?, owner.repository(&login.repository)),
                CredentialKind::Image | CredentialKind::Helm => {
                    consumers.publish(owner, &login.repository, &tag).await?;
                    (tag, owner.image(&login.repository))
                }
            };
            let Login { namespace, name, .. } = login;
            let subscribed = Subscribed { namespace, name, kind: self.kind, repo_url, discoveries: login.step - 1 };
            Ok(consumers.discover(&login.client, &subscribed, &fresh).await?)
        })
    }

    fn leave<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> BoxFuture<'a, Result<(), LoginError>> {
        let Login { client, namespace, name, .. } = login;
        Box::pin(async move { Ok(consumers.unsubscribe(client, namespace, name).await?) })
    }
}

/// A Warehouse with one subscription. It does not exist before its first discovery.
struct Subscribed<'a> {
    /// Namespace of the project.
    namespace: &'a str,
    name: &'a str,
    /// The kind that it looks for.
    kind: CredentialKind,
    /// The repository that it looks in.
    repo_url: String,
    discoveries: u32,
}

impl Subscribed<'_> {
    fn warehouse(&self) -> Warehouse<'_> {
        let repo_url = &self.repo_url;
        let subscription = match self.kind {
            CredentialKind::Git => Subscription::Git { repo_url, branch: "main" },
            CredentialKind::Image | CredentialKind::Helm => Subscription::Image { repo_url },
        };
        Warehouse { namespace: self.namespace, name: self.name, subscription }
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
    async fn discover(
        &self,
        client: &Client,
        subscribed: &Subscribed<'_>,
        fresh: &str,
    ) -> Result<LoginAnswer, DiscoveryError> {
        let kargo = self.controller(subscribed.name)?;
        let asked = match subscribed.discoveries {
            0 => kargo.subscribe(client, &subscribed.warehouse()).await?,
            number => kargo.discover_again(client, subscribed.namespace, subscribed.name, number).await?,
        };
        let Subscribed { namespace, name, .. } = *subscribed;
        let what = format!("discovery of Warehouse {namespace}/{name}");
        let look = |seen: Option<&WarehouseSeen>| answer(seen, asked, fresh);
        Ok(kargo.until(namespace, name, &what, DISCOVERED, look).await?)
    }

    /// Removes the Warehouse, if it was made.
    ///
    /// # Errors
    /// When the API server refuses.
    async fn unsubscribe(&self, client: &Client, namespace: &str, name: &str) -> Result<(), DiscoveryError> {
        Ok(self.controller(name)?.unsubscribe(client, namespace, name).await?)
    }
}

fn answer(seen: Option<&WarehouseSeen>, asked: Generation, fresh: &str) -> Progress<LoginAnswer> {
    match seen.and_then(|seen| seen.discovery(asked)) {
        None => Progress::NotYet("Kargo has not answered".to_owned()),
        Some(Discovery::Made(artifacts)) if artifacts.contains(fresh) => Progress::Done(LoginAnswer::Admitted),
        Some(Discovery::Made(_)) => Progress::NotYet("Kargo discovered something else".to_owned()),
        Some(Discovery::Failed(failure)) => match failure.message.cause {
            // It tries again by itself, for instance where its right to read the Secrets is a moment late.
            Cause::Other => Progress::NotYet(failure.message.text.clone()),
            cause if failure.reason == DISCOVERY_FAILED => {
                Progress::Done(LoginAnswer::Refused(format!("{DISCOVERY_FAILED}, {cause:?}")))
            }
            _ => Progress::NotYet(failure.reason.clone()),
        },
    }
}
