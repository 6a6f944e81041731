//! Facts that are known of the cluster, event by event. Pure: whoever calls brings the objects and the time.

use std::collections::HashMap;
use std::num::NonZero;

use credence_core::formats::{ARGO_CD_LABEL, DOCKER_CONFIG, KARGO_LABEL};
use credence_core::labels::Labels;
use credence_model::config::SourceRef;
use credence_model::model::{Model, expected_in};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::managed_fields::{self, ManagedFields};
use super::secret::Secret;
use super::status::{ExternalSecretStatus, StoreState, StoreStatus, WatchedKind};
use super::table::Table;

/// The labels by which consumers find a credential, whatever its name.
const CONSUMER_LABELS: [&str; 2] = [ARGO_CD_LABEL, KARGO_LABEL];

/// Something that an event showed and that is not part of the state after it. Credentials are numbered as the distributions
/// of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StateEvent {
    /// An update of a source arrived at a copy.
    Arrived {
        /// The number of the credential.
        credential: usize,
        /// The time since the source was written.
        seconds: f64,
    },
    /// Somebody else than the operator wrote a copy, or a Secret that passes for one.
    ForeignWrite {
        /// The number of the credential.
        credential: usize,
    },
}

#[derive(Debug)]
pub(super) struct Namespace {
    /// The credentials that its labels ask for.
    pub(super) asks_for: Vec<usize>,
    pub(super) is_terminating: bool,
}

#[derive(Debug)]
pub(super) struct Source {
    /// Time of its last write, in the API server's whole seconds.
    pub(super) written: Timestamp,
    /// The same as this process saw it, where it saw it.
    pub(super) seen: Timestamp,
    version: Option<String>,
}

#[derive(Debug)]
pub(super) struct ExternalSecret {
    /// The credential that it distributes; `None` for one that only has the name.
    pub(super) credential: Option<usize>,
    pub(super) is_failed: bool,
    /// Beginning of the operator's last refresh that succeeded, in whole seconds.
    pub(super) refreshed: Option<Timestamp>,
    pub(super) created: Option<Timestamp>,
}

/// Facts that are known of the cluster.
#[derive(Debug)]
pub struct State {
    pub(super) model: Model,
    pub(super) workers: NonZero<u32>,
    by_secret: HashMap<String, Vec<usize>>,
    by_distributor: HashMap<String, usize>,
    pub(super) namespaces: Table<Namespace>,
    pub(super) secrets: Table<Secret>,
    /// Pull secrets that no ExternalSecret controls.
    pub(super) pull_secrets: Table<()>,
    pub(super) sources: Table<Source>,
    pub(super) external_secrets: Table<ExternalSecret>,
    pub(super) stores: Table<StoreState>,
    /// True if the Secrets of the beginning are known, so that one not among them is new.
    knows_secrets: bool,
}

impl State {
    /// Knows nothing yet. `workers` are the reconciles that the operator runs at the same time (`--concurrent`).
    pub fn new(model: Model, workers: NonZero<u32>) -> Self {
        let mut by_secret: HashMap<String, Vec<usize>> = HashMap::new();
        for (credential, distribution) in model.distributions.iter().enumerate() {
            by_secret.entry(distribution.secret.clone()).or_default().push(credential);
        }
        let by_distributor =
            model.distributions.iter().enumerate().map(|(index, distribution)| (distribution.name.clone(), index));
        Self {
            by_distributor: by_distributor.collect(),
            by_secret,
            model,
            workers,
            namespaces: Table::default(),
            secrets: Table::default(),
            pull_secrets: Table::default(),
            sources: Table::default(),
            external_secrets: Table::default(),
            stores: Table::default(),
            knows_secrets: false,
        }
    }

    /// The kinds that have to be watched for this configuration.
    pub fn kinds(&self) -> Vec<WatchedKind> {
        let pull = self.pull_secret_credential().is_some();
        let others = [WatchedKind::Secrets, WatchedKind::Namespaces, WatchedKind::ExternalSecrets, WatchedKind::Stores];
        others.into_iter().chain(pull.then_some(WatchedKind::PullSecrets)).collect()
    }

