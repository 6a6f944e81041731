//! A namespace with copies, somebody who tries things in it, and what becomes of them.

use std::collections::BTreeMap;

use credence_core::id::{CaseId, agent};
use credence_core::labels::Labels;
use credence_core::text::Reason;
use credence_model::config::OPAQUE;
use credence_model::model::{Bound, Distribution};
use credence_model::values::World;
use credence_report::unknown::{Cause, Unknown};
use credence_report::verdict::{self, Outcome};
use credence_watch::observer::{SecretSeen, View};
use credence_watch::wait;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::Instant;

use super::attempt::{Act, Attempt};
use super::look_alike::{Endpoints, look_alikes};
use crate::observation::{self, Observation};
use crate::oracle::{self, Expected};
use crate::testbed::TestBed;
use crate::testbed::denial::Denial;
use crate::testbed::operator_api;
use crate::testbed::tenant::Tenant;

/// The Secret of the positive control, and what orders are made of.
pub(super) const ORDINARY: &str = "credence-ordinary";
/// The SecretStore of those who order.
pub(super) const STORE: &str = "credence-own";

/// A namespace with copies, and somebody who tries things in it.
pub(super) struct CopyCase<'a> {
    pub(super) env: &'a TestBed,
    pub(super) id: CaseId,
    pub(super) namespace: &'a str,
    /// Distribution whose copy is in question.
    pub(super) distribution: &'a Distribution,
    /// All copies that the namespace must hold.
    pub(super) expected: Expected<'a>,
    /// The values that their sources have while somebody tries.
    pub(super) sources: World,
    /// The actor, unless it is the administrator.
    pub(super) tenant: Option<Tenant>,
    pub(super) observation: Observation,
    /// The names of what was accepted.
    pub(super) made: Vec<String>,
}

pub(super) enum AttemptAnswer {
    Accepted,
    /// A policy of the configuration refused it.
    Refused,
    NoEvidence(Unknown),
}

