//! The configuration's own admission policies are lifted for some namespaces and put back.
//!
//! A policy cannot be tested on a copy of it: the original refuses what the copy would. So the original's binding is
//! changed, in a way that concerns only namespaces with a label that no other case has.

use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::FIELD_MANAGER;
use credence_core::id::{CaseId, agent};
use credence_core::labels::Labels;
use credence_core::text::chain;
use credence_model::model::{Distribution, POLICY_BOUND};
use credence_report::unknown::Cause;
use credence_report::verdict::{self, Outcome};
use credence_watch::wait::{self, Progress};
use futures::future::join_all;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::instrument;

use super::World;
use crate::observation::{self, Observation, cause_of};
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, Lease};
use crate::testbed::tenant::{Rights, Tenant};

/// Label of the namespaces for which policies are lifted.
pub(super) const EXEMPT: &str = "credence.dev/exempt";
/// Time between two polls of what cannot be watched.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A case under way.
struct AdmissionCase {
    id: CaseId,
    lease: Option<Lease>,
    tenant: Option<Tenant>,
    observation: Observation,
}

/// Outcome of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Written {
    Allowed,
    /// Refused by the policy with this binding.
    Refused(String),
    /// Refused by something else, or not answered.
    Failed(String),
}

/// A binding that was lifted, and the expressions of its namespace selector as they were.
struct Lifted {
    binding: String,
    before: Value,
}

/// Lifts the policies that refuse a hand-made copy of `distribution` and puts them back, as often as `flips` says.
pub(super) async fn play(
    env: &Arc<TestBed>,
    alone: &Mutex<()>,
    distribution: &Distribution,
    flips: usize,
    cases: &[(CaseId, World)],
) -> Vec<(Observation, Vec<Lease>)> {
    let number = cases.first().map(|(id, _)| id.index).unwrap_or_default();
    let exemption = format!("{}-{number}", env.namespaces.run());
    let mut live = join_all(cases.iter().map(|(id, _)| AdmissionCase::begin(env, *id, &exemption))).await;
    let _alone = alone.lock().await;
    for _ in 0..flips {
        if let Err(ended) = flip(env, distribution, &exemption, &mut live).await {
            live.iter_mut().for_each(|live| live.end_with(&ended.outcome));
        }
    }
    join_all(live.into_iter().map(|live| live.finish(env))).await
}

async fn flip(
    env: &TestBed,
    distribution: &Distribution,
    exemption: &str,
    live: &mut [AdmissionCase],
) -> Result<(), Observation> {
    let secret = hand_made(distribution);
    join_all(live.iter_mut().map(|live| live.must_be_refused(env, &secret, None))).await;
    let mut lifted = Vec::new();
    let began = Instant::now();
    let lifting = lift_all(env, exemption, live, &secret, &mut lifted).await;
    if lifting.is_ok() {
        join_all(live.iter_mut().map(|live| live.must_be_allowed(&secret, began))).await;
    }
    let put_back = Instant::now();
    for binding in lifted {
        // Even after an error: nothing may stay lifted.
        set(&env.cluster.client, &binding.binding, &binding.before).await?;
    }
    lifting?;
    join_all(live.iter_mut().map(|live| live.must_be_refused(env, &secret, Some(put_back)))).await;
    Ok(())
}

