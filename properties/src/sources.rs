//! The source credentials, which all cases share.
//!
//! A source belongs to the configuration under test, so it cannot be copied for each case without testing another
//! configuration: copies under other names would need other selectors, policies and finalizers. Cases therefore
//! take *time slots*: a case that only needs a source to stay as it is holds a shared lease, a slot of cases that
//! rotates it holds the exclusive lease, and all cases of the slot live through the same rotation with namespaces
//! of their own. Slots on different sources run side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use credence_harness::credential::Credential;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::Instant;

use crate::bundle::SourceRef;

/// The values of a source, by key.
pub type Values = BTreeMap<String, Credential>;

/// A source could not be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to {act} the source Secret {source_ref}")]
pub struct SourceError {
    act: &'static str,
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

/// What is taken away of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// One of its keys.
    Key(String),
    /// Labels, by their keys.
    Labels(BTreeSet<String>),
}

/// A source, or a part of it, that was taken away, and what is needed to put it back: no values.
#[derive(Debug)]
pub struct Withdrawn {
    part: Part,
    secret_type: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
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
        self.patch(client, manager, &json!({ "data": data(values) })).await.map_err(self.failed("write"))?;
        *self.held = values.clone();
        Ok(Instant::now())
    }

    /// Takes the source, or a part of it, away until it is [put back](Self::put_back).
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn withdraw(&self, client: &Client, manager: &str, part: Part) -> Result<Withdrawn, SourceError> {
        let failed = |source| self.failed("take away")(source);
        let Secret { metadata, type_, .. } = self.api(client).get(&self.source.name).await.map_err(failed)?;
        let taken = match &part {
            Part::Whole => self.api(client).delete(&self.source.name, &DeleteParams::default()).await.map(drop),
            Part::Key(key) => self.patch(client, manager, &json!({ "data": { key: null } })).await,
            Part::Labels(keys) => {
                let labels: BTreeMap<&String, Value> = keys.iter().map(|key| (key, Value::Null)).collect();
                self.patch(client, manager, &json!({ "metadata": { "labels": labels } })).await
            }
        };
        taken.map_err(failed)?;
        Ok(Withdrawn { part, secret_type: type_, labels: metadata.labels, annotations: metadata.annotations })
    }

    /// Puts back what was taken away, with new values; gives the instant at which the API server had them.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn put_back(
        &mut self,
        client: &Client,
        manager: &str,
        withdrawn: &Withdrawn,
        values: &Values,
    ) -> Result<Instant, SourceError> {
        let Withdrawn { part, secret_type, labels, annotations } = withdrawn;
        let put = match part {
            Part::Whole => {
                let secret = json!({
                    "metadata": { "name": self.source.name, "labels": labels, "annotations": annotations },
                    "type": secret_type, "data": data(values) });
                // An object of texts and bytes is a Secret.
                let secret: Secret = serde_json::from_value(secret).expect("a well-formed Secret");
                let params = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
                self.api(client).create(&params, &secret).await.map(drop)
            }
            Part::Key(_) | Part::Labels(_) => {
                let patch = json!({ "metadata": { "labels": labels }, "data": data(values) });
                self.patch(client, manager, &patch).await
            }
        };
        put.map_err(self.failed("put back"))?;
        *self.held = values.clone();
        Ok(Instant::now())
    }

    fn api(&self, client: &Client) -> Api<Secret> {
        Api::namespaced(client.clone(), &self.source.namespace)
    }

    async fn patch(&self, client: &Client, manager: &str, patch: &Value) -> Result<(), kube::Error> {
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        self.api(client).patch_metadata(&self.source.name, &params, &Patch::Merge(patch)).await.map(drop)
    }

    fn failed(&self, act: &'static str) -> impl FnOnce(kube::Error) -> SourceError + use<> {
        let source_ref = self.source.clone();
        move |source| SourceError { act, source_ref, source: Box::new(source) }
    }
}

/// Values as the API server takes them.
fn data(values: &Values) -> BTreeMap<&String, ByteString> {
    values.iter().map(|(key, value)| (key, ByteString(value.expose().to_vec()))).collect()
}
