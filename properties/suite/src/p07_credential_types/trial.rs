//! One case: a namespace with a copy, and the consumer that logs in with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use credence_consumers::forge::{Caller, Request};
use credence_consumers::running::{
    Consumers, Expected, Login, LoginAnswer, LoginResult, Proof, is_denial, proof, refuses_credential,
};
use credence_core::consumer::{Consumer, DeniedLogin};
use credence_core::credential::Credential;
use credence_core::endpoints::Endpoint;
use credence_core::id::CaseId;
use credence_core::scope::{Scope, Written, WrittenCopy};
use credence_model::model::{Distribution, Model};
use credence_report::unknown::{Cause, Unknown};
use credence_report::verdict::{self, Outcome, violated};
use credence_watch::wait::WaitError;
use kube::Client;
use tokio::time::Instant;
use tracing::instrument;

use super::Placement;
use super::denied_login::{self, Subject};
use super::issuer::Issuer;
use super::judged::Choice;
#[cfg(feature = "faults")]
use crate::faults::{self, OwnFault};
use crate::observation::{self, Observation};
use crate::testbed::TestBed;
use crate::testbed::namespaces::Lease;
use crate::testbed::rotation::Dependent;

pub(crate) struct Trial<'a> {
    env: &'a Arc<TestBed>,
    pub(super) consumers: &'a Consumers,
    pub(super) id: CaseId,
    client: Client,
    distribution: &'a Distribution,
    pub(super) consumer: Consumer,
    /// Name of its repository, its image, and everything else of its own.
    name: String,
    /// Place at which its consumer uses the copy; none for consumers that ask for nothing of the kind.
    endpoint: Option<&'a Endpoint>,
    /// The name of the repository or image that it asks for, once it has asked.
    repository: Option<String>,
    /// The project that the copy is for alone.
    project: Option<String>,
    /// The login that it must be denied.
    denial: DeniedLogin,
    proof: Proof,
    dependent: Option<Dependent<'a>>,
    /// A namespace without a copy: what is deployed to, and what must not get in.
    other: Option<Lease>,
    steps: u32,
    /// The last login, with what it made.
    made: Option<Login>,
    /// Fault of the copy when the consumer came to use it, if it had one.
    unfaithful: Option<String>,
    observation: Observation,
}

