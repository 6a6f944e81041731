//! One case: a namespace with a copy, and the consumer that logs in with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use credence_consumers::forge::{Caller, Mark, Request};
use credence_consumers::running::{
    Answer, Consumers, Followed, Pull, SecondTry, Subscribed, is_denial, refuses_credential,
};
use credence_core::consumer::Consumer;
use credence_core::credential::Credential;
use credence_core::endpoints::Owner;
use credence_core::id::CaseId;
use credence_core::kargo_lookup;
use credence_core::text::chain;
use credence_model::model::Target;
use credence_report::verdict::{Outcome, violated};
use credence_watch::wait::WaitError;
use kube::Client;
use tokio::time::Instant;

use super::Placement;
use super::issuer::Issuer;
use super::trespass::Trespass;
use crate::observation::Observation;
use crate::testbed::Environment;
use crate::testbed::namespaces::Lease;
use crate::testbed::rotation::Dependent;

/// A case under way.
pub(super) struct Trial<'a> {
    pub(super) env: &'a Arc<Environment>,
    pub(super) consumers: &'a Consumers,
    pub(super) id: CaseId,
    pub(super) client: Client,
    pub(super) target: &'a Target,
    pub(super) consumer: Consumer,
    /// Of its repository, its image, and all else that is its own.
    pub(super) name: String,
    /// Who owns what its consumer asks for; none for consumers that ask for nothing of the kind.
    pub(super) owner: Option<&'a Owner>,
    trespass: Trespass,
    dependent: Option<Dependent<'a>>,
    /// A namespace without a copy: what Argo CD deploys to, and what must not get in.
    pub(super) other: Option<Lease>,
    followed: Option<Followed>,
    subscribed: Option<Subscribed>,
    steps: u32,
    /// What was wrong with the copy when the consumer came to use it, if anything.
    unfaithful: Option<String>,
    observation: Observation,
}

