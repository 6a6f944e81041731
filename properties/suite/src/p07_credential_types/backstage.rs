//! A case of Backstage: one namespace with three copies, and a Deployment that needs them all.

use std::collections::BTreeSet;
use std::sync::Arc;

use credence_consumers::forge::{Caller, Offered, Request};
use credence_consumers::running::{
    BACKSTAGE_VARIABLES, Consumers, LoginAnswer, PORTAL_IMAGE, catalog_file, is_denial, refuses_credential,
};
use credence_core::formats::{BACKSTAGE, KUBELET};
use credence_core::id::{CaseId, agent};
use credence_core::labels::Labels;
use credence_core::owner::Owner;
use credence_core::text::Reason;
use credence_model::model::Distribution;
use credence_report::unknown::{Cause, Unknown};
use credence_report::verdict::{Outcome, violated};
use credence_watch::wait::{self, Progress, WaitError};
use kube::Client;
use serde_json::{Value, json};
use tracing::instrument;

use super::backstage_copies::BackstageCopies;
use super::issuer::Issuer;
use super::not_held::NotHeld;
use super::trial::is_success;
use crate::observation::{self, Observation};
use crate::oracle;
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, Lease};

mod pod;

/// Path at which the forge is asked for the token of a sign-in.
const EXCHANGE: &str = "/login/oauth/access_token";

/// Name of Backstage's client when it asks for it (passport-github2, `lib/strategy.js`).
const AGENT: &str = "passport-github";

pub(super) struct BackstageTrial<'a> {
    env: &'a Arc<TestBed>,
    consumers: &'a Consumers,
    id: CaseId,
    client: Client,
    /// Targets of the pull secret, the OAuth client and the token.
    distributions: Vec<&'a Distribution>,
    owner: Option<&'a Owner>,
    lease: Option<Lease>,
    labels: Labels,
    /// Name of its repository and its Deployment.
    name: String,
    starts: u32,
    /// The pod that was started last, unless its image was not pulled.
    pod: Option<String>,
    deployed: bool,
    observation: Observation,
}

