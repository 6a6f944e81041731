//! p03: after any sequence of label changes, copies are exactly those the last labels ask for; nothing stays behind.
//!
//! A case is a sequence of label changes on a few namespaces. Before some changes the namespaces must hold exactly
//! what the model says; most others follow at once, so that ESO is overtaken. A positive control is labelled last and asks
//! for everything that the changes touched, so that its copies prove that ESO was at work on each after the last change.
//! Some namespaces are deleted at the end: nothing that stays behind may keep one from going.
//!
//! The first cases are the examples of the team's intent, if there is one (`intended.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use credence_core::id::{CaseId, PropertyId, agent};
use credence_model::model::{Distribution, Model, expected_in};
use credence_report::claim::Claim;
use credence_report::report::PropertyMeta;
use credence_report::verdict::{Outcome, Verdict};
use credence_watch::wait;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::generate::{Pick, label_change, opt_in_labels, opt_in_values, pick};
use crate::observation::Observation;
use crate::oracle::Expected;
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, Lease, NamespaceError};
use crate::testbed::settle::{Past, control_labels, deletion, settle};

mod intended;

use intended::{Demand, demands};

pub(crate) struct LabelDistribution;

/// Longest sequence of label changes.
const LONGEST: usize = 20;
type Labels = BTreeMap<String, String>;

/// Subject of a case: what the intent demands of one namespace, or any sequence of label changes.
#[derive(Clone)]
pub(crate) struct Subject(Option<Demand>);

impl Subject {
    /// Any sequence of label changes.
    pub(crate) const ANY: Self = Self(None);
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without an intent, what a slot has in common reads as nothing.
        match &self.0 {
            Some(demand) => demand.fmt(f),
            None => f.write_str("()"),
        }
    }
}

/// One label change on one namespace of the case.
#[derive(Debug, Clone)]
pub(crate) struct LabelChange {
    namespace: Pick,
    key: String,
    /// The new value; none removes the label.
    value: Option<String>,
    before: Before,
}

/// Predecessor of a label change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// A pause, often none: the change then overtakes ESO.
    Pause(Duration),
    /// The copies are exactly those that the labels ask for until then.
    Settled,
}

/// A sequence of label changes, and its end.
#[derive(Debug, Clone)]
pub(crate) struct Sequence {
    namespaces: usize,
    changes: Vec<LabelChange>,
    /// Labels of the positive control, beside those that ask for what the changes touched: they ask for one
    /// distribution at least.
    control: Labels,
    /// True if the last namespace is deleted at the end.
    delete: bool,
}

const CLAIMS: [Claim; 2] = [
    Claim::new(
        2,
        3,
        "after label changes of both directions, also such that overtake the operator, copies are exactly those \
         of the last labels",
    ),
    Claim::new(
        2,
        5,
        "neither copy nor ExternalSecret stays where no label asks for it any more, and nothing keeps a namespace \
         from being deleted",
    ),
];

impl Property for LabelDistribution {
    type Shared = Subject;
    type Case = Sequence;
    type Fixture = ();

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(3),
        title: "label distribution",
        claim: "after any sequence of label changes, copies are exactly those the last labels ask for; nothing stays behind",
        claims: &CLAIMS,
    };
    const NOTHING: &'static str = "no ClusterExternalSecret has a label decide which namespaces of any name get a copy";
    const LANES: usize = 16;
    // Names and types of copies stay the same under any values.
    const SHARES: Shares = Shares { cluster: ClusterUse::Own, sources: SourceUse::Exist, policies: PolicyUse::Passed };

    fn namespaces(&self, _model: &Model) -> u32 {
        // Two that are relabelled, and the control.
        product(Self::LANES, 3)
    }

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Subject>> {
        let mut demands = demands(model);
        // Where no label decides, none can be changed so that anything changes.
        let any = opt_in_labels(model).is_some() && !model.label_vocabulary().is_empty();
        // The examples come first, and again where there is nothing else.
        let place = if any { Some(slot as usize) } else { (slot as usize).checked_rem(demands.len()) };
        let demand = place.filter(|place| *place < demands.len()).map(|place| demands.swap_remove(place));
        (any || demand.is_some()).then(|| Just(Subject(demand)).boxed())
    }

    fn case(&self, model: &Model, Subject(demand): &Subject) -> BoxedStrategy<Sequence> {
        if demand.is_some() {
            let control = opt_in_labels(model).unwrap_or_else(|| Just(Labels::new()).boxed()).no_shrink();
            let sequence = |control| Sequence { namespaces: 1, changes: Vec::new(), control, delete: false };
            return control.prop_map(sequence).boxed();
        }
        let labels = opt_in_values(model);
        let keys: Vec<String> = labels.keys().cloned().collect();
        let control = opt_in_labels(model).unwrap_or_else(|| Just(Labels::new()).boxed());
        let value = label_change(&labels, (4, 4, 2));
        let pause = |range: std::ops::Range<u64>| range.prop_map(|ms| Before::Pause(Duration::from_millis(ms)));
        let before =
            prop_oneof![4 => pause(0..1), 2 => pause(0..100), 1 => pause(100..800), 3 => Just(Before::Settled)];
        let change = (pick(), select(keys), value, before).prop_map(move |(namespace, key, value, before)| {
            LabelChange { namespace, value: value.value(&labels[&key]), key, before }
        });
        (1..=2usize, vec(change, 1..=LONGEST), control, prop::bool::weighted(0.15))
            .prop_map(|(namespaces, changes, control, delete)| Sequence { namespaces, changes, control, delete })
            .boxed()
    }

    fn judges(&self, _model: &Model, distribution: &Distribution) -> Judges {
        Judges::by_labels(distribution)
    }

    fn is_telling(&self, model: &Model, Subject(demand): &Subject, case: &Sequence) -> bool {
        if demand.is_some() {
            return true;
        }
        // A sequence tells something if some namespace was asking at some time, and only then can copies stay behind.
        let mut worlds = vec![Labels::new(); case.namespaces];
        case.changes.iter().any(|change| {
            let labels = change.apply(&mut worlds);
            let declines = |value: &String| !model.opt_in_values(&change.key).contains(value.as_str());
            !expected_in(model, "namespace", labels).is_empty() || change.value.as_ref().is_some_and(declines)
        })
    }

    async fn run(
        &self,
        env: &Arc<TestBed>,
        (): &(),
        Subject(demand): &Subject,
        cases: &[(CaseId, Sequence)],
    ) -> Vec<Observation> {
        let mut observations = Vec::with_capacity(cases.len());
        for (id, sequence) in cases {
            let played = match demand {
                Some(demand) => intended::play(env, *id, demand, &sequence.control).await,
                None => play(env, *id, sequence).await,
            };
            observations.push(played.unwrap_or_else(Observation::from));
        }
        observations
    }
}

