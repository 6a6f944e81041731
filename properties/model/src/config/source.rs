//! Sources of values.

use std::fmt;

/// Source of a value: a Secret, or a key at a provider beside Kubernetes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceRef {
    /// The namespace of the Secret; empty for a key at a provider.
    pub namespace: String,
    /// The name of the Secret, or the key as `remoteRef` writes it.
    pub name: String,
    /// Place of the key; none for a Secret.
    pub at: Option<RemotePlace>,
}

/// Place of a key at a provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RemotePlace {
    /// The store through which it is read.
    pub store: String,
    /// The version as `remoteRef` writes it; none for the latest.
    pub version: Option<String>,
}

impl SourceRef {
    /// The Secret of this name, which a store of the Kubernetes provider reads.
    pub fn secret(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into(), at: None }
    }

    /// A key that a store of a provider beside Kubernetes has, at this version.
    pub fn remote(store: impl Into<String>, key: impl Into<String>, version: Option<String>) -> Self {
        let at = Some(RemotePlace { store: store.into(), version });
        Self { namespace: String::new(), name: key.into(), at }
    }

    /// True if it is a Secret of the cluster.
    pub fn is_secret(&self) -> bool {
        self.at.is_none()
    }
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            None => write!(f, "{}/{}", self.namespace, self.name),
            Some(RemotePlace { store, version: None }) => write!(f, "{} in store {store}", self.name),
            Some(RemotePlace { store, version: Some(version) }) => {
                write!(f, "{} at version {version} in store {store}", self.name)
            }
        }
    }
}

impl fmt::Debug for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SourceRef");
        shown.field("namespace", &self.namespace).field("name", &self.name);
        // Cases about Secrets read as they did before there were other sources: their digests are pinned.
        if let Some(at) = &self.at {
            shown.field("at", at);
        }
        shown.finish()
    }
}
