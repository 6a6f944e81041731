//! Everything that an account may read: every kind that the cluster serves, wherever RBAC lets it be listed or read by name.

use std::collections::BTreeSet;
use std::sync::Arc;

use credence_cluster::vault::Vault;
use credence_core::leak_scan::{Leak, LeakScan};
use k8s_openapi::api::authorization::v1::{ResourceRule, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use kube::api::PostParams;
use kube::discovery::{Scope, verbs};
use kube::{Api, Client, Discovery};
use serde_json::Value;

use super::call::{Call, RequestAnswer, collection};
use crate::fixture::{Fixture, FixtureError};
use crate::supplies::Supplies;
use crate::testbed::TestBed;

/// The rights of somebody could not be determined.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReachError {
    /// The API server did not say.
    #[error("failed to {act}")]
    Request {
        act: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
    /// The authoriser does not know all of its own rules.
    #[error("failed to learn the rights in namespace {namespace}: {why}")]
    Incomplete {
        namespace: String,
        /// Words of the API server.
        why: String,
    },
    /// Something that may be read could not be.
    #[error("failed to read {path}: {why}")]
    Unread { path: String, why: String },
}

fn request(act: &'static str) -> impl FnOnce(kube::Error) -> ReachError {
    move |source| ReachError::Request { act, source: Box::new(source) }
}

/// A kind whose objects can be listed.
#[derive(Debug)]
struct ReachableKind {
    /// The path of its group and version.
    api: String,
    group: String,
    resource: String,
    namespaced: bool,
}

/// The kinds that the cluster serves, asked once for all cases, and what stores read from beside the cluster.
pub struct Kinds {
    all: Vec<ReachableKind>,
    /// Vault, if a store reads from it.
    pub(super) vault: Option<Arc<Vault>>,
}

impl Fixture for Kinds {
    async fn set_up(bed: &Arc<TestBed>, supplies: &Supplies) -> Result<Self, FixtureError> {
        let all = discover(&bed.cluster.client).await.map_err(FixtureError::new)?;
        Ok(Self { all, vault: supplies.vault.clone() })
    }
}

async fn discover(client: &Client) -> Result<Vec<ReachableKind>, ReachError> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await;
    let discovery = discovery.map_err(request("discover the kinds that the cluster serves"))?;
    let mut kinds = Vec::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            if !capabilities.supports_operation(verbs::LIST) {
                continue;
            }
            let api = match resource.group.as_str() {
                "" => format!("/api/{}", resource.version),
                group => format!("/apis/{group}/{}", resource.version),
            };
            let namespaced = capabilities.scope == Scope::Namespaced;
            kinds.push(ReachableKind { api, group: resource.group, resource: resource.plural, namespaced });
        }
    }
    Ok(kinds)
}

/// Values that a search has seen.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Number of objects that were read.
    pub(super) objects: usize,
    pub(super) found: BTreeSet<FoundValue>,
}

/// A value in something that may be read.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoundValue {
    pub(super) name: String,
    /// Path of the object that holds it.
    pub(super) place: String,
}

/// Reads all that the owner of `client` may read in `namespaces` and in the cluster, and looks for values in it.
///
/// # Errors
/// When it cannot be told what may be read, or something that may be read is not.
pub(super) async fn search(
    client: &Client,
    kinds: &Kinds,
    namespaces: &BTreeSet<&str>,
    scan: &LeakScan,
) -> Result<Search, ReachError> {
    let Kinds { all: kinds, .. } = kinds;
    let mut search = Search::default();
    let mut everywhere = Vec::new();
    for namespace in namespaces {
        let rules = rules(client, namespace).await?;
        for kind in kinds.iter().filter(|kind| kind.namespaced) {
            let path = collection(&kind.api, Some(namespace), &kind.resource);
            match Allowed::of(&rules, kind) {
                Allowed::All => search.list(client, path, scan, Forbidden::IsAnError).await?,
                Allowed::Named(names) => {
                    for name in names {
                        search.object(client, format!("{path}/{name}"), scan).await?;
                    }
                }
            }
        }
        everywhere.extend(rules);
    }
    // A rule that is bound in a namespace is no right in the cluster, and the rules do not tell which is which.
    for kind in kinds.iter().filter(|kind| !kind.namespaced && Allowed::of(&everywhere, kind) == Allowed::All) {
        let path = collection(&kind.api, None, &kind.resource);
        search.list(client, path, scan, Forbidden::IsNothing).await?;
    }
    Ok(search)
}

