//! p10: a changed policy changes access within the bound, by itself, in both directions.
//!
//! What is changed are selectors together with store conditions, the rights of a store, and admission policies. Most
//! cases live on a copy of a distribution of the configuration with its stores (see [`subject`]), so that no other case is
//! disturbed. The change is made in the place where the configuration keeps namespaces out (see [`enforcement_point`]): one that
//! does so by store conditions alone is tested on these, and found, because External Secrets Operator asks them when it
//! reads and never takes a copy away for them.

use std::collections::BTreeSet;
use std::sync::Arc;

use credence_core::id::{CaseId, PropertyId};
use credence_model::model::{Distribution, Model};
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::report::PropertyMeta;
use credence_report::unknown::Cause;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::BoxedStrategy;
use tokio::sync::Mutex;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::generate::{Pick, pick};
use crate::observation::Observation;
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::supplies::Need;
use crate::testbed::TestBed;
use crate::testbed::namespaces::Lease;

mod admission;
mod enforcement_point;
mod fixture;
mod probe;
mod reach;
mod rights;
mod subject;

use enforcement_point::EnforcedPolicy;
pub(crate) use fixture::PolicyChanges;
use subject::{Allowed, Rights, Subject};

pub(crate) struct PolicyUpdate;

/// Values of the label that a changed policy looks at.
const GRANTS: &[&str] = &["a", "b"];

/// Why a policy is not changed.
const NO_LABEL: &str = "no label entitles a namespace of any name to it, and its cases are namespaces of their own";

/// The policy that the cases of a slot live through.
#[derive(Debug, Clone)]
pub(crate) struct PolicyChange {
    /// The distribution whose policy it is, by name.
    distribution: String,
    kind: ChangeKind,
}

#[derive(Debug, Clone)]
enum ChangeKind {
    /// Namespaces that are selected and admitted, stage by stage.
    Reach(Vec<Allowed>),
    /// The rights of its stores, by the way in which they are taken.
    Rights(Rights),
    /// Admission, so many times there and back, by the request with this number or the next that any policy refuses.
    Admission { first: usize, flips: usize },
}

/// The namespaces of a case.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// The way in which all of them ask.
    way: Pick,
    /// For each, its value of the label that a changed policy looks at.
    grants: Vec<Option<&'static str>>,
}

const CLAIMS: [Claim; 1] = [Claim::new(
    5,
    5,
    "after each change of selectors, store conditions, rights of a store or an admission policy, in both \
         directions, exactly those have access whom it now allows, within the bound",
)];

impl Property for PolicyUpdate {
    type Shared = PolicyChange;
    type Case = World;
    type Fixture = PolicyChanges;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(10),
        title: "policy update",
        claim: "a changed policy changes access within the bound, by itself, in both directions",
        claims: &CLAIMS,
    };
    const NEEDS: &'static [Need] = &[Need::Renderings];
    const CASES_PER_SLOT: u32 = 5;
    const LANES: usize = 4;
    // Its policies are copies under other names, but for the admission policies.
    const SHARES: Shares =
        Shares { cluster: ClusterUse::Own, sources: SourceUse::SomeKept, policies: PolicyUse::Changed };

    fn namespaces(&self, _model: &Model) -> u32 {
        // One without the label and two others, which ask a ClusterExternalSecret of the slot.
        product(Self::LANES, 3 * Self::CASES_PER_SLOT)
    }

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<PolicyChange>> {
        let slot = usize::try_from(slot).ok()?;
        let distributions: Vec<&Distribution> =
            model.distributions.iter().filter(|distribution| EnforcedPolicy::of(distribution).is_some()).collect();
        // Shifted in each round, so that every distribution meets every kind.
        let turn = (slot + slot / 5).checked_rem(distributions.len())?;
        let distribution = distributions[turn];
        let name = distribution.name.clone();
        let kind = match slot % 5 {
            1 if has_accounts(distribution) => {
                select(vec![Rights::Unbound, Rights::Emptied]).prop_map(ChangeKind::Rights).boxed()
            }
            place @ (3 | 4) if !model.denying_bindings.is_empty() => {
                // Each policy has its turn, after as many such slots as there are requests.
                let first = 2 * (slot / 5) + usize::from(place == 4);
                (1..=2usize).prop_map(move |flips| ChangeKind::Admission { first, flips }).boxed()
            }
            _ => stages().prop_map(ChangeKind::Reach).boxed(),
        };
        Some(kind.prop_map(move |kind| PolicyChange { distribution: name.clone(), kind }).boxed())
    }

    fn case(&self, _model: &Model, _change: &PolicyChange) -> BoxedStrategy<World> {
        let grant = prop_oneof![1 => Just(None), 3 => select(GRANTS).prop_map(Some)];
        // One without the label always loses its copy when the policy begins to look at it.
        (pick(), vec(grant, 1..=2))
            .prop_map(|(way, others)| World { way, grants: std::iter::once(None).chain(others).collect() })
            .boxed()
    }

    fn judges(&self, _model: &Model, distribution: &Distribution) -> Judges {
        match EnforcedPolicy::of(distribution) {
            Some(_) => Judges::Copies,
            None => Judges::NotHere(NO_LABEL.to_owned()),
        }
    }

    fn is_telling(&self, _model: &Model, change: &PolicyChange, case: &World) -> bool {
        match &change.kind {
            ChangeKind::Reach(stages) => stages.windows(2).any(|pair| pair[0] != pair[1]) && !case.grants.is_empty(),
            ChangeKind::Rights(_) => true,
            ChangeKind::Admission { flips, .. } => *flips > 0,
        }
    }

    fn skipped_checks(&self, env: &TestBed) -> Vec<SkippedCheck> {
        let model = &env.model;
        let mut skipped = Vec::new();
        if model.denying_bindings.is_empty() {
            let why = "the configuration has no ValidatingAdmissionPolicyBinding that denies, of a policy on Secrets, \
                 namespaces, ExternalSecrets or SecretStores";
            skipped.push(SkippedCheck::new("changed admission policy", why).weakens(&CLAIMS));
        }
        if !model.distributions.iter().any(has_accounts) {
            let why = "no store authenticates as a ServiceAccount of its own";
            skipped.push(SkippedCheck::new("changed rights of a store", why).weakens(&CLAIMS));
        }
        let by_name = model
            .distributions
            .iter()
            .filter(|distribution| distribution.can_be_selected() && EnforcedPolicy::of(distribution).is_none());
        skipped.extend(by_name.map(|distribution| {
            SkippedCheck::new(format!("changed policy of who gets {}", distribution.secret), NO_LABEL).weakens(&CLAIMS)
        }));
        skipped
    }

    async fn run(
        &self,
        env: &Arc<TestBed>,
        changes: &PolicyChanges,
        change: &PolicyChange,
        cases: &[(CaseId, World)],
    ) -> Vec<Observation> {
        let slot = play(Arc::clone(env), Arc::clone(&changes.admission), change.clone(), cases.to_vec());
        let observations = changes.slots.to_the_end(slot).await;
        observations.unwrap_or_else(|| vec![Observation::unknown(Cause::Panicked, "the slot panicked"); cases.len()])
    }
}

