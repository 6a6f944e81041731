//! A consistent look at the cluster.

use std::collections::BTreeSet;

use super::fence::Versions;
use super::state::State;
use super::{ExternalSecretSeen, NamespaceSeen, PodSeen, SecretSeen};

/// A consistent look at the cluster.
#[derive(Debug)]
pub struct View<'a> {
    state: &'a State,
}

impl<'a> View<'a> {
    pub(super) fn of(state: &'a State) -> Self {
        Self { state }
    }
}

impl View<'_> {
    /// A Secret, if it exists.
    pub fn secret(&self, namespace: &str, name: &str) -> Option<&SecretSeen> {
        self.state.secrets.get(namespace)?.get(name)
    }

    /// All Secrets of a namespace, by name.
    pub fn secrets(&self, namespace: &str) -> impl Iterator<Item = (&String, &SecretSeen)> {
        self.state.secrets.get(namespace).into_iter().flatten()
    }

    /// A namespace, if it exists.
    pub fn namespace(&self, name: &str) -> Option<&NamespaceSeen> {
        self.state.namespaces.get(name)
    }

    /// All namespaces in sight, by name.
    pub fn namespaces(&self) -> impl Iterator<Item = (&String, &NamespaceSeen)> {
        self.state.namespaces.iter()
    }

    /// The names of the ExternalSecrets of a namespace.
    pub fn external_secrets(&self, namespace: &str) -> BTreeSet<&str> {
        self.state.external_secrets.get(namespace).into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    /// All pods of a namespace, by name.
    pub fn pods(&self, namespace: &str) -> impl Iterator<Item = (&String, &PodSeen)> {
        self.state.pods.get(namespace).into_iter().flatten()
    }

    /// A pod, if it exists.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&PodSeen> {
        self.state.pods.get(namespace)?.get(name)
    }

    /// The first kind whose watch has not shown its object in this version yet.
    pub(crate) fn not_shown(&self, versions: &Versions) -> Option<&'static str> {
        let shown = |kind: &str, version: &u64| self.state.fences.get(kind).is_some_and(|shown| shown >= version);
        versions.iter().find(|(kind, version)| !shown(kind, version)).map(|(kind, _)| *kind)
    }

    /// An ExternalSecret's own status, for a message.
    pub fn external_secret(&self, namespace: &str, name: &str) -> Option<&ExternalSecretSeen> {
        self.state.external_secrets.get(namespace)?.get(name)
    }
}
