//! Each route alone, on a configuration that guards nothing: there it must be seen to work, or its refusals elsewhere prove
//! nothing. It is no property of a configuration and in no registry.

use std::sync::Arc;

use credence_core::id::{CaseId, PropertyId};
use credence_core::labels::Labels;
use credence_model::model::{Distribution, Model};
use credence_report::report::PropertyMeta;
use credence_report::route::{DeclaredRoute, RouteEnd};
use credence_report::unknown::Cause;
use credence_report::verdict::{self, Outcome};
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use super::attack_case::{self, AttackCase};
use super::cluster_rights::ClusterRights;
use super::route::{AttackPath, Route};
use super::{AccessControl, Attack, Kinds, objective};
use crate::coverage::Judges;
use crate::driver::Property;
use crate::generate::askers;
use crate::observation::Observation;
use crate::schedule::{Shares, product};
use crate::testbed::TestBed;
use crate::testbed::tenant::Rights;

/// Case number n is route number n.
pub struct Unguarded;

/// Number of cases that go by every route.
pub fn cases() -> u32 {
    u32::try_from(Route::all().len()).expect("a few dozen routes")
}

impl Property for Unguarded {
    type Shared = Attack;
    type Case = ();
    type Fixture = Kinds;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(8),
        title: "routes are armed",
        claim: "where nothing is guarded, every route is seen to work",
        claims: &[],
    };
    // A pushed value stands in the source for a moment, where others would look for its own.
    const LANES: usize = 1;
    const SHARES: Shares = AccessControl::SHARES;

    fn namespaces(&self, _model: &Model) -> u32 {
        product(Self::LANES, 2)
    }

    fn shared(&self, model: &Model, slot: u32) -> Option<BoxedStrategy<Attack>> {
        let route = *Route::all().get(usize::try_from(slot).ok()?)?;
        let attack = (objective::objective(model), askers(model)?).prop_map(move |(objective, neighbour)| Attack {
            rights: Rights::Owner,
            further: ClusterRights::None,
            labels: Labels::new(),
            neighbour,
            trespasses: vec![AttackPath { objective, route, afterwards: false }],
        });
        Some(attack.boxed())
    }

    fn case(&self, _model: &Model, _shared: &Attack) -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn judges(&self, model: &Model, distribution: &Distribution) -> Judges {
        AccessControl.judges(model, distribution)
    }

    fn is_telling(&self, _model: &Model, _shared: &Attack, (): &()) -> bool {
        true
    }

    fn routes(&self) -> Vec<DeclaredRoute> {
        AccessControl.routes()
    }

    async fn run(
        &self,
        env: &Arc<TestBed>,
        kinds: &Kinds,
        attack: &Attack,
        cases: &[(CaseId, ())],
    ) -> Vec<Observation> {
        let mut observations = Vec::with_capacity(cases.len());
        for (id, ()) in cases {
            let seen =
                attack_case::attack(AttackCase { env, kinds, id: *id, attack }).await.unwrap_or_else(Observation::from);
            observations.push(judged(attack, seen));
        }
        observations
    }
}

/// Held where the route worked, or is declared not to.
fn judged(attack: &Attack, seen: Observation) -> Observation {
    let Some(route) = attack.trespasses.first().map(|attack_path| attack_path.route) else { return seen };
    let worked = seen.routes.contains_key(&(route.to_string(), RouteEnd::Worked));
    let outcome = match (worked, route.unarmed()) {
        (true, None) | (false, Some(_)) => Outcome::Held,
        (true, Some(why)) => {
            verdict::unknown(Cause::ControlFailed, format!("{route}: it worked, and is declared not to: {why}"))
        }
        (false, None) => {
            let why = match seen.outcome {
                Outcome::Unknown(unknown) => unknown.reason,
                Outcome::Held | Outcome::Violated(_) => format!("{:?}", seen.routes),
            };
            verdict::unknown(Cause::ControlFailed, format!("{route}: it was not seen to work: {why}"))
        }
    };
    let mut observation = Observation { outcome, ..seen };
    observation.count(if worked {
        "route that works where nothing is guarded"
    } else {
        "route that is declared not to"
    });
    observation
}
