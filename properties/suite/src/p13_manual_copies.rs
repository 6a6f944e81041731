//! p13: a hand-made or hand-edited credential is refused or healed.
//!
//! A case puts somebody into a namespace that holds copies: a tenant with the rights that Kubernetes gives to those who
//! work in a namespace, or the administrator. They make Secrets that look like copies, change, delete and replace the
//! copy. What is refused counts only if a policy of the configuration refused it, beside an ordinary Secret of the same
//! actor that is allowed; what is accepted must be undone within the bound. Then the cleaners come: the label is taken
//! away, or the namespace deleted, and nothing may stay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use credence_core::id::{CaseId, PropertyId, agent};
use credence_core::labels::Labels;
use credence_model::model::{ADMINISTRATORS, Distribution, Model, expected_in};
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::report::PropertyMeta;
use credence_report::verdict::{self, CheckRecord, Outcome};
use credence_watch::wait;
use kube::Client;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use serde_json::Value;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::events::Events;
use crate::generate::{Pick, pick};
use crate::observation::{self, Observation, cause_of};
use crate::oracle::Expected;
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::stop::Stop;
use crate::supplies::Need;
use crate::testbed::TestBed;
use crate::testbed::loopholes::{self, May};
use crate::testbed::namespaces::{self, Lease, NamespaceError};
use crate::testbed::settle::{Past, deletion, settle};
use crate::testbed::sources::SourceError;
use crate::testbed::tenant::{Tenant, TenantError};

mod attempt;
mod change;
mod copy_case;
mod guarded;
mod look_alike;
mod make;

use attempt::{Actor, Attempts};
use copy_case::{CopyCase, explained};
use look_alike::look_alikes;

pub(crate) struct ManualCopies;

/// Somebody in a namespace, and what they try.
#[derive(Debug, Clone)]
pub(crate) struct Intrusion {
    actor: Actor,
    /// Distribution whose copy is in question, by its place among the distributions, and the way to ask for it.
    distribution: (Pick, Pick),
    attempts: Attempts,
    end: End,
}

/// Way in which a namespace loses its copy at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its labels are removed.
    Unlabelled,
    Deleted,
}

/// The namespace of a case.
enum CaseNamespace {
    /// A namespace of the pool, with the labels that ask for copies.
    Pooled(Lease, Labels),
    /// Made for this case, with the labels that ask.
    Fresh(String, Labels),
    /// Selected by its name; it is there before and after.
    Named(Lease),
}

