//! Logging in with a copy: one login as data, and the effectful half of each consumer, which carries it out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::PoisonError;

use credence_core::consumer::Consumer;
use credence_core::credential::Credential;
use credence_core::owner::Owner;
use futures::future::BoxFuture;
use kube::Client;

use crate::argo_cd::login::{ArgoCdSync, SyncError};
use crate::by_rules::LookupError;
use crate::flux::login::{FetchError, FluxFetch};
use crate::flux::login_by_rules::{FluxGitRules, FluxOciRules};
use crate::forge::{Application, File, ForgeError, Request};
use crate::git_ssh::GitOverSsh;
use crate::kargo::login::{DiscoveryError, KargoDiscovery};
use crate::kargo::login_by_rules::KargoRules;
use crate::kubelet::{KubeletPull, PullError};
use crate::oauth::OAuthSignIn;
use crate::obtain::Facts;
use crate::running::{Consumers, LoginAnswer, is_about};
use crate::tls_server::TlsHandshake;
use crate::tls_server::handshake::HandshakeError;

/// The registry: each consumer that logs in with one copy.
const RUNNERS: &[&dyn Runner] = &[
    &KubeletPull,
    &ArgoCdSync,
    &KargoDiscovery::OF_COMMITS,
    &KargoDiscovery::OF_IMAGES,
    &KargoRules::FOR_GIT,
    &KargoRules::FOR_IMAGES,
    &KargoRules::FOR_CHARTS,
    &FluxFetch::OF_COMMITS,
    &FluxFetch::OF_ARTIFACTS,
    &FluxGitRules,
    &FluxOciRules,
    &GitOverSsh::BY_ARGO_CD,
    &GitOverSsh::BY_KARGO,
    &GitOverSsh::BY_FLUX,
    &OAuthSignIn,
    &TlsHandshake,
];

/// A login. One that must be denied differs in the owner, host, namespace or name.
#[derive(Clone)]
pub struct Login {
    /// Maker of the objects that it needs.
    pub client: Client,
    /// The namespace in which the consumer finds the copy.
    pub namespace: String,
    /// The copy's name; none to go without it.
    pub secret: Option<String>,
    /// Contents of the copy, for those who do not read it themselves.
    pub data: BTreeMap<String, Credential>,
    /// A namespace without a copy, to deploy to.
    pub destination: String,
    /// Owner of what is asked for; none for consumers that ask for nothing of the kind.
    pub owner: Option<Owner>,
    /// The name of the repository or image that is asked for: its own, unless the copy is for one of another name alone.
    pub repository: String,
    /// The name of all objects.
    pub name: String,
    /// The project of Argo CD that asks; none for the one that every copy is for.
    pub project: Option<String>,
    /// Number of the login under this name, from 1. The first makes what is asked for, and each puts something new there.
    pub step: u32,
    /// The application that people sign in to.
    pub application: Option<Application>,
    /// The name that a client expects a server to have.
    pub server_name: String,
    /// Answer that the login must come to, for which a consumer may try again.
    pub expected: Expected,
}

/// Wanted end of a login: a consumer may need a second try before it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The credential is good.
    Admitted,
    /// The credential is wrong or revoked.
    Refused,
    /// The credential is good, but not for this.
    Denied,
}

impl Login {
    pub(crate) fn owner(&self) -> Result<&Owner, LoginError> {
        self.owner.as_ref().ok_or(LoginError::NoOwner)
    }

    /// The tag of the image that it asks for.
    pub(crate) fn tag(&self) -> String {
        if self.is_shared() { format!("{}-step-{}", self.name, self.step) } else { format!("step-{}", self.step) }
    }

    /// True if other cases ask for the same repository or image.
    pub(crate) fn is_shared(&self) -> bool {
        self.repository != self.name
    }

