//! p15: a credential type made of configuration alone passes p02, p03, p05 and p08 unchanged.
//!
//! A slot is one new credential: source, ServiceAccount, rights, store and distribution, copied from a credential that
//! the configuration has as its README tells a person to, with a label, keys, type and template of its own. Its cases
//! are cases of these four properties in turn: their own code, on the configuration with the new credential in it, with
//! generators that are told of the new credential alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use credence_cluster::apply::{Applier, ApplyError};
use credence_core::id::{CaseId, PropertyId};
use credence_core::text::{Reason, chain};
use credence_model::model::{Distribution, Model};
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::report::PropertyMeta;
use credence_report::unknown::{Cause, Unknown};
use credence_report::verdict::{self, Outcome, Violation, violated};
use futures::future::join_all;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use serde_json::Value;
use tracing::instrument;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::fixture::{Fixture, FixtureError};
use crate::observation::{self, Observation};
use crate::p02_provisioning::Provisioning;
use crate::p03_label_distribution::{LabelDistribution, Subject};
use crate::p05_format::{Format, Templates};
use crate::p08_access_control::{AccessControl, Kinds};
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::supplies::{Need, Supplies};
use crate::testbed::TestBed;
use crate::testbed::denial::Denial;
use crate::testbed::deploy::wait_for_stores;

mod addition;

pub(crate) use addition::Addition;
use addition::blueprints;

pub(crate) struct Extension;

/// A case of one of the other properties.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Provisioning(<Provisioning as Property>::Case),
    LabelDistribution(<LabelDistribution as Property>::Case),
    /// A case of p05, with the values that it gives the source.
    Format(<Format as Property>::Shared, <Format as Property>::Case),
    AccessControl(<AccessControl as Property>::Case),
    /// No case: the credential cannot be added at all.
    Nothing,
}

const CLAIMS: [Claim; 1] = [Claim::new(
    4,
    5,
    "a credential that is added by manifests alone is provisioned, follows labels, has its format and is \
         closed to others, by the unchanged code of p02, p03, p05 and p08",
)];

/// Fixtures of the properties whose cases these are.
pub(crate) struct Fixtures {
    templates: Templates,
    kinds: Kinds,
}

impl Fixture for Fixtures {
    async fn set_up(bed: &Arc<TestBed>, supplies: &Supplies) -> Result<Self, FixtureError> {
        Ok(Self { templates: Templates::set_up(bed, supplies).await?, kinds: Kinds::set_up(bed, supplies).await? })
    }

    fn skipped_checks(&self) -> Vec<SkippedCheck> {
        self.templates.skipped(&CLAIMS)
    }
}

impl Property for Extension {
    type Shared = Addition;
    type Case = Part;
    /// Needs of p08 for its cases; the other three need nothing.
    type Fixture = Fixtures;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(15),
        title: "extension",
        claim: "a credential type made of configuration alone passes p02, p03, p05 and p08 unchanged",
        claims: &CLAIMS,
    };
    const NEEDS: &'static [Need] = Format::NEEDS;
    const CASES_PER_SLOT: u32 = 4;
    const NOTHING: &'static str = "no credential of the configuration could be added once more";
    const LANES: usize = 5;
    // As p08, whose cases are among its own; the others rotate the new source alone.
    const SHARES: Shares =
        Shares { cluster: ClusterUse::Own, sources: SourceUse::AllKept, policies: PolicyUse::ReliedOn };

    fn namespaces(&self, _model: &Model) -> u32 {
        // A case of each of the four properties, which ask the ClusterExternalSecret of the slot.
        product(Self::LANES, 4 + 3 + 2 + 2)
    }

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Addition>> {
        Addition::strategy(model, slot)
    }

    fn case(&self, model: &Model, addition: &Addition) -> BoxedStrategy<Part> {
        self.case_at(model, addition, 0)
    }

    fn case_at(&self, model: &Model, addition: &Addition, place: u32) -> BoxedStrategy<Part> {
        let nothing = || Just(Part::Nothing).boxed();
        let Some(new) = addition.model(model) else { return nothing() };
        match place {
            0 => Provisioning.case(&new, &()).prop_map(Part::Provisioning).boxed(),
            1 => LabelDistribution.case(&new, &Subject::ANY).prop_map(Part::LabelDistribution).boxed(),
            2 => {
                let Some(credentials) = Format.shared(&new, 0) else { return nothing() };
                let case = move |credentials| {
                    let formats = Format.case(&new, &credentials);
                    formats.prop_map(move |formats| Part::Format(credentials.clone(), formats))
                };
                credentials.prop_flat_map(case).boxed()
            }
            _ => AccessControl.case(&new, &()).prop_map(Part::AccessControl).boxed(),
        }
    }

    fn judges(&self, _model: &Model, _target: &Distribution) -> Judges {
        Judges::NotApplicable("it is about credentials that the configuration does not have yet".to_owned())
    }

    fn applies(&self, env: &TestBed) -> Result<(), Reason> {
        let model = &env.model;
        match (blueprints(model).first(), model.listed_labels.iter().next()) {
            (None, Some((label, policy))) => Err(format!(
                "policy {policy} lists the labels of namespaces one by one, {label} among them, so that one more credential \
                 takes a change of that policy; one that goes by what they begin with needs none"
            ).into()),
            _ => Ok(()),
        }
    }

    fn skipped_checks(&self, env: &TestBed) -> Vec<SkippedCheck> {
        let listed = env.model.listed_labels.iter().map(|(label, policy)| {
            SkippedCheck::new(
                format!("a credential like that of label {label}"),
                format!("policy {policy} lists this label and others one by one"),
            )
        });
        listed.map(|check| check.weakens(&CLAIMS)).collect()
    }

    fn is_telling(&self, model: &Model, addition: &Addition, case: &Part) -> bool {
        let Some(new) = addition.model(model) else { return false };
        match case {
            Part::Provisioning(world) => Provisioning.is_telling(&new, &(), world),
            Part::LabelDistribution(sequence) => LabelDistribution.is_telling(&new, &Subject::ANY, sequence),
            Part::Format(credentials, formats) => Format.is_telling(&new, credentials, formats),
            Part::AccessControl(attack) => AccessControl.is_telling(&new, &(), attack),
            Part::Nothing => false,
        }
    }

    async fn run(
        &self,
        env: &Arc<TestBed>,
        fixtures: &Fixtures,
        addition: &Addition,
        cases: &[(CaseId, Part)],
    ) -> Vec<Observation> {
        let Some(new) = addition.model(&env.model) else {
            return vec![
                Observation::unknown(Cause::Panicked, "the suite made a credential that it cannot read");
                cases.len()
            ];
        };
        let installed = match Installed::add(env, addition).await {
            Ok(installed) => installed,
            Err(outcome) => return vec![Observation::of(outcome); cases.len()],
        };
        let extended = Arc::new(env.with_credentials(&new));
        let runs = cases.iter().map(|(id, part)| part.run(&extended, fixtures, *id, addition));
        let observations = join_all(runs).await;
        // Namespaces are given back by taking the labels away, which only means something while the credential is there.
        extended.settle().await;
        if let Err(error) = installed.remove().await {
            env.namespaces.add_orphan(Violation { reason: chain(&error), known: None });
        }
        observations
    }
}