/// True if a store of the distribution has an account whose rights can be copied.
fn has_accounts(distribution: &Distribution) -> bool {
    distribution.stores.iter().any(|store| {
        let provider = store.kubernetes.as_ref();
        provider.and_then(|provider| provider.service_account()?.namespace.as_ref()).is_some()
    })
}

/// The values of the label that the first of all policies but the widest allow.
fn first_grant() -> BTreeSet<String> {
    GRANTS.iter().take(1).map(|value| (*value).to_owned()).collect()
}

/// From everybody to some, often to others, and back to everybody: in both directions.
fn stages() -> BoxedStrategy<Vec<Allowed>> {
    let some = subsequence(GRANTS, 1..=GRANTS.len());
    let some = some.prop_map(|values| Some(values.into_iter().map(str::to_owned).collect::<BTreeSet<String>>()));
    vec(some, 1..=2).prop_map(|some| std::iter::once(None).chain(some).chain([None]).collect()).boxed()
}

async fn play(
    env: Arc<TestBed>,
    admission: Arc<Mutex<()>>,
    change: PolicyChange,
    cases: Vec<(CaseId, World)>,
) -> Vec<Observation> {
    let ended = |ended: Observation| vec![ended; cases.len()];
    let distribution = env.model.distributions.iter().find(|distribution| distribution.name == change.distribution);
    let (Some(distribution), Some((first, _))) = (distribution, cases.first()) else {
        return ended(Observation::unknown(Cause::SetUpFailed, format!("there is no target {}", change.distribution)));
    };
    if let ChangeKind::Admission { first, flips } = change.kind
        && let Some(seen) = admission::play(&env, &admission, distribution, (first, flips), &cases).await
    {
        return give_back(&env, seen, &BTreeSet::from([admission::EXEMPT.to_owned()]));
    }
    let Some(enforced) = EnforcedPolicy::of(distribution) else {
        return ended(Observation::unknown(Cause::SetUpFailed, format!("no label entitles to {}", distribution.name)));
    };
    let subject = match Subject::create(&env, &env.client_for(*first), distribution, enforced, first.index).await {
        Ok(subject) => subject,
        Err(error) => return ended(error.into()),
    };
    let seen = match &change.kind {
        ChangeKind::Reach(stages) => reach::play(&env, &subject, stages, &cases).await,
        ChangeKind::Rights(revocation) => rights::play(&env, &subject, *revocation, &cases).await,
        // No policy refuses anything that a tenant asks for here, so that there is none to lift.
        ChangeKind::Admission { .. } => reach::play(&env, &subject, &[None, Some(first_grant()), None], &cases).await,
    };
    let removed = subject.remove(&env).await;
    let mut observations = give_back(&env, seen, &subject.label_keys());
    observations.iter_mut().for_each(|observation| observation.reach(distribution));
    if let Err(error) = removed {
        let unknown = Observation::from(error).outcome;
        for observation in &mut observations {
            observation.outcome = observation.outcome.clone().max(unknown.clone());
        }
    }
    observations
}

fn give_back(env: &Arc<TestBed>, seen: Vec<(Observation, Vec<Lease>)>, labels: &BTreeSet<String>) -> Vec<Observation> {
    let mut observations = Vec::with_capacity(seen.len());
    for (observation, leases) in seen {
        leases.into_iter().for_each(|lease| env.namespaces.give_back(env, lease, labels.clone()));
        observations.push(observation);
    }
    observations
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree;

    use super::*;
    use crate::generate;

    #[test]
    fn every_sequence_of_policies_narrows_and_widens() {
        for index in 0..50 {
            let stages = stages().new_tree(&mut generate::runner(7, "p10/slot", index)).unwrap().current();
            assert!(stages.len() >= 3, "{stages:?}");
            assert!(stages[0].is_none() && stages[1].is_some() && stages.last().unwrap().is_none(), "{stages:?}");
        }
    }
}
