//! p07: the real consumer authenticates with the copy, and fails with a wrong or revoked one.
//!
//! The cases of a slot live through the life of one credential: it is issued by the server that checks it, rotated, and
//! then revoked there, or overwritten with something wrong. At each step every case has the consumer of its copy log in,
//! for real: the kubelet pulls an image nobody pulled before, Argo CD syncs a new commit, and so on. Beside the first
//! login, each case tries one that must be denied although the credential is good.
//!
//! The oracle is the log of the server, not what the consumer says of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use crate::bundle::SourceRef;
use crate::consumers::Consumer;
use crate::copies::chain;
use crate::driver::{Observation, Property};
use crate::environment::{Environment, agent};
use crate::generate::{Pick, pick};
use crate::model::{Model, Target};
use crate::report::PropertyMeta;
use crate::rotation::targets_of;
use crate::sources::{ExclusiveLease, Values};
use crate::verdict::{CaseId, PropertyId, Requirement};

mod issue;
mod issuer;
mod trespass;
mod trial;

pub use issue::{End, Issue, Kind, Secret};

use issuer::Issuer;
use trial::Trial;

/// The property.
pub struct CredentialTypes;

/// The copy of one case.
#[derive(Debug, Clone)]
pub struct Placement {
    /// Its target, by its place among those of the source that have a consumer.
    target: Pick,
    /// The way in which its namespace asks for it.
    way: Pick,
    /// The login that must be denied, by its place among those that its consumer can try.
    trespass: Pick,
}

impl Property for CredentialTypes {
    type Shared = Issue;
    type Case = Placement;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(7),
        title: "credential types",
        claim: "the real consumer authenticates with the copy, and fails with a wrong or revoked one",
        requirements: &[Requirement::new(4, 1), Requirement::new(4, 2), Requirement::new(4, 3), Requirement::new(4, 4)],
    };
    const CASES_PER_SLOT: u32 = 10;
    const LANES: usize = 3;

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Issue>> {
        // A source has as many turns as copies are made of it, so that each format gets about as many cases.
        let turns: Vec<&SourceRef> = model
            .sources
            .iter()
            .filter(|(_, keys)| Kind::of(&keys.keys).is_some())
            .flat_map(|(source, _)| std::iter::repeat_n(source, consumed(model, source).len()))
            .collect();
        let turn = usize::try_from(slot).ok()?.checked_rem(turns.len())?;
        let source = turns[turn];
        issue::strategy(source, &model.sources[source].keys)
    }

    fn case(&self, _model: &Model, _issue: &Issue) -> BoxedStrategy<Placement> {
        (pick(), pick(), pick()).prop_map(|(target, way, trespass)| Placement { target, way, trespass }).boxed()
    }

    fn is_telling(&self, _model: &Model, _issue: &Issue, _case: &Placement) -> bool {
        true
    }

    fn not_covered(&self, model: &Model) -> BTreeMap<Requirement, String> {
        let absent = model.absent_consumers.iter();
        let mut reasons: BTreeMap<Requirement, Vec<String>> = BTreeMap::new();
        for (consumer, reason) in absent {
            let text = format!("{}: {reason}", consumer.operation());
            reasons.entry(consumer.requirement()).or_default().push(text);
        }
        // A requirement with another consumer that does run is covered by that one.
        reasons.retain(|requirement, _| {
            let here = |consumer: &Consumer| {
                consumer.requirement() == *requirement && !model.absent_consumers.contains_key(consumer)
            };
            !Consumer::ALL.iter().any(here)
        });
        reasons.into_iter().map(|(requirement, texts)| (requirement, texts.join("; "))).collect()
    }

    async fn prepare(&self, env: &Arc<Environment>) -> Result<(), String> {
        env.consumers().await.map(drop)
    }

    async fn run(&self, env: &Arc<Environment>, issue: &Issue, cases: &[(CaseId, Placement)]) -> Vec<Observation> {
        let consumers = match env.consumers().await {
            Ok(consumers) => consumers,
            Err(why) => return vec![Observation::unknown(why); cases.len()],
        };
        tokio::select! {
            biased;
            // What a case sees of a consumer that has died is no evidence.
            death = consumers.died() => vec![Observation::unknown(death); cases.len()],
            observations = live(env, issue, cases) => observations
                .unwrap_or_else(|why| vec![Observation::unknown(why); cases.len()]),
        }
    }
}

/// The targets of a source whose copies have a consumer here; those for pods, the most common consumers, twice.
fn consumed<'a>(model: &'a Model, source: &SourceRef) -> Vec<(&'a Target, Consumer)> {
    let targets = targets_of(model, source).into_iter();
    let with_consumers = targets.filter_map(|target| Some((target, Consumer::of(target)?)));
    with_consumers
        .filter(|(_, consumer)| !model.absent_consumers.contains_key(consumer))
        .flat_map(|pair| std::iter::repeat_n(pair, if pair.1 == Consumer::Kubelet { 2 } else { 1 }))
        .collect()
}

/// Leads a credential through its life, with all cases at each step.
async fn live(
    env: &Arc<Environment>,
    issue: &Issue,
    cases: &[(CaseId, Placement)],
) -> Result<Vec<Observation>, String> {
    let consumers = env.consumers().await?;
    let Some((first, _)) = cases.first() else { return Ok(Vec::new()) };
    let targets = consumed(&env.model, &issue.source);
    let mut lease =
        env.sources.rotate(&issue.source).await.ok_or_else(|| format!("there is no source {}", issue.source))?;
    let mut issuer = Issuer::issue(consumers, issue, *first).await.map_err(|error| chain(&error))?;
    write(env, &mut lease, *first, &issuer.values).await?;
    let begun = cases.iter().map(|(id, placement)| {
        let (target, consumer) = *placement.target.of(&targets);
        Trial::begin(env, consumers, *id, target, consumer, placement)
    });
    let mut trials = join_all(begun).await;
    join_all(trials.iter_mut().map(|trial| trial.settle(&issuer))).await;
    join_all(trials.iter_mut().map(|trial| trial.must_be_admitted(&issuer, "issued"))).await;
    join_all(trials.iter_mut().map(|trial| trial.must_be_denied_elsewhere(&issuer))).await;

    issuer.rotate().await.map_err(|error| chain(&error))?;
    write(env, &mut lease, *first, &issuer.values).await?;
    join_all(trials.iter_mut().map(|trial| trial.settle(&issuer))).await;
    issuer.withdraw_former().await.map_err(|error| chain(&error))?;
    join_all(trials.iter_mut().map(|trial| trial.must_be_admitted(&issuer, "rotated"))).await;

    match issuer.end().await.map_err(|error| chain(&error))? {
        // Revoked where it is checked: the copies stay as they are.
        None => {}
        Some(wrong) => {
            issuer.values = wrong;
            write(env, &mut lease, *first, &issuer.values).await?;
            join_all(trials.iter_mut().map(|trial| trial.settle(&issuer))).await;
        }
    }
    join_all(trials.iter_mut().map(|trial| trial.must_be_refused(&issuer))).await;
    Ok(join_all(trials.into_iter().map(Trial::end)).await)
}

/// Writes the source in the name of the first case of the slot.
async fn write(env: &Environment, lease: &mut ExclusiveLease, case: CaseId, values: &Values) -> Result<(), String> {
    let written = lease.write(&env.client_for(case), &agent(case), values).await;
    written.map(drop).map_err(|error| chain(&error))
}