/// Lifts every policy of the configuration that refuses the write of the first case, one after the other.
async fn lift_all(
    env: &TestBed,
    exemption: &str,
    live: &[AdmissionCase],
    secret: &Secret,
    lifted: &mut Vec<Lifted>,
) -> Result<(), Observation> {
    let Some(scout) = live.iter().find(|live| live.observation.outcome == Outcome::Held) else { return Ok(()) };
    loop {
        let last = lifted.last().map(|lifted: &Lifted| lifted.binding.clone());
        let what = "a policy is lifted";
        let next = wait::poll(what, POLICY_BOUND, POLL_INTERVAL, || async {
            match scout.write(secret).await {
                Written::Refused(binding) if last.as_ref() == Some(&binding) => {
                    Progress::NotYet(format!("binding {binding} still refuses a hand-made copy"))
                }
                other => Progress::Done(other),
            }
        });
        match next.await.map_err(|error| Observation::of(verdict::violated(error.to_string())))? {
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
        self.tenant = Some(Tenant::create(env, self.id, &name, Rights::Edit).await?);
        self.observation.bound = Some(POLICY_BOUND);
        match self.write(&plain()).await {
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

    /// Tries to write, without a trace: admission judges a dry run as it does a write.
    async fn write(&self, secret: &Secret) -> Written {
        let Some(tenant) = &self.tenant else { return Written::Failed("there is no tenant".to_owned()) };
        let secrets: Api<Secret> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
        let params = PostParams { dry_run: true, field_manager: Some(agent(self.id)) };
        match secrets.create(&params, secret).await {
            Ok(_) => Written::Allowed,
            Err(kube::Error::Api(status)) => match binding_of(&status.message) {
                Some(binding) => Written::Refused(binding),
                None => Written::Failed(status.message.clone()),
            },
            Err(error) => Written::Failed(chain(&error)),
        }
    }

    /// A policy of the configuration refuses the write: already, or within the bound after it was put back.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    async fn must_be_refused(&mut self, env: &TestBed, secret: &Secret, since: Option<Instant>) {
        if self.observation.outcome != Outcome::Held {
            return;
        }
        let bound = since.map_or(POLICY_BOUND, |since| POLICY_BOUND.saturating_sub(since.elapsed()));
        let refused = wait::poll("a hand-made copy is refused", bound, POLL_INTERVAL, || async {
            match self.write(secret).await {
                Written::Refused(binding) if env.model.denying_bindings.contains(&binding) => Progress::Done(()),
                Written::Failed(why) => Progress::NotYet(why),
                other => Progress::NotYet(format!("{other:?}")),
            }
        });
        let refused = refused.await;
        match (refused, since) {
            (Ok(()), Some(since)) => {
                self.observation.latencies.push(since.elapsed());
                self.observation.count("refused by a policy that was put back");
            }
            (Ok(()), None) => {}
            (Err(error), Some(_)) => self.end_with(&verdict::violated(error.to_string())),
            // Nothing that could be lifted: whether it should be refused, other properties judge.
            (Err(error), None) => self.end_with(&verdict::unknown(cause_of(&error), error.to_string())),
        }
    }

    /// The write is allowed within the bound after the policy was lifted.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    async fn must_be_allowed(&mut self, secret: &Secret, since: Instant) {
        if self.observation.outcome != Outcome::Held {
            return;
        }
        let bound = POLICY_BOUND.saturating_sub(since.elapsed());
        let allowed = wait::poll("a hand-made copy is allowed", bound, POLL_INTERVAL, || async {
            match self.write(secret).await {
                Written::Allowed => Progress::Done(()),
                other => Progress::NotYet(format!("{other:?}")),
            }
        });
        match allowed.await {
            Ok(()) => {
                self.observation.latencies.push(since.elapsed());
                self.observation.count("allowed by a policy that was lifted");
            }
            Err(error) => self.end_with(&verdict::violated(error.to_string())),
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

/// The binding that a refusal names (k8s.io/apiserver pkg/admission/plugin/policy/validating/dispatcher.go).
fn binding_of(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("with binding '")?;
    let (binding, rest) = rest.split_once('\'')?;
    rest.starts_with(" denied request").then(|| binding.to_owned())
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

/// A Secret like a copy of `distribution`, without a credential. Kubernetes insists on the keys of these types before it asks
/// any policy (`ValidateSecret`, pkg/apis/core/validation).
fn hand_made(distribution: &Distribution) -> Secret {
    let data = match distribution.secret_type.as_str() {
        "kubernetes.io/dockerconfigjson" => json!({ ".dockerconfigjson": "{}" }),
        "kubernetes.io/dockercfg" => json!({ ".dockercfg": "{}" }),
        "kubernetes.io/tls" => json!({ "tls.crt": "none", "tls.key": "none" }),
        "kubernetes.io/basic-auth" => json!({ "username": "none", "password": "none" }),
        "kubernetes.io/ssh-auth" => json!({ "ssh-privatekey": "none" }),
        _ => json!({ "key": "none" }),
    };
    let secret = json!({ "metadata": { "name": "credence-hand-made", "labels": distribution.labels },
        "type": distribution.secret_type, "stringData": data });
    // An object of texts is a Secret.
    serde_json::from_value(secret).expect("a well-formed Secret")
}

/// A Secret that is like no copy.
fn plain() -> Secret {
    let secret = json!({ "metadata": { "name": "credence-plain" }, "type": "Opaque", "stringData": { "key": "none" } });
    // An object of texts is a Secret.
    serde_json::from_value(secret).expect("a well-formed Secret")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::binding_of;

    #[rstest]
    #[case::a_policy(
        "secrets \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: hand-made",
        Some("b")
    )]
    #[case::rbac("secrets is forbidden: User \"x\" cannot create resource \"secrets\"", None)]
    #[case::a_policy_that_failed(
        "failed to configure binding: ValidatingAdmissionPolicy 'p' with binding 'b' failed",
        None
    )]
    fn a_refusal_by_policy_names_its_binding(#[case] message: &str, #[case] binding: Option<&str>) {
        assert_eq!(binding_of(message).as_deref(), binding);
    }
}
