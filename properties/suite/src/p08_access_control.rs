//! p08: nobody outside the authorised set obtains a value, by any route tried; denials are for the right reason.
//!
//! A case is a tenant with rights in a namespace with any labels, a neighbour that is authorised for something, and a
//! few attempts to come by what the tenant is not entitled to. A refusal counts if RBAC or a policy gave it, and if a
//! request like it went through in the same world: the tenant's own, or the very same of somebody with more rights. An
//! attempt that is let through counts by its consequence, which every route declares (`route/consequence.rs`), and a refusal of
//! the operator by its reason (`reason.rs`). Nothing that the tenant can read may hold a value that is not its own. Two layers
//! behind admission are tested by themselves: the conditions of the stores, and the rights of their ServiceAccounts. Beside
//! the cases it is reviewed who may come at the sources at all.
//!
//! ```text
//!  route ──▶ attempt: requests ──▶ trial ──▶ judge: what the operator makes of it ──▶ reach: what can be read
//!  layers: conditions, accounts      review: subjects × rights      unguarded: each route where nothing is guarded
//! ```

use std::sync::Arc;

use credence_core::id::{CaseId, PropertyId};
use credence_core::labels::Labels;
use credence_model::model::{Distribution, Model, expected_in};
use credence_report::claim::{Claim, SkippedCheck};
use credence_report::report::PropertyMeta;
use credence_report::route::DeclaredRoute;
use credence_report::verdict::CheckRecord;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

use crate::coverage::Judges;
use crate::driver::Property;
use crate::events::Events;
use crate::generate::{Recipient, any_labels, askers};
use crate::observation::Observation;
use crate::schedule::{ClusterUse, PolicyUse, Shares, SourceUse, product};
use crate::stop::Stop;
use crate::testbed::TestBed;
use crate::testbed::loopholes::{self, May};
use crate::testbed::tenant::Rights;

mod admitted;
mod attack_case;
mod attempt;
mod call;
mod cluster_rights;
mod conditions;
mod error;
mod guarded;
mod judge;
mod layers;
mod not_tried;
mod objective;
mod objects;
mod pending;
mod reach;
mod reason;
mod review;
mod route;
mod rules;
mod tracers;
mod trial;
pub mod unguarded;
mod vault;

use attack_case::AttackCase;
use cluster_rights::ClusterRights;
pub(crate) use reach::Kinds;
use route::{AttackPath, Route};

pub(crate) struct AccessControl;

/// Most attempts of one case.
const MOST: usize = 6;

/// A tenant, its neighbour, and what it tries.
#[derive(Debug, Clone)]
pub struct Attack {
    rights: Rights,
    /// Rights of the tenant in the whole cluster.
    further: ClusterRights,
    /// Labels of the tenant's namespace.
    labels: Labels,
    /// The neighbour, which is entitled to one distribution at least.
    neighbour: Recipient,
    trespasses: Vec<AttackPath>,
}

const CLAIMS: [Claim; 2] = [
    Claim::new(
        5,
        1,
        "by no route that is tried does a tenant come by a value that its namespace is not entitled to, while a \
         namespace beside it that is entitled is served",
    ),
    Claim::new(
        5,
        2,
        "neither a tenant nor the account of a store reads a source that is not its own, and each refusal is \
         matched by a request like it that is let through",
    ),
];

impl Property for AccessControl {
    type Shared = ();
    type Case = Attack;
    type Fixture = Kinds;

    const META: PropertyMeta = PropertyMeta {
        id: PropertyId::new(8),
        title: "access control",
        claim: "nobody outside the authorised set obtains a value, by any route tried; denials are for the right reason",
        claims: &CLAIMS,
    };
    const NOTHING: &'static str = "no ClusterExternalSecret selects namespaces of any name by their labels and there is no \
         ExternalSecret, or no source has keys that are known";
    const LANES: usize = 8;
    // What other properties write to sources can be short, or equal in two places, and is no proof where it is found.
    const SHARES: Shares =
        Shares { cluster: ClusterUse::Own, sources: SourceUse::AllKept, policies: PolicyUse::ReliedOn };