impl<'a> Trial<'a> {
    /// Takes namespaces and makes what the consumer asks for. Nothing asks for the copy yet.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %id))]
    pub(crate) async fn begin(
        env: &'a Arc<TestBed>,
        consumers: &'a Consumers,
        id: CaseId,
        choice: Choice<'a>,
        placement: &Placement,
    ) -> Trial<'a> {
        let Choice { distribution, consumer, endpoints, .. } = choice;
        let scopes = consumer.format().scopes(&distribution.written()).unwrap_or_default();
        let project = scopes.iter().find_map(Scope::project).map(str::to_owned);
        let endpoint = (!endpoints.is_empty()).then(|| *placement.place.of(&endpoints));
        let is_only = endpoint.is_some_and(|endpoint| is_only_one_for(&env.model, distribution, consumer, endpoint));
        let denied_logins = denied_login::of(distribution, consumer, project.is_some() && is_only);
        let mut trial = Self {
            env,
            consumers,
            id,
            client: env.client_for(id),
            distribution,
            consumer,
            name: consumers.unused_name(id),
            endpoint,
            repository: None,
            project,
            denial: *placement.denied_login.of(&denied_logins),
            // Of those that log in with more than one copy, none is dealt.
            proof: proof(consumer).unwrap_or(Proof::ServerSawUser),
            dependent: None,
            other: None,
            steps: 0,
            made: None,
            unfaithful: None,
            observation: Observation::of(Outcome::Held),
        };
        if let Err(why) = trial.prepare(placement).await {
            trial.observation = Observation::of(Outcome::Unknown(why));
        }
        trial
    }

    async fn prepare(&mut self, placement: &Placement) -> Result<(), Unknown> {
        let dependent = match self.consumers.endpoints.namespace_of(self.consumer) {
            Some(namespace) => Ok(Dependent::standing(self.distribution, namespace)),
            None => Dependent::lease(self.env, &self.client, self.distribution, placement.way).await,
        };
        self.dependent = Some(dependent.map_err(|error| observation::unknown(&error))?);
        self.other = Some(self.env.namespaces.lease(&self.client).await.map_err(|error| observation::unknown(&error))?);
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.observation.outcome != Outcome::Held
    }

    /// Asks for the copy and waits until it is like its source. A copy that does not become so in its time is left to
    /// the consumer as it is: this property is about what the consumer makes of it.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn settle(&mut self, issuer: &Issuer<'_>) {
        let bound = self.env.propagation_bound(self.distribution).limit();
        self.settle_within(issuer, bound).await;
    }

    /// The same after an outage that lasted for `outage`.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(crate) async fn settle_after(&mut self, issuer: &Issuer<'_>, outage: Duration) {
        let bound = self.env.recovery_bound(self.distribution, outage).limit();
        self.settle_within(issuer, bound).await;
    }

    /// Counts evidence of a case that has not ended.
    pub(crate) fn count(&mut self, evidence: &str) {
        if !self.is_over() {
            self.observation.count(evidence);
        }
    }

    async fn settle_within(&mut self, issuer: &Issuer<'_>, bound: Duration) {
        let Some(dependent) = self.dependent.as_ref().filter(|_| !self.is_over()) else { return };
        if let Err(error) = dependent.ask(&self.client, self.id).await {
            self.observation = error.into();
            return;
        }
        match dependent.until_matches_source(self.env, &(issuer.source(), &issuer.values), bound).await {
            Ok(()) => self.unfaithful = None,
            Err(WaitError::TimedOut { last, .. } | WaitError::Impossible { why: last, .. }) => {
                self.unfaithful = Some(last);
            }
            Err(error) => self.observation.outcome = observation::failed(&error),
        }
    }

    /// The consumer must get in, and the forge must have taken it for the credential's user.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(crate) async fn must_be_admitted(&mut self, issuer: &Issuer<'_>, how: &str) {
        let Some(LoginResult { answer, requests }) = self.attempt(issuer, Expected::Admitted).await else { return };
        #[cfg(feature = "faults")]
        let requests = if faults::is_on(OwnFault::CachedImage) { Vec::new() } else { requests };
        let seen = match self.proof {
            Proof::Handshake => true,
            Proof::ServerSawSecret => requests.iter().any(|request| {
                let offered = issuer.secret().is_some_and(|secret| request.offered.is(secret));
                offered && is_success(request)
            }),
            Proof::ServerSawUser => requests
                .iter()
                .any(|request| request.caller == Caller::User(issuer.name.clone()) && is_success(request)),
        };
        // Sign-ins can end in the browser, and handshakes are between two others: the forge does not see each of these.
        let sees_all = self.proof == Proof::ServerSawUser;
        match answer {
            LoginAnswer::Admitted if seen => super::count_login(&mut self.observation, self.consumer, how),
            LoginAnswer::Admitted => {
                let why =
                    format!("{} worked, but its server did not see the credential's user", self.consumer.operation());
                self.observation.outcome = verdict::unknown(Cause::EvidenceLost, why);
            }
            // Something else failed than the login.
            LoginAnswer::Refused(said) if sees_all && !requests.iter().any(is_denial) => {
                let why = format!("{} failed ({said}), but its server refused nothing", self.consumer.operation());
                self.observation.outcome = verdict::unknown(Cause::EvidenceLost, why);
            }
            LoginAnswer::Refused(said) | LoginAnswer::Withheld(said) => {
                let mut reason =
                    format!("{} with a credential just {how} was refused: {said}", self.consumer.operation());
                if let Some(unfaithful) = &self.unfaithful {
                    reason.push_str(&format!("; the copy: {unfaithful}"));
                }
                self.observation.outcome = violated(reason);
            }
        }
    }

    /// The consumer must not get in any more, and for the right reason.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn must_be_refused(&mut self, issuer: &Issuer<'_>) {
        let Some(LoginResult { answer, requests }) = self.attempt(issuer, Expected::Refused).await else { return };
        let operation = self.consumer.operation();
        match answer {
            LoginAnswer::Admitted => {
                self.observation.outcome = violated(format!("{operation} works with a wrong or revoked credential"));
            }
            LoginAnswer::Refused(_) if self.proof == Proof::Handshake || requests.iter().any(refuses_credential) => {
                self.observation.count(&format!("{operation}, refused with a wrong or revoked credential"));
            }
            LoginAnswer::Refused(said) | LoginAnswer::Withheld(said) => {
                let why = format!("{operation} failed ({said}), but its server did not refuse a credential");
                self.observation.outcome = verdict::unknown(Cause::EvidenceLost, why);
            }
        }
    }

    /// A login that must be denied while the credential is good.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn must_be_denied_elsewhere(&mut self, issuer: &Issuer<'_>) {
        if self.is_over() {
            return;
        }
        let subject = Subject {
            consumers: self.consumers,
            consumer: self.consumer,
            login: self.login(issuer, Expected::Denied),
            id: self.id,
            url: self.url(),
            scopes: self.scopes(),
        };
        match denied_login::attempt(self.denial, subject, issuer, self.proof).await {
            Ok(()) => {
                self.observation.count(&format!("{}, denied {}", self.consumer.operation(), self.denial));
                self.must_be_for_nobody_else();
            }
            Err(not_held) => self.observation.outcome = not_held.into_outcome(),
        }
    }

    /// No repository of others that looks like the one asked for may be among those that the copy is for.
    fn must_be_for_nobody_else(&mut self) {
        let Some(url) = self.url() else { return };
        let let_in = self.scopes().iter().flat_map(|scope| scope.let_in(&url)).next();
        if let Some(other) = let_in {
            let operation = self.consumer.operation();
            let reason =
                format!("{operation}: by its rules the copy for {url} is for {} as well: {}", other.what, other.url);
            self.observation.outcome = violated(reason);
        }
    }

    /// Scopes of the copy as it is now; nothing that is known if it cannot be read.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        let (labels, data) = self.env.observer.look(|view| {
            let copy = view.secret(self.namespace(), &self.distribution.secret);
            copy.map(|secret| (secret.labels.clone(), secret.data.clone())).unwrap_or_default()
        });
        let text = |value: &'_ Credential| value.expose_str().map(str::to_owned);
        let texts: BTreeMap<&str, String> =
            data.iter().filter_map(|(key, value)| Some((key.as_str(), text(value)?))).collect();
        let keys = texts.iter().map(|(key, text)| (*key, Written::Literal(text.as_str()))).collect();
        let copy = WrittenCopy { labels: &labels, keys: Some(keys) };
        self.consumer.format().scopes(&copy).unwrap_or_default()
    }

    /// The URL that it asks for.
    pub(super) fn url(&self) -> Option<String> {
        let repository = self.repository.as_deref().unwrap_or(&self.name);
        self.endpoint.map(|endpoint| endpoint.url_of(&endpoint.owner, repository))
    }

    /// The repository or image to ask for: one of its own, unless the copy is not for that but for the one in the manifest.
    fn choose_repository(&mut self) {
        if self.repository.is_some() {
            return;
        }
        let Some(endpoint) = self.endpoint else { return };
        let (scopes, own) = (self.scopes(), endpoint.url_of(&endpoint.owner, &self.name));
        let covered = |url: &str| scopes.iter().any(|scope| scope.covers(url));
        let is_for_one = covered(&endpoint.url) && !covered(&own);
        self.repository = Some(if is_for_one { endpoint.name.clone() } else { self.name.clone() });
    }

    /// Has the consumer log in once. `None` if the case is over.
    async fn attempt(&mut self, issuer: &Issuer<'_>, expected: Expected) -> Option<LoginResult> {
        if self.is_over() {
            return None;
        }
        self.steps += 1;
        self.choose_repository();
        let (login, began) = (self.login(issuer, expected), Instant::now());
        let result = self.consumers.log_in(self.consumer, &login).await;
        self.made = Some(login);
        match result {
            Ok(result) => {
                self.observation.latencies.push(began.elapsed());
                Some(result)
            }
            Err(error) => {
                self.observation.outcome = Outcome::Unknown(observation::unknown(&error));
                None
            }
        }
    }

    /// A login at this point of the case.
    pub(super) fn login(&self, issuer: &Issuer<'_>, expected: Expected) -> Login {
        Login {
            client: self.client.clone(),
            namespace: self.namespace_of_login().to_owned(),
            secret: Some(self.distribution.secret.clone()),
            data: self.data(),
            destination: self.destination().to_owned(),
            owner: self.endpoint.map(|endpoint| endpoint.owner.clone()),
            repository: self.repository.clone().unwrap_or_else(|| self.name.clone()),
            name: self.name.clone(),
            project: self.project.clone(),
            step: self.steps,
            application: issuer.application().cloned(),
            server_name: issuer.name.clone(),
            expected,
        }
    }

    /// A namespace without a copy.
    fn destination(&self) -> &str {
        self.other.as_ref().map_or("default", |lease| lease.name.as_str())
    }

    /// The namespace that uses the copy: that of the copy, unless it is Kargo's for resources that all projects share.
    fn namespace_of_login(&self) -> &str {
        if denied_login::is_shared(self.consumer, self.namespace()) { self.destination() } else { self.namespace() }
    }

    /// The namespace of the copy.
    fn namespace(&self) -> &str {
        self.dependent.as_ref().map_or("", |dependent| dependent.namespace.as_str())
    }

    /// Contents of the copy now.
    fn data(&self) -> BTreeMap<String, Credential> {
        self.env.observer.look(|view| {
            let copy = view.secret(self.namespace(), &self.distribution.secret);
            copy.map(|secret| secret.data.clone()).unwrap_or_default()
        })
    }

    /// Removes what the case made and gives what it saw.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(crate) async fn end(self) -> Observation {
        let mut observation = self.observation;
        observation.reach_as(self.distribution, self.consumer);
        if let Some(login) = &self.made
            && let Err(error) = self.consumers.leave(self.consumer, login).await
            && observation.outcome == Outcome::Held
        {
            observation.outcome = Outcome::Unknown(observation::unknown(&error));
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

/// True if no other copy that its consumer could take in its place is for this endpoint.
fn is_only_one_for(model: &Model, distribution: &Distribution, consumer: Consumer, endpoint: &Endpoint) -> bool {
    let covers = |other: &Distribution| {
        let scopes = consumer.format().scopes(&other.written()).unwrap_or_default();
        scopes.iter().any(|scope| scope.covers(&endpoint.url))
    };
    let others = model.distributions.iter().filter(|other| other.name != distribution.name);
    !others.filter(|other| Consumer::of(&other.shape()) == Some(consumer)).any(covers)
}

pub(super) fn is_success(request: &Request) -> bool {
    request.status.is_some_and(|status| (200..300).contains(&status))
}
