//! Demands of a configuration: which namespaces must hold which copies, of which shape, and how soon.
//!
//! Pure and infallible: derived from a [`Config`] alone, without a cluster and without a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use credence_core::consumer::{Consumer, CopyShape};
use credence_core::endpoints::Endpoints;
use credence_core::formats::Role;
use credence_core::labels::Labels;
use serde_json::Value;

use crate::config::{ClusterSecretStore, Config, CreationPolicy, DeletionPolicy, RefreshPolicy, SourceRef, spec_in};
use crate::selector::{LabelSelector, NAME_LABEL, NamespaceSelection, OPT_IN_VALUE};

mod blueprint;
mod bound;
mod denying_bindings;
mod derive;
mod expectation;
mod hints;
mod implied;
mod intended;
mod not_judged;
mod origin;
mod readers;
mod remote;
mod rendering;
#[cfg(test)]
mod shape_tests;
mod templates;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod value_kind;
#[cfg(test)]
mod value_kind_tests;
mod vault;
mod witness;
mod written;

pub use blueprint::Blueprint;
pub use bound::{Bound, COMPRESSED_SECONDS, POLICY_BOUND, PROPAGATION_SLACK, Tampering};
pub(crate) use derive::Input;
pub use expectation::{Conflict, CopyRef, Expectation, expected_in, selecting_labels};
pub use intended::{
    ADMINISTRATORS, Example, Identities, Intended, NotApplicable, NotGiven, Purpose, Slack, User, Wanted,
};
pub use not_judged::NotJudged;
pub use origin::{Made, Origin};
pub use readers::{Obstacle, Unreadable};
pub(crate) use remote::{LONGEST_KEY, is_key};
pub(crate) use templates::Templates;
pub use value_kind::{Alphabet, Contradiction, Document, Notation, Password, ValueKind};
pub use vault::{VaultPath, VaultRole, VaultSecretLogin};

/// Demands of a configuration on its copies, as they follow from its manifests, and what a run knows beside them.
#[derive(Clone, Default)]
pub struct Model {
    /// Every Secret that a distribution reads.
    pub sources: BTreeMap<SourceRef, Source>,
    /// Distributions of the ClusterExternalSecrets, by name, and then of the ExternalSecrets.
    pub distributions: Vec<Distribution>,
    /// Every store, by name, whether a distribution reads through it or not.
    pub stores: BTreeMap<String, ClusterSecretStore>,
    /// Credentials after whose pattern one more could be added.
    pub blueprints: Vec<Blueprint>,
    /// The names of the ValidatingAdmissionPolicies that the configuration brings.
    pub admission_policies: BTreeSet<String>,
    /// The bindings that the configuration brings: `NAMESPACE/NAME` of a RoleBinding, the name of a ClusterRoleBinding.
    pub bindings: BTreeSet<String>,
    /// Consumers that cannot run where this is tested, with the reason. Nothing is generated for them. Not derived from
    /// the configuration, which does not know: empty until it is filled in.
    pub absent_consumers: BTreeMap<Consumer, String>,
    /// Places at which consumers use credentials, by their own manifests. Not derived from the configuration, which does
    /// not know:
    /// empty until it is filled in.
    pub endpoints: Endpoints,
    /// Why the programs of the cluster cannot be stopped where this is tested, if they cannot. Not derived from the
    /// configuration either.
    pub outages_unsupported: Option<String>,
    /// Disturbances that cannot be made on the cluster where this is tested, with the reason. Not derived from the configuration
    /// either.
    pub undisturbed: BTreeMap<Disturbance, String>,
    /// The ValidatingAdmissionPolicyBindings that deny, of policies that judge Secrets, namespaces, ExternalSecrets or
    /// SecretStores.
    pub denying_bindings: BTreeSet<String>,
    /// The labels of namespaces that a policy lists one by one, each with the policy: another label of their kind would have to be
    /// added to it.
    pub listed_labels: BTreeMap<String, String>,
    /// The labels of each namespace that the configuration makes.
    pub namespaces: BTreeMap<String, Labels>,
    /// The namespaces that no manifest makes and that ExternalSecrets are in, with the labels that they need.
    pub assumed: BTreeMap<String, Labels>,
    /// Parts of the configuration that no property judges, with their places and the reasons.
    pub not_judged: Vec<NotJudged>,
    /// The team's word on the configuration. Not derived from it: empty until it is [given](Self::intending).
    pub intended: Intended,
}