    fn namespaces(&self, _model: &Model) -> u32 {
        // The tenant and its neighbour.
        product(Self::LANES, 2)
    }

    fn shared(&self, model: &Model, _slot: u32) -> Option<BoxedStrategy<()>> {
        let has_values = model.sources.iter().any(|(source, about)| {
            let is_within_reach = source.is_secret() || model.is_at_vault(source);
            is_within_reach && !about.keys.is_empty()
        });
        askers(model).filter(|_| has_values).map(|_| Just(()).boxed())
    }

    fn case(&self, model: &Model, (): &()) -> BoxedStrategy<Attack> {
        let labels = prop_oneof![1 => Just(Labels::new()), 3 => any_labels(model)];
        let neighbour = askers(model).unwrap_or_else(|| Just(Recipient::Labelled(Labels::new())).boxed());
        let further = prop_oneof![4 => Just(ClusterRights::None), 1 => Just(ClusterRights::Namespaces), 1 => Just(ClusterRights::Platform)];
        (select(Rights::ALL.to_vec()), further, labels, neighbour, vec(route::attack_path(model), 1..=MOST))
            .prop_map(|(rights, further, labels, neighbour, trespasses)| Attack {
                rights,
                further,
                labels,
                neighbour,
                trespasses,
            })
            .prop_filter("tries something", {
                let model = model.clone();
                move |attack| attack.tries_something(&model)
            })
            .boxed()
    }

    fn judges(&self, _model: &Model, distribution: &Distribution) -> Judges {
        Judges::by_askers(distribution)
    }

    fn is_telling(&self, model: &Model, (): &(), case: &Attack) -> bool {
        case.tries_something(model)
            && !expected_in(model, case.neighbour.name_or("neighbour"), case.neighbour.labels()).is_empty()
    }

    fn skipped_checks(&self, env: &TestBed) -> Vec<SkippedCheck> {
        let mounted = SkippedCheck::new(
            "what the kubelet mounts into a tenant's pod",
            "a pod that runs needs an image with a shell and a node, which credence has as root only; tested is what \
             the API server admits",
        );
        let mut skipped = vec![mounted.weakens(&CLAIMS)];
        skipped.extend(vault::skipped(env));
        skipped
    }

    fn routes(&self) -> Vec<DeclaredRoute> {
        let tried = Route::all()
            .into_iter()
            .map(|route| DeclaredRoute { name: route.to_string(), remark: route.unarmed().map(str::to_owned) });
        let others = not_tried::NOT_TRIED
            .into_iter()
            .map(|(name, why)| DeclaredRoute { name: name.to_owned(), remark: Some(why.to_owned()) });
        tried.chain(others).collect()
    }

    async fn checks(&self, env: &Arc<TestBed>, kinds: &Kinds, _events: &dyn Events, _stop: &Stop) -> Vec<CheckRecord> {
        let mut records = vec![review::review(env).await];
        let server = env.cluster.description.url_inside();
        let requests = |namespace: &str| guarded::requests(&env.model, server, namespace);
        records.extend(conditions::check(env).await);
        records.extend(loopholes::check(env, Self::META.id, &guarded::rules(), May::Platform, requests).await);
        if let Some(vault) = &kinds.vault {
            records.extend(vault::checks(env, vault).await);
        }
        records
    }

    async fn run(&self, env: &Arc<TestBed>, kinds: &Kinds, (): &(), cases: &[(CaseId, Attack)]) -> Vec<Observation> {
        let mut observations = Vec::with_capacity(cases.len());
        for (id, attack) in cases {
            let attack_case = AttackCase { env, kinds, id: *id, attack };
            observations.push(attack_case::attack(attack_case).await.unwrap_or_else(Observation::from));
        }
        observations
    }
}

impl Attack {
    /// True if the configuration has anything that one of the routes could be tried on.
    fn tries_something(&self, model: &Model) -> bool {
        self.trespasses
            .iter()
            .any(|attack_path| attempt::has_subject(model, self.rights, (&self.labels, &self.neighbour), attack_path))
    }
}
