//! Subjects that the API server lets at the sources: every subject that a binding of the configuration names, the
//! groups that everybody is in, and anonymous users, each asked for by a SubjectAccessReview.

use std::collections::{BTreeMap, BTreeSet};

use credence_cluster::api_error::ApiError;
use credence_cluster::operator;
use credence_report::verdict::{CheckRecord, Outcome, violated};
use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::rbac::v1;
use kube::api::{DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};

use crate::observation;
use crate::testbed::TestBed;
use crate::testbed::bindings::Binding;

/// Reviews that are asked for at the same time.
const AT_ONCE: usize = 16;

/// Groups that many are in without being bound by name.
const GROUPS: [&str; 4] =
    ["system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:serviceaccounts:default"];

/// Those who run a cluster may do everything in it.
const ADMINISTRATORS: [&str; 3] = ["system:masters", "kubeadm:cluster-admins", "system:nodes"];

/// Something that opens the sources of a namespace, at once or by a detour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Power {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: Option<&'static str>,
}

impl Power {
    /// A verb on a kind.
    pub(super) const fn new(verb: &'static str, group: &'static str, resource: &'static str) -> Self {
        Self { verb, group, resource, subresource: None }
    }

    const fn of(verb: &'static str, resource: &'static str, subresource: &'static str) -> Self {
        Self { subresource: Some(subresource), ..Self::new(verb, "", resource) }
    }

    fn text(self) -> String {
        let subresource = self.subresource.map(|part| format!("/{part}")).unwrap_or_default();
        format!("{} {}{subresource}", self.verb, self.resource)
    }
}

/// Rights that are asked for in each namespace.
const POWERS: [Power; 33] = [
    Power::new("get", "", "secrets"),
    Power::new("list", "", "secrets"),
    Power::new("watch", "", "secrets"),
    Power::new("create", "", "secrets"),
    Power::new("update", "", "secrets"),
    Power::new("patch", "", "secrets"),
    Power::new("delete", "", "secrets"),
    Power::new("create", "", "pods"),
    Power::new("update", "", "pods"),
    Power::of("create", "pods", "exec"),
    Power::of("create", "pods", "attach"),
    Power::of("create", "pods", "portforward"),
    Power::of("patch", "pods", "ephemeralcontainers"),
    Power::of("get", "pods", "log"),
    Power::new("create", "apps", "deployments"),
    Power::new("create", "apps", "daemonsets"),
    Power::new("create", "apps", "statefulsets"),
    Power::new("create", "batch", "jobs"),
    Power::new("create", "batch", "cronjobs"),
    Power::of("create", "serviceaccounts", "token"),
    Power::new("impersonate", "", "serviceaccounts"),
    Power::new("impersonate", "", "users"),
    Power::new("impersonate", "", "groups"),
    Power::new("create", RBAC, "rolebindings"),
    Power::new("patch", RBAC, "rolebindings"),
    Power::new("bind", RBAC, "roles"),
    Power::new("escalate", RBAC, "roles"),
    Power::new("bind", RBAC, "clusterroles"),
    Power::new("escalate", RBAC, "clusterroles"),
    Power::of("get", "nodes", "proxy"),
    Power::new("create", "certificates.k8s.io", "certificatesigningrequests"),
    Power::new("create", "admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    Power::new("delete", "admissionregistration.k8s.io", "validatingadmissionpolicies"),
];
const RBAC: &str = "rbac.authorization.k8s.io";

/// Somebody who can be asked about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject {
    /// Its name for a person.
    name: String,
    user: String,
    groups: Vec<String>,
    /// Its name in an expression of a policy.
    quoted: String,
}

impl Subject {
    fn user(name: &str) -> Self {
        let groups = vec!["system:authenticated".to_owned()];
        Self { name: format!("user {name}"), user: name.to_owned(), groups, quoted: name.to_owned() }
    }

    fn group(name: &str) -> Self {
        // Nobody has this name, so that what is allowed is allowed to the group.
        let (user, quoted) = ("credence:nobody".to_owned(), name.to_owned());
        Self { name: format!("group {name}"), user, groups: vec![name.to_owned()], quoted }
    }

    fn anonymous() -> Self {
        let (user, groups) = ("system:anonymous".to_owned(), vec!["system:unauthenticated".to_owned()]);
        Self { name: "anonymous users".to_owned(), quoted: user.clone(), user, groups }
    }

    /// A ServiceAccount, with the groups that it is in.
    pub(super) fn account(namespace: &str, name: &str) -> Self {
        let of_namespace = format!("system:serviceaccounts:{namespace}");
        let groups = ["system:authenticated", "system:serviceaccounts", &of_namespace].map(str::to_owned).to_vec();
        let user = format!("system:serviceaccount:{namespace}:{name}");
        Self { name: format!("ServiceAccount {namespace}/{name}"), quoted: user.clone(), user, groups }
    }

    /// A user that nobody has ever heard of.
    pub(super) fn stranger(name: &str) -> Self {
        Self::user(name)
    }

