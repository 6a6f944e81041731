//! History of a case, carried out: what people and the administrator do while the operator does its part.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use credence_core::id::{CaseId, agent};
use credence_core::labels::Labels;
use credence_model::model::{Distribution, expected_in};
use credence_report::unknown::Cause;
use credence_watch::observer::View;
use credence_watch::wait::{self, Progress};

use super::actions::{Deeds, People};
use super::audited_namespace::AuditedNamespace;
use super::trail::Fact;
use super::{AuditedChange, End, History, is_updated};
use crate::observation::{Observation, cause_of};
use crate::testbed::TestBed;
use crate::testbed::tenant::Tenant;
use crate::testbed::{namespaces, rotation};

/// Time that a namespace may take to go, with what is in it; as in p03.
const DELETION: Duration = Duration::from_secs(130);

/// Gives the namespace its copies, lets people and the administrator do what the history says, and takes the copies away.
pub(super) async fn live(
    env: &Arc<TestBed>,
    id: CaseId,
    history: &History,
    audited_namespace: &AuditedNamespace,
    tenant: &Tenant,
    observation: &mut Observation,
) -> Result<(People, Deeds), Observation> {
    let (client, namespace) = (env.client_for(id), &audited_namespace.lease.name);
    let distributions = expected_in(&env.model, namespace, &audited_namespace.labels);
    if let Some(labels) = &audited_namespace.set {
        namespaces::set_labels(&client, &agent(id), namespace, labels).await?;
    }
    let made =
        wait::until(&env.observer, "the copies of the case", env.provisioning_bound(), |view| {
            match distributions.keys().find(|name| view.secret(namespace, name).is_none()) {
                Some(name) => Progress::NotYet(format!("{name} does not exist")),
                None => Progress::Done(()),
            }
        });
    made.await?;
    observation.add_context("copy made by the operator", 1);
    let people = People::new(env, id, tenant, distributions.values().copied()).await?;
    let mut deeds = people.act(&history.operations, observation).await?;
    if let Some(change) = &history.change {
        update(env, id, change, namespace, &distributions).await?;
        deeds.facts.push(people.change_of(&change.source));
        observation.add_context("source changed by the administrator", 1);
    }
    let deleted = match &audited_namespace.set {
        Some(_) => usize::from(history.delete_copy),
        // They were made before the log of this case begins.
        None => distributions.len(),
    };
    for name in distributions.keys().take(deleted) {
        deeds.facts.push(delete_and_await_again(env, &people, namespace, name).await?);
        observation.count("copy deleted by the administrator");
    }
    if let Some(labels) = &audited_namespace.set {
        end_copies(env, id, history.end, namespace, labels, observation).await?;
        until_gone(env, namespace, &distributions).await?;
    }
    Ok((people, deeds))
}

/// Deletes a copy as the administrator, and waits until the operator has made it again.
async fn delete_and_await_again(
    env: &TestBed,
    people: &People,
    namespace: &str,
    name: &str,
) -> Result<Fact, Observation> {
    let version = |view: &View<'_>| view.secret(namespace, name).map(|secret| secret.resource_version.clone());
    let before = env.observer.look(version);
    let fact = people.delete_copy(name).await?;
    let again =
        wait::until(&env.observer, "the copy made again", env.provisioning_bound(), |view| match version(view) {
            Some(now) if before.as_ref() != Some(&now) => Progress::Done(()),
            _ => Progress::NotYet(format!("{name} is not there again")),
        });
    again.await?;
    Ok(fact)
}

/// Takes away from the namespace what its copies are there for.
async fn end_copies(
    env: &TestBed,
    id: CaseId,
    end: End,
    namespace: &str,
    labels: &Labels,
    observation: &mut Observation,
) -> Result<(), Observation> {
    let client = env.client_for(id);
    match end {
        End::Unlabelled => {
            let removed: BTreeMap<&String, Option<&str>> = labels.keys().map(|key| (key, None)).collect();
            namespaces::set_labels(&client, &agent(id), namespace, &removed).await?;
            observation.add_context("copy collected", 1);
        }
        End::Deleted => {
            namespaces::delete(&client, namespace).await?;
            observation.add_context("namespace deleted", 1);
        }
    }
    Ok(())
}

async fn until_gone(
    env: &TestBed,
    namespace: &str,
    distributions: &BTreeMap<String, &Distribution>,
) -> Result<(), Observation> {
    let gone = wait::until(&env.observer, "the copies gone", DELETION, |view| {
        match distributions.keys().find(|name| view.secret(namespace, name).is_some()) {
            Some(name) => Progress::NotYet(format!("{name} is still there")),
            None => Progress::Done(()),
        }
    });
    Ok(gone.await?)
}

/// Writes new values to a source as the administrator, and waits until the operator has updated its copies.
async fn update(
    env: &TestBed,
    id: CaseId,
    AuditedChange { source, values }: &AuditedChange,
    namespace: &str,
    distributions: &BTreeMap<String, &Distribution>,
) -> Result<(), Observation> {
    let Some(mut lease) = env.sources.rotate(source).await else {
        return Err(Observation::unknown(Cause::SetUpFailed, format!("there is no source {source}")));
    };
    lease.write(&env.client_for(id), &agent(id), values).await?;
    for distribution in distributions.values().filter(|distribution| is_updated(distribution, source)) {
        let bound = env.propagation_bound(distribution).limit();
        rotation::until_copy_matches_source(env, namespace, distribution, &(source, values), bound).await.map_err(
            |error| {
                // Whether copies follow is for p01 to judge; without an update there is none to look for.
                Observation::unknown(cause_of(&error), format!("no update to look for: {error}"))
            },
        )?;
    }
    Ok(())
}
