//! What can fail between a source and its copies, and how one tells that it did. Pure.

use std::fmt;
use std::time::Duration;

use credence_cluster::faults::proxy::Mode;
use credence_model::config::{OPAQUE, SourceRef, is_found};
use credence_model::model::{Distribution, Model, Source};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

use super::scope::Scope;
use crate::generate::{Pick, pick};

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What stands between External Secrets Operator and the source fails in this way.
    Connection(Mode),
    /// The source is deleted.
    SourceDeleted,
    /// One key of the source is deleted.
    KeyDeleted(Pick),
    /// The source loses the labels by which it is found.
    SourceUntagged,
    /// The ServiceAccount of the store loses its rights.
    RightsRevoked,
    /// External Secrets Operator is killed and stays away.
    OperatorKilled,
    /// External Secrets Operator stands still.
    OperatorPaused,
    /// External Secrets Operator is killed and started at once.
    OperatorRestarted,
    /// The API server is killed and started again.
    ApiServerRestarted,
}

/// A kind of fault, without what is drawn for each one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    Refuse,
    Reset,
    Truncate,
    TooManyRequests,
    InternalError,
    Forbidden,
    EmptyAnswer,
    SourceDeleted,
    KeyDeleted,
    SourceUntagged,
    RightsRevoked,
    Hang,
    Slow,
    OperatorKilled,
    OperatorPaused,
    OperatorRestarted,
    ApiServerRestarted,
}

/// Bytes that no handshake can do with.
const LESS_THAN_A_HANDSHAKE: usize = 100;

/// Sign by which it shows that a fault has met a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// The ExternalSecret says that it failed.
    Failure,
    /// The ExternalSecret says that it failed, or that it took over what it was told.
    Notice,
    /// External Secrets Operator came to the source while the fault was on.
    Contact,
    /// The fault is one of a program of ours, which is seen to stand still or to be gone.
    Own,
}

impl FaultKind {
    /// What concerns one scope alone.
    pub(super) const LOCAL: [Self; 9] = [
        Self::SourceDeleted,
        Self::InternalError,
        Self::KeyDeleted,
        Self::SourceUntagged,
        Self::Refuse,
        Self::EmptyAnswer,
        Self::RightsRevoked,
        Self::Forbidden,
        Self::TooManyRequests,
    ];
    /// What concerns everything. A source that does not answer is among them, because External Secrets Operator waits for
    /// it with all its workers, and so for no other source any more; for a connection that is cut as well, which its
    /// client tries ten times with a second between (k8s.io/client-go rest/request.go, `Request.request`).
    pub(super) const GLOBAL: [Self; 8] = [
        Self::OperatorKilled,
        Self::Hang,
        Self::Reset,
        Self::OperatorPaused,
        Self::ApiServerRestarted,
        Self::Slow,
        Self::Truncate,
        Self::OperatorRestarted,
    ];

    /// Why this cannot be made where this is tested, if so.
    pub(super) fn unsupported(self, model: &Model) -> Option<&str> {
        let stops_a_program = matches!(
            self,
            Self::OperatorKilled | Self::OperatorPaused | Self::OperatorRestarted | Self::ApiServerRestarted
        );
        // Such answers need a certificate of the cluster's authority.
        let answers = matches!(self, Self::TooManyRequests | Self::InternalError | Self::Forbidden | Self::EmptyAnswer);
        model.outages_unsupported.as_deref().filter(|_| stops_a_program || answers)
    }

    /// True if the copies of a distribution must feel it.
    pub(super) fn concerns(self, model: &Model, distribution: &Distribution) -> bool {
        match self {
            Self::SourceDeleted => distribution.sources().into_iter().any(|source| can_go(model, source)),
            Self::KeyDeleted => {
                distribution.sources().into_iter().any(|source| !keys_to_lose(model, source).is_empty())
            }
            Self::SourceUntagged => distribution.sources().into_iter().any(|source| {
                // A source that the distribution also reads by its name is not lost to it.
                let tagged = model.sources.get(source).is_some_and(|source| !source.tags.is_empty());
                let named = |field: &credence_model::model::Field| field.source == *source && field.property.is_some();
                tagged && !distribution.fields.iter().any(named) && can_go(model, source)
            }),
            Self::RightsRevoked => distribution.stores.iter().any(|store| {
                store.kubernetes.as_ref().is_some_and(|provider| {
                    provider.service_account().is_some_and(|account| account.namespace.is_some())
                })
            }),
            // The answer that has nothing in it is one of an API server.
            Self::EmptyAnswer => distribution.stores.iter().all(|store| store.kubernetes.is_some()),
            _ => true,
        }
    }