impl Part {
    /// Runs the case by the code of its property.
    #[instrument(name = "case", level = "debug", skip_all, fields(case = %id))]
    async fn run(&self, env: &Arc<TestBed>, fixtures: &Fixtures, id: CaseId, addition: &Addition) -> Observation {
        let (name, observations) = match self {
            Self::Provisioning(world) => {
                (Provisioning::META.title, Provisioning.run(env, &(), &(), &[(id, world.clone())]).await)
            }
            Self::LabelDistribution(sequence) => (
                LabelDistribution::META.title,
                LabelDistribution.run(env, &(), &Subject::ANY, &[(id, sequence.clone())]).await,
            ),
            Self::Format(credentials, formats) => {
                (Format::META.title, Format.run(env, &fixtures.templates, credentials, &[(id, formats.clone())]).await)
            }
            Self::AccessControl(attack) => {
                (AccessControl::META.title, AccessControl.run(env, &fixtures.kinds, &(), &[(id, attack.clone())]).await)
            }
            Self::Nothing => ("nothing", Vec::new()),
        };
        let Some(mut observation) = observations.into_iter().next() else {
            return Observation::unknown(Cause::NoEvidence, "no case was run");
        };
        // The report counts over all credentials, whose names would tell nothing.
        let counted =
            |operation: String| format!("{name}: {}", operation.replace(&addition.name(), "the new credential"));
        for counts in [&mut observation.operations, &mut observation.context] {
            let mut renamed = BTreeMap::new();
            for (kind, count) in std::mem::take(counts) {
                *renamed.entry(counted(kind)).or_default() += count;
            }
            *counts = renamed;
        }
        // They are copies of the new credential, which is none of the configuration.
        observation.reached.clear();
        match &mut observation.outcome {
            Outcome::Held => {}
            Outcome::Violated(Violation { reason, .. }) | Outcome::Unknown(Unknown { reason, .. }) => {
                *reason = format!("{name} of {}: {reason}", addition.title(&env.model));
            }
        }
        observation
    }
}

/// A credential that is in the cluster.
struct Installed {
    applier: Applier,
    objects: Vec<Value>,
}

impl Installed {
    /// Adds a credential and waits until its store is valid.
    async fn add(env: &TestBed, addition: &Addition) -> Result<Self, Outcome> {
        let client = &env.cluster.client;
        let unknown = |error: ApplyError| Outcome::Unknown(observation::unknown(&error));
        let manifests = addition.manifests(&env.model, env.namespaces.run());
        let applier = Applier::discover(client).await.map_err(unknown)?;
        let installed = Self { applier, objects: manifests.iter().map(|manifest| manifest.object.clone()).collect() };
        if let Err(error) = installed.applier.apply_all(&installed.objects).await {
            let refused = not_added(&error, &env.model);
            installed.remove().await.map_err(unknown)?;
            let title = addition.title(&env.model);
            return Err(refused.map_or_else(|| unknown(error), |why| violated(format!("{title}: {why}"))));
        }
        match &wait_for_stores(client, &manifests).await[..] {
            [] => Ok(installed),
            notes => Err(verdict::unknown(Cause::SetUpFailed, notes.join(", "))),
        }
    }

    async fn remove(self) -> Result<(), ApplyError> {
        self.applier.remove_all(&self.objects).await
    }
}

/// Says that a policy of the configuration does not let a credential be added, if that is why it was refused.
fn not_added(error: &ApplyError, model: &Model) -> Option<String> {
    let ApplyError::Refused { object, source } = error else { return None };
    let denial = Denial::of(source);
    match &denial {
        Denial::Policy { policy } if denial.is_by(model) => {
            Some(format!("it takes more than its manifests, since policy {policy} refuses {object}"))
        }
        _ => None,
    }
}
