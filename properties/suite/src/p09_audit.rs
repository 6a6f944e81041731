//! p09: every create, update, delete and read of a secret is in the audit log, attributable, without values.
//!
//! In the namespace of a case people make, read, change and remove Secrets, some of them where they may not, while
//! External Secrets Operator and Kubernetes' own controllers do their part. The log must tell each request of the people
//! exactly once, explain each change to a Secret that was seen, and attribute each copy to reads of its source.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::evidence::audit::{AuditError, AuditLog};
use credence_core::credential::Credential;
use credence_core::id::{CaseId, PropertyId, agent};
use credence_core::labels::Labels;
use credence_core::leak_scan::UNSEARCHABLE;
use credence_model::model::{Model, Target, expected_in};
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::report::PropertyMeta;
use credence_report::verdict::{self, Outcome};
use credence_watch::observer::{SecretEvent, View};
use credence_watch::wait::{self, Progress};
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::fixture::{Fixture, FixtureError};
use crate::generate::asking_labels;
use crate::observation::Observation;
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::supplies::{Need, Supplies};
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, Lease};
use crate::testbed::tenant::{Rights, Tenant};

mod accounts;
mod actions;
mod operation;
mod search;
mod trail;

use accounts::{operator, reader};
use operation::{Operation, operations};
use search::{SearchError, Searched, search};
use trail::{Fact, Trail};

/// The property.
pub struct Audit;

/// How long after the answer an entry may be on its way to the file.
const WRITTEN: Duration = Duration::from_secs(5);
/// How often the file is looked at: it cannot be watched.
const EVERY: Duration = Duration::from_millis(100);
/// How long a namespace may take to go, with what is in it; as in p03.
const DELETION: Duration = Duration::from_secs(130);

/// Kubernetes' own controllers that remove Secrets, as kube-controller-manager names them when each has its own account.
const COLLECTORS: [&str; 2] = [
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:serviceaccount:kube-system:namespace-controller",
];

/// How the copies of a case end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The namespace loses its labels.
    Unlabelled,
    /// The namespace is deleted.
    Deleted,
}

/// What happens in the namespace of a case.
#[derive(Debug, Clone)]
pub struct History {
    labels: Labels,
    rights: Rights,
    operations: Vec<Operation>,
    /// Whether the administrator deletes a copy, which then has to come back.
    delete_copy: bool,
    end: End,
}

/// What it proves of which requirement.
const CLAIMS: [Claim; 2] = [
    Claim::new(
        1,
        4,
        "the log tells each request of two people once, explains each change of a Secret that was seen, and joins \
         each copy to the reads of its source",
    ),
    Claim::new(5, 4, "the same entries name user, verb, object and answer, and no entry holds a value or a token"),
];

