//! The source credentials, which all cases share.
//!
//! A source belongs to the configuration under test, so it cannot be copied for each case without testing another
//! configuration: copies under other names would need other selectors, policies and finalizers. Cases therefore
//! take *time slots*: a case that only needs a source to stay as it is holds a shared lease, a slot of cases that
//! rotates it holds the exclusive lease, and all cases of the slot live through the same rotation with namespaces
//! of their own. Slots on different sources run side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use credence_harness::credential::Credential;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::Instant;

use crate::bundle::SourceRef;

/// The values of a source, by key.
pub type Values = BTreeMap<String, Credential>;

/// A source could not be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the source Secret {source_ref}")]
pub struct SourceError {
    source_ref: SourceRef,
    #[source]
    source: Box<kube::Error>,
}

/// All sources of a configuration, each behind its lease.
pub struct Sources {
    all: BTreeMap<SourceRef, Arc<RwLock<Values>>>,
}

/// The right to rely on the values of some sources for as long as this lives.
pub struct SharedLease {
    held: BTreeMap<SourceRef, OwnedRwLockReadGuard<Values>>,
}

/// The right to rotate one source for as long as this lives.
pub struct ExclusiveLease {
    source: SourceRef,
    held: OwnedRwLockWriteGuard<Values>,
}

impl Sources {
    /// Starts with sources whose values are not known yet: the first slot writes them.
    pub fn new(sources: impl IntoIterator<Item = SourceRef>) -> Self {
        Self { all: sources.into_iter().map(|source| (source, Arc::default())).collect() }
    }

    /// These sources under the same leases, and more whose values are not known yet.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = SourceRef>) -> Self {
        let mut all = self.all.clone();
        all.extend(more.into_iter().map(|source| (source, Arc::default())));
        Self { all }
    }

    /// The sources, in order.
    pub fn names(&self) -> impl Iterator<Item = &SourceRef> {
        self.all.keys()
    }

    /// The values of the sources that nobody is rotating.
    pub fn current(&self) -> Vec<Credential> {
        let free = self.all.values().filter_map(|values| values.try_read().ok());
        free.flat_map(|values| values.values().cloned().collect::<Vec<_>>()).collect()
    }

    /// Waits until nobody rotates any source, and keeps it so. Leases are taken in one order, so no two cases can
    /// wait for each other.
    pub async fn share(&self) -> SharedLease {
        let mut held = BTreeMap::new();
        for (source, values) in &self.all {
            held.insert(source.clone(), Arc::clone(values).read_owned().await);
        }
        SharedLease { held }
    }

    /// Waits until nobody relies on `source`. `None` if there is no such source.
    pub async fn rotate(&self, source: &SourceRef) -> Option<ExclusiveLease> {
        let values = self.all.get(source)?;
        Some(ExclusiveLease { source: source.clone(), held: Arc::clone(values).write_owned().await })
    }
}

impl SharedLease {
    /// The present values of a source.
    pub fn values(&self, source: &SourceRef) -> Option<&Values> {
        self.held.get(source).map(|values| &**values)
    }
}

impl ExclusiveLease {
    /// The present values.
    pub fn values(&self) -> &Values {
        &self.held
    }

    /// Writes new values; gives the instant at which the API server had them.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn write(&mut self, client: &Client, manager: &str, values: &Values) -> Result<Instant, SourceError> {
        let data: BTreeMap<&String, ByteString> =
            values.iter().map(|(key, value)| (key, ByteString(value.expose().to_vec()))).collect();
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.source.namespace);
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        secrets
            .patch_metadata(&self.source.name, &params, &Patch::Merge(json!({ "data": data })))
            .await
            .map_err(|source| SourceError { source_ref: self.source.clone(), source: Box::new(source) })?;
        *self.held = values.clone();
        Ok(Instant::now())
    }
}
