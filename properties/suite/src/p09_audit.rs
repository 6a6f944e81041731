//! p09: every create, update, delete and read of a secret is in the audit log, attributable, without values.
//!
//! In the namespace of a case people make, read, change and remove Secrets, some of them where they may not or in the name
//! of somebody else, while External Secrets Operator and Kubernetes' own controllers do their part. The log must tell each
//! request of the people exactly once, explain each change to a Secret that was seen by a request of whom it can be of, and
//! attribute each copy to reads of its source. What the suite does for itself explains nothing.

use std::sync::Arc;

use credence_cluster::evidence::audit::AuditLog;
use credence_core::id::{CaseId, PropertyId};
use credence_core::labels::Labels;
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, Model, expected_in};
use credence_model::values::Values;
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::report::PropertyMeta;
use credence_report::verdict::Outcome;
use credence_watch::observer::SecretEvent;
use credence_watch::observer::recording::Recording;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, Union};

use crate::coverage::Judges;
use crate::driver::Property;
use crate::fixture::{Fixture, FixtureError};
use crate::generate::{self, Recipient, askers};
use crate::observation::Observation;
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::supplies::{Need, Supplies};
use crate::testbed::TestBed;
use crate::testbed::rotation::{copied_sources, targets_of};
use crate::testbed::tenant::{Rights, Tenant};

mod accounts;
mod actions;
mod audited_namespace;
mod comparison;
mod history;
mod operation;
mod search;
mod story;
mod trail;

use accounts::reader;
use actions::Deeds;
use audited_namespace::AuditedNamespace;
use comparison::compare;
use history::live;
use operation::{Operation, operations};
use story::Story;

pub(crate) struct Audit;

/// End of the copies of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The namespace loses its labels.
    Unlabelled,
    Deleted,
}

/// New values for a source.
#[derive(Debug, Clone)]
pub(crate) struct AuditedChange {
    source: SourceRef,
    values: Values,
}

/// Events in the namespace of a case.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// The namespace, by the labels that it is given or by its name.
    labels: Recipient,
    rights: Rights,
    operations: Vec<Operation>,
    /// New values for a source of the copies, which the operator then has to update.
    change: Option<AuditedChange>,
    /// True if the administrator deletes a copy, which then has to come back.
    delete_copy: bool,
    end: End,
}

