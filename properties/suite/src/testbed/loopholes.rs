//! Ways around the configuration's policies. Names that resemble those that a policy lets pass: an expression that compares with the
//! beginning, the end or a part of a name takes such a user for the operator or for the platform. Where the team's intent says who is
//! who, names that policies quote and that the intent does not let do this. And labels and annotations that exempt an object, which
//! whoever writes it chooses.
//!
//! A request counts if a stranger with the same rights is refused by a policy of the configuration: what is let through then is let
//! through for the name or the mark alone. Nothing is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::RUN_LABEL;
use credence_core::id::PropertyId;
use credence_report::verdict::{CheckRecord, Outcome, violated};
use credence_watch::wait::{self, Progress, WaitError};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::Value;

use super::TestBed;
use super::denial::Denial;
use super::namespaces::NamespaceError;
use crate::observation;

mod mark;
mod namesake;

use mark::Mark;
pub(crate) use namesake::May;
use namesake::Namesake;

/// The group by which strangers and namesakes have the rights to make their requests.
const GROUP: &str = "credence:loopholes";
/// Time that the API server may take to know the rights.
const KNOWN: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(30);

/// A request that a policy refuses to strangers.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The act, as a verb with its object.
    pub(crate) what: String,
    /// The kind of the object.
    pub(crate) kind: ApiResource,
    /// The namespace of the object, if it has one.
    pub(crate) namespace: Option<String>,
    /// The object to create, or the patch that is merged into the object of this name.
    pub(crate) write: Write,
    /// True if there is an object of this name: what no policy refuses fails for that alone. It must be refused if anything is.
    pub(crate) is_taken: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Write {
    Create(Value),
    /// Merges a patch into the object of a name.
    Merge(String, Value),
}

/// Requests that were let through, by user.
type Found = BTreeMap<String, Vec<String>>;

/// The requests that are let through could not be determined.
#[derive(Debug, thiserror::Error)]
enum LoopholeError {
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("failed to grant a user the rights that a policy should deny")]
    NoRights(#[from] WaitError),
    #[error("failed to read an object that the suite made")]
    Object(#[from] serde_json::Error),
}

/// The specifications of objects of admission that the configuration brings.
async fn specifications(
    client: &Client,
    kind: &str,
    is_own: impl Fn(&DynamicObject) -> bool,
) -> Result<Vec<Value>, ApiError> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind));
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let all = api.list(&ListParams::default()).await.map_err(ApiError::of::<ApiError>("list", kind))?;
    Ok(all.items.into_iter().filter(is_own).map(|object| object.data["spec"].clone()).collect())
}

async fn policies(client: &Client, names: &BTreeSet<String>) -> Result<Vec<Value>, ApiError> {
    let is_own = |policy: &DynamicObject| policy.metadata.name.as_ref().is_some_and(|name| names.contains(name));
    specifications(client, "ValidatingAdmissionPolicy", is_own).await
}

async fn bindings(client: &Client, policies: &BTreeSet<String>) -> Result<Vec<Value>, ApiError> {
    let is_own = |binding: &DynamicObject| {
        binding.data.pointer("/spec/policyName").and_then(Value::as_str).is_some_and(|name| policies.contains(name))
    };
    specifications(client, "ValidatingAdmissionPolicyBinding", is_own).await
}

/// All strings in the expressions of these policies.
///
/// # Errors
/// When the API server does not list them.
pub(crate) async fn quoted(client: &Client, names: &BTreeSet<String>) -> Result<BTreeSet<String>, ApiError> {
    Ok(quoted_in(&policies(client, names).await?))
}

fn quoted_in(policies: &[Value]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for text in policies.iter().map(Value::to_string) {
        // In JSON a quote inside a text is escaped.
        for quote in ["\\\"", "'"] {
            found.extend(text.split(quote).filter(|part| part.len() < 100).map(str::to_owned));
        }
    }
    found
}