impl CopyCase<'_> {
    pub(super) fn actor(&self) -> String {
        match &self.tenant {
            Some(tenant) => format!("a tenant with {}", tenant.rights),
            None => "the administrator".to_owned(),
        }
    }

    fn client(&self) -> Client {
        self.tenant.as_ref().map_or_else(|| self.env.client_for(self.id), |tenant| tenant.client.clone())
    }

    /// The Secrets of the namespace, for the actor.
    pub(super) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client(), self.namespace)
    }

    /// The objects of ESO in the namespace, for the actor.
    pub(super) fn objects(&self, kind: &str) -> Api<DynamicObject> {
        operator_api::api(&self.client(), kind, Some(self.namespace))
    }

    pub(super) fn params(&self) -> PatchParams {
        PatchParams { field_manager: Some(agent(self.id)), ..PatchParams::default() }
    }

    /// Outcome of an answer of the API server for the claim.
    pub(super) fn read<T>(&self, answer: Result<T, kube::Error>) -> AttemptAnswer {
        let Err(error) = answer else { return AttemptAnswer::Accepted };
        match Denial::of(&error) {
            refusal if refusal.is_by(&self.env.model) => AttemptAnswer::Refused,
            Denial::Policy { policy } => {
                unjudged(format!("refused by {policy}, which is no policy of the configuration"))
            }
            Denial::NoRight => unjudged(format!("{} has no right to try it", self.actor())),
            Denial::Other(why) => unjudged(format!("refused, and not by a policy: {why}")),
        }
    }

    /// The positive control: what is no credential may be made and changed, by the same actor in the same namespace.
    pub(super) async fn ordinary(&mut self) -> Outcome {
        let data = BTreeMap::from([("value".to_owned(), ByteString(b"ordinary".to_vec()))]);
        let labels = Labels::from([("app".to_owned(), "ordinary".to_owned())]);
        let answer = match self.create(ORDINARY, OPAQUE, &labels, data).await {
            Ok(()) => {
                let patch =
                    json!({ "metadata": { "labels": { "app": "changed" } }, "stringData": { "value": "changed" } });
                self.secrets().patch_metadata(ORDINARY, &self.params(), &Patch::Merge(patch)).await.map(drop)
            }
            refused => refused,
        };
        match self.read(answer) {
            AttemptAnswer::Accepted => {
                self.observation.add_context("ordinary Secret, allowed", 1);
                Outcome::Held
            }
            AttemptAnswer::Refused => {
                verdict::unknown(Cause::ControlFailed, "an ordinary Secret is refused too, so a refusal tells nothing")
            }
            AttemptAnswer::NoEvidence(why) => {
                let why = why.about("an ordinary Secret");
                Outcome::Unknown(Unknown { cause: Cause::ControlFailed, ..why })
            }
        }
    }

    /// Tries one thing while the namespace holds its copies.
    pub(super) async fn attempt(&mut self, number: usize, attempt: &Attempt) -> Outcome {
        let copy = self.env.observer.look(|view| view.secret(self.namespace, &self.distribution.secret).cloned());
        let Some(copy) = copy else {
            return verdict::unknown(Cause::TimedOut, format!("{} is gone", self.distribution.secret));
        };
        match attempt.act {
            Act::Make { by, copied }
                if !look_alikes(self.distribution, !Endpoints::of(&copy).all.is_empty()).is_empty() =>
            {
                self.make(number, by, (&copy, copied), attempt).await
            }
            // A distribution without labels has nothing that tells its copies, but their name.
            Act::Make { .. } => self.change(&copy, attempt, false).await,
            Act::Change { apply } => self.change(&copy, attempt, apply).await,
            Act::Delete => self.delete(&copy, None).await,
            Act::Replace => self.delete(&copy, Some(&attempt.value)).await,
        }
    }

    /// Checks that all copies are there and like their sources.
    pub(super) fn matches_source(&self, view: &View<'_>) -> Result<(), Reason> {
        self.expected.iter().try_for_each(|(name, distribution)| {
            let Some(secret) = view.secret(self.namespace, name) else {
                return Err(oracle::missing(view, self.namespace, name, distribution).into());
            };
            oracle::matches_source(distribution, secret, &self.env.sources.rendered(&self.sources))
        })
    }

    /// Waits until the copy is what it was `before`, in a state that `after` says is one of after the change.
    pub(super) async fn until_healed(
        &mut self,
        (operation, what): (&str, &str),
        before: &SecretSeen,
        after: impl Fn(&SecretSeen) -> bool,
        bound: &Bound,
    ) -> Outcome {
        let name = &self.distribution.secret;
        let began = Instant::now();
        let healed = wait::until(&self.env.observer, "the copy as it was", bound.limit(), |view| {
            let state = match view.secret(self.namespace, name) {
                None => Err("it is gone".into()),
                Some(now) if !after(now) => Err("it is as it was made by hand".into()),
                Some(now) if now.labels != before.labels => Err(format!("it has the labels {:?}", now.labels).into()),
                Some(now) if now.owners != before.owners => Err(format!("it has the owners {:?}", now.owners).into()),
                Some(_) => self.matches_source(view),
            };
            state.into()
        });
        match healed.await {
            Ok(()) => self.healed(operation, began, bound),
            Err(error) => {
                let why = match bound {
                    Bound::Never { why, .. } => format!(" ({why})"),
                    Bound::Within(_) => String::new(),
                };
                let who = format!("{} {what}: {}/{name} is not healed{why}", self.actor(), self.namespace);
                explained(&who, observation::failed(&error))
            }
        }
    }

    /// Counts something that was accepted, and undone `bound` after it `began`.
    pub(super) fn healed(&mut self, operation: &str, began: Instant, bound: &Bound) -> Outcome {
        self.observation.count(&format!("{operation}, healed"));
        self.observation.latencies.push(began.elapsed());
        self.observation.bound = self.observation.bound.max(Some(bound.limit()));
        Outcome::Held
    }

    /// Ends an attempt that was not accepted.
    pub(super) fn not_accepted(&mut self, operation: &str, answer: AttemptAnswer) -> Outcome {
        match answer {
            AttemptAnswer::NoEvidence(why) => Outcome::Unknown(why.about(operation)),
            AttemptAnswer::Accepted | AttemptAnswer::Refused => {
                self.observation.count(&format!("{operation}, refused"));
                Outcome::Held
            }
        }
    }

    /// Creates a Secret as the actor.
    pub(super) async fn create(
        &mut self,
        name: &str,
        type_: &str,
        labels: &Labels,
        data: BTreeMap<String, ByteString>,
    ) -> Result<(), kube::Error> {
        let mut secret = Secret { type_: Some(type_.to_owned()), data: Some(data), ..Secret::default() };
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.labels = Some(labels.clone());
        let params = PostParams { field_manager: Some(agent(self.id)), ..PostParams::default() };
        self.secrets().create(&params, &secret).await?;
        self.made.push(name.to_owned());
        Ok(())
    }

    /// Takes away what was accepted, as the administrator.
    pub(super) async fn clean_up(&self) -> Result<(), kube::Error> {
        let admin = self.env.client_for(self.id);
        let secrets: Api<Secret> = Api::namespaced(admin.clone(), self.namespace);
        for name in &self.made {
            remove(&operator_api::api(&admin, "ExternalSecret", Some(self.namespace)), name).await?;
            remove(&secrets, name).await?;
        }
        remove(&operator_api::api(&admin, "SecretStore", Some(self.namespace)), STORE).await
    }
}

impl CopyCase<'_> {
    /// Has the operator make all copies anew, as the administrator: others look at them after a case that ended badly.
    pub(super) async fn mend(&self) -> Result<(), kube::Error> {
        let secrets: Api<Secret> = Api::namespaced(self.env.client_for(self.id), self.namespace);
        for name in self.expected.keys() {
            remove(&secrets, name).await?;
        }
        let bound = self.env.provisioning_bound();
        let again = wait::until(&self.env.observer, "copies like their sources", bound, |view| {
            self.matches_source(view).into()
        });
        // One that does not come back is for the next case to find.
        again.await.ok();
        Ok(())
    }
}

async fn remove<K: Clone + DeserializeOwned + std::fmt::Debug>(api: &Api<K>, name: &str) -> Result<(), kube::Error> {
    match api.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        answer => answer.map(drop),
    }
}

/// A request that no policy of the configuration judged.
fn unjudged(why: String) -> AttemptAnswer {
    AttemptAnswer::NoEvidence(Unknown::new(Cause::RequestFailed, why))
}

/// Says who did what before the reason of a violation.
pub(super) fn explained(who: &str, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Violated(mut violation) => {
            violation.reason = format!("{who}: {}", violation.reason);
            Outcome::Violated(violation)
        }
        Outcome::Unknown(why) => Outcome::Unknown(why.about(who)),
        Outcome::Held => Outcome::Held,
    }
}