const CLAIMS: [Claim; 2] = [
    Claim::new(
        1,
        4,
        "the log tells each request of two people once, also those in the name of another, names the operator for \
         each making and update of a copy and Kubernetes' controllers for its removal, and joins each copy to the reads \
         of its source",
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
    const NEEDS: &'static [Need] = &[Need::ControlPlaneFiles, Need::Renderings];
    const NOTHING: &'static str =
        "no ClusterExternalSecret selects namespaces of any name by their labels, and there is no ExternalSecret";
    const LANES: usize = 8;
    // Every entry is joined by the agent or the namespace of its case, and searched for every value of its time.
    const SHARES: Shares =
        Shares { cluster: ClusterUse::Own, sources: SourceUse::Rotated, policies: PolicyUse::Passed };

    fn namespaces(&self, _model: &Model) -> u32 {
        product(Self::LANES, 1)
    }

    fn shared(&self, model: &Model, _slot: u32) -> Option<BoxedStrategy<()>> {
        askers(model).map(|_| Just(()).boxed())
    }

    fn case(&self, model: &Model, (): &()) -> BoxedStrategy<History> {
        let rights = select(&Rights::ALL[..]);
        let end = prop_oneof![4 => Just(End::Unlabelled), 1 => Just(End::Deleted)];
        (labels_and_change(model), rights, operations(), prop::bool::weighted(0.3), end)
            .prop_map(|((labels, change), rights, operations, delete_copy, end)| History {
                labels,
                rights,
                operations,
                change,
                delete_copy,
                end,
            })
            .boxed()
    }

    fn judges(&self, _model: &Model, distribution: &Distribution) -> Judges {
        Judges::by_askers(distribution)
    }

    fn is_telling(&self, model: &Model, (): &(), case: &History) -> bool {
        let expected = expected_in(model, case.labels.name_or("namespace"), case.labels.labels());
        !case.operations.is_empty() && !expected.is_empty()
    }

    fn skipped_checks(&self, env: &TestBed) -> Vec<SkippedCheck> {
        let names = SkippedCheck::new(
            "the names of the Secrets in entries of list, watch and deletecollection, and of a create that is refused",
            "Kubernetes logs none (the URL has no name, and a refused body is not read), so that who read a certain Secret \
             can be told for get alone",
        );
        let mut skipped = vec![names.weakens(&CLAIMS[1..])];
        let mut without = env
            .model
            .distributions
            .iter()
            .flat_map(|distribution| &distribution.stores)
            .filter(|store| reader(store).is_none());
        if let Some(store) = without.next() {
            let what = format!("attribution of copies to reads through {}", store.name);
            let why = match &store.stand_in {
                Some(_) if store.is_served_by_vault() => "reads of vault are in its own audit".to_owned(),
                Some(stand_in) => format!(
                    "reads of {} are in its own audit, and a server of this machine stands in for it",
                    stand_in.provider
                ),
                None => "the store reads as no ServiceAccount of its own".to_owned(),
            };
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

/// A namespace that gets copies, often by the labels of a copy that is updated, with new values for its source.
fn labels_and_change(model: &Model) -> BoxedStrategy<(Recipient, Option<AuditedChange>)> {
    let any = askers(model).unwrap_or_else(|| Just(Recipient::Labelled(Labels::new())).boxed());
    let unchanged = any.prop_map(|recipient| (recipient, None)).boxed();
    let secrets = copied_sources(model).into_iter().filter(|source| source.is_secret());
    let changed = secrets.filter_map(|source| {
        let updated =
            targets_of(model, source).into_iter().filter(|distribution| distribution.never_updates().is_none());
        let ways: Vec<Recipient> = updated.flat_map(Distribution::opt_in_labels).map(Recipient::Labelled).collect();
        let values = generate::values_of(model, source, &model.sources.get(source)?.keys);
        let source = source.clone();
        let change = values.prop_map(move |values| Some(AuditedChange { source: source.clone(), values }));
        (!ways.is_empty()).then(|| (select(ways), change).boxed())
    });
    let changed: Vec<_> = changed.collect();
    if changed.is_empty() {
        return unchanged;
    }
    prop_oneof![3 => unchanged, 2 => Union::new(changed)].boxed()
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

/// Carries a case out, and compares it with the log. An error is an end before there is anything to compare.
async fn play(env: &Arc<TestBed>, log: &AuditLog, id: CaseId, history: &History) -> Result<Observation, Observation> {
    let audited_namespace = AuditedNamespace::find(env, id, &history.labels).await?;
    let begin = log.end()?;
    let mark = env.sources.mark();
    let mut recorder = env.observer.record(&audited_namespace.lease.name);
    let tenant = Tenant::create(env, id, &audited_namespace.lease.name, history.rights).await?;
    let mut observation = Observation::of(Outcome::Held);
    let outcome = live(env, id, history, &audited_namespace, &tenant, &mut observation).await;
    let (people, deeds) = match outcome {
        Ok(lived) => lived,
        Err(ended) => {
            audited_namespace.end(env, id, tenant).await?;
            return Err(ended);
        }
    };
    let Deeds { mut facts, mut values } = deeds;
    facts.push(people.token());
    values.push(tenant.token.clone());
    let expected = expected_in(&env.model, &audited_namespace.lease.name, &audited_namespace.labels);
    let distributions: Vec<Distribution> = expected.into_values().cloned().collect();
    distributions.iter().for_each(|distribution| observation.reach(distribution));
    if let Err(error) = recorder.complete(&env.observer, "all changes of the copies").await {
        // What was not seen is not in the story, and so would have no reason to be in the log.
        audited_namespace.end(env, id, tenant).await?;
        return Err(error.into());
    }
    let (namespace, events) = (audited_namespace.lease.name.clone(), recorded(&mut recorder));
    values.extend(env.sources.values_since(&mark));
    let updated = history.change.as_ref().map(|change| change.source.clone());
    let story = Story { namespace, facts, values, events, distributions, updated };
    let compared = compare(id, log, begin, story, &mut observation, &env.observer).await;
    // Only now: what the suite removes must not be there to explain what the log leaves out. A namespace that is gone has taken all
    // of it along, and cannot be given back.
    if history.end == End::Unlabelled || audited_namespace.set.is_none() {
        audited_namespace.end(env, id, tenant).await?;
    }
    observation.outcome = compared?;
    Ok(observation)
}

/// True if the operator writes a copy anew when `source` changes.
fn is_updated(distribution: &Distribution, source: &SourceRef) -> bool {
    distribution.never_updates().is_none() && distribution.sources().contains(source)
}

/// Everything that was recorded so far.
fn recorded(recorder: &mut Recording) -> Vec<SecretEvent> {
    std::iter::from_fn(|| recorder.next_event()).collect()
}
