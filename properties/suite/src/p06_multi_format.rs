//! p06: all formats made of one source agree with it and with each other, at any moment they are at rest.
//!
//! The cases of a slot hold several formats of one source and live through one rotation of it. Every change of every
//! copy is recorded. ESO reads the keys of a source one by one, so a copy that is refreshed while the source is written
//! can be half new, old in one key and new in another: that is counted, and it must be over within the bound. What a
//! copy may never hold is anything that is neither old nor new.

use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::FIELD_MANAGER;
use credence_core::id::{CaseId, PropertyId};
use credence_core::text::Reason;
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, Model};
use credence_model::values::{Values, World};
use credence_report::claim::Claim;
use credence_report::report::PropertyMeta;
use credence_report::verdict::{self, Outcome};
use credence_watch::observer::recording::Recording;
use credence_watch::wait;
use futures::future::join_all;
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::strategy::BoxedStrategy;
use tokio::time::Instant;
use tracing::instrument;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::generate::{Pick, pick};
use crate::observation::{self, Observation};
use crate::oracle::{self, Version};
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::supplies::Need;
use crate::testbed::TestBed;
use crate::testbed::rotation::{self, Dependent, Rotation, copied_sources, targets_of};

pub(crate) struct MultiFormat;

/// Most formats of one source that are told apart by a case; more than any configuration we know has.
const MOST_FORMATS: usize = 8;

/// The formats of one case: at least two, by their rank among those of the source, and the way to ask for each.
#[derive(Debug, Clone)]
pub(crate) struct Formats {
    ranks: Vec<usize>,
    way: Pick,
}

impl Formats {
    /// The chosen distributions: the ranks that exist, and the first two if fewer than two do.
    fn choose<T: Copy>(&self, distributions: &[T]) -> Vec<T> {
        let chosen: Vec<T> = self.ranks.iter().filter_map(|rank| distributions.get(*rank)).copied().collect();
        if chosen.len() >= 2 { chosen } else { distributions.iter().take(2).copied().collect() }
    }
}

const CLAIMS: [Claim; 1] = [Claim::new(
    3,
    2,
    "at rest, all copies of different formats equal one and the same source, and on the way each of them is \
         the old values, the new, or keys of both",
)];

impl Property for MultiFormat {
    type Shared = Rotation;
    type Case = Formats;
    type Fixture = ();

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(6),
        title: "multi-format",
        claim: "all formats made of one source agree with it and with each other, at any moment they are at rest",
        claims: &CLAIMS,
    };
    const NEEDS: &'static [Need] = &[Need::Renderings];
    const CASES_PER_SLOT: u32 = 10;
    const NOTHING: &'static str = "no source is distributed in two formats";
    const LANES: usize = 4;
    const SHARES: Shares =
        Shares { cluster: ClusterUse::Own, sources: SourceUse::Rotated, policies: PolicyUse::Passed };

    fn namespaces(&self, model: &Model) -> u32 {
        // A namespace for each format, and no source has two slots.
        let formats = model.sources.keys().map(|source| targets_of(model, source).len().min(MOST_FORMATS));
        product(formats.filter(|formats| *formats >= 2).sum(), Self::CASES_PER_SLOT)
    }

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Rotation>> {
        let sources: Vec<&SourceRef> =
            copied_sources(model).into_iter().filter(|source| targets_of(model, source).len() >= 2).collect();
        Rotation::strategy(model, &sources, slot, 1..=1, Duration::ZERO)
    }

    fn case(&self, _model: &Model, _rotation: &Rotation) -> BoxedStrategy<Formats> {
        let ranks = subsequence((0..MOST_FORMATS).collect::<Vec<_>>(), 2..=MOST_FORMATS);
        (ranks, pick()).prop_map(|(ranks, way)| Formats { ranks, way }).boxed()
    }

    fn judges(&self, model: &Model, distribution: &Distribution) -> Judges {
        let others = |source: &&SourceRef| targets_of(model, source).len() >= 2;
        if distribution.sources().iter().any(others) {
            Judges::of_values(model, distribution)
        } else {
            Judges::NotApplicable("it is the only format of its source".to_owned())
        }
    }

    fn is_telling(&self, model: &Model, rotation: &Rotation, case: &Formats) -> bool {
        let (before, after) = rotation.last_two();
        before != after && case.choose(&targets_of(model, &rotation.source)).len() >= 2
    }

    async fn run(
        &self,
        env: &Arc<TestBed>,
        (): &(),
        rotation: &Rotation,
        cases: &[(CaseId, Formats)],
    ) -> Vec<Observation> {
        let client = &env.cluster.client;
        let begun = rotation::begin(env, client, FIELD_MANAGER, &rotation.source, &rotation.initial);
        let mut lease = match begun.await {
            Ok(lease) => lease,
            Err(observation) => return vec![observation; cases.len()],
        };
        let live = join_all(cases.iter().map(|(id, formats)| FormatsCase::settle(env, *id, rotation, formats))).await;
        let (_, last) = rotation.last_two();
        let written = match lease.write(client, FIELD_MANAGER, last).await {
            Ok(written) => written,
            Err(error) => return vec![Observation::from(error); cases.len()],
        };
        join_all(live.into_iter().map(|live| live.judge(env, rotation, written))).await
    }
}

