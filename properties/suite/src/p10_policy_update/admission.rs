//! The configuration's own admission policies are lifted for some namespaces and put back.
//!
//! A policy cannot be tested on a copy of it: the original refuses what the copy would. So the original's binding is
//! changed, in a way that concerns only namespaces with a label that no other case has.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::FIELD_MANAGER;
use credence_core::id::{CaseId, agent};
use credence_core::labels::Labels;
use credence_model::model::{Distribution, POLICY_BOUND};
use credence_report::unknown::Cause;
use credence_report::verdict::{self, Outcome};
use credence_watch::wait::{self, Progress};
use futures::future::join_all;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::instrument;

use super::World;
use super::probe::{self, Probe, Written};
use crate::observation::{self, Observation, cause_of};
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, Lease};
use crate::testbed::tenant::{Rights, Tenant};

/// Label of the namespaces for which policies are lifted.
pub(super) const EXEMPT: &str = "credence.dev/exempt";
/// Time between two polls of what cannot be watched.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

struct AdmissionCase {
    id: CaseId,
    lease: Option<Lease>,
    tenant: Option<Tenant>,
    observation: Observation,
}

/// A binding that was lifted, and the expressions of its namespace selector as they were.
struct Lifted {
    binding: String,
    before: Value,
}

/// Lifts the policies that refuse a request of a tenant and puts them back, as often as `flips` says. The request is the first
/// that any refuses, from that with the number `first` on. None if no policy of the configuration refuses any.
pub(super) async fn play(
    env: &Arc<TestBed>,
    alone: &Mutex<()>,
    distribution: &Distribution,
    (first, flips): (usize, usize),
    cases: &[(CaseId, World)],
) -> Option<Vec<(Observation, Vec<Lease>)>> {
    let number = cases.first().map(|(id, _)| id.index).unwrap_or_default();
    let exemption = format!("{}-{number}", env.namespaces.run());
    let mut live = join_all(cases.iter().map(|(id, _)| AdmissionCase::begin(env, *id, &exemption))).await;
    let _alone = alone.lock().await;
    let asked = Asked { distribution, probe: Probe::HandMade };
    let mut refused = None;
    if let Some(scout) = live.iter().find(|live| live.observation.outcome == Outcome::Held) {
        for probe in Probe::ALL.into_iter().cycle().skip(first).take(Probe::ALL.len()) {
            let asked = Asked { probe, ..asked };
            if matches!(scout.write(&asked).await, Written::Refused(binding) if env.model.denying_bindings.contains(&binding))
            {
                refused = Some(asked);
                break;
            }
        }
        if refused.is_none() {
            for live in live {
                let (_, leases) = live.finish(env).await;
                let keys = BTreeSet::from([EXEMPT.to_owned()]);
                leases.into_iter().for_each(|lease| env.namespaces.give_back(env, lease, keys.clone()));
            }
            return None;
        }
    }
    let asked = refused.unwrap_or(asked);
    for _ in 0..flips {
        if let Err(ended) = flip(env, &asked, &exemption, &mut live).await {
            live.iter_mut().for_each(|live| live.end_with(&ended.outcome));
        }
    }
    Some(join_all(live.into_iter().map(|live| live.finish(env))).await)
}

#[derive(Clone, Copy)]
struct Asked<'a> {
    distribution: &'a Distribution,
    probe: Probe,
}

async fn flip(
    env: &TestBed,
    asked: &Asked<'_>,
    exemption: &str,
    live: &mut [AdmissionCase],
) -> Result<(), Observation> {
    join_all(live.iter_mut().map(|live| live.must_be_refused(env, asked, None))).await;
    let mut lifted = Vec::new();
    let began = Instant::now();
    let lifting = lift_all(env, exemption, live, asked, &mut lifted).await;
    if lifting.is_ok() {
        join_all(live.iter_mut().map(|live| live.must_be_allowed(env, asked, began))).await;
    }
    let put_back = Instant::now();
    for Lifted { binding, before } in lifted {
        // Even after an error: nothing may stay lifted.
        set(&env.cluster.client, &binding, &before).await?;
        live.iter_mut().for_each(|live| live.observation.add_context(&format!("binding {binding} lifted"), 1));
    }
    lifting?;
    join_all(live.iter_mut().map(|live| live.must_be_refused(env, asked, Some(put_back)))).await;
    Ok(())
}

/// Lifts every policy of the configuration that refuses the write of the first case, one after the other.
async fn lift_all(
    env: &TestBed,
    exemption: &str,
    live: &[AdmissionCase],
    asked: &Asked<'_>,
    lifted: &mut Vec<Lifted>,
) -> Result<(), Observation> {
    let Some(scout) = live.iter().find(|live| live.observation.outcome == Outcome::Held) else { return Ok(()) };
    loop {
        let last = lifted.last().map(|lifted: &Lifted| lifted.binding.clone());
        let what = "a policy is lifted";
        let next = wait::poll_cluster(&env.observer, what, POLICY_BOUND, POLL_INTERVAL, || async {
            match scout.write(asked).await {
                Written::Refused(binding) if last.as_ref() == Some(&binding) => {
                    Progress::NotYet(format!("binding {binding} still refuses {}", asked.probe.title()))
                }
                other => Progress::Done(other),
            }
        });
        match next.await.map_err(|error| Observation::of(observation::failed(&error)))? {
            Written::Allowed => return Ok(()),
            Written::Refused(binding) if env.model.denying_bindings.contains(&binding) => {
                lifted.push(lift(&env.cluster.client, &binding, exemption).await?);
            }
            Written::Refused(binding) => {
                return Err(Observation::unknown(
                    Cause::SetUpFailed,
                    format!("binding {binding} is not the configuration's"),
                ));
            }
            Written::Failed(why) => return Err(Observation::unknown(Cause::RequestFailed, why)),
        }
    }
}

