//! The rights of a store's account are taken away and given back: what it reads ends and begins with them.

use std::sync::Arc;
use std::time::Duration;

use credence_core::credential::Credential;
use credence_core::id::{CaseId, agent};

use credence_core::text::{Reason, chain};
use credence_model::config::SourceRef;
use credence_model::model::POLICY_BOUND;
use credence_model::values;
use credence_report::unknown::Cause;
use credence_report::verdict::{self, Outcome};
use credence_watch::observer::{ExternalSecretSeen, SecretSeen, View};
use credence_watch::wait::{self, Progress};
use futures::future::join_all;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::Instant;
use tracing::instrument;

use super::World;
use super::subject::{Rights, Subject};
use crate::observation::{self, Observation, cause_of};
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, Lease};
use crate::testbed::rotation::until_copy_matches_source;

/// Life of an account's token in seconds: the API server's shortest.
const TOKEN_SECONDS: i64 = 600;
/// Time between two polls of what cannot be watched.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A case under way: one namespace that has its copy, and one that asks while there are no rights.
struct RightsCase {
    id: CaseId,
    leases: Vec<Lease>,
    before: Option<SecretSeen>,
    observation: Observation,
}

/// Takes the rights away in the way of `revocation` and gives them back, with all cases at each step.
pub(super) async fn play(
    env: &Arc<TestBed>,
    subject: &Subject<'_>,
    revocation: Rights,
    cases: &[(CaseId, World)],
) -> Vec<(Observation, Vec<Lease>)> {
    let shared = match env.sources.share(&subject.distribution.sources()).await {
        Ok(shared) => shared,
        Err(error) => {
            let outcome = Outcome::Unknown(observation::unknown(&error));
            return cases.iter().map(|_| (Observation::of(outcome.clone()), Vec::new())).collect();
        }
    };
    let values = shared.to_values();
    let mut live = join_all(cases.iter().map(|(id, world)| RightsCase::begin(env, subject, *id, world, &values))).await;
    if let Err(ended) = steps(env, subject, revocation, cases, &values, &mut live).await {
        live.iter_mut().for_each(|live| live.end_with(ended.outcome.clone()));
    }
    live.into_iter().map(|live| (live.observation, live.leases)).collect()
}

async fn steps(
    env: &TestBed,
    subject: &Subject<'_>,
    revocation: Rights,
    cases: &[(CaseId, World)],
    values: &values::World,
    live: &mut [RightsCase],
) -> Result<(), Observation> {
    let readers = readers(env, subject, cases.first().map(|(id, _)| *id)).await?;
    if until_access(env, &readers, true, "an answer to a store's account").await.is_err() {
        // No later refusal says anything then.
        return Err(Observation::unknown(Cause::ControlFailed, "the account of the store never read its source"));
    }
    let revoked = Instant::now();
    subject.set_rights(env, revocation).await?;
    let took = until_access(env, &readers, false, "the refusal of a store's account whose rights were taken")
        .await
        .map_err(Observation::of)?;
    join_all(live.iter_mut().map(|live| live.without_rights(env, subject, cases, took))).await;
    subject.set_rights(env, Rights::Given).await?;
    let took = until_access(env, &readers, true, "an answer to a store's account whose rights were given back")
        .await
        .map_err(Observation::of)?;
    let outage = revoked.elapsed();
    join_all(live.iter_mut().map(|live| live.with_rights(env, subject, values, took, outage))).await;
    Ok(())
}