impl LabelChange {
    /// Applies the change to the model of the case's namespaces and gives the labels of the one that changed.
    fn apply<'a>(&self, worlds: &'a mut [Labels]) -> &'a Labels {
        let labels = self.namespace.of_mut(worlds);
        match &self.value {
            Some(value) => labels.insert(self.key.clone(), value.clone()),
            None => labels.remove(&self.key),
        };
        labels
    }
}

async fn play(env: &Arc<TestBed>, id: CaseId, sequence: &Sequence) -> Result<Observation, NamespaceError> {
    let client = env.client_for(id);
    let mut observation = Observation::of(Outcome::Held);
    observation.bound = Some(env.provisioning_bound());
    let mut leases = Vec::new();
    for _ in 0..sequence.namespaces {
        leases.push(env.namespaces.lease(&client).await?);
    }
    let mut worlds = vec![Labels::new(); leases.len()];
    change(env, id, sequence, &mut leases, &mut worlds, &mut observation).await?;
    if observation.outcome == Outcome::Held && sequence.delete {
        // The control is behind the namespaces of the changes.
        let last = sequence.namespaces - 1;
        let lease = leases.remove(last);
        observation.outcome = deletion(env, &client, &lease.name, &worlds[last]).await?;
        if Verdict::from(&observation.outcome) != Verdict::Unknown {
            observation.count("delete namespace");
        }
    }
    let keys: BTreeSet<String> = env.model.label_vocabulary().into_iter().map(str::to_owned).collect();
    for lease in leases {
        env.namespaces.give_back(env, lease, keys.clone());
    }
    Ok(observation)
}

/// Makes the changes one after the other, in the cluster and in the model; ends at the first state that is wrong, else
/// with the positive control as the last namespace.
async fn change(
    env: &TestBed,
    id: CaseId,
    sequence: &Sequence,
    leases: &mut Vec<Lease>,
    worlds: &mut Vec<Labels>,
    observation: &mut Observation,
) -> Result<(), NamespaceError> {
    let (client, manager) = (env.client_for(id), agent(id));
    for change in &sequence.changes {
        match change.before {
            Before::Pause(pause) => wait::pass(pause).await,
            Before::Settled => {
                judge(env, leases, worlds, observation).await;
                if observation.outcome != Outcome::Held {
                    return Ok(());
                }
            }
        }
        change.apply(worlds);
        let patch = BTreeMap::from([(&change.key, &change.value)]);
        namespaces::set_labels(&client, &manager, &change.namespace.of(leases).name, &patch).await?;
        observation.add_context(if change.value.is_some() { "set label" } else { "remove label" }, 1);
    }
    let touched: BTreeSet<&str> = sequence.changes.iter().map(|change| change.key.as_str()).collect();
    let (control, labels) =
        (env.namespaces.lease(&client).await?, control_labels(&env.model, &touched, &sequence.control));
    namespaces::set_labels(&client, &manager, &control.name, &labels).await?;
    observation.add_context("set label", 1);
    leases.push(control);
    worlds.push(labels);
    judge(env, leases, worlds, observation).await;
    Ok(())
}

/// Compares what the namespaces come to hold with the model.
async fn judge(env: &TestBed, leases: &[Lease], worlds: &[Labels], observation: &mut Observation) {
    let expected: Vec<(&str, Expected<'_>)> = leases
        .iter()
        .zip(worlds)
        .map(|(lease, labels)| (lease.name.as_str(), expected_in(&env.model, &lease.name, labels)))
        .collect();
    let bound = env.provisioning_bound();
    observation.outcome = settle(env, &expected, bound, Past::Relabelled, &mut observation.latencies).await;
    expected.iter().for_each(|(_, expected)| observation.settled(expected));
}