impl AdmissionCase {
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %id))]
    async fn begin(env: &TestBed, id: CaseId, exemption: &str) -> Self {
        let mut live = Self { id, lease: None, tenant: None, observation: Observation::of(Outcome::Held) };
        if let Err(failed) = live.populate(env, exemption).await {
            live.observation = failed;
        }
        live
    }

    async fn populate(&mut self, env: &TestBed, exemption: &str) -> Result<(), Observation> {
        let client = env.client_for(self.id);
        let name = self.lease.insert(env.namespaces.lease(&client).await?).name.clone();
        let labels = Labels::from([(EXEMPT.to_owned(), exemption.to_owned())]);
        namespaces::set_labels(&client, &agent(self.id), &name, &labels).await?;
        self.tenant = Some(Tenant::create(env, self.id, &name, Rights::Owner).await?);
        self.observation.bound = Some(POLICY_BOUND);
        let Some(tenant) = &self.tenant else { return Ok(()) };
        match probe::plain(tenant, &agent(self.id)).await {
            Written::Allowed => Ok(()),
            // The positive control: a refusal of anything else would be for want of rights.
            other => {
                let why = format!("not even a plain Secret can be written: {other:?}");
                Err(Observation::unknown(Cause::ControlFailed, why))
            }
        }
    }

    fn end_with(&mut self, outcome: &Outcome) {
        self.observation.outcome = self.observation.outcome.clone().max(outcome.clone());
    }

    /// Asks for what is judged, without a trace.
    async fn write(&self, asked: &Asked<'_>) -> Written {
        match &self.tenant {
            Some(tenant) => asked.probe.make(tenant, asked.distribution, &agent(self.id)).await,
            None => Written::Failed("there is no tenant".to_owned()),
        }
    }

    /// A policy of the configuration refuses the write: already, or within the bound after it was put back.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    async fn must_be_refused(&mut self, env: &TestBed, asked: &Asked<'_>, since: Option<Instant>) {
        if self.observation.outcome != Outcome::Held {
            return;
        }
        let bound = since.map_or(POLICY_BOUND, |since| POLICY_BOUND.saturating_sub(since.elapsed()));
        let what = format!("{} is refused", asked.probe.title());
        let refused = wait::poll_cluster(&env.observer, &what, bound, POLL_INTERVAL, || async {
            match self.write(asked).await {
                Written::Refused(binding) if env.model.denying_bindings.contains(&binding) => Progress::Done(()),
                Written::Failed(why) => Progress::NotYet(why),
                other => Progress::NotYet(format!("{other:?}")),
            }
        });
        let refused = refused.await;
        match (refused, since) {
            (Ok(()), Some(since)) => {
                self.observation.latencies.push(since.elapsed());
                self.observation.count(&format!("{} refused by a policy that was put back", asked.probe.title()));
            }
            (Ok(()), None) => {}
            (Err(error), Some(_)) => self.end_with(&observation::failed(&error)),
            // Nothing that could be lifted: whether it should be refused, other properties judge.
            (Err(error), None) => self.end_with(&verdict::unknown(cause_of(&error), error.to_string())),
        }
    }

    /// The write is allowed within the bound after the policy was lifted.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    async fn must_be_allowed(&mut self, env: &TestBed, asked: &Asked<'_>, since: Instant) {
        if self.observation.outcome != Outcome::Held {
            return;
        }
        let bound = POLICY_BOUND.saturating_sub(since.elapsed());
        let what = format!("{} is allowed", asked.probe.title());
        let allowed = wait::poll_cluster(&env.observer, &what, bound, POLL_INTERVAL, || async {
            match self.write(asked).await {
                Written::Allowed => Progress::Done(()),
                other => Progress::NotYet(format!("{other:?}")),
            }
        });
        match allowed.await {
            Ok(()) => {
                self.observation.latencies.push(since.elapsed());
                self.observation.count(&format!("{} allowed by a policy that was lifted", asked.probe.title()));
            }
            Err(error) => self.end_with(&observation::failed(&error)),
        }
    }

    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    async fn finish(mut self, env: &TestBed) -> (Observation, Vec<Lease>) {
        if let Some(tenant) = self.tenant.take()
            && let Err(error) = tenant.remove(env, self.id).await
        {
            self.end_with(&Outcome::Unknown(observation::unknown(&error)));
        }
        (self.observation, self.lease.into_iter().collect())
    }
}

/// Exempts the namespaces with this value of the label from a binding.
async fn lift(client: &Client, binding: &str, exemption: &str) -> Result<Lifted, Observation> {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let found = bindings.get(binding).await?;
    let selector = found.spec.match_resources.and_then(|matched| matched.namespace_selector);
    let before = json!(selector.and_then(|selector| selector.match_expressions));
    let mut expressions = before.as_array().cloned().unwrap_or_default();
    expressions.push(json!({ "key": EXEMPT, "operator": "NotIn", "values": [exemption] }));
    set(client, binding, &json!(expressions)).await?;
    Ok(Lifted { binding: binding.to_owned(), before })
}

async fn set(client: &Client, binding: &str, expressions: &Value) -> Result<(), Observation> {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let selector = json!({ "matchExpressions": expressions });
    let patch = json!({ "spec": { "matchResources": { "namespaceSelector": selector } } });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    Ok(bindings.patch_metadata(binding, &params, &Patch::Merge(patch)).await.map(drop)?)
}