    /// Faults of this kind.
    pub(super) fn strategy(self) -> BoxedStrategy<Fault> {
        let connection = |mode: Mode| Just(Fault::Connection(mode)).boxed();
        match self {
            Self::Refuse => connection(Mode::Refuse),
            Self::Hang => connection(Mode::Hang),
            Self::Reset => connection(Mode::Reset),
            Self::Slow => (1..=20u64)
                .prop_map(|milliseconds| Fault::Connection(Mode::Slow(Duration::from_millis(milliseconds))))
                .boxed(),
            // Nothing is said, or the handshake is cut, or the answer behind it.
            Self::Truncate => select(vec![0, LESS_THAN_A_HANDSHAKE, 1000, 2500, 4000])
                .prop_map(|length| Fault::Connection(Mode::Truncate(length)))
                .boxed(),
            Self::TooManyRequests => connection(Mode::Status(429)),
            Self::InternalError => connection(Mode::Status(500)),
            Self::Forbidden => connection(Mode::Status(403)),
            Self::EmptyAnswer => connection(Mode::Empty),
            Self::SourceDeleted => Just(Fault::SourceDeleted).boxed(),
            Self::KeyDeleted => pick().prop_map(Fault::KeyDeleted).boxed(),
            Self::SourceUntagged => Just(Fault::SourceUntagged).boxed(),
            Self::RightsRevoked => Just(Fault::RightsRevoked).boxed(),
            Self::OperatorKilled => Just(Fault::OperatorKilled).boxed(),
            Self::OperatorPaused => Just(Fault::OperatorPaused).boxed(),
            Self::OperatorRestarted => Just(Fault::OperatorRestarted).boxed(),
            Self::ApiServerRestarted => Just(Fault::ApiServerRestarted).boxed(),
        }
    }
}

impl Fault {
    pub(super) fn sign(self) -> Sign {
        match self {
            Self::Connection(Mode::Hang | Mode::Reset | Mode::Truncate(_) | Mode::Slow(_) | Mode::Open) => {
                Sign::Contact
            }
            Self::Connection(Mode::Empty) | Self::SourceUntagged | Self::SourceDeleted | Self::KeyDeleted(_) => {
                Sign::Notice
            }
            Self::Connection(_) | Self::RightsRevoked => Sign::Failure,
            Self::OperatorKilled | Self::OperatorPaused | Self::OperatorRestarted | Self::ApiServerRestarted => {
                Sign::Own
            }
        }
    }

    /// True if new values may arrive while the fault is on: it delays them, meets only some of them, or is over at once.
    pub(super) fn lets_updates_through(self) -> bool {
        match self {
            Self::Connection(Mode::Slow(_)) | Self::OperatorRestarted | Self::ApiServerRestarted => true,
            Self::Connection(Mode::Truncate(length)) => length > LESS_THAN_A_HANDSHAKE,
            _ => false,
        }
    }

    /// True if the new values are written when the source is put back, and not before.
    pub(super) fn takes_the_source(self) -> bool {
        matches!(self, Self::SourceDeleted | Self::KeyDeleted(_) | Self::SourceUntagged)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(Mode::Open) => f.write_str("no fault"),
            Self::Connection(Mode::Refuse) => f.write_str("connections to the source refused"),
            Self::Connection(Mode::Hang) => f.write_str("connections to the source left without an answer"),
            Self::Connection(Mode::Reset) => f.write_str("connections to the source reset"),
            Self::Connection(Mode::Slow(_)) => f.write_str("source slow"),
            Self::Connection(Mode::Truncate(_)) => f.write_str("answers of the source cut off"),
            Self::Connection(Mode::Status(code)) => write!(f, "source answers {code}"),
            Self::Connection(Mode::Empty) => f.write_str("source answers with nothing in it"),
            Self::SourceDeleted => f.write_str("source deleted"),
            Self::KeyDeleted(_) => f.write_str("key of the source deleted"),
            Self::SourceUntagged => f.write_str("labels of the source removed"),
            Self::RightsRevoked => f.write_str("rights of the store revoked"),
            Self::OperatorKilled => f.write_str("External Secrets Operator killed"),
            Self::OperatorPaused => f.write_str("External Secrets Operator stopped"),
            Self::OperatorRestarted => f.write_str("External Secrets Operator restarted"),
            Self::ApiServerRestarted => f.write_str("API server restarted"),
        }
    }
}