    /// Subject that a binding names; none if it is of the cluster itself.
    fn bound(subject: &v1::Subject, namespace: Option<&str>) -> Option<Self> {
        let of = subject.namespace.as_deref().or(namespace).unwrap_or_default();
        match subject.kind.as_str() {
            "ServiceAccount" if ["kube-system", operator::NAMESPACE].contains(&of) => None,
            "ServiceAccount" => Some(Self::account(of, &subject.name)),
            "Group" if ADMINISTRATORS.contains(&subject.name.as_str()) => None,
            "Group" => Some(Self::group(&subject.name)),
            // The parts of a control plane.
            _ if subject.name.starts_with("system:") => None,
            _ => Some(Self::user(&subject.name)),
        }
    }
}

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
    let attributes = ResourceAttributes {
        namespace: namespace.map(str::to_owned),
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

/// Reviews all subjects once.
pub(super) async fn review(env: &TestBed) -> CheckRecord {
    const WHAT: &str = "who may come at the sources, by a SubjectAccessReview of every subject that is bound";
    match matrix(env).await {
        Ok((what, outcome)) => CheckRecord { what, outcome, times: BTreeMap::new() },
        Err(error) => CheckRecord::unknown(WHAT, observation::unknown(&error)),
    }
}

async fn matrix(env: &TestBed) -> Result<(String, Outcome), ApiError> {
    let client = &env.cluster.client;
    let sources = env.model.source_namespaces();
    let subjects = subjects(env, &sources).await?;
    let exempt = exempt(client, &env.model.admission_policies).await?;
    let (platform, others): (Vec<&Subject>, Vec<&Subject>) =
        subjects.iter().partition(|subject| exempt.contains(&subject.quoted));
    // Whoever is the operator reads every Secret of the cluster.
    let namespaces: BTreeSet<&str> = sources.iter().copied().chain([operator::NAMESPACE]).collect();
    let found = allowed(client, &others, &namespaces).await?;
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

/// Subjects that are asked about: the groups that many are in, anonymous users, and whom a binding of the configuration names
/// that is in force in one of the namespaces of its `sources`.
async fn subjects(env: &TestBed, sources: &BTreeSet<&str>) -> Result<BTreeSet<Subject>, ApiError> {
    let mut subjects: BTreeSet<Subject> = GROUPS.into_iter().map(Subject::group).collect();
    subjects.insert(Subject::anonymous());
    for namespace in sources {
        subjects.insert(Subject::group(&format!("system:serviceaccounts:{namespace}")));
        // What else is bound is of the cluster and of the consumers that are set up in it, not of the configuration.
        let is_own = |binding: &Binding| env.model.bindings.contains(&binding.full_name());
        for binding in Binding::effective(&env.cluster.client, namespace).await?.into_iter().filter(is_own) {
            let is_of_a_case = |subject: &&v1::Subject| {
                subject.namespace.as_deref().is_some_and(|namespace| env.namespaces.is_pooled(namespace))
            };
            let bound = binding.subjects.iter().filter(|subject| !is_of_a_case(subject));
            subjects.extend(bound.filter_map(|subject| Subject::bound(subject, binding.namespace.as_deref())));
        }
    }
    Ok(subjects)
}

/// The [`POWERS`] that subjects have, by the name of the subject and the namespace.
async fn allowed(
    client: &Client,
    subjects: &[&Subject],
    namespaces: &BTreeSet<&str>,
) -> Result<BTreeMap<(String, String), Vec<String>>, ApiError> {
    let mut asked = Vec::new();
    for subject in subjects {
        for power in POWERS {
            asked.extend(namespaces.iter().map(|namespace| ((*subject).clone(), power, (*namespace).to_owned())));
        }
    }
    let answers = stream::iter(asked)
        .map(|(subject, power, namespace)| async move {
            let allowed = may(client, &subject, &power, Some(&namespace))
                .await
                .map_err(failed("review the access of", &subject.name))?;
            Ok::<_, ApiError>(allowed.then_some((subject.name, namespace, power)))
        })
        .buffered(AT_ONCE);
    let allowed: Vec<Option<_>> = answers.try_collect().await?;
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (name, namespace, power) in allowed.into_iter().flatten() {
        found.entry((name, namespace)).or_default().push(power.text());
    }
    Ok(found)
}

/// All that the expressions of the configuration's policies quote: whom a policy names there, the platform has decided about.
async fn exempt(client: &Client, policies: &BTreeSet<String>) -> Result<BTreeSet<String>, ApiError> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
    let all = api.list(&ListParams::default()).await.map_err(failed("list", "ValidatingAdmissionPolicies"))?;
    let own = all
        .items
        .into_iter()
        .filter(|policy| policy.metadata.name.as_ref().is_some_and(|name| policies.contains(name)));
    let mut found = BTreeSet::new();
    for policy in own {
        let text = policy.data["spec"].to_string();
        // In JSON a quote inside a text is escaped.
        for quote in ["\\\"", "'"] {
            found.extend(text.split(quote).filter(|part| part.len() < 100).map(str::to_owned));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn named(kind: &str, name: &str, namespace: Option<&str>) -> v1::Subject {
        v1::Subject {
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
            ..v1::Subject::default()
        }
    }

    #[rstest]
    #[case::group("Group", "developers", None, Some("group developers"))]
    #[case::user("User", "jane", None, Some("user jane"))]
    #[case::account("ServiceAccount", "ci", Some("build"), Some("ServiceAccount build/ci"))]
    #[case::account_of_the_binding("ServiceAccount", "ci", None, Some("ServiceAccount central/ci"))]
    #[case::administrators("Group", "system:masters", None, None)]
    #[case::control_plane("User", "system:kube-scheduler", None, None)]
    #[case::controller("ServiceAccount", "job-controller", Some("kube-system"), None)]
    #[case::operator("ServiceAccount", "external-secrets", Some("external-secrets"), None)]
    fn whoever_is_bound_and_is_not_of_the_cluster_itself_is_asked_for(
        #[case] kind: &str,
        #[case] name: &str,
        #[case] namespace: Option<&str>,
        #[case] expected: Option<&str>,
    ) {
        let subject = Subject::bound(&named(kind, name, namespace), Some("central"));
        assert_eq!(subject.as_ref().map(|subject| subject.name.as_str()), expected);
    }
}