/// The key of a value that is a whole source: of text at a provider that nobody reads by a property.
pub const WHOLE: &str = "";

/// A source that distributions read: a Secret, or a key at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its keys: those that distributions read, and those that its manifest has. Of a key at a provider, its
    /// properties, or [`WHOLE`].
    pub keys: BTreeSet<String>,
    /// Its type, `Opaque` unless its manifest has another.
    pub secret_type: String,
    /// The keys of the labels by which distributions find it.
    pub tags: BTreeSet<String>,
}

/// Copies that one ClusterExternalSecret distributes, or that one ExternalSecret makes in its namespace.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// The ClusterExternalSecret's name; of an ExternalSecret namespace and name, with a slash between them.
    pub name: String,
    /// The object as it is written.
    pub object: Value,
    /// The name of the ExternalSecret in each namespace.
    pub external_secret: String,
    /// The name of the Secret in each namespace: of each copy.
    pub secret: String,
    /// The type of each copy.
    pub secret_type: String,
    /// The labels that each copy must have, among others; those whose value is a template are left out.
    pub labels: Labels,
    /// The time between two reads of the source; zero means that there is only one.
    pub refresh_interval: Duration,
    /// Times at which it reads its sources again.
    pub refresh_policy: RefreshPolicy,
    /// Maker of each copy. For diagnosis: what a copy must be does not depend on it.
    pub creation_policy: CreationPolicy,
    /// Policy for copies when their source is gone. For diagnosis, likewise.
    pub deletion_policy: DeletionPolicy,
    /// True if copies are made immutable.
    pub immutable: bool,
    /// Namespaces that it aims at.
    pub selection: NamespaceSelection,
    /// The stores it reads through; each must admit a namespace.
    pub stores: Vec<ClusterSecretStore>,
    /// The values it reads, each under the key that templates know it by.
    pub fields: Vec<Field>,
    /// Values that generators make of it, under the keys that templates know them by, where they are known.
    pub generated: BTreeMap<String, Option<Origin>>,
    /// The keys that a rewrite gives to several values.
    pub merged: BTreeSet<String>,
    /// The keys of each copy.
    pub keys: ExpectedKeys,
    /// The keys of each copy that hold one value of a source as it is, with the key in that source.
    pub verbatim: BTreeMap<String, (SourceRef, String)>,
    /// Origins of the keys of each copy, where they follow from the sources; those that a template composes are not among them.
    pub origins: BTreeMap<String, Origin>,
    /// The keys of each copy that a template composes.
    pub composed: BTreeSet<String>,
    /// Templates of keys of each copy that ConfigMaps of the configuration have, where the copy is made.
    pub templates_elsewhere: BTreeMap<String, String>,
    /// The keys of each copy that were taken over from its sources though nothing names them.
    pub unnamed: BTreeSet<String>,
    /// The keys of the Secret that the configuration makes itself, and that the copy joins.
    pub kept: BTreeSet<String>,
    /// The parts of the credential that each copy must have as its consumer reads it, told by the names of keys.
    pub roles: BTreeMap<Role, Origin>,
}

impl Distribution {
    /// The namespace of an ExternalSecret that the configuration itself has; none if a ClusterExternalSecret makes it.
    pub fn namespace(&self) -> Option<&str> {
        self.name.split_once('/').map(|(namespace, _)| namespace)
    }

