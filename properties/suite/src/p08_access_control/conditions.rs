//! The conditions of every store, tried once with each kind of namespace that asks for something else than what is read through it:
//! few cases have just the labels for which a condition is too wide.
//!
//! The ExternalSecrets are the operator's own, which pass every policy, so that the conditions alone can refuse them. Namespaces that
//! ask for nothing are left to the cases: a team may admit them on purpose, for what people order themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use credence_cluster::operator;
use credence_core::labels::Labels;
use credence_model::config::{ClusterSecretStore, SourceRef};
use credence_model::model::{Distribution, Model};
use credence_model::selector::{NamespaceSelection, effective_labels, opt_ins};
use credence_report::unknown::{Cause, Unknown};
use credence_report::verdict::{CheckRecord, Outcome, violated};
use credence_watch::wait::{self, Progress, WaitError};
use kube::Client;

use super::call::{Call, EXTERNAL_SECRETS, RequestAnswer, collection};
use super::error::{AccessError, request};
use super::judge::{POLL_INTERVAL, read, ready, refusal};
use super::objects::{self, VALUE};
use super::reason::Reason;
use super::tracers::{self, entitled, granted_beyond};
use super::trial::OUTLASTS;
use crate::observation;
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, Lease};
use crate::testbed::sources::SharedLease;

const WHAT: &str = "ExternalSecrets of the operator's own in namespaces that ask for something else, refused by store conditions alone";
/// Agent of the requests.
const AGENT: &str = "credence";
/// A name that matters to nobody.
const ANY_NAME: &str = "somewhere";

/// A source that is read through a store, and who asks for it.
#[derive(Debug)]
struct Subject<'a> {
    store: &'a ClusterSecretStore,
    source: SourceRef,
    key: String,
    /// Labels with which a namespace is given it.
    authorised: Labels,
    /// Labels with which one is given other values alone.
    strangers: Vec<Labels>,
}

/// The sources of which some namespaces that ask for something ask for nothing.
fn subjects(model: &Model) -> Vec<Subject<'_>> {
    let ways = ways(model);
    let own: BTreeMap<&Labels, _> = ways.iter().map(|labels| (labels, entitled(model, ANY_NAME, labels))).collect();
    let mut granted: BTreeMap<(String, SourceRef), (String, Labels)> = BTreeMap::new();
    for labels in &ways {
        for (store, source, key) in granted_beyond(model, (ANY_NAME, labels), &BTreeSet::new()) {
            granted.entry((store, source)).or_insert_with(|| (key, labels.clone()));
        }
    }
    let subject = |((store, source), (key, authorised)): ((String, SourceRef), (String, Labels))| {
        let store = model.stores.get(&store).filter(|store| is_for_the_platform(model, store))?;
        let is_stranger = |labels: &&Labels| !own[labels].contains(&(source.clone(), key.clone()));
        let strangers: Vec<Labels> = ways.iter().filter(is_stranger).cloned().collect();
        (!strangers.is_empty()).then_some(Subject { store, source, key, authorised, strangers })
    };
    granted.into_iter().filter_map(subject).collect()
}

/// Labels with which a namespace asks for something: those of every selector, and of every condition that admits such a namespace.
fn ways(model: &Model) -> BTreeSet<Labels> {
    let asks = |labels: &Labels| {
        let labels = effective_labels(ANY_NAME, labels);
        model.distributions.iter().any(|distribution| distribution.selection.matches(&labels))
    };
    let conditions = model.stores.values().flat_map(|store| &store.conditions);
    let selectors = conditions.filter_map(|condition| condition.namespace_selector.clone()).collect();
    let admitted = opt_ins(&NamespaceSelection { selectors, names: Vec::new() });
    let admitted = admitted.into_iter().filter(|way| way.names.is_none()).map(|way| way.labels);
    model.distributions.iter().flat_map(Distribution::opt_in_labels).chain(admitted.filter(asks)).collect()
}

/// True for a store that no ExternalSecret of the configuration itself reads through: who else writes such, and in which namespaces
/// that the store admits, need not be in the configuration.
fn is_for_the_platform(model: &Model, store: &ClusterSecretStore) -> bool {
    let reads = |distribution: &&Distribution| distribution.stores.iter().any(|one| one.name == store.name);
    store.namespace().is_none()
        && model.distributions.iter().filter(reads).all(|distribution| distribution.namespace().is_none())
}