/// The rules by which the owner of `client` may do things in a namespace.
///
/// # Errors
/// When the API server does not say, or not all of it.
pub(super) async fn rules(client: &Client, namespace: &str) -> Result<Vec<ResourceRule>, ReachError> {
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
    let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
    let reviews: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await.map_err(request("ask for the own rights"))?;
    let status = answer.status.unwrap_or_default();
    // The node authoriser says that it keeps no rules, which is true: it has none for anybody but nodes.
    match status.evaluation_error.filter(|why| !why.contains("node authorizer") && !why.is_empty()) {
        Some(why) => Err(ReachError::Incomplete { namespace: namespace.to_owned(), why }),
        None => Ok(status.resource_rules),
    }
}

/// Objects of a kind that may be read.
#[derive(Debug, PartialEq, Eq)]
enum Allowed {
    All,
    /// Objects that are known by name.
    Named(BTreeSet<String>),
}

impl Allowed {
    fn of(rules: &[ResourceRule], kind: &ReachableKind) -> Self {
        let has = |list: &Option<Vec<String>>, wanted: &str| {
            list.iter().flatten().any(|entry| entry == wanted || entry == "*")
        };
        let about = |rule: &&ResourceRule| has(&rule.api_groups, &kind.group) && has(&rule.resources, &kind.resource);
        let verbs = |rule: &ResourceRule, verb: &str| rule.verbs.iter().any(|one| one == verb || one == "*");
        let mut names = BTreeSet::new();
        for rule in rules.iter().filter(about) {
            let named: Vec<&String> = rule.resource_names.iter().flatten().collect();
            if named.is_empty() && verbs(rule, "list") {
                return Self::All;
            }
            if verbs(rule, "get") {
                names.extend(named.into_iter().cloned());
            }
        }
        Self::Named(names)
    }
}

/// Meaning of a refusal to list.
#[derive(PartialEq, Eq)]
enum Forbidden {
    IsAnError,
    IsNothing,
}

impl Search {
    async fn list(
        &mut self,
        client: &Client,
        path: String,
        scan: &LeakScan,
        forbidden: Forbidden,
    ) -> Result<(), ReachError> {
        let reply = Call::get(&path).send(client).await.map_err(request("read what may be read"))?;
        match reply.answer {
            RequestAnswer::Admitted => {}
            RequestAnswer::Denied(_) if forbidden == Forbidden::IsNothing => return Ok(()),
            other => return Err(ReachError::Unread { path, why: format!("{other:?}") }),
        }
        let list: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        for object in list["items"].as_array().into_iter().flatten() {
            let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            self.look(&format!("{path}/{name}"), object, scan);
        }
        Ok(())
    }

    async fn object(&mut self, client: &Client, path: String, scan: &LeakScan) -> Result<(), ReachError> {
        let reply = Call::get(&path).send(client).await.map_err(request("read what may be read"))?;
        // A name in a rule need not be the name of anything.
        if reply.answer == RequestAnswer::Admitted {
            self.look(&path, &serde_json::from_slice(&reply.body).unwrap_or_default(), scan);
        }
        Ok(())
    }

    fn look(&mut self, place: &str, object: &Value, scan: &LeakScan) {
        self.objects += 1;
        let found = scan.find_all_in_json(object);
        let named = |leak: Leak<'_>| FoundValue { name: leak.label.to_owned(), place: place.to_owned() };
        self.found.extend(found.into_iter().map(named));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn rule(group: &str, resource: &str, names: &[&str], verb: &str) -> ResourceRule {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        ResourceRule {
            api_groups: Some(list(&[group])),
            resources: Some(list(&[resource])),
            resource_names: Some(list(names)),
            verbs: list(&[verb]),
        }
    }

    #[rstest]
    #[case::listed(rule("", "secrets", &[], "list"), Allowed::All)]
    #[case::everything(rule("*", "*", &[], "*"), Allowed::All)]
    #[case::by_name(rule("", "secrets", &["a"], "get"), Allowed::Named(["a".to_owned()].into()))]
    #[case::other_group(rule("apps", "secrets", &[], "list"), Allowed::Named(BTreeSet::new()))]
    #[case::other_kind(rule("", "configmaps", &[], "list"), Allowed::Named(BTreeSet::new()))]
    #[case::only_written(rule("", "secrets", &[], "create"), Allowed::Named(BTreeSet::new()))]
    fn rules_tell_what_may_be_read(#[case] rule: ResourceRule, #[case] expected: Allowed) {
        let kind =
            ReachableKind { api: "/api/v1".into(), group: String::new(), resource: "secrets".into(), namespaced: true };
        assert_eq!(Allowed::of(&[rule], &kind), expected);
    }
}