    /// The kind of the object.
    pub fn kind(&self) -> &'static str {
        if self.namespace().is_some() { "ExternalSecret" } else { "ClusterExternalSecret" }
    }

    /// Sources of all of its fields: Secrets, and keys at other providers.
    pub fn sources(&self) -> BTreeSet<&SourceRef> {
        self.fields.iter().map(|field| &field.source).collect()
    }

    /// True if one of its fields is of this source.
    pub(crate) fn reads(&self, source: &SourceRef) -> bool {
        self.fields.iter().any(|field| field.source == *source)
    }

    /// Why updates of the source never reach a copy, if the configuration itself rules them out.
    pub fn never_updates(&self) -> Option<&'static str> {
        match self.refresh_policy {
            RefreshPolicy::CreatedOnce => Some("refreshPolicy is CreatedOnce"),
            RefreshPolicy::OnChange => Some("refreshPolicy is OnChange"),
            RefreshPolicy::Periodic if self.refresh_interval.is_zero() => Some("refreshInterval is 0"),
            RefreshPolicy::Periodic => self.immutable.then_some("target.immutable is true"),
        }
    }
}

/// A value that a distribution reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The key it has in templates, and in the copy where there is no template.
    pub secret_key: String,
    /// The Secret it is read from.
    pub source: SourceRef,
    /// The name of the store it is read through.
    pub store: String,
    /// The key of the source that it is made of; none if it is made of the whole source, or of what is no value.
    pub property: Option<String>,
    /// Derivation from the values of the sources; none if only the controller knows.
    pub origin: Option<Origin>,
}

impl Distribution {
    /// Names that its entries have at their stores, each time that one does: Secrets and keys that are read by name, and
    /// not because a
    /// search finds them.
    pub fn keys_named(&self) -> Vec<&str> {
        let spec = spec_in(&self.object);
        let named = |list: &str, field: &'static str| {
            let entries = spec[list].as_array().into_iter().flatten();
            entries.filter_map(move |entry| entry[field]["key"].as_str())
        };
        named("data", "remoteRef").chain(named("dataFrom", "extract")).collect()
    }

    /// The shape of its copies.
    pub fn shape(&self) -> CopyShape<'_> {
        let keys = match &self.keys {
            ExpectedKeys::Exactly(keys) => Some(keys),
            ExpectedKeys::Unknown { .. } => None,
        };
        CopyShape { name: &self.secret, labels: &self.labels, secret_type: &self.secret_type, keys }
    }

    /// The keys of each copy that its consumer does not read, and that were taken over from its sources though nothing names them;
    /// none if no consumer is known, or what it reads.
    pub fn beyond_consumer(&self) -> Option<(Consumer, BTreeSet<&str>)> {
        let consumer = Consumer::of(&self.shape())?;
        let read = Consumer::keys_read(&self.shape())?;
        let beyond: BTreeSet<&str> =
            self.unnamed.iter().map(String::as_str).filter(|key| !read.contains(key)).collect();
        (!beyond.is_empty()).then_some((consumer, beyond))
    }
}

/// The keys of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedKeys {
    /// These, and no others.
    Exactly(BTreeSet<String>),
    /// Only the controller knows.
    Unknown {
        /// The part of the configuration that hides them.
        why: String,
    },
}

/// Disturbances of some clusters beside stopping single programs of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disturbance {
    /// Another process of the operator is started beside the one that runs.
    Replicas,
    /// The leader among processes of the operator is killed.
    LeaderElection,
    /// etcd is filled, or the whole control plane killed.
    ControlPlane,
}

impl Disturbance {
    /// Every disturbance that some clusters cannot make.
    pub const ALL: [Self; 3] = [Self::Replicas, Self::LeaderElection, Self::ControlPlane];
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sources, distributions, stores, blueprints, admission_policies, .. } = self;
        let Self { absent_consumers, endpoints, outages_unsupported, denying_bindings, .. } = self;
        let mut model = f.debug_struct("Model");
        model
            .field("sources", sources)
            .field("targets", distributions)
            .field("stores", stores)
            .field("patterns", blueprints);
        model.field("admission_policies", admission_policies).field("absent_consumers", absent_consumers);
        // What a configuration asks for reads the same whether or not its consumers say where they use it.
        if !endpoints.is_empty() {
            model.field("endpoints", endpoints);
        }
        model.field("untouchable", outages_unsupported).field("guards", denying_bindings).finish()
    }
}

impl Model {
    /// The model of `config`; what does not follow from that is empty.
    pub fn derive(config: &Config) -> Self {
        derive::model(config)
    }