impl<'a> BackstageTrial<'a> {
    /// Takes a namespace and makes the file that Backstage reads.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %id))]
    pub(super) async fn begin(
        env: &'a Arc<TestBed>,
        consumers: &'a Consumers,
        id: CaseId,
        copies: &BackstageCopies,
    ) -> BackstageTrial<'a> {
        let names = [&copies.registry, &copies.client, &copies.token];
        let named = |name: &String| env.model.distributions.iter().find(|distribution| distribution.name == *name);
        let distributions: Vec<&Distribution> = names.into_iter().filter_map(named).collect();
        let labels = distributions
            .iter()
            .filter_map(|distribution| distribution.opt_in_labels().into_iter().next())
            .flatten()
            .collect();
        let mut trial = Self {
            env,
            consumers,
            id,
            client: env.client_for(id),
            distributions,
            owner: owner_for(env, &copies.registry),
            lease: None,
            labels,
            name: consumers.unused_name(id),
            starts: 0,
            pod: None,
            deployed: false,
            observation: Observation::of(Outcome::Held),
        };
        if let Err(why) = trial.prepare().await {
            trial.observation = Observation::of(Outcome::Unknown(why));
        }
        trial
    }

    async fn prepare(&mut self) -> Result<(), Unknown> {
        self.lease = Some(self.env.namespaces.lease(&self.client).await.map_err(|error| observation::unknown(&error))?);
        let owner = self.owner()?;
        let file = catalog_file(&self.name);
        let files: [(&str, &[u8]); 1] = [("catalog-info.yaml", file.as_bytes())];
        let account = owner.account_of_repositories();
        let made = self.consumers.forge.create_repository(&account, &self.name, &files).await;
        made.map(drop).map_err(|error| observation::unknown(&error))
    }

    fn owner(&self) -> Result<&'a Owner, Unknown> {
        self.owner.ok_or_else(|| Unknown::new(Cause::SetUpFailed, "no consumer's manifest names an owner"))
    }

    fn namespace(&self) -> &str {
        self.lease.as_ref().map_or("", |lease| lease.name.as_str())
    }

    fn is_over(&self) -> bool {
        self.observation.outcome != Outcome::Held
    }

    /// Asks for the copies and waits until each is like its source.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn settle(&mut self, issuers: &[&Issuer<'_>]) {
        if self.is_over() {
            return;
        }
        let namespace = self.namespace().to_owned();
        if let Err(error) = namespaces::set_labels(&self.client, &agent(self.id), &namespace, &self.labels).await {
            self.observation = error.into();
            return;
        }
        for distribution in &self.distributions {
            let issuer = issuers.iter().find(|issuer| distribution.sources().contains(issuer.source()));
            let Some(issuer) = issuer else { continue };
            let bound = self.env.propagation_bound(distribution).limit();
            let what = format!("copy {namespace}/{} like its source", distribution.secret);
            let matches_source = wait::until(&self.env.observer, &what, bound, |view| {
                let Some(secret) = view.secret(&namespace, &distribution.secret) else {
                    return Progress::NotYet("it does not exist".to_owned());
                };
                let known = (issuer.source(), &issuer.values);
                oracle::matches_source(distribution, secret, &self.env.sources.rendered(&known)).into()
            });
            match matches_source.await {
                // A copy that does not become so in its time is left to Backstage as it is.
                Ok(()) | Err(WaitError::TimedOut { .. } | WaitError::Impossible { .. }) => {}
                Err(error) => self.observation.outcome = observation::failed(&error),
            }
        }
    }

    /// A new pod must be pulled, sign a person in, and read the private file; the one before must fail at both.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn must_be_admitted(&mut self, issuers: &[&Issuer<'_>], how: &str) {
        if self.is_over() {
            return;
        }
        let outcome = self.admitted(issuers, how).await;
        if outcome.is_ok() {
            super::count_login(&mut self.observation, BACKSTAGE, how);
        }
        self.conclude(outcome);
    }

    async fn admitted(&mut self, issuers: &[&Issuer<'_>], how: &str) -> Result<(), NotHeld> {
        // If it runs, it was started with the credentials of before, which are worth nothing by now.
        if self.deployed {
            self.must_fail("with the credentials of before a rotation").await?;
        }
        let mark = self.consumers.forge.mark();
        let (from, variables) = self.references_to_copies()?;
        if let Err(said) = self.start(&from, &variables).await? {
            let pull = self.consumers.requests_about(&mark, PORTAL_IMAGE).await;
            return if pull.iter().any(refuses_credential) {
                let why = format!("Backstage could not be pulled with a credential just {how}: {said}");
                Err(NotHeld::violated(why))
            } else {
                let why = format!("Backstage was not pulled ({said}), but the forge refused no credential");
                Err(unseen(why).into())
            };
        }
        let (signed_in, read) = self.use_it().await?;
        let reading = self.consumers.requests_about(&mark, &self.name).await;
        if let LoginAnswer::Refused(said) = signed_in {
            let why = format!("sign-in by Backstage with a credential just {how} was refused: {said}");
            return Err(NotHeld::violated(why));
        }
        if let LoginAnswer::Refused(said) = read {
            return if reading.iter().any(|request| is_bearer(request) && is_denial(request)) {
                let why = format!("catalog read by Backstage with a credential just {how} was refused: {said}");
                Err(NotHeld::violated(why))
            } else {
                let why = format!("catalog read by Backstage failed ({said}), but the forge refused no credential");
                Err(unseen(why).into())
            };
        }
        let offered = |request: &Request| {
            issuers.iter().filter_map(|issuer| issuer.secret()).any(|secret| request.offered.is(secret))
        };
        let user = |request: &Request| issuers.iter().any(|issuer| request.caller == Caller::User(issuer.name.clone()));
        let requests = self.consumers.forge.since(&mark).await;
        let pull = self.consumers.requests_about(&mark, PORTAL_IMAGE).await;
        let proofs = [
            ("pull", pull.iter().any(|request| user(request) && is_success(request))),
            ("sign-in", requests.iter().any(|request| is_exchange(request) && offered(request) && is_success(request))),
            ("catalog read", reading.iter().any(|request| offered(request) && user(request) && is_success(request))),
        ];
        match proofs.iter().find(|(_, proved)| !proved) {
            None => Ok(()),
            Some((what, _)) => {
                Err(unseen(format!("Backstage worked, but for its {what} the forge did not see the credential")).into())
            }
        }
    }

    /// A pod that is given other values than those of the copies must fail at both.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn must_be_refused_with_wrong_values(&mut self) {
        if self.is_over() {
            return;
        }
        let outcome = self.refused_with_wrong_values().await;
        self.conclude(outcome);
    }

    async fn refused_with_wrong_values(&mut self) -> Result<(), NotHeld> {
        let (from, variables) = self.references_to_copies()?;
        // Shaped like real ones, so that it is the forge that refuses them.
        let wrong = |name: &str, digit: &str| json!({ "name": name, "value": digit.repeat(40) });
        let [_, secret, token] = BACKSTAGE_VARIABLES;
        let mut wrong_ones: Vec<Value> = variables.clone();
        wrong_ones.retain(|variable| variable["name"] != secret && variable["name"] != token);
        wrong_ones.extend([wrong(secret, "0"), wrong(token, "1")]);
        let not_pulled =
            |said: Reason| Unknown::new(Cause::RequestFailed, format!("Backstage was not pulled again: {said}"));
        self.start(&from, &wrong_ones).await?.map_err(not_pulled)?;
        let refused = self.must_fail("with wrong values").await;
        if let Err(NotHeld::Unknown(why)) = refused {
            return Err(why.into());
        }
        // The pod that goes through the rotation has the copies' own values.
        self.start(&from, &variables).await?.map_err(not_pulled)?;
        refused
    }

    /// The running pod must fail at both.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn must_be_refused(&mut self) {
        if self.is_over() {
            return;
        }
        let outcome = self.must_fail("with revoked credentials").await;
        self.conclude(outcome);
    }

    /// Sign-in and catalog read must fail, because the forge refuses the credentials.
    async fn must_fail(&mut self, how: &str) -> Result<(), NotHeld> {
        let mark = self.consumers.forge.mark();
        let (signed_in, read) = self.use_it().await?;
        for (what, answer) in [("sign-in", signed_in), ("catalog read", read)] {
            if answer == LoginAnswer::Admitted {
                return Err(NotHeld::violated(format!("{what} by Backstage works {how}")));
            }
        }
        let requests = self.consumers.forge.since(&mark).await;
        let reading = self.consumers.requests_about(&mark, &self.name).await;
        let proofs = [
            ("sign-in", requests.iter().any(|request| is_exchange(request) && refuses_credential(request))),
            // Backstage has its token in every request, as a bearer token.
            ("catalog read", reading.iter().any(|request| is_bearer(request) && is_denial(request))),
        ];
        if let Some((what, _)) = proofs.iter().find(|(_, proved)| !proved) {
            let why = format!("{what} by Backstage failed {how}, but the forge refused no credential");
            return Err(unseen(why).into());
        }
        self.observation.count(&format!("{}, refused {how}", BACKSTAGE.operation()));
        Ok(())
    }

    fn conclude(&mut self, step: Result<(), NotHeld>) {
        match step {
            Ok(()) => {}
            Err(NotHeld::Violated(reason)) => {
                self.observation.outcome = violated(format!("{}: {reason}", BACKSTAGE.operation()));
            }
            Err(NotHeld::Unknown(why)) => self.observation.outcome = Outcome::Unknown(why),
        }
    }

    /// Removes what the case made and gives what it saw.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    pub(super) async fn end(mut self) -> Observation {
        self.distributions.iter().for_each(|distribution| self.observation.reach_as(distribution, BACKSTAGE));
        if let Err(why) = self.stop().await
            && self.observation.outcome == Outcome::Held
        {
            self.observation.outcome = Outcome::Unknown(why);
        }
        if let Some(lease) = self.lease {
            let keys: BTreeSet<String> = self.labels.into_keys().collect();
            self.env.namespaces.give_back(self.env, lease, keys);
        }
        self.observation
    }
}

/// The owner of the images that are pulled with copies of a distribution.
fn owner_for<'a>(env: &'a TestBed, distribution: &str) -> Option<&'a Owner> {
    let distribution = env.model.distributions.iter().find(|other| other.name == distribution)?;
    let uses = distribution.uses(&env.model.endpoints).into_iter().filter(|used| used.consumer == KUBELET);
    uses.filter_map(|used| used.endpoints.ok()).flatten().map(|endpoint| &endpoint.owner).next()
}

/// True if Backstage asks for the token of a sign-in; other cases of the slot do so with the same client.
fn is_exchange(request: &Request) -> bool {
    request.path == EXCHANGE && request.agent == AGENT
}

fn is_bearer(request: &Request) -> bool {
    matches!(request.offered, Offered::Bearer { .. })
}

/// The log of the forge does not show what should have happened there.
fn unseen(why: String) -> Unknown {
    Unknown::new(Cause::EvidenceLost, why)
}