/// True if a source can be taken away from all of its copies without giving any of them other values. What a search finds less
/// of, among other things, is another answer to the same question, and no outage; a search that finds nothing at all is one.
pub(super) fn can_go(model: &Model, source: &SourceRef) -> bool {
    readers_of(model, source).all(|distribution| !searches(distribution, source) || distribution.sources().len() == 1)
}

fn readers_of<'a>(model: &'a Model, source: &'a SourceRef) -> impl Iterator<Item = &'a Distribution> {
    model.distributions.iter().filter(move |distribution| distribution.sources().contains(source))
}

/// True if a distribution reads a source because a search finds it, and not by its name.
fn searches(distribution: &Distribution, source: &SourceRef) -> bool {
    is_found(source) || !distribution.keys_named().contains(&source.name.as_str())
}

/// The keys of a source that can be deleted, and that every distribution of it reads. Kubernetes insists on those of most
/// types (`ValidateSecret`, pkg/apis/core/validation).
pub(super) fn keys_to_lose<'a>(model: &'a Model, source: &SourceRef) -> Vec<&'a String> {
    // A search gives a source as a whole, so that without a key it gives something else.
    let is_lost =
        |about: &&Source| about.secret_type == OPAQUE && !readers_of(model, source).any(|by| searches(by, source));
    let Some(known) = model.sources.get(source).filter(is_lost) else {
        return Vec::new();
    };
    let reads = |distribution: &Distribution, key: &String| {
        let mut fields = distribution.fields.iter().filter(|field| field.source == *source);
        fields.any(|field| field.property.as_ref().is_none_or(|property| property == key))
    };
    let readers: Vec<&Distribution> = readers_of(model, source).collect();
    known.keys.iter().filter(|key| readers.iter().all(|distribution| reads(distribution, key))).collect()
}

/// Faults of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) scope: Scope,
    /// True if it is the only slot that runs.
    pub(super) alone: bool,
    pub(super) kinds: Vec<FaultKind>,
    /// The distributions whose copies feel all of them, by name.
    pub(super) distributions: Vec<String>,
}

/// Outages of a slot, one after the other, and of one in which everything fails.
const OUTAGES: (usize, usize) = (2, 3);
/// Every so many slots, one has everything fail.
const PERIOD: usize = 4;
/// Which of them.
const GLOBAL_TURN: usize = 1;

impl Plan {
    /// The plan of slot number `slot`: the scopes take turns, and so do the kinds of fault.
    pub(super) fn of(model: &Model, slot: u32) -> Option<Self> {
        let slot = usize::try_from(slot).ok()?;
        let round = slot / PERIOD;
        let global = usable(&FaultKind::GLOBAL, model, &Scope::whole(model));
        if slot % PERIOD == GLOBAL_TURN && !global.is_empty() {
            return Self::drawn(model, Scope::whole(model), true, &global, round, OUTAGES.1);
        }
        let scopes = Scope::all(model);
        // Slots before this one that had everything fail.
        let others = if global.is_empty() { 0 } else { (slot + PERIOD - 1 - GLOBAL_TURN) / PERIOD };
        let turn = slot - others;
        let scope = scopes.get(turn.checked_rem(scopes.len())?)?.clone();
        let local = usable(&FaultKind::LOCAL, model, &Scope::whole(model));
        Self::drawn(model, scope, false, &local, turn, OUTAGES.0)
    }

    fn drawn(
        model: &Model,
        scope: Scope,
        alone: bool,
        kinds: &[FaultKind],
        turn: usize,
        outages: usize,
    ) -> Option<Self> {
        let mut distributions = scope.distributions(model);
        let mut chosen = Vec::new();
        for kind in kinds.iter().cycle().skip(turn * outages).take(kinds.len()) {
            let concerned: Vec<&Distribution> =
                distributions.iter().copied().filter(|distribution| kind.concerns(model, distribution)).collect();
            if !concerned.is_empty() && chosen.len() < outages {
                distributions = concerned;
                chosen.push(*kind);
            }
        }
        let distributions: Vec<String> =
            distributions.into_iter().map(|distribution| distribution.name.clone()).collect();
        (!chosen.is_empty()).then_some(Self { scope, alone, kinds: chosen, distributions })
    }
}