    /// Demands of a configuration that has the credentials of another one as well.
    #[must_use]
    pub fn with(&self, more: &Self) -> Self {
        let mut all = self.clone();
        all.sources.extend(more.sources.clone());
        all.distributions.extend(more.distributions.clone());
        all.distributions.sort_by(|one, other| one.name.cmp(&other.name));
        all.stores.extend(more.stores.clone());
        all
    }

    /// True if a source is in a Vault that is here.
    pub fn is_at_vault(&self, source: &SourceRef) -> bool {
        let store = source.at.as_ref().and_then(|at| self.stores.get(&at.store));
        store.is_some_and(ClusterSecretStore::is_served_by_vault)
    }

    /// The label keys that decide who gets a copy: those that selections and store conditions look at.
    ///
    /// Without [`NAME_LABEL`], which nobody can set.
    pub fn label_vocabulary(&self) -> BTreeSet<&str> {
        self.selectors().flat_map(LabelSelector::keys).filter(|key| *key != NAME_LABEL).collect()
    }

    /// The values of a label with which namespaces ask: those that selectors want, and where one only wants the label to be
    /// there, also those that the configuration's own namespaces have.
    pub fn opt_in_values<'a>(&'a self, key: &'a str) -> BTreeSet<&'a str> {
        let wanted: BTreeSet<&str> = self.selectors().flat_map(|selector| selector.wanted_values(key)).collect();
        let own = self.namespaces.values().filter_map(|labels| labels.get(key)).map(String::as_str);
        let own = own.filter(|_| wanted.is_empty() && !self.is_switch(key));
        wanted.iter().copied().chain(own).collect()
    }

    /// True if a label is a switch that `true` turns on, so that any other value declines where a selector only wants the
    /// label to be there.
    ///
    /// The configuration's own namespaces tell: all that have the label have it on or off. Where none has it, it is a switch if
    /// some selector wants another label to be `true`, for a platform has one convention for all.
    pub(crate) fn is_switch(&self, key: &str) -> bool {
        let mut own = self.namespaces.values().filter_map(|labels| labels.get(key)).peekable();
        if own.peek().is_some() {
            return own.all(|value| value == OPT_IN_VALUE || value == "false");
        }
        let mut keys = self.selectors().flat_map(|selector| selector.keys().map(move |key| (selector, key)));
        keys.any(|(selector, key)| selector.wanted_values(key).any(|value| value == OPT_IN_VALUE))
    }

    /// Every selector of a selection or of a store's conditions.
    fn selectors(&self) -> impl Iterator<Item = &LabelSelector> {
        let conditions =
            self.distributions.iter().flat_map(|distribution| &distribution.stores).flat_map(|store| &store.conditions);
        let conditions = conditions.filter_map(|condition| condition.namespace_selector.as_ref());
        self.distributions.iter().flat_map(|distribution| &distribution.selection.selectors).chain(conditions)
    }

    /// The sources that are Secrets of the cluster.
    pub fn secret_sources(&self) -> impl Iterator<Item = &SourceRef> {
        self.sources.keys().filter(|source| source.is_secret())
    }

    /// The namespaces in which sources are, and those in which stores look for them.
    pub fn source_namespaces(&self) -> BTreeSet<&str> {
        let stores = self.stores.values().filter_map(|store| store.kubernetes.as_ref());
        let looked_in = stores.map(|provider| provider.remote_namespace.as_str());
        self.secret_sources().map(|source| source.namespace.as_str()).chain(looked_in).collect()
    }

    /// True if a namespace never asks for a copy, whatever its labels: those that hold sources, and Kubernetes' own.
    ///
    /// A copy beside its source would be a second truth, and nothing in `kube-*` namespaces belongs to a platform
    /// team; a selection that reaches them (`{}` does) is a fault to be found. So are those that the intent protects.
    pub fn is_protected(&self, namespace: &str) -> bool {
        let is_protected = namespace.starts_with("kube-") || self.intended.protected.contains(namespace);
        is_protected || self.secret_sources().any(|source| source.namespace == namespace)
    }
}