impl Property for Audit {
    type Shared = ();
    type Case = History;
    type Fixture = AuditLog;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(9),
        title: "audit",
        claim: "every create, update, delete and read of a secret is in the audit log, attributable, without values",
        claims: &CLAIMS,
    };
    const NEEDS: &'static [Need] = &[Need::ControlPlaneFiles];
    const LANES: usize = 8;
    // Every entry is joined by the agent or the namespace of its case, and searched for every value of its time.
    const SHARES: Shares = Shares { cluster: ClusterUse::Own, sources: SourceUse::Exist, policies: PolicyUse::Passed };

    fn namespaces(&self, _model: &Model) -> u32 {
        product(Self::LANES, 1)
    }

    fn shared(&self, model: &Model, _slot: u32) -> Option<BoxedStrategy<()>> {
        asking_labels(model).map(|_| Just(()).boxed())
    }

    fn case(&self, model: &Model, (): &()) -> BoxedStrategy<History> {
        let labels = asking_labels(model).unwrap_or_else(|| Just(Labels::new()).boxed());
        let rights = prop::sample::select(&Rights::ALL[..]);
        let end = prop_oneof![4 => Just(End::Unlabelled), 1 => Just(End::Deleted)];
        (labels, rights, operations(), prop::bool::weighted(0.3), end)
            .prop_map(|(labels, rights, operations, delete_copy, end)| History {
                labels,
                rights,
                operations,
                delete_copy,
                end,
            })
            .boxed()
    }

    fn judges(&self, _model: &Model, target: &Target) -> Judges {
        Judges::by_labels(target)
    }

    fn is_telling(&self, model: &Model, (): &(), case: &History) -> bool {
        !case.operations.is_empty() && !expected_in(model, "namespace", &case.labels).is_empty()
    }

    fn skipped_checks(&self, env: &TestBed) -> Vec<SkippedCheck> {
        let names = SkippedCheck::new(
            "the names of the Secrets in entries of list, watch and deletecollection, and of a create that is refused",
            "Kubernetes logs none (the URL has no name, and a refused body is not read), so that who read a certain Secret \
             can be told for get alone",
        );
        let mut skipped = vec![names.weakens(&CLAIMS[1..])];
        let mut without =
            env.model.targets.iter().flat_map(|target| &target.stores).filter(|store| reader(store).is_none());
        if let Some(store) = without.next() {
            let what = format!("attribution of copies to reads through {}", store.name);
            let why = "the store reads as no ServiceAccount of its own";
            skipped.push(SkippedCheck::new(what, why).weakens(&CLAIMS));
        }
        skipped
    }

    async fn run(&self, env: &Arc<TestBed>, log: &AuditLog, (): &(), cases: &[(CaseId, History)]) -> Vec<Observation> {
        let mut observations = Vec::with_capacity(cases.len());
        for (id, history) in cases {
            observations.push(play(env, log, *id, history).await.unwrap_or_else(|ended| ended));
        }
        observations
    }
}

/// The cluster writes no audit log.
#[derive(Debug, thiserror::Error)]
#[error("the cluster has no audit log: there is no audit policy")]
struct NoAuditLog;

impl Fixture for AuditLog {
    async fn set_up(bed: &Arc<TestBed>, _supplies: &Supplies) -> Result<Self, FixtureError> {
        let path = bed.cluster.description.audit_log.as_ref().ok_or(FixtureError::new(NoAuditLog))?;
        Ok(Self::new(path))
    }
}

/// What a case has done, and what was seen of it.
struct Story {
    namespace: String,
    facts: Vec<Fact>,
    /// Values that must not be in the log.
    values: Vec<Credential>,
    /// Every change to a Secret of the namespace.
    events: Vec<SecretEvent>,
    targets: Vec<Target>,
}

/// Carries a case out, and compares it with the log. An error is an end before there is anything to compare.
async fn play(env: &Arc<TestBed>, log: &AuditLog, id: CaseId, history: &History) -> Result<Observation, Observation> {
    let begin = log.end()?;
    let mark = env.sources.mark();
    let lease = env.namespaces.lease(&env.client_for(id)).await?;
    let mut recorder = env.observer.record(&lease.name);
    let tenant = Tenant::create(env, id, &lease.name, history.rights).await?;
    let mut observation = Observation::of(Outcome::Held);
    let outcome = live(env, id, history, &lease, &tenant, &mut observation).await;
    let facts = match outcome {
        Ok(facts) => facts,
        Err(ended) => {
            tenant.remove(env, id).await?;
            actions::clean(env, &lease.name).await?;
            env.namespaces.give_back(env, lease, history.labels.keys().cloned().collect());
            return Err(ended);
        }
    };
    let mut values = facts.values;
    values.push(tenant.token.clone());
    let targets: Vec<Target> = expected_in(&env.model, &lease.name, &history.labels).into_values().cloned().collect();
    targets.iter().for_each(|target| observation.reach(target));
    let (namespace, events) = (lease.name.clone(), drain(&mut recorder));
    // A namespace that is gone takes the tenant with it, and nothing is left to give back.
    if history.end == End::Unlabelled {
        tenant.remove(env, id).await?;
        actions::clean(env, &namespace).await?;
        env.namespaces.give_back(env, lease, history.labels.keys().cloned().collect());
    }
    values.extend(env.sources.values_since(&mark));
    let story = Story { namespace, facts: facts.facts, values, events, targets };
    observation.outcome = compare(id, log, begin, story, &mut observation).await?;
    Ok(observation)
}

