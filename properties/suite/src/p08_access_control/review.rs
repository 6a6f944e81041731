//! Subjects that the API server lets at the sources, and at the Secrets that stores log in with at their providers: every subject
//! that a binding of the configuration names, the groups that everybody is in, and anonymous users, each asked for by a
//! SubjectAccessReview.
//!
//! Every right is asked for as such, and for each object by whose name alone it could be given.

use std::collections::{BTreeMap, BTreeSet};

use credence_cluster::api_error::ApiError;
use credence_cluster::operator;
use credence_model::config::ClusterSecretStore;
use credence_model::model::Model;
use credence_report::verdict::{CheckRecord, Outcome, violated};
use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::rbac::v1;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::observation;
use crate::testbed::TestBed;
use crate::testbed::bindings::Binding;
use crate::testbed::loopholes;

mod names;
mod power;
mod subject;

use names::Names;
use power::POWERS;
pub(super) use power::Power;
pub(super) use subject::Subject;

/// Reviews that are asked for at the same time.
const AT_ONCE: usize = 16;

/// Groups that many are in without being bound by name.
const GROUPS: [&str; 4] =
    ["system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:serviceaccounts:default"];

/// True if somebody may do something in a namespace, or in the cluster.
///
/// # Errors
/// When the API server does not say.
pub(super) async fn may(
    client: &Client,
    subject: &Subject,
    power: &Power,
    namespace: Option<&str>,
) -> Result<bool, kube::Error> {
    may_on(client, subject, power, (namespace, None)).await
}

/// The same of the object of one name, if there is a name.
async fn may_on(
    client: &Client,
    subject: &Subject,
    power: &Power,
    (namespace, name): (Option<&str>, Option<&str>),
) -> Result<bool, kube::Error> {
    let attributes = ResourceAttributes {
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        verb: Some(power.verb.to_owned()),
        group: Some(power.group.to_owned()),
        resource: Some(power.resource.to_owned()),
        subresource: power.subresource.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(subject.user.clone()),
            groups: Some(subject.groups.clone()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

fn failed(act: &'static str, object: &str) -> impl FnOnce(kube::Error) -> ApiError {
    ApiError::of::<ApiError>(act, object)
}

pub(super) async fn review(env: &TestBed) -> CheckRecord {
    const WHAT: &str = "who may come at the sources, by a SubjectAccessReview of every subject that is bound";
    match matrix(env).await {
        Ok((what, outcome)) => CheckRecord { what, outcome, times: BTreeMap::new() },
        Err(error) => CheckRecord::unknown(WHAT, observation::unknown(&error)),
    }
}

/// One right, perhaps on one object alone, of somebody in a namespace.
struct Question {
    subject: Subject,
    power: Power,
    namespace: String,
    name: Option<String>,
}

async fn matrix(env: &TestBed) -> Result<(String, Outcome), ApiError> {
    let client = &env.cluster.client;
    // Whoever is the operator reads every Secret of the cluster.
    let mut namespaces = env.model.source_namespaces();
    namespaces.insert(operator::NAMESPACE);
    let logins = env.model.stores.values().flat_map(ClusterSecretStore::login_secrets);
    namespaces.extend(logins.map(|(namespace, _)| namespace));
    let mut subjects: BTreeSet<Subject> = GROUPS.into_iter().map(Subject::group).collect();
    subjects.insert(Subject::anonymous());
    let mut names = Names::of(&env.model);
    for namespace in &namespaces {
        // A pod beside the operator may have what the operator may.
        if *namespace != operator::NAMESPACE {
            subjects.insert(Subject::group(&format!("system:serviceaccounts:{namespace}")));
        }
        for binding in own_bindings(env, namespace).await? {
            names.add(&binding);
            let is_of_a_case = |subject: &&v1::Subject| {
                subject.namespace.as_deref().is_some_and(|namespace| env.namespaces.is_pooled(namespace))
            };
            let bound = binding.subjects.iter().filter(|subject| !is_of_a_case(subject));
            subjects.extend(bound.filter_map(|subject| Subject::bound(subject, binding.namespace.as_deref())));
        }
    }
    // Whom a policy names, the platform has decided about.
    let exempt = loopholes::quoted(client, &env.model.admission_policies).await?;
    let (platform, others): (Vec<&Subject>, Vec<&Subject>) =
        subjects.iter().partition(|subject| exempt.contains(&quoted(subject)));
    let found = answers(client, questions(&env.model, &others, &namespaces, &names)).await?;
    let mut what = format!(
        "who may come at the sources: {} subjects × {} rights × {} namespaces, each by a SubjectAccessReview, {} of them \
         allowed",
        others.len(),
        POWERS.len(),
        namespaces.len(),
        found.values().map(Vec::len).sum::<usize>(),
    );
    if !platform.is_empty() {
        let names: Vec<&str> = platform.iter().map(|subject| subject.name.as_str()).collect();
        what.push_str(&format!("; not asked for whom the configuration's own policies exempt: {}", names.join(", ")));
    }
    let told: Vec<String> = found
        .into_iter()
        .map(|((name, namespace), powers)| format!("{name} may in {namespace}: {}", powers.join(", ")))
        .collect();
    Ok((what, if told.is_empty() { Outcome::Held } else { violated(told.join("; ")) }))
}

/// The bindings of the configuration that are in force in a namespace. What else is bound is of the cluster and of the
/// consumers that are set up in it.
async fn own_bindings(env: &TestBed, namespace: &str) -> Result<Vec<Binding>, ApiError> {
    let all = Binding::effective(&env.cluster.client, namespace).await?;
    Ok(all.into_iter().filter(|binding| env.model.bindings.contains(&binding.full_name())).collect())
}

fn questions(model: &Model, subjects: &[&Subject], namespaces: &BTreeSet<&str>, names: &Names) -> Vec<Question> {
    let mut asked = Vec::new();
    for subject in subjects {
        for namespace in namespaces {
            for power in POWERS {
                let named = names.of_power(model, subject, &power, namespace);
                let all = std::iter::once(None).chain(named.into_iter().map(Some));
                asked.extend(all.map(|name| Question {
                    subject: (*subject).clone(),
                    power,
                    namespace: (*namespace).to_owned(),
                    name,
                }));
            }
        }
    }
    asked
}

/// The rights that are allowed, in words, by subject and namespace; a right on all objects, and not on each of them as well.
async fn answers(client: &Client, asked: Vec<Question>) -> Result<BTreeMap<(String, String), Vec<String>>, ApiError> {
    let answers = stream::iter(asked)
        .map(|question| async move {
            let place = (Some(question.namespace.as_str()), question.name.as_deref());
            let allowed = may_on(client, &question.subject, &question.power, place).await;
            let allowed = allowed.map_err(failed("review the access of", &question.subject.name))?;
            Ok::<_, ApiError>(allowed.then_some(question))
        })
        .buffered(AT_ONCE);
    let allowed: Vec<Option<Question>> = answers.try_collect().await?;
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for Question { subject, power, namespace, name } in allowed.into_iter().flatten() {
        let all = found.entry((subject.name, namespace)).or_default();
        // A right as such is asked for before that on each object.
        if name.is_none() || !all.contains(&power.text(None)) {
            all.push(power.text(name.as_deref()));
        }
    }
    Ok(found)
}

/// The name of somebody, as an expression of a policy has it.
fn quoted(subject: &Subject) -> String {
    // The group, if it was made of one.
    match subject.name.strip_prefix("group ") {
        Some(group) => group.to_owned(),
        None => subject.user.clone(),
    }
}
