//! p05: type, exact key set and decoded content are right for every credential, whatever characters it has.
//!
//! Each case gives a source values of its own and looks at new copies in some of the formats made of it, decoded as
//! the consumer of each format would.

use std::sync::Arc;
use std::time::Duration;

use credence_core::id::{CaseId, PropertyId, agent};
use credence_core::text::{Reason, chain};
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, ExpectedKeys, Model};
use credence_model::values::Values;
use credence_programs::esoctl::{RenderError, TemplateEngine};
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::report::PropertyMeta;
use credence_report::verdict::{self, Outcome, Verdict};
use credence_watch::observer::View;
use credence_watch::wait::{self, WaitError};
use futures::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use tokio::time::Instant;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::fixture::{Fixture, FixtureError};
use crate::generate::{self, Pick, pick};
use crate::observation::{self, Observation};
use crate::oracle::{self, Known};
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::supplies::{GIVE_ESOCTL, Need, Supplies};
use crate::testbed::TestBed;
use crate::testbed::namespaces::NamespaceError;
use crate::testbed::rotation::{self, Dependent, copied_sources, targets_of};

pub(crate) struct Format;

/// A source and the values that a case gives it.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    source: SourceRef,
    values: Values,
}

/// The formats that a case looks at, by their place among those of the source, and the way to ask for each.
#[derive(Debug, Clone)]
pub(crate) struct Formats(Vec<(Pick, Pick)>);

const CLAIMS: [Claim; 3] = [
    Claim::new(3, 1, "each copy has the type that its template says, under any values of its source"),
    Claim::new(3, 2, "each format of a source has exactly its keys, as a strict reader of that format decodes them"),
    Claim::new(
        3,
        3,
        "the decoded content of each template equals the values of the source, whatever characters they have",
    ),
];

/// Renderer of the templates of the configuration.
pub(crate) struct Templates {
    /// The engine; none if it is missing, or if no template composes anything.
    engine: Option<TemplateEngine>,
    /// Why the engine could not be obtained.
    missing: Option<String>,
}

impl Fixture for Templates {
    async fn set_up(_bed: &Arc<TestBed>, supplies: &Supplies) -> Result<Self, FixtureError> {
        let Some(supply) = &supplies.templates else { return Ok(Self { engine: None, missing: None }) };
        Ok(match supply.obtain().await {
            Ok(engine) => Self { engine: Some(engine.clone()), missing: None },
            Err(error) => Self { engine: None, missing: Some(chain(error)) },
        })
    }

    fn skipped_checks(&self) -> Vec<SkippedCheck> {
        self.skipped(&CLAIMS[2..])
    }
}

impl Templates {
    /// The check that is not there without the engine, for a property that has these `claims` on it.
    pub(crate) fn skipped(&self, claims: &[Claim]) -> Vec<SkippedCheck> {
        let skipped = |why: &String| {
            let why = format!("{why}; {GIVE_ESOCTL}");
            SkippedCheck::new("each key that a template composes, as the operator's own engine makes it", why)
                .weakens(claims)
        };
        self.missing.iter().map(skipped).collect()
    }
}

impl Property for Format {
    type Shared = Credentials;
    type Case = Formats;
    type Fixture = Templates;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(5),
        title: "format",
        claim: "type, exact key set and decoded content are right for every credential, whatever characters it has",
        claims: &CLAIMS,
    };
    const NEEDS: &'static [Need] = &[Need::TemplateEngine];
    const NOTHING: &'static str = "neither a ClusterExternalSecret nor an ExternalSecret reads a source";
    const LANES: usize = 4;
    const SHARES: Shares =
        Shares { cluster: ClusterUse::Own, sources: SourceUse::Rotated, policies: PolicyUse::Passed };

    fn namespaces(&self, model: &Model) -> u32 {
        product(Self::LANES.min(model.sources.len()), 2)
    }

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Credentials>> {
        let sources = copied_sources(model);
        let source = sources[usize::try_from(slot).ok()?.checked_rem(sources.len())?].clone();
        let keys = &model.sources.get(&source)?.keys;
        let values = generate::values_of(model, &source, keys);
        Some(values.prop_map(move |values| Credentials { source: source.clone(), values }).boxed())
    }

    fn case(&self, _model: &Model, _shared: &Credentials) -> BoxedStrategy<Formats> {
        vec((pick(), pick()), 1..=2).prop_map(Formats).boxed()
    }

    fn judges(&self, model: &Model, distribution: &Distribution) -> Judges {
        Judges::of_sources(model, distribution)
    }

    fn is_telling(&self, _model: &Model, shared: &Credentials, case: &Formats) -> bool {
        !shared.values.is_empty() && !case.0.is_empty()
    }

    fn skipped_checks(&self, env: &TestBed) -> Vec<SkippedCheck> {
        let hidden = env.model.distributions.iter().filter(|distribution| distribution.can_be_selected()).filter_map(
            |distribution| {
                let ExpectedKeys::Unknown { why } = &distribution.keys else { return None };
                Some(
                    SkippedCheck::new(format!("the exact key set of the copies of {}", distribution.name), why)
                        .weakens(&CLAIMS[1..2]),
                )
            },
        );
        hidden.collect()
    }

    async fn run(
        &self,
        env: &Arc<TestBed>,
        templates: &Templates,
        credentials: &Credentials,
        cases: &[(CaseId, Formats)],
    ) -> Vec<Observation> {
        let mut observations = Vec::with_capacity(cases.len());
        for (id, formats) in cases {
            let Credentials { source, values } = credentials;
            let begun = rotation::begin(env, &env.client_for(*id), &agent(*id), source, values).await;
            observations.push(match begun {
                Ok(_lease) => look(env, templates, *id, credentials, formats).await.unwrap_or_else(Observation::from),
                Err(observation) => observation,
            });
        }
        observations
    }
}