/// What people did, with the values that they wrote.
struct Deeds {
    facts: Vec<Fact>,
    values: Vec<Credential>,
}

async fn live(
    env: &Arc<TestBed>,
    id: CaseId,
    history: &History,
    lease: &Lease,
    tenant: &Tenant,
    observation: &mut Observation,
) -> Result<Deeds, Observation> {
    let (client, namespace) = (env.client_for(id), &lease.name);
    let targets = expected_in(&env.model, namespace, &history.labels);
    namespaces::set_labels(&client, &agent(id), namespace, &history.labels).await?;
    let made = wait::until(&env.observer, "the copies of the case", env.provisioning_bound(), |view| {
        match targets.keys().find(|name| view.secret(namespace, name).is_none()) {
            Some(name) => Progress::NotYet(format!("{name} does not exist")),
            None => Progress::Done(()),
        }
    });
    made.await?;
    observation.add_context("copy made by the operator", 1);
    let people = actions::People::new(env, id, tenant, targets.values().copied()).await?;
    let mut deeds = people.act(&history.operations, observation).await?;
    if history.delete_copy
        && let Some(name) = targets.keys().next()
    {
        let version = |view: &View<'_>| view.secret(namespace, name).map(|secret| secret.resource_version.clone());
        let before = env.observer.look(version);
        deeds.facts.push(people.delete_copy(name).await?);
        observation.count("copy deleted by the administrator");
        let again =
            wait::until(&env.observer, "the copy made again", env.provisioning_bound(), |view| match version(view) {
                Some(now) if before.as_ref() != Some(&now) => Progress::Done(()),
                _ => Progress::NotYet(format!("{name} is not there again")),
            });
        again.await?;
    }
    match history.end {
        End::Unlabelled => {
            let removed: BTreeMap<&String, Option<&str>> = history.labels.keys().map(|key| (key, None)).collect();
            namespaces::set_labels(&client, &agent(id), namespace, &removed).await?;
            observation.add_context("copy collected", 1);
        }
        End::Deleted => {
            namespaces::delete(&client, namespace).await?;
            observation.add_context("namespace deleted", 1);
        }
    }
    let gone = wait::until(&env.observer, "the copies gone", DELETION, |view| {
        match targets.keys().find(|name| view.secret(namespace, name).is_some()) {
            Some(name) => Progress::NotYet(format!("{name} is still there")),
            None => Progress::Done(()),
        }
    });
    gone.await?;
    Ok(deeds)
}

fn drain(recorder: &mut UnboundedReceiver<SecretEvent>) -> Vec<SecretEvent> {
    std::iter::from_fn(|| recorder.try_recv().ok()).collect()
}

/// Waits until the log tells the story, at most for as long as entries take, and then looks for values in it.
async fn compare(
    id: CaseId,
    log: &AuditLog,
    begin: u64,
    story: Story,
    observation: &mut Observation,
) -> Result<Outcome, SearchError> {
    let story = Arc::new(story);
    let told = wait::poll("the audit log complete", WRITTEN, EVERY, || {
        let (log, story) = (log.clone(), Arc::clone(&story));
        async move {
            // Reading megabytes would hold up the other cases.
            match tokio::task::spawn_blocking(move || tell(id, &log, begin, &story)).await {
                Ok(Ok(Ok(told))) => Progress::Done(Ok(told)),
                Ok(Ok(Err(why))) => Progress::NotYet(why),
                Ok(Err(error)) => Progress::Done(Err(error)),
                Err(panic) => Progress::Never(panic.to_string()),
            }
        }
    });
    match told.await {
        Ok(Ok(told)) => {
            for (kind, count) in told {
                *observation.operations.entry(kind.to_owned()).or_default() += count;
            }
        }
        Ok(Err(error)) => return Err(error.into()),
        Err(wait::WaitError::TimedOut { last, .. }) => return Ok(verdict::violated(last)),
        Err(error) => return Ok(Outcome::Unknown(error.to_string())),
    }
    let log = log.clone();
    let searched = tokio::task::spawn_blocking(move || search(&log, begin, &story.values)).await;
    let Searched { searchable, unsearchable, found } = match searched {
        Ok(searched) => searched?,
        Err(panic) => return Ok(Outcome::Unknown(panic.to_string())),
    };
    observation.add_context("value searched for", searchable);
    if unsearchable > 0 {
        observation.add_context(UNSEARCHABLE, unsearchable);
    }
    Ok(match found {
        None => Outcome::Held,
        Some(what) => verdict::violated(format!("the audit log holds {what}")),
    })
}