    /// True if a request is for the repository or the image of this login, on its host.
    fn is_at(&self, request: &Request) -> bool {
        let Some(owner) = &self.owner else { return false };
        let without_port = |host: &str| host.split(':').next().unwrap_or_default().to_owned();
        let asked = request.query.get("ns").cloned().flatten().unwrap_or_else(|| request.host.clone());
        let host = without_port(&asked);
        // Whoever asks the forge at its own address has no other host in mind.
        let is_own = host.parse::<IpAddr>().is_ok() || host == without_port(&owner.host);
        let wanted: Vec<&str> = owner.path.split('/').chain([self.repository.as_str()]).collect();
        let about = |text: &str| {
            let elements: Vec<&str> = text.split(['/', ':']).collect();
            let elements: Vec<&str> =
                elements.iter().map(|element| element.strip_suffix(".git").unwrap_or(element)).collect();
            elements.windows(wanted.len()).any(|window| window == wanted)
        };
        let scope = request.query.get("scope").and_then(Option::as_deref);
        is_own && (about(&request.path) || scope.is_some_and(about))
    }
}

/// Answer of a consumer to one login, and what the forge saw of it.
pub struct LoginResult {
    /// Answer that the consumer got.
    pub answer: LoginAnswer,
    /// Requests of it that the forge saw.
    pub requests: Vec<Request>,
}

/// Evidence that a login was with the credential in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The forge took the consumer for the credential's user.
    ServerSawUser,
    /// The forge was offered the secret. A sign-in may also end in the browser, before it is.
    ServerSawSecret,
    /// The handshake itself, between two others than the forge.
    Handshake,
}

/// A login could not be tried, or did not end.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum LoginError {
    #[error(transparent)]
    Pull(#[from] PullError),
    #[error(transparent)]
    Sync(#[from] SyncError),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The forge refuses what a login needs.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The place to log in at is not known.
    #[error("no consumer's manifest names an owner")]
    NoOwner,
    /// There is nothing to sign in to.
    #[error("the credential does not belong to an OAuth client")]
    NoApplication,
    /// The consumer takes more than a copy.
    #[error("{} does not log in with one copy", consumer.title())]
    NotOneCopy { consumer: Consumer },
}

/// A login that is under way.
pub(crate) type LoginFuture<'a> = BoxFuture<'a, Result<LoginAnswer, LoginError>>;

/// The effectful half of a consumer that logs in with one copy.
pub(crate) trait Runner: Sync {
    /// The pure half of the consumer: how it reads a copy.
    fn consumer(&self) -> Consumer;

    /// Why it cannot run here, apart from manifests that say nothing of it.
    fn missing(&self, _facts: &Facts) -> Option<String> {
        None
    }

    /// True if it needs more than a copy, the forge and its own rules: a program of its own, or a node.
    fn is_program(&self) -> bool {
        false
    }

    /// Evidence that a login was with the credential in question.
    fn proof(&self) -> Proof {
        Proof::ServerSawUser
    }

    /// Publishes something new, and has the consumer ask for it with the copy.
    fn log_in<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> LoginFuture<'a>;

    /// True if the forge saw a request because of this login.
    fn is_cause_of(&self, login: &Login, request: &Request) -> bool {
        if login.is_shared() { login.is_at(request) } else { is_about(request, &login.name) }
    }

    /// Removes what the logins under this name made in the cluster.
    fn leave<'a>(&'a self, _consumers: &'a Consumers, _login: &'a Login) -> BoxFuture<'a, Result<(), LoginError>> {
        Box::pin(async { Ok(()) })
    }
}

pub(crate) fn runners() -> impl Iterator<Item = &'static dyn Runner> {
    RUNNERS.iter().copied()
}

fn runner(consumer: Consumer) -> Result<&'static dyn Runner, LoginError> {
    runners().find(|runner| runner.consumer() == consumer).ok_or(LoginError::NotOneCopy { consumer })
}

/// The consumers that need a program of their own.
pub(crate) fn programs() -> impl Iterator<Item = Consumer> {
    let needs_one = |consumer: &Consumer| runner(*consumer).map_or(true, Runner::is_program);
    Consumer::ALL.iter().copied().filter(needs_one)
}