/// Makes requests in the names of all namesakes and with all marks, in a namespace without labels. No record if no policy refuses
/// any of them to a stranger: then there is nothing to get around.
pub(crate) async fn check(
    env: &Arc<TestBed>,
    property: PropertyId,
    rules: &[PolicyRule],
    may: May,
    requests: impl Fn(&str) -> Vec<Request>,
) -> Option<CheckRecord> {
    const WHAT: &str = "names that resemble those that the policies let pass, and labels and annotations that exempt";
    match checked(env, property, rules, may, requests).await {
        Ok((0, _)) => None,
        Ok((asked, found)) => {
            let what = format!("{WHAT}: {asked} requests, each refused to a stranger");
            let told: Vec<String> =
                found.iter().map(|(who, what)| format!("{who} could {}", what.join(", "))).collect();
            let outcome = if told.is_empty() { Outcome::Held } else { violated(told.join("; ")) };
            Some(CheckRecord { what, outcome, times: BTreeMap::new() })
        }
        Err(error) => Some(CheckRecord::unknown(WHAT, observation::unknown(&error))),
    }
}

async fn checked(
    env: &Arc<TestBed>,
    property: PropertyId,
    rules: &[PolicyRule],
    may: May,
    requests: impl Fn(&str) -> Vec<Request>,
) -> Result<(usize, Found), LoopholeError> {
    if env.model.admission_policies.is_empty() {
        return Ok((0, Found::new()));
    }
    let lease = env.namespaces.lease(&env.cluster.client).await?;
    let name = format!("credence-loopholes-{property}");
    let found = with_rights(env, &name, rules, may, &requests(&lease.name)).await;
    env.namespaces.give_back(env, lease, BTreeSet::new());
    found
}

async fn with_rights(
    env: &TestBed,
    name: &str,
    rules: &[PolicyRule],
    may: May,
    requests: &[Request],
) -> Result<(usize, Found), LoopholeError> {
    give(env, name, rules).await?;
    let found = judge(env, may, requests).await;
    take(&env.cluster.client, name).await?;
    found
}

async fn give(env: &TestBed, name: &str, rules: &[PolicyRule]) -> Result<(), ApiError> {
    let admin = &env.cluster.client;
    let labels = BTreeMap::from([(RUN_LABEL.to_owned(), env.namespaces.run().to_owned())]);
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    let group = "rbac.authorization.k8s.io";
    let role = ClusterRole { metadata: metadata.clone(), rules: Some(rules.to_vec()), ..ClusterRole::default() };
    let binding = ClusterRoleBinding {
        metadata,
        role_ref: RoleRef { api_group: Some(group.to_owned()), kind: "ClusterRole".to_owned(), name: name.to_owned() },
        subjects: Some(vec![Subject {
            api_group: Some(group.to_owned()),
            kind: "Group".to_owned(),
            name: GROUP.to_owned(),
            namespace: None,
        }]),
    };
    let params = PostParams::default();
    let roles: Api<ClusterRole> = Api::all(admin.clone());
    roles.create(&params, &role).await.map_err(ApiError::of::<ApiError>("create", &format!("ClusterRole {name}")))?;
    let bindings: Api<ClusterRoleBinding> = Api::all(admin.clone());
    let made = bindings.create(&params, &binding).await;
    made.map(drop).map_err(ApiError::of("create", &format!("ClusterRoleBinding {name}")))
}

async fn take(admin: &Client, name: &str) -> Result<(), ApiError> {
    let params = DeleteParams::default();
    let bindings: Api<ClusterRoleBinding> = Api::all(admin.clone());
    let gone = bindings.delete(name, &params).await;
    gone.map_err(ApiError::of::<ApiError>("delete", &format!("ClusterRoleBinding {name}")))?;
    let roles: Api<ClusterRole> = Api::all(admin.clone());
    roles.delete(name, &params).await.map(drop).map_err(ApiError::of("delete", &format!("ClusterRole {name}")))
}

