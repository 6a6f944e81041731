//! Faults between a source and its copies, and how one tells that they are there. Pure.

use std::fmt;
use std::time::Duration;

use credence_cluster::cluster::Replacement;
use credence_cluster::faults::proxy::Mode;
use credence_model::config::{ClusterSecretStore, VaultAuth};
use credence_model::model::{Distribution, Disturbance, Model};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

use super::loss::{can_go, keys_to_lose};
use crate::generate::{Pick, pick};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server between External Secrets Operator and the source fails in this way.
    Connection(Mode),
    SourceDeleted,
    /// One key of the source is deleted.
    KeyDeleted(Pick),
    /// The source loses the labels by which it is found.
    SourceUntagged,
    /// The ServiceAccount of the store loses its rights.
    RightsRevoked,
    /// The same for so long that the store itself says that it is not ready, and on from there.
    StoreNotReady,
    VaultSealed,
    /// The credential with which the stores log in at Vault expires, and is replaced.
    VaultLoginEnded,
    /// External Secrets Operator is killed and stays away.
    OperatorKilled,
    /// External Secrets Operator stands still.
    OperatorPaused,
    /// External Secrets Operator is killed and started at once.
    OperatorRestarted,
    /// Another process of External Secrets Operator takes over from the one that runs.
    OperatorReplaced(Replacement),
    /// The API server is killed and started again.
    ApiServerRestarted,
    /// etcd takes nothing any more.
    EtcdFull,
    /// etcd, API server, controllers and External Secrets Operator are killed at once and started again.
    ControlPlaneLost,
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
    StoreNotReady,
    Expired,
    Hang,
    Slow,
    VaultSealed,
    VaultLoginEnded,
    OperatorKilled,
    OperatorPaused,
    OperatorRestarted,
    OperatorRolled,
    LeaderKilled,
    ApiServerRestarted,
    EtcdFull,
    ControlPlaneLost,
}

/// Bytes that no handshake can do with.
const LESS_THAN_A_HANDSHAKE: usize = 100;

/// Sign by which it shows that a fault has met a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// The ExternalSecret says that it failed.
    Failure,
    /// The ExternalSecret says that it failed, and its store that it is not ready.
    NotReady,
    /// The ExternalSecret says that it failed, or that it took over what it was told.
    Notice,
    /// External Secrets Operator came to the source while the fault was on.
    Contact,
    /// The fault is one of a program of ours, which is seen to stand still or to be gone.
    Own,
}

impl FaultKind {
    /// Faults that concern one scope alone.
    pub(super) const LOCAL: [Self; 12] = [
        Self::StoreNotReady,
        Self::VaultLoginEnded,
        Self::SourceDeleted,
        Self::InternalError,
        Self::KeyDeleted,
        Self::SourceUntagged,
        Self::Refuse,
        Self::EmptyAnswer,
        Self::RightsRevoked,
        Self::Expired,
        Self::Forbidden,
        Self::TooManyRequests,
    ];
    /// Faults that concern everything. A source that does not answer is among them, because External Secrets Operator waits for
    /// it with all its workers, and so for no other source any more; Vault, which all of its stores read from; for a connection that is cut as well, which its
    /// client tries ten times with a second between (k8s.io/client-go rest/request.go, `Request.request`).
    pub(super) const GLOBAL: [Self; 13] = [
        Self::OperatorKilled,
        Self::VaultSealed,
        Self::Hang,
        Self::LeaderKilled,
        Self::Reset,
        Self::OperatorPaused,
        Self::ApiServerRestarted,
        Self::OperatorRolled,
        Self::Slow,
        Self::EtcdFull,
        Self::Truncate,
        Self::OperatorRestarted,
        Self::ControlPlaneLost,
    ];