/// The kinds that can be made here, and that some distribution feels.
fn usable(kinds: &[FaultKind], model: &Model, scope: &Scope) -> Vec<FaultKind> {
    let felt = |kind: &FaultKind| {
        scope.distributions(model).into_iter().any(|distribution| kind.concerns(model, distribution))
    };
    kinds.iter().copied().filter(|kind| kind.unsupported(model).is_none() && felt(kind)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use credence_model::config::Config;

    use super::super::tests::reference;
    use super::*;

    fn met(model: &Model, slots: u32) -> Vec<FaultKind> {
        (0..slots).filter_map(|slot| Plan::of(model, slot)).flat_map(|plan| plan.kinds).collect()
    }

    #[test]
    fn a_hundred_cases_meet_every_fault_that_the_reference_configuration_can_have() {
        let model = reference();
        let met = met(&model, 10);
        let all = FaultKind::LOCAL.iter().chain(&FaultKind::GLOBAL).filter(|kind| **kind != FaultKind::SourceUntagged);
        for kind in all {
            assert!(met.contains(kind), "{kind:?} is not among {met:?}");
        }
        assert!(!met.contains(&FaultKind::SourceUntagged), "nothing is found by labels");
    }

    #[test]
    fn a_cluster_of_others_meets_no_fault_that_needs_its_programs() {
        let mut model = reference();
        model.outages_unsupported = Some("not ours".into());
        let met = met(&model, 10);
        assert!(met.iter().all(|kind| kind.unsupported(&model).is_none()), "{met:?}");
        assert!(met.contains(&FaultKind::Hang) && met.contains(&FaultKind::SourceDeleted));
    }

    #[test]
    fn only_keys_that_kubernetes_does_not_insist_on_can_be_lost() {
        let model = reference();
        let keys = |name: &str| {
            let source = model.sources.keys().find(|source| source.name == name).unwrap();
            keys_to_lose(&model, source)
        };
        assert_eq!(keys("github-pat"), ["token", "username"]);
        assert!(keys("wildcard-tls").is_empty());
    }

    #[test]
    fn a_search_by_labels_can_lose_its_source() {
        let mut model = reference();
        let distribution = &mut model.distributions[0];
        distribution.fields.iter_mut().for_each(|field| field.property = None);
        let (name, source) = (distribution.name.clone(), distribution.fields[0].source.clone());
        model.sources.get_mut(&source).unwrap().tags.insert("share".into());
        let plans: Vec<Plan> = (0..10).filter_map(|slot| Plan::of(&model, slot)).collect();
        let untagged: Vec<&Plan> =
            plans.iter().filter(|plan| plan.kinds.contains(&FaultKind::SourceUntagged)).collect();
        assert!(!untagged.is_empty() && untagged.iter().all(|plan| plan.distributions == [name.clone()]), "{plans:?}");
    }

    /// Two sources, of which a copy finds the first by a search and has further entries.
    fn searched(further: &str) -> Model {
        let text = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: vault}}\nstringData: {{one: x, two: x}}\n---\n\
             apiVersion: v1\nkind: Secret\nmetadata: {{name: b, namespace: vault}}\nstringData: {{key: x}}\n---\n\
             apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: own}}\n\
             spec: {{provider: {{kubernetes: {{remoteNamespace: vault, auth: {{serviceAccount: {{name: r, namespace: vault}}}}}}}}}}\n\
             ---\napiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: parts}}\n\
             spec: {{namespaceSelectors: [{{matchLabels: {{parts: wanted}}}}], externalSecretSpec: {{\n\
             secretStoreRef: {{kind: ClusterSecretStore, name: own}},\n\
             dataFrom: [{{find: {{name: {{regexp: ^a$}}}}}}]{further}}}}}\n"
        );
        let manifests = parse_documents(Path::new("a.yaml"), &text).unwrap();
        Model::derive(&Config::from_manifests(manifests).unwrap())
    }

    #[test]
    fn what_a_search_finds_less_of_is_no_outage_and_what_it_finds_nothing_of_is_one() {
        let found = SourceRef::secret("vault", "a");
        let whole = searched("");
        assert!(can_go(&whole, &found), "{whole:?}");
        let part = searched(", data: [{secretKey: key, remoteRef: {key: b, property: key}}]");
        assert!(!can_go(&part, &found) && can_go(&part, &SourceRef::secret("vault", "b")), "{part:?}");
        assert!(keys_to_lose(&whole, &found).is_empty(), "without a key it is another value");
        assert_eq!(keys_to_lose(&part, &SourceRef::secret("vault", "b")), ["key"]);
    }
}