/// A case could not be set up.
#[derive(Debug, thiserror::Error)]
enum SetUpError {
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Tenant(#[from] TenantError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("failed to remove hand-made objects")]
    CleanUp(#[from] kube::Error),
}

const CLAIMS: [Claim; 2] = [
    Claim::new(1, 1, "a copy that somebody edits, deletes or replaces comes back as what its source holds"),
    Claim::new(
        1,
        3,
        "a Secret that looks like a copy is refused by a policy of the configuration, beside an ordinary one of \
         the same person that is allowed, or is undone within the bound",
    ),
];

impl Property for ManualCopies {
    type Shared = ();
    type Case = Intrusion;
    type Fixture = ();

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(13),
        title: "no manual copies",
        claim: "a hand-made or hand-edited credential is refused or healed",
        claims: &CLAIMS,
    };
    const NEEDS: &'static [Need] = &[Need::Renderings];
    const LANES: usize = 12;
    const SHARES: Shares =
        Shares { cluster: ClusterUse::Own, sources: SourceUse::SomeKept, policies: PolicyUse::ReliedOn };

    fn namespaces(&self, _model: &Model) -> u32 {
        product(Self::LANES, 1)
    }

    fn shared(&self, model: &Model, _slot: u32) -> Option<BoxedStrategy<()>> {
        (!askable(model).is_empty()).then(|| Just(()).boxed())
    }

    fn case(&self, model: &Model, (): &()) -> BoxedStrategy<Intrusion> {
        let end = prop_oneof![4 => Just(End::Unlabelled), 1 => Just(End::Deleted)];
        (Actor::strategy(model.administrator_breaks_glass()), (pick(), pick()), Attempts::strategy(), end)
            .prop_map(|(actor, distribution, attempts, end)| Intrusion { actor, distribution, attempts, end })
            .boxed()
    }

    fn judges(&self, _model: &Model, distribution: &Distribution) -> Judges {
        if is_askable(distribution) {
            Judges::Copies
        } else {
            Judges::NotHere("a namespace needs both a certain name and labels to get it".to_owned())
        }
    }

    fn is_telling(&self, _model: &Model, (): &(), case: &Intrusion) -> bool {
        !case.attempts.then.is_empty()
    }

    fn skipped_checks(&self, env: &TestBed) -> Vec<SkippedCheck> {
        let copied = SkippedCheck::new(
            "the data of a copy under another name, without its type and labels",
            "admission sees one object at a time and cannot tell it from an ordinary Secret; who may read Secrets in a \
             namespace is a matter of RBAC",
        );
        let nameless = askable(&env.model)
            .into_iter()
            .filter(|distribution| look_alikes(distribution, true).is_empty())
            .map(|distribution| {
                let what = format!("a Secret like the copies of {}, under another name", distribution.name);
                SkippedCheck::new(what, "its copies have no label, and their type is that of ordinary Secrets too")
            });
        let administrator = env.model.administrator_breaks_glass().then(|| {
            SkippedCheck::new(
                "copies made and changed by the administrator of the cluster",
                format!("the intent lets {ADMINISTRATORS} write copies by hand in an emergency"),
            )
        });
        let identities = &env.model.intended.identities;
        let users = identities.break_glass_users.iter().map(|user| format!("user {user}"));
        let others = identities.break_glass_groups.iter().filter(|group| *group != ADMINISTRATORS);
        let emergency = users.chain(others.map(|group| format!("group {group}"))).map(|who| {
            let why = "the intent lets them write copies by hand in an emergency";
            SkippedCheck::new(format!("copies made and changed by {who}"), why)
        });
        let weaker = nameless.chain([copied]).chain(administrator).map(|check| check.weakens(&CLAIMS[1..]));
        weaker.chain(emergency).collect()
    }

    async fn checks(&self, env: &Arc<TestBed>, (): &(), _events: &dyn Events, _stop: &Stop) -> Vec<CheckRecord> {
        let requests = |namespace: &str| guarded::requests(&env.model, namespace);
        loopholes::check(env, Self::META.id, &[guarded::rule()], May::Emergency, requests).await.into_iter().collect()
    }

    async fn run(&self, env: &Arc<TestBed>, (): &(), (): &(), cases: &[(CaseId, Intrusion)]) -> Vec<Observation> {
        let mut observations = Vec::with_capacity(cases.len());
        for (id, intrusion) in cases {
            observations.push(play(env, *id, intrusion).await.unwrap_or_else(Observation::from));
        }
        observations
    }
}

/// The distributions that some namespace can ask for, by labels or by its name alone.
fn askable(model: &Model) -> Vec<&Distribution> {
    model.distributions.iter().filter(|distribution| is_askable(distribution)).collect()
}

fn is_askable(distribution: &Distribution) -> bool {
    !distribution.opt_in_labels().is_empty() || only_name(distribution).is_some()
}

/// A name that is enough to get a copy.
fn only_name(distribution: &Distribution) -> Option<String> {
    let (names, _) = distribution.named_ways().into_iter().find(|(_, labels)| labels.is_empty())?;
    names.into_iter().next()
}

impl CaseNamespace {
    async fn find(
        env: &TestBed,
        client: &Client,
        distribution: &Distribution,
        case: &Intrusion,
    ) -> Result<Self, NamespaceError> {
        let ways = distribution.opt_in_labels();
        if ways.is_empty() {
            let name = only_name(distribution).unwrap_or_default();
            return Ok(Self::Named(env.namespaces.lease_named(&name, &env.observer).await));
        }
        let labels = case.distribution.1.of(&ways).clone();
        Ok(match case.end {
            End::Unlabelled => Self::Pooled(env.namespaces.lease(client).await?, labels),
            // One of the pool may carry finalizers of its past (eso#6677).
            End::Deleted => Self::Fresh(env.namespaces.create(client, &Labels::new()).await?, labels),
        })
    }

    fn name(&self) -> &str {
        match self {
            Self::Pooled(lease, _) | Self::Named(lease) => &lease.name,
            Self::Fresh(name, _) => name,
        }
    }