/// The number of requests that a policy refuses to a stranger, and what was let through.
async fn judge(env: &TestBed, may: May, requests: &[Request]) -> Result<(usize, Found), LoopholeError> {
    let (client, names) = (&env.cluster.client, &env.model.admission_policies);
    let mut specifications = policies(client, names).await?;
    let quoted = quoted_in(&specifications);
    specifications.extend(bindings(client, names).await?);
    let mut namesakes = Namesake::all(&quoted);
    namesakes.extend(Namesake::beyond(&quoted, &env.model.intended.identities, may));
    let marks = Mark::all(&quoted, &specifications);
    let stranger = client_of(env, &Namesake::stranger());
    let (mut asked, mut found) = (0, Found::new());
    let mut add = |who: String, what: String| found.entry(who).or_default().push(what);
    for request in requests {
        let known = wait::poll("a user may make a request that a policy judges", KNOWN, POLL_INTERVAL, || async {
            match request.send(&stranger).await {
                Ok(Some(Denial::NoRight)) => Progress::NotYet("it may not".to_owned()),
                Ok(answer) => Progress::Done(answer),
                Err(error) => Progress::Never(error.to_string()),
            }
        });
        match known.await? {
            Some(denial) if denial.is_by(&env.model) => {}
            None if request.is_taken && asked > 0 => {
                add(Namesake::stranger().what.to_owned(), request.what.clone());
                continue;
            }
            _ => continue,
        }
        asked += 1;
        for namesake in &namesakes {
            if request.send(&client_of(env, namesake)).await?.is_none() {
                add(passes_for(env, request, namesake).await?, request.what.clone());
            }
        }
        if request.marked(&marks).send(&stranger).await?.is_none() {
            let mark = is_exempt(&stranger, request, &marks).await?;
            add(Namesake::stranger().what.to_owned(), format!("{} that has {mark}", request.what));
        }
    }
    Ok((asked, found))
}

fn client_of(env: &TestBed, somebody: &Namesake) -> Client {
    let groups: Vec<&str> = somebody.groups.iter().map(String::as_str).chain([GROUP]).collect();
    env.cluster.client_in_the_name_of_member("credence", &somebody.user, &groups)
}

/// Somebody who was let through, by the name that did it.
async fn passes_for(env: &TestBed, request: &Request, namesake: &Namesake) -> Result<String, LoopholeError> {
    for one in namesake.singly() {
        if request.send(&client_of(env, &one)).await?.is_none() {
            return Ok(format!("{} ({})", one.what, one.name()));
        }
    }
    Ok(namesake.what.to_owned())
}

/// The mark by which an object was let through.
async fn is_exempt(stranger: &Client, request: &Request, marks: &BTreeSet<Mark>) -> Result<String, LoopholeError> {
    for mark in marks {
        if request.marked(&[mark.clone()].into()).send(stranger).await?.is_none() {
            return Ok(format!("the {}", mark.text()));
        }
    }
    Ok("several labels and annotations".to_owned())
}

impl Request {
    /// The same with these marks on its object.
    fn marked(&self, marks: &BTreeSet<Mark>) -> Self {
        let mut marked = self.clone();
        let (Write::Create(object) | Write::Merge(_, object)) = &mut marked.write;
        marks.iter().for_each(|mark| mark.put_on(object));
        marked
    }

    /// Sends it as the owner of `client`, to be judged and not carried out. Gives the denial; none if it is let through.
    async fn send(&self, client: &Client) -> Result<Option<Denial>, LoopholeError> {
        let api: Api<DynamicObject> = match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &self.kind),
            None => Api::all_with(client.clone(), &self.kind),
        };
        let answer = match &self.write {
            Write::Create(object) => {
                let object: DynamicObject = serde_json::from_value(object.clone())?;
                api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object).await
            }
            Write::Merge(name, patch) => {
                api.patch(name, &PatchParams { dry_run: true, ..PatchParams::default() }, &Patch::Merge(patch)).await
            }
        };
        match answer {
            Err(kube::Error::Api(status)) if self.is_taken && status.is_already_exists() => Ok(None),
            answer => Ok(answer.err().map(|error| Denial::of(&error))),
        }
    }
}