    /// Why this cannot be made where this is tested, if so.
    pub(super) fn unsupported(self, model: &Model) -> Option<&str> {
        let disturbance = match self {
            Self::OperatorKilled | Self::OperatorPaused | Self::OperatorRestarted | Self::ApiServerRestarted => None,
            // Such answers need a certificate of the cluster's authority.
            Self::TooManyRequests | Self::InternalError | Self::Forbidden | Self::EmptyAnswer | Self::Expired => None,
            Self::OperatorRolled => Some(Disturbance::Replicas),
            Self::LeaderKilled => Some(Disturbance::LeaderElection),
            Self::EtcdFull | Self::ControlPlaneLost => Some(Disturbance::ControlPlane),
            Self::Refuse
            | Self::Reset
            | Self::Truncate
            | Self::SourceDeleted
            | Self::KeyDeleted
            | Self::SourceUntagged
            | Self::RightsRevoked
            | Self::StoreNotReady
            | Self::Hang
            | Self::VaultSealed
            | Self::VaultLoginEnded
            | Self::Slow => return None,
        };
        let why = disturbance.map_or(model.outages_unsupported.as_ref(), |one| model.undisturbed.get(&one));
        why.map(String::as_str)
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
            Self::RightsRevoked | Self::StoreNotReady => distribution.stores.iter().any(|store| {
                store.kubernetes.as_ref().is_some_and(|provider| {
                    provider.service_account().is_some_and(|account| account.namespace.is_some())
                })
            }),
            // The answer that has nothing in it is one of an API server.
            Self::EmptyAnswer => distribution.stores.iter().all(|store| store.kubernetes.is_some()),
            Self::VaultSealed => {
                let mut stores = distribution.stores.iter();
                !distribution.stores.is_empty() && stores.all(ClusterSecretStore::is_served_by_vault)
            }
            Self::VaultLoginEnded => {
                let logs_in_by_secret = |store: &ClusterSecretStore| {
                    let auth = store.vault_auth();
                    let is_by_secret = matches!(auth, Ok(VaultAuth::AppRole { .. } | VaultAuth::Token(_)));
                    store.is_served_by_vault() && is_by_secret
                };
                distribution.stores.iter().any(logs_in_by_secret)
            }
            _ => true,
        }
    }

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
            Self::StoreNotReady => Just(Fault::StoreNotReady).boxed(),
            Self::Expired => connection(Mode::Expired),
            Self::VaultSealed => Just(Fault::VaultSealed).boxed(),
            Self::VaultLoginEnded => Just(Fault::VaultLoginEnded).boxed(),
            Self::OperatorKilled => Just(Fault::OperatorKilled).boxed(),
            Self::OperatorPaused => Just(Fault::OperatorPaused).boxed(),
            Self::OperatorRestarted => Just(Fault::OperatorRestarted).boxed(),
            Self::OperatorRolled => Just(Fault::OperatorReplaced(Replacement::Rolled)).boxed(),
            Self::LeaderKilled => Just(Fault::OperatorReplaced(Replacement::Elected)).boxed(),
            Self::ApiServerRestarted => Just(Fault::ApiServerRestarted).boxed(),
            Self::EtcdFull => Just(Fault::EtcdFull).boxed(),
            Self::ControlPlaneLost => Just(Fault::ControlPlaneLost).boxed(),
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
            Self::Connection(_) | Self::RightsRevoked | Self::VaultLoginEnded => Sign::Failure,
            Self::StoreNotReady | Self::VaultSealed => Sign::NotReady,
            Self::OperatorKilled
            | Self::OperatorPaused
            | Self::OperatorRestarted
            | Self::OperatorReplaced(_)
            | Self::ApiServerRestarted
            | Self::EtcdFull
            | Self::ControlPlaneLost => Sign::Own,
        }
    }

    /// True if new values may arrive while the fault is on: it delays them, meets only some of them, or is over at once.
    pub(super) fn lets_updates_through(self) -> bool {
        match self {
            Self::Connection(Mode::Slow(_)) | Self::OperatorReplaced(_) => true,
            Self::Connection(Mode::Truncate(length)) => length > LESS_THAN_A_HANDSHAKE,
            _ => self.comes_after_changes(),
        }
    }

    /// True if all changes are made before it: nothing can be written while it is on, or it is over at once.
    pub(super) fn comes_after_changes(self) -> bool {
        matches!(self, Self::OperatorRestarted | Self::ApiServerRestarted | Self::EtcdFull | Self::ControlPlaneLost)
    }

    /// True if it goes on for another refresh after it has shown: the operator meets what it did not have to do with before.
    pub(super) fn outlasts_its_sign(self) -> bool {
        matches!(self, Self::StoreNotReady | Self::EtcdFull)
    }

    /// True if all watches, those of the operator and our own, have to come back after it: what came and went meanwhile is in no
    /// recording, but for copies that were deleted, which come back with another uid.
    pub(super) fn interrupts_watches(self) -> bool {
        matches!(self, Self::ApiServerRestarted | Self::ControlPlaneLost)
    }

    /// True if the new values are written when the source is put back, and not before: nothing can be written meanwhile.
    pub(super) fn takes_the_source(self) -> bool {
        matches!(self, Self::SourceDeleted | Self::KeyDeleted(_) | Self::SourceUntagged | Self::VaultSealed)
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
            Self::Connection(Mode::Expired) => f.write_str("certificate of the source's server expired"),
            Self::RightsRevoked => f.write_str("rights of the store revoked"),
            Self::StoreNotReady => f.write_str("rights of the store revoked until it is not ready"),
            Self::VaultSealed => f.write_str("vault-sealed"),
            Self::VaultLoginEnded => f.write_str("vault-login-ended"),
            Self::OperatorKilled => f.write_str("External Secrets Operator killed"),
            Self::OperatorPaused => f.write_str("External Secrets Operator stopped"),
            Self::OperatorRestarted => f.write_str("External Secrets Operator restarted"),
            Self::OperatorReplaced(Replacement::Rolled) => f.write_str("External Secrets Operator updated"),
            Self::OperatorReplaced(Replacement::Elected) => f.write_str("leader of External Secrets Operator killed"),
            Self::ApiServerRestarted => f.write_str("API server restarted"),
            Self::EtcdFull => f.write_str("etcd full"),
            Self::ControlPlaneLost => f.write_str("control plane lost"),
        }
    }
}
