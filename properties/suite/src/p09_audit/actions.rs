//! People who make, read, change and remove Secrets.

use credence_report::unknown::Cause;
use std::collections::BTreeMap;

use credence_core::credential::Credential;
use credence_core::id::{CaseId, agent};
use credence_model::config::SourceRef;
use credence_model::model::Distribution;
use futures::{StreamExt, pin_mut};
use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, WatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::operation::{Actor, Made, Operation, OperationTarget, Verb};
use super::trail::{Fact, Resource};
use crate::observation::Observation;
use crate::testbed::TestBed;
use crate::testbed::tenant::Tenant;

/// Label of the Secrets that people make, by which all of them are removed at once.
const LABEL: (&str, &str) = ("credence.dev/made-by", "people");
/// Seconds that a watch may take to show something.
const WATCH_SECONDS: u32 = 1;

/// Removes what the people of a case have made in `namespace`, not in their name.
///
/// # Errors
/// When the API server refuses.
pub(super) async fn clean(env: &TestBed, namespace: &str) -> Result<(), kube::Error> {
    let secrets: Api<Secret> = Api::namespaced(env.cluster.client.clone(), namespace);
    secrets.delete_collection(&DeleteParams::default(), &made_by_people()).await.map(drop)
}

fn made_by_people() -> ListParams {
    ListParams::default().labels(&format!("{}={}", LABEL.0, LABEL.1))
}

/// Operations of people, with the values that they wrote.
pub(super) struct Deeds {
    pub(super) facts: Vec<Fact>,
    pub(super) values: Vec<Credential>,
}

/// The administrator and the tenant of a case.
pub(super) struct People {
    administrator: Client,
    administrator_name: String,
    tenant: Client,
    tenant_name: String,
    impersonator: Client,
    tenant_account: String,
    agent: String,
    namespace: String,
    /// A source that is a Secret, if the case has one.
    source: Option<SourceRef>,
}