    /// A list of this kind begins.
    pub fn begin(&mut self, kind: WatchedKind) {
        match kind {
            WatchedKind::Secrets => {
                self.secrets.begin();
                self.sources.begin();
            }
            WatchedKind::PullSecrets => self.pull_secrets.begin(),
            WatchedKind::Namespaces => self.namespaces.begin(),
            WatchedKind::ExternalSecrets => self.external_secrets.begin(),
            WatchedKind::Stores => self.stores.begin(),
        }
    }

    /// A list of this kind is complete.
    pub fn finish(&mut self, kind: WatchedKind) {
        match kind {
            WatchedKind::Secrets => {
                self.secrets.finish();
                self.sources.finish();
                self.knows_secrets = true;
            }
            WatchedKind::PullSecrets => self.pull_secrets.finish(),
            WatchedKind::Namespaces => self.namespaces.finish(),
            WatchedKind::ExternalSecrets => self.external_secrets.finish(),
            WatchedKind::Stores => self.stores.finish(),
        }
    }

    /// A namespace is there, or is gone.
    pub fn namespace(&mut self, meta: &ObjectMeta, exists: bool) {
        let name = meta.name.as_deref().unwrap_or_default();
        if !exists {
            return self.namespaces.remove("", name);
        }
        let labels: Labels = meta.labels.clone().unwrap_or_default();
        let asks_for = expected_in(&self.model, name, &labels);
        let asks_for =
            asks_for.values().filter_map(|distribution| self.by_distributor.get(&distribution.name).copied()).collect();
        let is_terminating = meta.deletion_timestamp.is_some();
        self.namespaces.put("", name, Namespace { asks_for, is_terminating });
    }

    /// An ExternalSecret is there, or is gone.
    pub fn external_secret(&mut self, meta: &ObjectMeta, status: &ExternalSecretStatus, exists: bool) {
        let (namespace, name) = place(meta);
        // One that nothing distributes is a credential of its own.
        let own = || self.by_distributor.get(&format!("{namespace}/{name}")).copied();
        let credential = match managed_fields::distributor(meta) {
            Some(distributor) => self.by_distributor.get(distributor).copied(),
            None => own(),
        };
        let has_name = || self.model.distributions.iter().any(|distribution| distribution.external_secret == name);
        if !exists || (credential.is_none() && !has_name()) {
            return self.external_secrets.remove(namespace, name);
        }
        let seen = ExternalSecret {
            credential,
            is_failed: status.is_failed(),
            refreshed: status.refresh_time.as_ref().and_then(managed_fields::timestamp),
            created: meta.creation_timestamp.as_ref().and_then(managed_fields::timestamp),
        };
        self.external_secrets.put(namespace, name, seen);
    }

    /// A ClusterSecretStore is there, or is gone.
    pub fn store(&mut self, meta: &ObjectMeta, status: &StoreStatus, exists: bool) {
        let name = meta.name.as_deref().unwrap_or_default();
        if exists {
            self.stores.put("", name, StoreState::of(status));
        } else {
            self.stores.remove("", name);
        }
    }

    /// A Secret of the type of pull secrets is there, or is gone.
    pub fn pull_secret(&mut self, meta: &ObjectMeta, exists: bool) {
        let (namespace, name) = place(meta);
        if exists && !ManagedFields::of(meta).is_of_external_secret() && !self.is_source(namespace, name) {
            self.pull_secrets.put(namespace, name, ());
        } else {
            self.pull_secrets.remove(namespace, name);
        }
    }