impl RightsCase {
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %id))]
    async fn begin(env: &TestBed, subject: &Subject<'_>, id: CaseId, world: &World, values: &values::World) -> Self {
        let mut live = Self { id, leases: Vec::new(), before: None, observation: Observation::of(Outcome::Held) };
        if let Err(failed) = live.populate(env, subject, world, values).await {
            live.observation = failed;
        }
        live
    }

    async fn populate(
        &mut self,
        env: &TestBed,
        subject: &Subject<'_>,
        world: &World,
        values: &values::World,
    ) -> Result<(), Observation> {
        let (client, distribution) = (env.client_for(self.id), subject.distribution);
        for _ in 0..2 {
            self.leases.push(env.namespaces.lease(&client).await?);
        }
        let name = &self.leases[0].name;
        namespaces::set_labels(&client, &agent(self.id), name, &subject.labels(world.way, None)).await?;
        let bound = env.provisioning_bound().max(env.propagation_bound(distribution).limit());
        let settled = until_copy_matches_source(env, name, distribution, values, bound).await;
        settled.map_err(|error| Observation::unknown(cause_of(&error), format!("no copy to keep: {error}")))?;
        self.before = env.observer.look(|view| view.secret(name, &distribution.secret).cloned());
        Ok(())
    }

    fn end_with(&mut self, outcome: Outcome) {
        self.observation.outcome = self.observation.outcome.clone().max(outcome);
    }

    /// A namespace that asks now gets nothing, and the copy that there is stays as it is.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    async fn without_rights(
        &mut self,
        env: &TestBed,
        subject: &Subject<'_>,
        cases: &[(CaseId, World)],
        took: Duration,
    ) {
        let world = cases.iter().find(|(id, _)| *id == self.id).map(|(_, world)| world);
        let (Some(world), Outcome::Held) = (world, &self.observation.outcome) else { return };
        self.observation.count("take the rights of a store");
        self.observation.latencies.push(took);
        let (client, distribution) = (env.client_for(self.id), subject.distribution);
        let (first, second) = (&self.leases[0].name, &self.leases[1].name);
        let labels = subject.labels(world.way, None);
        if let Err(error) = namespaces::set_labels(&client, &agent(self.id), second, &labels).await {
            return self.end_with(Outcome::Unknown(observation::unknown(&error)));
        }
        let look = |view: &View<'_>| -> Result<(), Reason> {
            if view.secret(second, &distribution.secret).is_some() {
                return Err(format!("{second} was given a copy that nobody may read").into());
            }
            let data = |seen: Option<&SecretSeen>| seen.map(|seen| (seen.uid.clone(), seen.data.clone()));
            if data(view.secret(first, &distribution.secret)) != data(self.before.as_ref()) {
                return Err(format!("the copy in {first} changed when its store lost its rights").into());
            }
            Ok(())
        };
        let what = format!("ExternalSecret {second}/{} fails", distribution.external_secret);
        let tried = wait::until(&env.observer, &what, env.provisioning_bound(), |view| {
            let seen = view.external_secret(second, &distribution.external_secret);
            match look(view) {
                Err(why) => Progress::Never(why.into()),
                Ok(()) if seen.is_some_and(ExternalSecretSeen::says_failed) => Progress::Done(()),
                Ok(()) => Progress::NotYet("it has not tried".to_owned()),
            }
        });
        let outcome = match tried.await {
            Ok(()) => wait::hold(&env.observer, "no copy without rights", env.hold(), look).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => {}
            Err(error @ wait::WaitError::Impossible { .. }) => self.end_with(observation::failed(&error)),
            // Nobody tried, so nobody was refused.
            Err(error) => self.end_with(verdict::unknown(cause_of(&error), error.to_string())),
        }
    }

    /// The namespace that asked in vain is served.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    async fn with_rights(
        &mut self,
        env: &TestBed,
        subject: &Subject<'_>,
        values: &values::World,
        took: Duration,
        outage: Duration,
    ) {
        if self.observation.outcome != Outcome::Held {
            return;
        }
        self.observation.count("give the rights of a store back");
        self.observation.latencies.push(took);
        let bound = env.recovery_bound(subject.distribution, outage).limit();
        self.observation.bound = Some(bound);
        let given = Instant::now();
        match until_copy_matches_source(env, &self.leases[1].name, subject.distribution, values, bound).await {
            Ok(()) => self.observation.latencies.push(given.elapsed()),
            Err(error) => self.end_with(observation::failed(&error)),
        }
    }
}

/// The accounts of a subject's stores, each with a source that it reads.
async fn readers(
    env: &TestBed,
    subject: &Subject<'_>,
    case: Option<CaseId>,
) -> Result<Vec<(Client, SourceRef)>, Observation> {
    let mut readers = Vec::new();
    let Some(case) = case else { return Ok(readers) };
    let sources = subject.distribution.sources();
    for account in subject.accounts() {
        let accounts: Api<ServiceAccount> = Api::namespaced(env.client_for(case), &account.namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let answer = accounts.create_token_request(&account.name, &PostParams::default(), &request).await?;
        let token = Credential::new(answer.status.and_then(|status| status.token).unwrap_or_default());
        let client = env.cluster.client_with_token(&agent(case), &token).await?;
        let of_account = sources.iter().filter(|source| source.namespace == account.namespace);
        readers.extend(of_account.map(|source| (client.clone(), (*source).clone())));
    }
    Ok(readers)
}

/// Waits until each reader gets its source, or is refused for want of rights; gives how long that took.
async fn until_access(
    env: &TestBed,
    readers: &[(Client, SourceRef)],
    wanted: bool,
    what: &str,
) -> Result<Duration, Outcome> {
    if readers.is_empty() {
        return Err(verdict::unknown(Cause::SetUpFailed, "no account of a store reads a source"));
    }
    let begin = Instant::now();
    for (client, source) in readers {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &source.namespace);
        let left = POLICY_BOUND.saturating_sub(begin.elapsed());
        let reached = wait::poll_cluster(&env.observer, what, left, POLL_INTERVAL, || async {
            match secrets.get(&source.name).await {
                Ok(_) if wanted => Progress::Done(()),
                Ok(_) => Progress::NotYet(format!("it reads {source}")),
                Err(kube::Error::Api(status)) if status.is_forbidden() && !wanted => Progress::Done(()),
                Err(error) => Progress::NotYet(chain(&error)),
            }
        });
        reached.await.map_err(|error| observation::failed(&error))?;
    }
    Ok(begin.elapsed())
}