impl<'a> Trial<'a> {
    /// Takes namespaces and makes what the consumer asks for. Nothing asks for the copy yet.
    pub(super) async fn begin(
        env: &'a Arc<Environment>,
        consumers: &'a Consumers,
        id: CaseId,
        target: &'a Target,
        consumer: Consumer,
        placement: &Placement,
    ) -> Trial<'a> {
        let owners = match consumer {
            Consumer::Kubelet => Some(&consumers.endpoints.pods),
            Consumer::ArgoCd => Some(&consumers.endpoints.argo_cd),
            Consumer::KargoGit | Consumer::KargoGitRules => Some(&consumers.endpoints.kargo_git),
            Consumer::KargoImage | Consumer::KargoImageRules => Some(&consumers.endpoints.kargo_images),
            Consumer::OAuthClient | Consumer::TlsServer | Consumer::Backstage => None,
        };
        let owners: Vec<&Owner> = owners.into_iter().flatten().collect();
        let mut trial = Self {
            env,
            consumers,
            id,
            client: env.client_for(id),
            target,
            consumer,
            name: consumers.unused_name(id),
            owner: (!owners.is_empty()).then(|| *placement.way.of(&owners)),
            trespass: *placement.trespass.of(Trespass::of(consumer)),
            dependent: None,
            other: None,
            followed: None,
            subscribed: None,
            steps: 0,
            unfaithful: None,
            observation: Observation::of(Outcome::Held),
        };
        if let Err(why) = trial.prepare(placement).await {
            trial.observation = Observation::unknown(why);
        }
        trial
    }

    async fn prepare(&mut self, placement: &Placement) -> Result<(), String> {
        let dependent = Dependent::lease(self.env, &self.client, self.target, placement.way).await;
        self.dependent = Some(dependent.map_err(|error| chain(&error))?);
        self.other = Some(self.env.namespaces.lease(&self.client).await.map_err(|error| chain(&error))?);
        if let (Consumer::KargoGit | Consumer::KargoGitRules, Some(owner)) = (self.consumer, self.owner) {
            let file: (&str, &[u8]) = ("README", self.name.as_bytes());
            let made = self.consumers.forge.create_repository(&owner.name, &self.name, &[file]).await;
            made.map_err(|error| chain(&error))?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.observation.outcome != Outcome::Held
    }

    /// Asks for the copy and waits until it is like its source. A copy that does not become so in its time is left to
    /// the consumer as it is: this property is about what the consumer makes of it.
    pub(super) async fn settle(&mut self, issuer: &Issuer<'_>) {
        let Some(dependent) = self.dependent.as_ref().filter(|_| !self.is_over()) else { return };
        if let Err(error) = dependent.ask(&self.client, self.id).await {
            self.observation = error.into();
            return;
        }
        let bound = self.env.propagation_bound(self.target).limit();
        match dependent.until_faithful(self.env, &issuer.values, bound).await {
            Ok(()) => self.unfaithful = None,
            Err(WaitError::TimedOut { last, .. } | WaitError::Impossible { why: last, .. }) => {
                self.unfaithful = Some(last);
            }
            Err(error) => self.observation.outcome = crate::observation::failed(&error),
        }
    }

    /// The consumer must get in, and the forge must have taken it for the credential's user.
    pub(super) async fn must_be_admitted(&mut self, issuer: &Issuer<'_>, how: &str) {
        let Some((answer, requests)) = self.attempt(issuer, &Answer::Admitted).await else { return };
        let seen = match self.consumer {
            Consumer::TlsServer => true,
            Consumer::OAuthClient => requests.iter().any(|request| {
                let offered = issuer.secret().is_some_and(|secret| request.offered.is(secret));
                offered && is_success(request)
            }),
            _ => requests
                .iter()
                .any(|request| request.caller == Caller::User(issuer.name.clone()) && is_success(request)),
        };
        match answer {
            Answer::Admitted if seen => super::count_login(&mut self.observation, self.consumer, how),
            Answer::Admitted => {
                let why =
                    format!("{} worked, but its server did not see the credential's user", self.consumer.operation());
                self.observation.outcome = Outcome::Unknown(why);
            }
            // Something else failed than the login.
            Answer::Refused(said) if self.asks_the_forge() && !requests.iter().any(is_denial) => {
                let why = format!("{} failed ({said}), but its server refused nothing", self.consumer.operation());
                self.observation.outcome = Outcome::Unknown(why);
            }
            Answer::Refused(said) => {
                let mut reason =
                    format!("{} with a credential just {how} was refused: {said}", self.consumer.operation());
                if let Some(unfaithful) = &self.unfaithful {
                    reason.push_str(&format!("; the copy: {unfaithful}"));
                }
                self.observation.outcome = violated(reason);
            }
        }
    }

    /// Whether the forge sees each login: sign-ins can end in the browser, and handshakes are between two others.
    fn asks_the_forge(&self) -> bool {
        !matches!(self.consumer, Consumer::OAuthClient | Consumer::TlsServer)
    }

    /// The consumer must not get in any more, and for the right reason.
    pub(super) async fn must_be_refused(&mut self, issuer: &Issuer<'_>) {
        let expected = Answer::Refused(String::new());
        let Some((answer, requests)) = self.attempt(issuer, &expected).await else { return };
        let operation = self.consumer.operation();
        match answer {
            Answer::Admitted => {
                self.observation.outcome = violated(format!("{operation} works with a wrong or revoked credential"));
            }
            Answer::Refused(_) if self.consumer == Consumer::TlsServer || requests.iter().any(refuses_credential) => {
                self.observation.count(&format!("{operation}, refused with a wrong or revoked credential"));
            }
            Answer::Refused(said) => {
                let why = format!("{operation} failed ({said}), but its server did not refuse a credential");
                self.observation.outcome = Outcome::Unknown(why);
            }
        }
    }

    /// A login that must be denied while the credential is good.
    pub(super) async fn must_be_denied_elsewhere(&mut self, issuer: &Issuer<'_>) {
        if self.is_over() {
            return;
        }
        match self.trespass.attempt(self, issuer).await {
            Ok(Ok(())) => self.observation.count(&format!("{}, denied {}", self.consumer.operation(), self.trespass)),
            Ok(Err(reason)) => self.observation.outcome = violated(reason),
            Err(why) => self.observation.outcome = Outcome::Unknown(why),
        }
    }

    /// Has the consumer log in once; gives its answer and what the forge saw of it. `None` if the case is over.
    async fn attempt(&mut self, issuer: &Issuer<'_>, expected: &Answer) -> Option<(Answer, Vec<Request>)> {
        if self.is_over() {
            return None;
        }
        let (mark, began) = (self.consumers.forge.mark(), Instant::now());
        self.steps += 1;
        match self.log_in(issuer, expected).await {
            Ok(answer) => {
                self.observation.latencies.push(began.elapsed());
                Some((answer, self.requests(&mark).await))
            }
            Err(why) => {
                self.observation.outcome = Outcome::Unknown(why);
                None
            }
        }
    }

    /// What the forge saw of this case after `mark`.
    async fn requests(&self, mark: &Mark) -> Vec<Request> {
        match self.consumer {
            // Sign-ins of other cases of the slot are with the same client.
            Consumer::OAuthClient => {
                let mut requests = self.consumers.forge.since(mark).await;
                requests.retain(|request| request.path == "/login/oauth/access_token");
                requests
            }
            _ => self.consumers.requests_about(mark, &self.name).await,
        }
    }

    async fn log_in(&mut self, issuer: &Issuer<'_>, expected: &Answer) -> Result<Answer, String> {
        let (consumers, namespace) = (self.consumers, self.namespace().to_owned());
        let owner = self.owner.ok_or_else(|| "no consumer's manifest names an owner".to_owned());
        let tag = format!("step-{}", self.steps);
        match self.consumer {
            Consumer::Kubelet => {
                let owner = owner?;
                self.publish(owner, &tag).await?;
                let (pod, image) = (format!("{}-{tag}", self.name), format!("{}:{tag}", owner.image(&self.name)));
                let pull = Pull {
                    namespace: &namespace,
                    pod: &pod,
                    secret: Some(&self.target.secret),
                    image: &image,
                    second_try: match expected {
                        Answer::Admitted => SecondTry::UntilItRuns,
                        Answer::Refused(_) => SecondTry::UntilACredentialIsRefused,
                    },
                };
                consumers.pull(&self.client, &pull).await.map_err(|error| chain(&error))
            }
            Consumer::ArgoCd => self.sync(owner?, expected).await.map_err(|error| chain(&error)),
            Consumer::KargoGit => {
                let owner = owner?;
                let file: (&str, &[u8]) = ("STEP", tag.as_bytes());
                let commit = consumers.forge.commit(&owner.name, &self.name, &[file]).await;
                let commit = commit.map_err(|error| chain(&error))?;
                self.discover(kargo_lookup::Kind::Git, owner.repository(&self.name), &commit).await
            }
            Consumer::KargoImage => {
                let owner = owner?;
                self.publish(owner, &tag).await?;
                self.discover(kargo_lookup::Kind::Image, owner.image(&self.name), &tag).await
            }
            Consumer::KargoGitRules => {
                let listed = consumers.list_references(&namespace, owner?, &self.name).await;
                listed.map_err(|error| chain(&error))
            }
            Consumer::KargoImageRules => {
                let owner = owner?;
                self.publish(owner, &tag).await?;
                let listed = consumers.list_tags(&namespace, owner, &self.name).await;
                listed.map_err(|error| chain(&error))
            }
            Consumer::OAuthClient => {
                let application = issuer.application().ok_or("the credential is of no OAuth client")?;
                consumers.sign_in(application, &self.data()).await.map_err(|error| chain(&error))
            }
            Consumer::TlsServer => {
                consumers.shake_hands(&self.data(), &issuer.name).await.map_err(|error| chain(&error))
            }
            Consumer::Backstage => Err("Backstage needs more than one copy and has cases of its own".to_owned()),
        }
    }

    async fn sync(
        &mut self,
        owner: &Owner,
        expected: &Answer,
    ) -> Result<Answer, credence_consumers::running::SyncError> {
        let consumers = self.consumers;
        if let Some(followed) = &mut self.followed {
            return consumers.sync_again(followed, expected).await;
        }
        let namespace = self.other.as_ref().map_or("default", |lease| lease.name.as_str());
        let mut followed = consumers.follow(owner, &self.name, namespace).await?;
        let mut answer = consumers.first_sync(&followed).await?;
        if answer != Answer::Admitted {
            // The copy is new, and Argo CD may not have seen it when it first looked.
            answer = consumers.sync_again(&mut followed, expected).await?;
        }
        self.followed = Some(followed);
        Ok(answer)
    }

    async fn publish(&self, owner: &Owner, tag: &str) -> Result<(), String> {
        let published = self.consumers.publish(&owner.name, &self.name, tag).await;
        published.map_err(|error| chain(&error))
    }

    async fn discover(&mut self, kind: kargo_lookup::Kind, repo_url: String, fresh: &str) -> Result<Answer, String> {
        let new = Subscribed::new(self.namespace(), &self.name, kind, repo_url);
        let subscribed = self.subscribed.get_or_insert(new);
        let discovered = self.consumers.discover(&self.client, subscribed, fresh).await;
        discovered.map_err(|error| chain(&error))
    }

    /// The namespace of the copy.
    pub(super) fn namespace(&self) -> &str {
        self.dependent.as_ref().map_or("", |dependent| dependent.namespace.as_str())
    }

    /// What the copy holds now.
    pub(super) fn data(&self) -> BTreeMap<String, Credential> {
        self.env.observer.look(|view| {
            let copy = view.secret(self.namespace(), &self.target.secret);
            copy.map(|secret| secret.data.clone()).unwrap_or_default()
        })
    }

    /// Removes what the case made and gives what it saw.
    pub(super) async fn end(self) -> Observation {
        let mut observation = self.observation;
        let mut removed = Vec::new();
        if let Some(followed) = &self.followed {
            removed.push(self.consumers.unfollow(followed).await.map_err(|error| chain(&error)));
        }
        if let Some(subscribed) = &self.subscribed {
            removed.push(self.consumers.unsubscribe(&self.client, subscribed).await.map_err(|error| chain(&error)));
        }
        if let (Some(why), Outcome::Held) = (removed.into_iter().find_map(Result::err), &observation.outcome) {
            observation.outcome = Outcome::Unknown(why);
        }
        if let Some(dependent) = self.dependent {
            dependent.give_back(self.env);
        }
        if let Some(lease) = self.other {
            self.env.namespaces.give_back(self.env, lease, std::collections::BTreeSet::new());
        }
        observation
    }
}

pub(super) fn is_success(request: &Request) -> bool {
    request.status.is_some_and(|status| (200..300).contains(&status))
}
