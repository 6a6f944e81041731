//! p14: a format change serves old and new consumers throughout.
//!
//! A case takes a distribution of the configuration through a change of type, of key names, or of the host it is for. The
//! documented way has two steps: the new form comes beside the old one, and when all consumers have moved, the old one
//! goes. Every event of the copies is recorded, and the source is rotated on the way: each consumer must be served until
//! the step that removes its form. The negative control makes the same change in one step, in a namespace of its own, and the
//! same check must see that consumers are no longer served. All this happens to ClusterExternalSecrets of the suite's own
//! that are made of the configuration's manifests, so that the configuration stays as it is.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::FIELD_MANAGER;
use credence_core::id::{CaseId, PropertyId};
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, Model};
use credence_model::overlay::COMPRESSED_SECONDS;
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::report::PropertyMeta;
use futures::future::{join, join_all};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;
use tokio::time::Instant;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::generate::{Pick, pick};
use crate::observation::Observation;
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::supplies::Need;
use crate::testbed::TestBed;
use crate::testbed::rotation::{self, Rotation, targets_of};

mod change;
mod form;
mod history;
mod move_over;
mod subject;

use change::FormChange;
use move_over::TransitionCase;
pub(crate) use subject::Stores;

pub(crate) struct Transition;

/// Longest pause before a case takes its first step, and between two rotations: one compressed refresh interval.
const LONGEST_PAUSE: Duration = Duration::from_secs(COMPRESSED_SECONDS);

/// The change of one distribution, by its place among those of the source that can change, and its place among its changes.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    distribution: Pick,
    change: Pick,
    one_step: OneStep,
    /// Pause before the first step.
    after: Duration,
}

/// Change of form by the negative control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OneStep {
    /// Under the same name.
    InPlace,
    /// Under a new name, in the same ClusterExternalSecret.
    Renamed,
}

impl fmt::Display for OneStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InPlace => "under the same name",
            Self::Renamed => "under a new name",
        })
    }
}

const CLAIMS: [Claim; 1] = [Claim::new(
    3,
    5,
    "through a change of form in two steps, during which the source is rotated, every recorded moment serves \
         the consumers of the old form until it goes and those of the new one from when it came",
)];

impl Property for Transition {
    type Shared = Rotation;
    type Case = Plan;
    type Fixture = Stores;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(14),
        title: "transition",
        claim: "a format change serves old and new consumers throughout",
        claims: &CLAIMS,
    };
    const NEEDS: &'static [Need] = &[Need::Renderings];
    const CASES_PER_SLOT: u32 = 8;
    const NOTHING: &'static str = "no copy can change its form";
    const LANES: usize = 3;
    const SHARES: Shares =
        Shares { cluster: ClusterUse::Own, sources: SourceUse::Rotated, policies: PolicyUse::Passed };

    fn namespaces(&self, model: &Model) -> u32 {
        // One for each way to change, which ask ClusterExternalSecrets of the case.
        product(Self::LANES.min(model.sources.len()), 2 * Self::CASES_PER_SLOT)
    }

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Rotation>> {
        let sources: Vec<&SourceRef> =
            model.sources.keys().filter(|source| !changeable(model, source).is_empty()).collect();
        Rotation::strategy(model, &sources, slot, 2..=3, LONGEST_PAUSE)
    }

    fn case(&self, _model: &Model, _rotation: &Rotation) -> BoxedStrategy<Plan> {
        let one_step = select(&[OneStep::InPlace, OneStep::InPlace, OneStep::Renamed][..]);
        let after = (0..=LONGEST_PAUSE.as_millis() as u64).prop_map(Duration::from_millis);
        (pick(), pick(), one_step, after)
            .prop_map(|(distribution, change, one_step, after)| Plan { distribution, change, one_step, after })
            .boxed()
    }

    fn judges(&self, model: &Model, distribution: &Distribution) -> Judges {
        if distribution.stores.iter().any(|store| store.referent_account().is_some()) {
            return Judges::NotHere(
                "its store takes a ServiceAccount that namespaces of the run do not have".to_owned(),
            );
        }
        if FormChange::all_of(distribution).is_empty() {
            Judges::NotApplicable("it has no form that a change of type, keys or host applies to".to_owned())
        } else {
            Judges::of_values(model, distribution)
        }
    }

    fn is_telling(&self, model: &Model, rotation: &Rotation, _case: &Plan) -> bool {
        let (before, after) = rotation.last_two();
        !rotation.steps.is_empty() && before != after && !changeable(model, &rotation.source).is_empty()
    }

    fn skipped_checks(&self, env: &TestBed) -> Vec<SkippedCheck> {
        let there: BTreeSet<String> =
            env.model.distributions.iter().flat_map(FormChange::all_of).map(|change| change.to_string()).collect();
        let absent = FormChange::ALL.iter().map(ToString::to_string).filter(|change| !there.contains(change));
        let skipped = |change: String| {
            SkippedCheck::new(format!("a change of {change}"), "no target has a form that it applies to")
        };
        absent.map(|change| skipped(change).weakens(&CLAIMS)).collect()
    }

    async fn run(
        &self,
        env: &Arc<TestBed>,
        _stores: &Stores,
        rotation: &Rotation,
        cases: &[(CaseId, Plan)],
    ) -> Vec<Observation> {
        let client = &env.cluster.client;
        let begun = rotation::begin(env, client, FIELD_MANAGER, &rotation.source, &rotation.initial);
        let mut lease = match begun.await {
            Ok(lease) => lease,
            Err(observation) => return vec![observation; cases.len()],
        };
        let live = join_all(cases.iter().map(|(id, plan)| TransitionCase::settle(env, *id, rotation, plan))).await;
        // The last rotation comes after every first step, so that both forms have to follow it.
        let (last, first) =
            rotation.steps.split_last().map_or((&[][..], &[][..]), |(last, first)| (std::slice::from_ref(last), first));
        let begin = Instant::now();
        let steps = join_all(live.into_iter().map(|live| live.first_step(env, begin)));
        let (written, live) = join(rotation::write(env, first, &mut lease), steps).await;
        let written = match written {
            Ok(_) => rotation::write(env, last, &mut lease).await,
            failed => failed,
        };
        join_all(live.into_iter().map(|live| live.second_step(env, rotation, written.clone()))).await
    }
}

/// The distributions of a source whose form can change, each with its changes.
fn changeable<'a>(model: &'a Model, source: &SourceRef) -> Vec<(&'a Distribution, Vec<FormChange>)> {
    let distributions =
        targets_of(model, source).into_iter().filter(|distribution| distribution.tells_values().is_ok());
    distributions
        .map(|distribution| (distribution, FormChange::all_of(distribution)))
        .filter(|(_, changes)| !changes.is_empty())
        .collect()
}