impl People {
    /// Those of a case that looks at `distributions`.
    pub(super) async fn new<'a>(
        env: &TestBed,
        id: CaseId,
        tenant: &Tenant,
        distributions: impl Iterator<Item = &'a Distribution>,
    ) -> Result<Self, Observation> {
        let source = distributions.flat_map(Distribution::sources).find(|source| source.is_secret()).cloned();
        let administrator = env.client_for(id);
        let reviews: Api<SelfSubjectReview> = Api::all(administrator.clone());
        let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await?;
        let user = review.status.and_then(|status| status.user_info);
        Ok(Self {
            administrator,
            administrator_name: user.and_then(|user| user.username).unwrap_or_default(),
            tenant: tenant.client.clone(),
            tenant_name: tenant.user_name(),
            impersonator: env.cluster.client_in_the_name_of(&agent(id), &tenant.user_name()),
            tenant_account: tenant.name.clone(),
            agent: agent(id),
            namespace: tenant.namespace.clone(),
            source,
        })
    }

    /// Carries out `operations`, and gives what the log must tell of them.
    ///
    /// # Errors
    /// When the API server answers otherwise than it should: what is logged of that says nothing.
    pub(super) async fn act(
        &self,
        operations: &[Operation],
        observation: &mut Observation,
    ) -> Result<Deeds, Observation> {
        let mut deeds = Deeds { facts: Vec::new(), values: Vec::new() };
        let mut made = Made::default();
        // What a provider has is no Secret of the cluster, and not in its log.
        let can_be_tried = |operation: &&Operation| operation.place == OperationTarget::Own || self.source.is_some();
        for operation in operations.iter().filter(can_be_tried) {
            let value = Credential::random();
            let code = self.carry_out(*operation, &value).await?;
            deeds.values.push(value);
            let expected = made.answer(*operation);
            if code != expected {
                let why = format!("the answer to {operation:?} was {code} and not {expected}");
                return Err(Observation::unknown(Cause::RequestFailed, why));
            }
            let what = if code == 403 { "refused" } else { operation.verb.as_str() };
            let place = if operation.place == OperationTarget::Source { " of a source" } else { "" };
            observation.count(&format!("{what}{place} ({})", self.title(operation.actor)));
            deeds.facts.push(self.fact(*operation, code));
        }
        Ok(deeds)
    }

    /// Deletes a copy as the administrator.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(super) async fn delete_copy(&self, name: &str) -> Result<Fact, Observation> {
        let secrets: Api<Secret> = Api::namespaced(self.administrator.clone(), &self.namespace);
        secrets.delete(name, &DeleteParams::default()).await?;
        Ok(self.by_administrator(Verb::Delete.as_str(), &self.namespace, name, 200))
    }

    /// Fact that the log must tell of the administrator's change of a source.
    pub(super) fn change_of(&self, source: &SourceRef) -> Fact {
        self.by_administrator(Verb::Patch.as_str(), &source.namespace, &source.name, 200)
    }

    /// Fact that the log must tell of the token that the tenant acts with, which the administrator asked for.
    pub(super) fn token(&self) -> Fact {
        let token = self.by_administrator(Verb::Create.as_str(), &self.namespace, &self.tenant_account, 201);
        Fact { resource: Resource::Token, ..token }
    }

    fn by_administrator(&self, verb: &'static str, namespace: &str, name: &str, code: u16) -> Fact {
        Fact {
            user: self.administrator_name.clone(),
            impersonator: None,
            resource: Resource::Secret,
            verb,
            namespace: namespace.to_owned(),
            name: Some(name.to_owned()),
            code,
        }
    }

    fn title(&self, actor: Actor) -> &'static str {
        match actor {
            Actor::Administrator => "administrator",
            Actor::Tenant => "tenant",
            Actor::Impersonator => "administrator in the name of the tenant",
        }
    }

    /// The namespace and the name of the Secret that an operation is about.
    fn object<'a>(&'a self, operation: &'a Operation) -> (&'a str, &'a str) {
        match operation.place {
            OperationTarget::Own => (&self.namespace, operation.name),
            OperationTarget::Source => match &self.source {
                Some(source) => (&source.namespace, &source.name),
                None => (&self.namespace, operation.name),
            },
        }
    }

    fn fact(&self, operation: Operation, code: u16) -> Fact {
        let (namespace, name) = self.object(&operation);
        Fact {
            user: match operation.actor {
                Actor::Administrator => self.administrator_name.clone(),
                Actor::Tenant | Actor::Impersonator => self.tenant_name.clone(),
            },
            impersonator: (operation.actor == Actor::Impersonator).then(|| self.administrator_name.clone()),
            resource: Resource::Secret,
            verb: operation.verb.as_str(),
            namespace: namespace.to_owned(),
            name: operation.verb.tells_name(code).then(|| name.to_owned()),
            code,
        }
    }

    /// Gives the status code of the answer.
    async fn carry_out(&self, operation: Operation, value: &Credential) -> Result<u16, kube::Error> {
        let client = match operation.actor {
            Actor::Administrator => &self.administrator,
            Actor::Tenant => &self.tenant,
            Actor::Impersonator => &self.impersonator,
        };
        let (namespace, name) = self.object(&operation);
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let secret = || Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(BTreeMap::from([(LABEL.0.to_owned(), LABEL.1.to_owned())])),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([("value".to_owned(), ByteString(value.expose().to_vec()))])),
            ..Secret::default()
        };
        let writes = PostParams { field_manager: Some(self.agent.clone()), ..PostParams::default() };
        let ours = made_by_people();
        let done = match operation.verb {
            Verb::Create => return code(201, secrets.create(&writes, &secret()).await.map(drop)),
            Verb::Get => secrets.get(name).await.map(drop),
            Verb::List => secrets.list(&ours).await.map(drop),
            Verb::Watch => watch(&secrets).await,
            Verb::Update => secrets.replace(name, &writes, &secret()).await.map(drop),
            Verb::Patch => {
                let change = json!({ "data": { "value": ByteString(value.expose().to_vec()) } });
                let params = PatchParams { field_manager: Some(self.agent.clone()), ..PatchParams::default() };
                secrets.patch(name, &params, &Patch::Merge(change)).await.map(drop)
            }
            Verb::Delete => secrets.delete(name, &DeleteParams::default()).await.map(drop),
            Verb::DeleteCollection => secrets.delete_collection(&DeleteParams::default(), &ours).await.map(drop),
        };
        code(200, done)
    }
}

/// The status code of an answer that is `success` if all is well.
fn code(success: u16, done: Result<(), kube::Error>) -> Result<u16, kube::Error> {
    match done {
        Ok(()) => Ok(success),
        Err(kube::Error::Api(status)) => Ok(status.code),
        Err(error) => Err(error),
    }
}

/// Watches until something is seen, or for a second.
async fn watch(secrets: &Api<Secret>) -> Result<(), kube::Error> {
    let params = WatchParams { timeout: Some(WATCH_SECONDS), ..WatchParams::default() };
    let events = secrets.watch(&params, "0").await?;
    pin_mut!(events);
    match events.next().await {
        Some(Err(error)) => Err(error),
        _ => Ok(()),
    }
}