/// Evidence that a login of this consumer was with the credential in question.
///
/// # Errors
/// When it does not log in with one copy.
pub fn proof(consumer: Consumer) -> Result<Proof, LoginError> {
    Ok(runner(consumer)?.proof())
}

impl Consumers {
    /// Has a consumer log in once.
    ///
    /// # Errors
    /// When that could not be tried, or did not end.
    pub async fn log_in(&self, consumer: Consumer, login: &Login) -> Result<LoginResult, LoginError> {
        // Only one case at a time asks for what is not its own: the log could not tell one from another.
        let _turn = if login.is_shared() { Some(self.shared_turn.lock().await) } else { None };
        let (runner, mark) = (runner(consumer)?, self.forge.mark());
        let answer = runner.log_in(self, login).await?;
        let mut requests = self.forge.since(&mark).await;
        requests.retain(|request| runner.is_cause_of(login, request));
        Ok(LoginResult { answer, requests })
    }

    /// Removes what the logins under a name made in the cluster, however far they came.
    ///
    /// # Errors
    /// When that is refused, or does not end.
    pub async fn leave(&self, consumer: Consumer, login: &Login) -> Result<(), LoginError> {
        runner(consumer)?.leave(self, login).await
    }

    /// A commit that nobody has seen, in the repository of this login.
    pub(crate) async fn fresh_commit(&self, login: &Login) -> Result<String, LoginError> {
        let tag = login.tag();
        let is_first = login.step == 1;
        Ok(self.publish_commit(login.owner()?, login, is_first, &[("STEP", tag.as_bytes())]).await?)
    }

    /// Commits files to the repository of this login, which its first commit makes unless another case has made it.
    pub(crate) async fn publish_commit(
        &self,
        owner: &Owner,
        login: &Login,
        is_first: bool,
        files: &[File<'_>],
    ) -> Result<String, ForgeError> {
        let (account, repository) = (owner.account_of_repositories(), &login.repository);
        let is_new = if login.is_shared() {
            let mut there = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            there.insert(format!("{account}/{repository}"))
        } else {
            is_first
        };
        if is_new {
            self.forge.create_repository(&account, repository, files).await
        } else {
            self.forge.commit(&account, repository, files).await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use credence_core::formats::{
        ARGO_CD, BACKSTAGE, FLUX_GIT, FLUX_GIT_RULES, FLUX_OCI, KARGO_GIT, KARGO_GIT_RULES, KARGO_IMAGE,
        KARGO_IMAGE_RULES, KUBELET, OAUTH_CLIENT,
    };

    use super::*;

    #[test]
    fn every_consumer_but_backstage_logs_in_with_one_copy() {
        let with_one_copy: BTreeSet<Consumer> = runners().map(Runner::consumer).collect();
        assert_eq!(with_one_copy.len(), RUNNERS.len());
        let others: Vec<&Consumer> = Consumer::ALL.iter().filter(|one| !with_one_copy.contains(one)).collect();
        assert_eq!(others, [&BACKSTAGE]);
    }

    #[test]
    fn the_forge_alone_lets_somebody_log_in_to_git_and_to_a_registry_and_sign_in() {
        let programs: BTreeSet<Consumer> = programs().collect();
        let with = [BACKSTAGE, KUBELET, ARGO_CD, KARGO_GIT, KARGO_IMAGE, FLUX_GIT, FLUX_OCI];
        assert!(with.iter().all(|one| programs.contains(one)));
        let without = [KARGO_GIT_RULES, KARGO_IMAGE_RULES, FLUX_GIT_RULES, OAUTH_CLIENT];
        assert!(without.iter().all(|one| !programs.contains(one)));
    }

    #[test]
    fn every_consumer_that_logs_in_has_a_login_that_must_be_denied() {
        for runner in runners() {
            assert!(!runner.consumer().meta().denied_logins.is_empty(), "{:?}", runner.consumer());
        }
    }
}