/// Waits until a copy is like its source, and what its template composes is what the operator's own engine makes.
async fn until_right(
    env: &TestBed,
    templates: &Templates,
    Credentials { source, values }: &Credentials,
    dependent: &Dependent<'_>,
    bound: Duration,
) -> Result<(), Wrong> {
    let Dependent { distribution, namespace, .. } = dependent;
    let known = (source, values);
    // What was rendered before the values were written, every look compares already.
    let rendered = match env.sources.rendered(&known).rendered(distribution) {
        Some(_) => None,
        None => rendered(templates, distribution, &known).await?,
    };
    let what = format!("copy {namespace}/{} like its source", distribution.secret);
    let right = wait::until(&env.observer, &what, bound, |view| {
        let rendered = rendered.as_ref().zip(view.secret(namespace, &distribution.secret));
        let composed = || rendered.map_or(Ok(()), |(made, secret)| oracle::as_rendered(distribution, secret, made));
        dependent.look(env, view, &known).and_then(|()| composed()).into()
    });
    Ok(right.await?)
}

/// Why a copy is not known to be right.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// Values that the template of a distribution composes of these; none if that cannot be known beforehand.
async fn rendered(
    templates: &Templates,
    distribution: &Distribution,
    known: &impl Known,
) -> Result<Option<Values>, RenderError> {
    let template = distribution.rendering().ok().filter(|_| !distribution.composed.is_empty());
    let (Some(engine), Some(template)) = (&templates.engine, template) else { return Ok(None) };
    let Some(values) = oracle::inputs(distribution, known) else { return Ok(None) };
    engine.render_if_taken(&distribution.name, &template, &values).await
}

/// Checks that a copy gives its consumer no values that it does not read.
fn holds_no_more(view: &View<'_>, dependent: &Dependent<'_>) -> Result<(), Reason> {
    let Dependent { distribution, namespace, .. } = dependent;
    let Some((consumer, beyond)) = distribution.beyond_consumer() else { return Ok(()) };
    let held = view.secret(namespace, &distribution.secret).into_iter().flat_map(|secret| secret.data.keys());
    let held: Vec<&str> = held.map(String::as_str).filter(|key| beyond.contains(key)).collect();
    if held.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "{} holds {} of its source, which {} does not read",
            distribution.secret,
            held.join(", "),
            consumer.title()
        )
        .into())
    }
}

async fn look(
    env: &Arc<TestBed>,
    templates: &Templates,
    id: CaseId,
    credentials: &Credentials,
    formats: &Formats,
) -> Result<Observation, NamespaceError> {
    let written = Instant::now();
    let client = env.client_for(id);
    let distributions = targets_of(&env.model, &credentials.source);
    let mut observation = Observation::of(Outcome::Held);
    let mut dependents = Vec::new();
    for (distribution, way) in &formats.0 {
        let dependent = Dependent::lease(env, &client, distribution.of::<&Distribution>(&distributions), *way).await?;
        dependent.ask(&client, id).await?;
        observation.reach(dependent.distribution);
        dependents.push(dependent);
    }
    let looks = dependents.iter().map(|dependent| async move {
        // A copy in a namespace that always asked changes at its next refresh; a new one is right from the start.
        let bound = if dependent.is_new() {
            env.provisioning_bound()
        } else {
            env.propagation_bound(dependent.distribution).limit()
        };
        (bound, dependent, until_right(env, templates, credentials, dependent, bound).await)
    });
    for (bound, dependent, end) in join_all(looks).await {
        observation.bound = observation.bound.max(Some(bound));
        let outcome = match end {
            Ok(()) => {
                observation.latencies.push(written.elapsed());
                env.observer
                    .look(|view| holds_no_more(view, dependent))
                    .map_or_else(verdict::violated, |()| Outcome::Held)
            }
            Err(Wrong::Wait(error)) => observation::failed(&error),
            Err(Wrong::Render(error)) => Outcome::Unknown(observation::unknown(&error)),
        };
        if Verdict::from(&outcome) != Verdict::Unknown {
            observation.count(&format!("copy as {}", dependent.distribution.name));
        }
        observation.outcome = observation.outcome.max(outcome);
    }
    for dependent in dependents {
        dependent.give_back(env);
    }
    Ok(observation)
}
