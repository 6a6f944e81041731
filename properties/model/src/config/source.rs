//! Sources of values.

use std::fmt;

use serde_json::Value;

/// Beginning of a key that stands for a search.
pub(super) const FOUND: &str = "found by ";

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
        let name = search_in_words(&self.name);
        let name = name.as_deref().unwrap_or(&self.name);
        match &self.at {
            None => write!(f, "{}/{name}", self.namespace),
            Some(RemotePlace { store, version: None }) => write!(f, "{name} in store {store}"),
            Some(RemotePlace { store, version: Some(version) }) => {
                write!(f, "{name} at version {version} in store {store}")
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

/// Words for a key that stands for a search; none for any other.
fn search_in_words(key: &str) -> Option<String> {
    let find: Value = serde_json::from_str(key.strip_prefix(FOUND)?).ok()?;
    let text = |pointer: &str| find.pointer(pointer).and_then(Value::as_str);
    let name = text("/name/regexp").map(|expression| format!("name {expression}"));
    let tags = find["tags"].as_object().into_iter().flatten();
    let tags = tags.map(|(key, value)| format!("tag {key}={}", value.as_str().unwrap_or_default()));
    let path = text("/path").map(|path| format!("path {path}"));
    let all: Vec<String> = name.into_iter().chain(tags).chain(path).collect();
    (!all.is_empty()).then(|| format!("{FOUND}{}", all.join(" and ")))
}