    /// A Secret is there, or is gone; gives what that showed.
    pub fn secret(&mut self, meta: &ObjectMeta, exists: bool, now: Timestamp) -> Vec<StateEvent> {
        let (namespace, name) = place(meta);
        if self.is_source(namespace, name) {
            self.source(meta, exists, now);
            return Vec::new();
        }
        let labels = meta.labels.clone().unwrap_or_default();
        let carries = |pair: (&String, &String)| labels.get(pair.0) == Some(pair.1);
        let distributions = || self.model.distributions.iter().enumerate();
        let like = distributions()
            .filter(|(_, distribution)| !distribution.labels.is_empty() && distribution.labels.iter().all(carries));
        let like: Vec<usize> = like.map(|(credential, _)| credential).collect();
        let found_as = distributions().find(|(_, distribution)| {
            distribution.labels.iter().any(|pair| CONSUMER_LABELS.contains(&pair.0.as_str()) && carries(pair))
        });
        let found_as = found_as.map(|(credential, _)| credential);
        let managed_fields = ManagedFields::of(meta);
        // Beside copies, only what no ExternalSecret made can pass for one.
        let passes = !managed_fields.is_of_external_secret() && (!like.is_empty() || found_as.is_some());
        if !exists || !(self.by_secret.contains_key(name) || passes) {
            self.secrets.remove(namespace, name);
            return Vec::new();
        }
        let before = self.secrets.get(namespace, name);
        let hash_changed = before.is_some_and(|before| before.managed_fields.hash != managed_fields.hash);
        let since = match before {
            Some(before) if !hash_changed => before.since,
            Some(_) => now,
            None => managed_fields.operator_wrote.unwrap_or(now),
        };
        let secret = Secret { managed_fields, like, found_as, since };
        let mut happenings = Vec::new();
        if let Some(credential) = self.credential_of(namespace, name, &secret) {
            let distribution = &self.model.distributions[credential];
            let interference = secret.interference(credential, distribution);
            let before_that = before.map_or(0, |before| before.interference(credential, distribution));
            let is_event = before.is_some() || self.knows_secrets;
            if is_event && interference != 0 && interference != before_that {
                happenings.push(StateEvent::ForeignWrite { credential });
            }
            // Of several writes, the latest is the one that can have arrived.
            let sources = distribution.sources().into_iter();
            let sources = sources.filter_map(|source| self.sources.get(&source.namespace, &source.name));
            if let (Some(before), Some(seen)) = (before, sources.map(|source| source.seen).max())
                && hash_changed
                && before.managed_fields.hash.is_some()
                && before.since < seen
            {
                let seconds = now.duration_since(seen).as_secs_f64().max(0.0);
                happenings.push(StateEvent::Arrived { credential, seconds });
            }
        }
        self.secrets.put(namespace, name, secret);
        happenings
    }

    /// The credential that a Secret is a copy of or passes for: that of its maker, else one that its namespace asks for.
    pub(super) fn credential_of(&self, namespace: &str, name: &str, secret: &Secret) -> Option<usize> {
        let Some(named) = self.by_secret.get(name) else { return secret.like.first().copied().or(secret.found_as) };
        let own = named.iter().find(|credential| secret.is_copy_of(&self.model.distributions[**credential]));
        let namespace = self.namespaces.get("", namespace);
        let asked = || named.iter().find(|credential| namespace.is_some_and(|ns| ns.asks_for.contains(credential)));
        own.or_else(asked).or(named.first()).copied()
    }

    /// The credential that a pull secret passes for.
    pub(super) fn pull_secret_credential(&self) -> Option<usize> {
        self.model.distributions.iter().position(|distribution| distribution.secret_type == DOCKER_CONFIG)
    }

    /// True if Secrets of this name are copies.
    pub(super) fn is_name_of_copies(&self, name: &str) -> bool {
        self.by_secret.contains_key(name)
    }

    fn is_source(&self, namespace: &str, name: &str) -> bool {
        self.model.sources.contains_key(&SourceRef::secret(namespace, name))
    }

    fn source(&mut self, meta: &ObjectMeta, exists: bool, now: Timestamp) {
        let (namespace, name) = place(meta);
        if !exists {
            return self.sources.remove(namespace, name);
        }
        let version = meta.resource_version.clone();
        let before = self.sources.get(namespace, name);
        // Without managed fields nothing tells a write of data from any other.
        let tells = meta.managed_fields.as_ref().is_some_and(|entries| !entries.is_empty());
        let written = match before {
            Some(before) if !tells && before.version != version => now,
            Some(before) if !tells => before.written,
            _ => managed_fields::data_written(meta).unwrap_or(now),
        };
        let seen = match before {
            Some(before) if before.written == written => before.seen,
            None if !self.knows_secrets => written,
            _ => now,
        };
        self.sources.put(namespace, name, Source { written, seen, version });
    }
}

fn place(meta: &ObjectMeta) -> (&str, &str) {
    (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}
