//! One case: a namespace with a copy, and the consumer that logs in with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use credence_consumers::forge::{Caller, Request};
use credence_consumers::running::{
    Answer, Consumers, Expected, Login, LoginResult, Proof, is_denial, proof, refuses_credential,
};
use credence_core::consumer::{Consumer, Denial};
use credence_core::credential::Credential;
use credence_core::endpoints::Owner;
use credence_core::id::CaseId;
use credence_core::text::chain;
use credence_model::model::Target;
use credence_report::verdict::{Outcome, violated};
use credence_watch::wait::WaitError;
use kube::Client;
use tokio::time::Instant;

use super::Placement;
use super::issuer::Issuer;
use super::trespass;
use crate::observation::{self, Observation};
use crate::testbed::TestBed;
use crate::testbed::namespaces::Lease;
use crate::testbed::rotation::Dependent;

/// A case under way.
pub(super) struct Trial<'a> {
    env: &'a Arc<TestBed>,
    pub(super) consumers: &'a Consumers,
    pub(super) id: CaseId,
    client: Client,
    target: &'a Target,
    pub(super) consumer: Consumer,
    /// Of its repository, its image, and all else that is its own.
    name: String,
    /// Who owns what its consumer asks for; none for consumers that ask for nothing of the kind.
    owner: Option<&'a Owner>,
    /// The login that it must be denied.
    denial: Denial,
    proof: Proof,
    dependent: Option<Dependent<'a>>,
    /// A namespace without a copy: what is deployed to, and what must not get in.
    other: Option<Lease>,
    steps: u32,
    /// The last login, with what it made.
    made: Option<Login>,
    /// What was wrong with the copy when the consumer came to use it, if anything.
    unfaithful: Option<String>,
    observation: Observation,
}

impl<'a> Trial<'a> {
    /// Takes namespaces and makes what the consumer asks for. Nothing asks for the copy yet.
    pub(super) async fn begin(
        env: &'a Arc<TestBed>,
        consumers: &'a Consumers,
        id: CaseId,
        target: &'a Target,
        consumer: Consumer,
        placement: &Placement,
    ) -> Trial<'a> {
        let owners = Vec::from_iter(consumers.endpoints.owners_with(consumer, &target.secret));
        let mut trial = Self {
            env,
            consumers,
            id,
            client: env.client_for(id),
            target,
            consumer,
            name: consumers.unused_name(id),
            owner: (!owners.is_empty()).then(|| *placement.way.of(&owners)),
            denial: *placement.trespass.of(consumer.meta().denials),
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
            trial.observation = Observation::unknown(why);
        }
        trial
    }

    async fn prepare(&mut self, placement: &Placement) -> Result<(), String> {
        let dependent = Dependent::lease(self.env, &self.client, self.target, placement.way).await;
        self.dependent = Some(dependent.map_err(|error| chain(&error))?);
        self.other = Some(self.env.namespaces.lease(&self.client).await.map_err(|error| chain(&error))?);
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
            Err(error) => self.observation.outcome = observation::failed(&error),
        }
    }

    /// The consumer must get in, and the forge must have taken it for the credential's user.
    pub(super) async fn must_be_admitted(&mut self, issuer: &Issuer<'_>, how: &str) {
        let Some(LoginResult { answer, requests }) = self.attempt(issuer, Expected::Admitted).await else { return };
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
            Answer::Admitted if seen => super::count_login(&mut self.observation, self.consumer, how),
            Answer::Admitted => {
                let why =
                    format!("{} worked, but its server did not see the credential's user", self.consumer.operation());
                self.observation.outcome = Outcome::Unknown(why);
            }
            // Something else failed than the login.
            Answer::Refused(said) if sees_all && !requests.iter().any(is_denial) => {
                let why = format!("{} failed ({said}), but its server refused nothing", self.consumer.operation());
                self.observation.outcome = Outcome::Unknown(why);
            }
            Answer::Refused(said) | Answer::Withheld(said) => {
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
    pub(super) async fn must_be_refused(&mut self, issuer: &Issuer<'_>) {
        let Some(LoginResult { answer, requests }) = self.attempt(issuer, Expected::Refused).await else { return };
        let operation = self.consumer.operation();
        match answer {
            Answer::Admitted => {
                self.observation.outcome = violated(format!("{operation} works with a wrong or revoked credential"));
            }
            Answer::Refused(_) if self.proof == Proof::Handshake || requests.iter().any(refuses_credential) => {
                self.observation.count(&format!("{operation}, refused with a wrong or revoked credential"));
            }
            Answer::Refused(said) | Answer::Withheld(said) => {
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
        match trespass::attempt(self.denial, self, issuer, self.proof).await {
            Ok(Ok(())) => self.observation.count(&format!("{}, denied {}", self.consumer.operation(), self.denial)),
            Ok(Err(reason)) => self.observation.outcome = violated(reason),
            Err(why) => self.observation.outcome = Outcome::Unknown(why),
        }
    }

    /// Has the consumer log in once. `None` if the case is over.
    async fn attempt(&mut self, issuer: &Issuer<'_>, expected: Expected) -> Option<LoginResult> {
        if self.is_over() {
            return None;
        }
        self.steps += 1;
        let (login, began) = (self.login(issuer, expected), Instant::now());
        let result = self.consumers.log_in(self.consumer, &login).await;
        self.made = Some(login);
        match result {
            Ok(result) => {
                self.observation.latencies.push(began.elapsed());
                Some(result)
            }
            Err(error) => {
                self.observation.outcome = Outcome::Unknown(chain(&error));
                None
            }
        }
    }

    /// A login at this point of the case.
    pub(super) fn login(&self, issuer: &Issuer<'_>, expected: Expected) -> Login {
        Login {
            client: self.client.clone(),
            namespace: self.namespace().to_owned(),
            secret: Some(self.target.secret.clone()),
            data: self.data(),
            destination: self.other.as_ref().map_or("default", |lease| lease.name.as_str()).to_owned(),
            owner: self.owner.cloned(),
            name: self.name.clone(),
            step: self.steps,
            application: issuer.application().cloned(),
            server_name: issuer.name.clone(),
            expected,
        }
    }

    /// The namespace of the copy.
    fn namespace(&self) -> &str {
        self.dependent.as_ref().map_or("", |dependent| dependent.namespace.as_str())
    }

    /// What the copy holds now.
    fn data(&self) -> BTreeMap<String, Credential> {
        self.env.observer.look(|view| {
            let copy = view.secret(self.namespace(), &self.target.secret);
            copy.map(|secret| secret.data.clone()).unwrap_or_default()
        })
    }

    /// Removes what the case made and gives what it saw.
    pub(super) async fn end(self) -> Observation {
        let mut observation = self.observation;
        observation.reach_as(self.target, self.consumer);
        if let Some(login) = &self.made
            && let Err(error) = self.consumers.leave(self.consumer, login).await
            && observation.outcome == Outcome::Held
        {
            observation.outcome = Outcome::Unknown(chain(&error));
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