    /// The labels that ask; none where the name does.
    fn labels(&self) -> Option<&Labels> {
        match self {
            Self::Pooled(_, labels) | Self::Fresh(_, labels) => Some(labels),
            Self::Named(_) => None,
        }
    }
}

async fn play(env: &Arc<TestBed>, id: CaseId, case: &Intrusion) -> Result<Observation, SetUpError> {
    let client = env.client_for(id);
    let distribution = *case.distribution.0.of::<&Distribution>(&askable(&env.model));
    let place = CaseNamespace::find(env, &client, distribution, case).await?;
    let expected = expected_in(&env.model, place.name(), place.labels().unwrap_or(&Labels::new()));
    let of_copies = expected.values().flat_map(|distribution| distribution.sources()).collect();
    let sources = env.sources.share(&of_copies).await?;
    let tenant = match case.actor {
        Actor::Tenant(rights) => Some(Tenant::create(env, id, place.name(), rights).await?),
        Actor::Administrator => None,
    };
    let mut copy_case = CopyCase {
        env,
        id,
        namespace: place.name(),
        distribution,
        expected,
        sources: sources.to_values(),
        tenant,
        observation: Observation::of(Outcome::Held),
        made: Vec::new(),
    };
    let mut outcome = intrude(&mut copy_case, case, place.labels()).await?;
    // How the namespace is cleaned has nothing to do with values. One that is selected by its name belongs to others as
    // well, who may rotate only once nothing of the case is left in it.
    let sources = matches!(place, CaseNamespace::Named(_)).then_some(sources);
    if outcome == Outcome::Held {
        outcome = clean(&mut copy_case, &place).await?;
    }
    copy_case.clean_up().await?;
    if outcome != Outcome::Held && matches!(place, CaseNamespace::Named(_)) {
        copy_case.mend().await?;
    }
    drop(sources);
    let CopyCase { tenant, mut observation, .. } = copy_case;
    if let Some(tenant) = tenant {
        tenant.remove(env, id).await?;
    }
    match place {
        CaseNamespace::Pooled(lease, labels) => {
            env.namespaces.give_back(env, lease, labels.into_keys().collect::<BTreeSet<_>>());
        }
        CaseNamespace::Fresh(name, _) => namespaces::delete(&client, &name).await?,
        CaseNamespace::Named(_) => {}
    }
    observation.outcome = outcome;
    observation.reach(distribution);
    Ok(observation)
}

/// Makes the attempts, up to the first that was neither refused nor healed.
async fn intrude(
    copy_case: &mut CopyCase<'_>,
    case: &Intrusion,
    labels: Option<&Labels>,
) -> Result<Outcome, NamespaceError> {
    let control = copy_case.ordinary().await;
    if control != Outcome::Held {
        return Ok(control);
    }
    let mut squatted = None;
    if let Some(labels) = labels {
        if let Some((maker, attempt)) = &case.attempts.before {
            match copy_case.squat(*maker, attempt).await {
                Ok(accepted) => squatted = accepted,
                Err(outcome) => return Ok(outcome),
            }
        }
        namespaces::set_labels(
            &copy_case.env.client_for(copy_case.id),
            &agent(copy_case.id),
            copy_case.namespace,
            labels,
        )
        .await?;
    }
    let bound = copy_case.env.provisioning_bound();
    let provided = wait::until(&copy_case.env.observer, "copies like their sources", bound, |view| {
        copy_case.matches_source(view).into()
    });
    match (provided.await, squatted) {
        (Ok(()), Some(_)) => copy_case.observation.count("take the name of a copy, healed"),
        (Ok(()), None) => {}
        (Err(error), Some(who)) => return Ok(explained(&who, observation::failed(&error))),
        (Err(error), None) => return Ok(verdict::unknown(cause_of(&error), format!("no copy to touch: {error}"))),
    }
    for (number, attempt) in case.attempts.then.iter().enumerate() {
        let outcome = copy_case.attempt(number, attempt).await;
        if outcome != Outcome::Held {
            return Ok(outcome);
        }
    }
    let held = wait::hold(&copy_case.env.observer, "copies like their sources", copy_case.env.hold(), |view| {
        copy_case.matches_source(view)
    });
    Ok(held.await.map_or_else(|error| observation::failed(&error), |()| Outcome::Held))
}

/// Takes the labels away or deletes the namespace: nothing that was tried may keep a copy.
async fn clean(copy_case: &mut CopyCase<'_>, place: &CaseNamespace) -> Result<Outcome, NamespaceError> {
    let (env, client) = (copy_case.env, copy_case.env.client_for(copy_case.id));
    let (operation, outcome) = match place {
        CaseNamespace::Named(_) => return Ok(Outcome::Held),
        CaseNamespace::Fresh(name, labels) => ("delete namespace", deletion(env, &client, name, labels).await?),
        CaseNamespace::Pooled(lease, labels) => {
            let none: BTreeMap<&String, Value> = labels.keys().map(|key| (key, Value::Null)).collect();
            namespaces::set_labels(&client, &agent(copy_case.id), &lease.name, &none).await?;
            let worlds = [(lease.name.as_str(), Expected::new())];
            let bound = env.provisioning_bound();
            ("remove label", settle(env, &worlds, bound, Past::Relabelled, &mut Vec::new()).await)
        }
    };
    copy_case.observation.add_context(operation, 1);
    Ok(explained("after all attempts", outcome))
}