struct FormatsCase<'a> {
    id: CaseId,
    copies: Vec<(Dependent<'a>, Recording)>,
    observation: Observation,
}

impl<'a> FormatsCase<'a> {
    /// Brings all formats to rest on the initial values and begins to record.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %id))]
    async fn settle(env: &'a Arc<TestBed>, id: CaseId, rotation: &Rotation, formats: &Formats) -> FormatsCase<'a> {
        let mut live = Self { id, copies: Vec::new(), observation: Observation::of(Outcome::Held) };
        if let Err(failed) = live.populate(env, id, rotation, formats).await {
            live.observation = failed;
        }
        live
    }

    async fn populate(
        &mut self,
        env: &'a Arc<TestBed>,
        id: CaseId,
        rotation: &Rotation,
        formats: &Formats,
    ) -> Result<(), Observation> {
        let client = env.client_for(id);
        let distributions = targets_of(&env.model, &rotation.source);
        let mut dependents = Vec::new();
        for distribution in formats.choose(&distributions) {
            let dependent = Dependent::lease(env, &client, distribution, formats.way).await?;
            dependent.ask(&client, id).await?;
            dependents.push(dependent);
        }
        let bound = bound(env, rotation);
        self.observation.bound = Some(bound);
        let initial = rotation.of_source(&rotation.initial);
        let rests = dependents.iter().map(|dependent| dependent.until_matches_source(env, &initial, bound));
        let rested = join_all(rests).await;
        for dependent in dependents {
            let events = env.observer.record(&dependent.namespace);
            self.copies.push((dependent, events));
        }
        for end in rested {
            end.map_err(|error| Observation { bound: Some(bound), ..Observation::of(observation::failed(&error)) })?;
        }
        Ok(())
    }

    /// Waits until all formats are new, and looks at what each of them was on the way.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %self.id))]
    async fn judge(mut self, env: &'a Arc<TestBed>, rotation: &Rotation, written: Instant) -> Observation {
        if self.observation.outcome == Outcome::Held {
            self.observation.add_context("rotate source", 1);
            self.copies.iter().for_each(|(dependent, _)| self.observation.reach(dependent.distribution));
            self.observation.outcome = self.arrive(env, rotation, written).await;
        }
        for (dependent, _) in self.copies {
            dependent.give_back(env);
        }
        self.observation
    }

    async fn arrive(&mut self, env: &TestBed, rotation: &Rotation, written: Instant) -> Outcome {
        let (_, last) = rotation.last_two();
        let bound = bound(env, rotation);
        let arrivals = self.copies.iter().map(|(dependent, _)| async move {
            let left = bound.saturating_sub(written.elapsed());
            dependent.until_matches_source(env, &rotation.of_source(last), left).await.map(|()| written.elapsed())
        });
        for arrival in join_all(arrivals).await {
            match arrival {
                Ok(latency) => self.observation.latencies.push(latency),
                Err(error) => return observation::failed(&error),
            }
        }
        let rest = wait::hold(&env.observer, "all formats like their source", env.hold(), |view| {
            self.copies.iter().try_for_each(|(dependent, _)| dependent.look(env, view, &rotation.of_source(last)))
        });
        if let Err(error) = rest.await {
            return observation::failed(&error);
        }
        let mut outcome = Outcome::Held;
        for (dependent, events) in &mut self.copies {
            let what = format!("all changes of {}/{}", dependent.namespace, dependent.distribution.secret);
            if let Err(error) = events.complete(&env.observer, &what).await {
                outcome = outcome.max(observation::failed(&error));
                continue;
            }
            self.observation.count("format seen on its whole way from the old values to the new");
            match history(env, dependent, events, rotation) {
                Ok(0) => {}
                Ok(_) => self.observation.count("copy half new for a while"),
                Err(why) => outcome = outcome.max(verdict::violated(why)),
            }
        }
        outcome
    }
}

/// Looks at every state that a copy went through and counts those that were half new.
fn history(
    env: &TestBed,
    dependent: &Dependent<'_>,
    events: &mut Recording,
    rotation: &Rotation,
) -> Result<usize, Reason> {
    let (old, new) = rotation.last_two();
    let world = |values: &Values| World::from([(rotation.source.clone(), values.clone())]);
    let (old, new) = (world(old), world(new));
    let mut half_new = 0;
    while let Some(event) = events.next_event() {
        if event.name != dependent.distribution.secret {
            continue;
        }
        let place = format!("{}/{}", dependent.namespace, event.name);
        let secret = event.secret.ok_or_else(|| format!("{place} was gone for a moment during the rotation"))?;
        let version = oracle::version(dependent.distribution, &secret, &old, &new, env.sources.renderings());
        match version.map_err(|why| format!("{place} was {why}"))? {
            Version::Old | Version::New => {}
            Version::HalfNew => half_new += 1,
        }
    }
    Ok(half_new)
}

/// The longest bound of the formats of the source.
fn bound(env: &TestBed, rotation: &Rotation) -> Duration {
    let distributions = targets_of(&env.model, &rotation.source);
    let bounds = distributions.iter().map(|distribution| env.propagation_bound(distribution).limit());
    bounds.max().unwrap_or_default()
}