/// Tries each once. No record if every namespace that asks for something asks for all.
pub(super) async fn check(env: &Arc<TestBed>) -> Option<CheckRecord> {
    let subjects = subjects(&env.model);
    if subjects.is_empty() {
        return None;
    }
    Some(match tried(env, &subjects).await {
        Ok(outcome) => CheckRecord { what: WHAT.to_owned(), outcome, times: BTreeMap::new() },
        Err(error) => CheckRecord::unknown(WHAT, observation::unknown(&error)),
    })
}

/// An ExternalSecret that is to be refused.
struct Refused<'a> {
    subject: &'a Subject<'a>,
    labels: &'a Labels,
    namespace: &'a str,
    name: String,
}

/// The preparation that all of them share.
struct Scene<'a> {
    env: &'a TestBed,
    sources: SharedLease,
    operator: Client,
    homes: BTreeMap<Labels, Lease>,
}

async fn tried(env: &Arc<TestBed>, subjects: &[Subject<'_>]) -> Result<Outcome, AccessError> {
    let admin = &env.cluster.client;
    let sources = tracers::share(env, admin, AGENT).await?;
    let groups = ["system:serviceaccounts", &format!("system:serviceaccounts:{}", operator::NAMESPACE)];
    let operator = env.cluster.client_in_the_name_of_member(AGENT, &operator::user(), &groups);
    let mut homes = BTreeMap::new();
    let all = subjects.iter().flat_map(|subject| subject.strangers.iter().chain([&subject.authorised]));
    for labels in all.cloned().collect::<BTreeSet<Labels>>() {
        homes.insert(labels, env.namespaces.lease(admin).await?);
    }
    let scene = Scene { env, sources, operator, homes };
    let mut created = Vec::new();
    let outcome = scene.judge(subjects, &mut created).await;
    for path in created {
        // What is left in the namespaces goes with them.
        Call::delete(path).send(admin).await.ok();
    }
    let keys: BTreeSet<String> = env.model.label_vocabulary().into_iter().map(str::to_owned).collect();
    for (labels, lease) in scene.homes {
        env.namespaces.give_back(env, lease, keys.iter().chain(labels.keys()).cloned().collect());
    }
    outcome
}

impl Scene<'_> {
    async fn judge(&self, subjects: &[Subject<'_>], created: &mut Vec<String>) -> Result<Outcome, AccessError> {
        for (labels, lease) in &self.homes {
            namespaces::set_labels(&self.env.cluster.client, AGENT, &lease.name, labels).await?;
        }
        let mut refused = Vec::new();
        for (number, subject) in subjects.iter().enumerate() {
            let name = format!("credence-conditions-{number}");
            if let Err(error) = self.is_served(subject, &name, created).await? {
                let what = format!("{}: {error}", subject.read_by(&subject.authorised));
                return Ok(Outcome::Unknown(Unknown::new(observation::cause_of(&error), what)));
            }
            for labels in &subject.strangers {
                let namespace = self.homes[labels].name.as_str();
                self.write(subject, namespace, &name, created).await?;
                refused.push(Refused { subject, labels, namespace, name: name.clone() });
            }
        }
        for one in &refused {
            match self.decided(one).await {
                Ok(Some(Reason::Conditions)) => {}
                Ok(Some(other)) => {
                    let why = format!("{} was refused for {other}", one.subject.read_by(one.labels));
                    return Ok(Outcome::Unknown(Unknown::new(Cause::ControlFailed, why)));
                }
                Ok(None) => return Ok(violated(one.served())),
                Err(error) => return Ok(observation::failed(&error)),
            }
        }
        Ok(self.stays_refused(&refused).await)
    }

    /// The control: the very same is served in a namespace that asks for it.
    async fn is_served(
        &self,
        subject: &Subject<'_>,
        name: &str,
        created: &mut Vec<String>,
    ) -> Result<Result<(), WaitError>, AccessError> {
        let namespace = self.homes[&subject.authorised].name.as_str();
        self.write(subject, namespace, name, created).await?;
        let value = self.sources.values(&subject.source).and_then(|values| values.get(&subject.key));
        let what = "the operator's ExternalSecret in a namespace that asks for it served";
        let served = wait::until(&self.env.observer, what, self.env.provisioning_bound(), |view| {
            match view.secret(namespace, name).and_then(|secret| secret.data.get(VALUE)) {
                Some(found) if Some(found) == value => Progress::Done(()),
                Some(_) => Progress::Never("it has another value".to_owned()),
                None => Progress::NotYet("it does not exist".to_owned()),
            }
        });
        Ok(served.await)
    }

    async fn write(
        &self,
        Subject { store, source, key, .. }: &Subject<'_>,
        namespace: &str,
        name: &str,
        created: &mut Vec<String>,
    ) -> Result<(), AccessError> {
        let act = "write as the operator";
        let reads = objects::reading(store.kind(), store.object_name(), &source.name, key);
        let path = collection(EXTERNAL_SECRETS, Some(namespace), "externalsecrets");
        let call = Call::create(path, objects::external_secret(name, reads));
        let answer = call.send(&self.operator).await.map_err(request(act))?.answer;
        if answer != RequestAnswer::Admitted {
            return Err(AccessError::Refused { act, answer });
        }
        created.extend(call.created());
        Ok(())
    }

    /// Why the operator refused it; none if it made the Secret.
    async fn decided(&self, one: &Refused<'_>) -> Result<Option<Reason>, WaitError> {
        let admin = &self.env.cluster.client;
        let path = format!("{}/{}", collection(EXTERNAL_SECRETS, Some(one.namespace), "externalsecrets"), one.name);
        let probe = || async {
            let object = read(admin, &path).await?;
            match ready(&object).as_deref() {
                Some("True") => Ok(Progress::Done(None)),
                Some("False") => Ok(match refusal(admin, one.namespace, &object).await? {
                    Some(reason) => Progress::Done(Some(reason)),
                    None => Progress::NotYet("it failed for no reason that is known to be about access".to_owned()),
                }),
                _ => Ok(Progress::NotYet("the operator has not looked at it".to_owned())),
            }
        };
        let what = format!("the operator decides about {}", one.subject.read_by(one.labels));
        wait::poll(&what, self.env.provisioning_bound(), POLL_INTERVAL, || async {
            probe().await.unwrap_or_else(|error: AccessError| Progress::NotYet(error.to_string()))
        })
        .await
    }

    /// The operator tries again what it refused, and must refuse it again.
    async fn stays_refused(&self, refused: &[Refused<'_>]) -> Outcome {
        let held = wait::hold(&self.env.observer, "no Secret beyond the conditions of a store", OUTLASTS, |view| {
            let made = |one: &&Refused<'_>| view.secret(one.namespace, &one.name).is_some();
            refused.iter().find(made).map_or(Ok(()), |one| Err(one.served().into()))
        });
        match held.await {
            Ok(()) => Outcome::Held,
            Err(WaitError::Impossible { why, .. }) => violated(why),
            Err(error) => observation::failed(&error),
        }
    }
}

impl Subject<'_> {
    fn read_by(&self, labels: &Labels) -> String {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let Self { store, source, key, .. } = self;
        format!("{key} of {source} through store {}, in a namespace with {}", store.name, labels.join(", "))
    }
}

impl Refused<'_> {
    fn served(&self) -> String {
        let read = self.subject.read_by(self.labels);
        format!("store conditions alone let the operator serve {read}, which does not ask for it")
    }
}

#[cfg(test)]
mod tests {
    use credence_model::model::testing::reference;

    use super::*;

    fn labels(keys: &[&str]) -> Labels {
        keys.iter().map(|key| ((*key).to_owned(), "true".to_owned())).collect()
    }

    #[test]
    fn each_kind_of_namespace_that_asks_for_something_else_is_a_stranger() {
        let model = reference();
        let subjects = subjects(&model);
        let of: BTreeMap<&str, usize> =
            subjects.iter().map(|subject| (subject.store.name.as_str(), subject.strangers.len())).collect();
        assert_eq!(of, [("github-oauth", 4), ("github-pat", 2), ("wildcard-tls", 4)].into());
        let oauth = &subjects[0];
        assert_eq!(oauth.authorised, labels(&["secrets/gh-oauth-credentials"]));
        assert!(oauth.strangers.contains(&labels(&["secrets/gh-docker-registry"])));
        assert!(!oauth.strangers.contains(&oauth.authorised));
    }
}