type Told = BTreeMap<&'static str, u64>;

/// Whether the log tells the whole story by now; the inner error says what it does not tell.
fn tell(id: CaseId, log: &AuditLog, begin: u64, story: &Story) -> Result<Result<Told, String>, AuditError> {
    let agent = agent(id);
    let readers: BTreeSet<String> = story.targets.iter().flat_map(|target| &target.stores).filter_map(reader).collect();
    let wanted = |line: &str| {
        line.contains(&agent)
            || line.contains(&story.namespace)
            || line.contains("\"subresource\":\"token\"")
            || readers.iter().any(|reader| line.contains(reader.as_str()))
    };
    let (entries, _) = log.read(begin, wanted)?;
    let trail = Trail::new(entries);
    Ok(trail.tells_exactly(&agent, &story.facts).and_then(|()| explained(&trail, story)))
}

/// Whether each change to a Secret that was seen has an entry, and each copy its reads.
fn explained(trail: &Trail, story: &Story) -> Result<Told, String> {
    let mut told = Told::new();
    let operator = operator();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut removals: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &story.events {
        match &event.secret {
            Some(secret) => drop(versions.entry(&event.name).or_default().insert(&secret.resource_version)),
            None => *removals.entry(&event.name).or_default() += 1,
        }
    }
    for (name, versions) in versions {
        let writes = trail.count(None, &["create", "update", "patch"], &story.namespace, name);
        // Marking a Secret for deletion is a version too, and is logged as the deletion.
        let deletions = trail.count(None, &["delete"], &story.namespace, name);
        if writes + deletions < versions.len() {
            let seen = versions.len();
            return Err(format!("{name} had {seen} versions, and the audit log tells of {writes} writes"));
        }
        *told.entry("write explained").or_default() += versions.len() as u64;
    }
    for (name, seen) in removals {
        let single = trail.count(None, &["delete"], &story.namespace, name);
        // Removing a whole namespace, or all that people made, is one request without a name.
        let all = trail.count(None, &["deletecollection"], &story.namespace, "");
        let all_by_collectors: usize =
            COLLECTORS.iter().map(|user| trail.count(Some(user), &["deletecollection"], &story.namespace, "")).sum();
        if single < seen && all == 0 && all_by_collectors == 0 {
            return Err(format!("{name} was removed {seen} times, and the audit log tells of {single} deletions"));
        }
        *told.entry("removal explained").or_default() += seen as u64;
    }
    for target in &story.targets {
        let copy = (story.namespace.as_str(), target.secret.as_str());
        if trail.count(Some(&operator), &["create"], copy.0, copy.1) == 0 {
            return Err(format!("no entry of the audit log says: {operator} create {}/{}", copy.0, copy.1));
        }
        let mut reads: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for field in &target.fields {
            *reads.entry((&field.source.namespace, &field.source.name)).or_default() += 1;
        }
        for reader in target.stores.iter().filter_map(reader) {
            match trail.readers(&reader, &reads, &operator, copy) {
                None | Some(0) => {
                    return Err(format!(
                        "no entries of the audit log say which reads by {reader} made {}/{}",
                        copy.0, copy.1
                    ));
                }
                Some(1) => *told.entry("reads attributed to their copy").or_default() += 1,
                Some(_) => *told.entry("reads attributed to one of several copies").or_default() += 1,
            }
        }
    }
    Ok(told)
}
