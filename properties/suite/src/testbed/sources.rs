//! The source credentials, which all cases share.
//!
//! A source belongs to the configuration under test, so it cannot be copied for each case without testing another
//! configuration: copies under other names would need other selectors, policies and finalizers. Cases therefore
//! take *time slots*: a case that only needs a source to stay as it is holds a shared lease, a slot of cases that
//! rotates it holds the exclusive lease, and all cases of the slot live through the same rotation with namespaces
//! of their own. Slots on different sources run side by side.
//!
//! A case that needs no source to stay as it is has no lease: one that looks at names only needs them to be there, and one
//! that looks for values where none may be asks for [all that they had](Sources::values_since) meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use credence_cluster::apply::FIELD_MANAGER;
use credence_core::credential::Credential;
use credence_model::config::SourceRef;
use credence_model::values::Values;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::Instant;

/// A source could not be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to {act} the source Secret {source_ref}")]
pub struct SourceError {
    act: &'static str,
    source_ref: SourceRef,
    #[source]
    source: Box<kube::Error>,
}

/// All sources of a configuration.
pub struct Sources {
    all: BTreeMap<SourceRef, Source>,
}

/// One source: its values behind its lease, and those that it ever had.
#[derive(Clone, Default)]
struct Source {
    values: Arc<RwLock<Values>>,
    history: Arc<Mutex<History>>,
}

/// All values that were written to a source, in order.
#[derive(Default)]
struct History {
    written: Vec<Values>,
    /// From here on they may be what the API server has: the last ones that it took, and those that it was given since.
    present: usize,
}

/// A moment in the life of the sources.
#[derive(Debug, Clone)]
pub struct Mark(BTreeMap<SourceRef, usize>);

/// The right to rely on the values of some sources for as long as this lives.
pub struct SharedLease {
    held: BTreeMap<SourceRef, OwnedRwLockReadGuard<Values>>,
}

/// The right to rotate one source for as long as this lives.
pub struct ExclusiveLease {
    source: SourceRef,
    held: OwnedRwLockWriteGuard<Values>,
    history: Arc<Mutex<History>>,
}

impl Sources {
    /// Starts with sources whose values are not known yet: the first slot writes them.
    pub fn new(sources: impl IntoIterator<Item = SourceRef>) -> Self {
        Self { all: sources.into_iter().map(|source| (source, Source::default())).collect() }
    }

    /// These sources under the same leases, and more whose values are not known yet.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = SourceRef>) -> Self {
        let mut all = self.all.clone();
        all.extend(more.into_iter().map(|source| (source, Source::default())));
        Self { all }
    }

    /// The sources, in order.
    pub fn names(&self) -> impl Iterator<Item = &SourceRef> {
        self.all.keys()
    }

    /// The values of the sources that nobody is rotating.
    pub fn current(&self) -> Vec<Credential> {
        let free = self.all.values().filter_map(|source| source.values.try_read().ok());
        free.flat_map(|values| values.values().cloned().collect::<Vec<_>>()).collect()
    }

    /// This moment, for [`values_since`](Self::values_since).
    pub fn mark(&self) -> Mark {
        Mark(self.all.iter().map(|(name, source)| (name.clone(), lock(&source.history).present)).collect())
    }

    /// Every value that any source had at some time since `mark`, whoever wrote it.
    pub fn values_since(&self, mark: &Mark) -> Vec<Credential> {
        let since = self.all.iter().flat_map(|(name, source)| {
            let from = mark.0.get(name).copied().unwrap_or_default();
            lock(&source.history).written.iter().skip(from).cloned().collect::<Vec<_>>()
        });
        since.flat_map(BTreeMap::into_values).collect()
    }

    /// Waits until nobody rotates any of `sources`, and keeps it so. Leases are taken in one order, so no two cases can
    /// wait for each other.
    pub async fn share(&self, sources: &BTreeSet<&SourceRef>) -> SharedLease {
        let mut held = BTreeMap::new();
        for (name, source) in self.all.iter().filter(|(name, _)| sources.contains(name)) {
            held.insert(name.clone(), Arc::clone(&source.values).read_owned().await);
        }
        SharedLease { held }
    }

    /// Waits until nobody relies on `source`. `None` if there is no such source.
    pub async fn rotate(&self, source: &SourceRef) -> Option<ExclusiveLease> {
        let Source { values, history } = self.all.get(source)?;
        let held = Arc::clone(values).write_owned().await;
        Some(ExclusiveLease { source: source.clone(), held, history: Arc::clone(history) })
    }
}

impl History {
    /// Remembers values before they are written: they may be there from now on.
    fn begin(&mut self, values: &Values) {
        self.written.push(values.clone());
    }

    /// The API server has taken the last values over.
    fn end(&mut self) {
        self.present = self.written.len().saturating_sub(1);
    }
}

fn lock(history: &Mutex<History>) -> MutexGuard<'_, History> {
    // Whole values are pushed, or none.
    history.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// All of them, to be compared with after the lease.
    pub fn to_values(&self) -> BTreeMap<SourceRef, Values> {
        self.held.iter().map(|(source, values)| (source.clone(), (**values).clone())).collect()
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
        lock(&self.history).begin(values);
        self.patch(client, manager, &json!({ "data": data(values) })).await.map_err(self.failed("write"))?;
        Ok(self.has(values))
    }

    /// Writes the first values of a source, and makes it if nothing else has: a Secret that another operator or a person would
    /// make is in no manifest.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn write_first(
        &mut self,
        client: &Client,
        labels: &BTreeMap<String, String>,
        secret_type: &str,
        values: &Values,
    ) -> Result<(), SourceError> {
        lock(&self.history).begin(values);
        let found = self.api(client).get_metadata_opt(&self.source.name).await.map_err(self.failed("look for"))?;
        let written = match found {
            Some(_) => self.patch(client, FIELD_MANAGER, &json!({ "data": data(values) })).await,
            None => {
                let secret = json!({ "metadata": { "name": self.source.name, "labels": labels },
                    "type": secret_type, "data": data(values) });
                self.create(client, FIELD_MANAGER, secret).await
            }
        };
        written.map_err(self.failed("write"))?;
        self.has(values);
        Ok(())
    }

    async fn create(&self, client: &Client, manager: &str, secret: Value) -> Result<(), kube::Error> {
        // An object of texts and bytes is a Secret.
        let secret: Secret = serde_json::from_value(secret).expect("a well-formed Secret");
        let params = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
        self.api(client).create(&params, &secret).await.map(drop)
    }

    /// The API server has these values, as of now.
    fn has(&mut self, values: &Values) -> Instant {
        lock(&self.history).end();
        *self.held = values.clone();
        Instant::now()
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
        lock(&self.history).begin(values);
        let Withdrawn { part, secret_type, labels, annotations } = withdrawn;
        let put = match part {
            Part::Whole => {
                let secret = json!({
                    "metadata": { "name": self.source.name, "labels": labels, "annotations": annotations },
                    "type": secret_type, "data": data(values) });
                self.create(client, manager, secret).await
            }
            Part::Key(_) | Part::Labels(_) => {
                let patch = json!({ "metadata": { "labels": labels }, "data": data(values) });
                self.patch(client, manager, &patch).await
            }
        };
        put.map_err(self.failed("put back"))?;
        Ok(self.has(values))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str) -> SourceRef {
        SourceRef { namespace: "central".to_owned(), name: name.to_owned() }
    }

    fn values(value: &str) -> Values {
        Values::from([("key".to_owned(), Credential::new(value))])
    }

    fn since(sources: &Sources, mark: &Mark) -> Vec<String> {
        sources.values_since(mark).iter().filter_map(|value| value.expose_str().map(str::to_owned)).collect()
    }

    #[tokio::test]
    async fn every_value_that_a_source_can_have_had_since_a_mark_is_known() {
        let sources = Sources::new([source("a"), source("b")]);
        let mut lease = sources.rotate(&source("a")).await.unwrap();
        let write = |lease: &mut ExclusiveLease, value: &str| {
            lock(&lease.history).begin(&values(value));
            lease.has(&values(value));
        };
        write(&mut lease, "one");
        write(&mut lease, "two");
        let mark = sources.mark();
        assert_eq!(since(&sources, &mark), ["two"]);
        lock(&lease.history).begin(&values("three"));
        let under_way = sources.mark();
        assert_eq!(since(&sources, &under_way), ["two", "three"], "the API server may still have the one before");
        lease.has(&values("three"));
        write(&mut lease, "four");
        assert_eq!(since(&sources, &mark), ["two", "three", "four"]);
        assert_eq!(since(&sources, &sources.mark()), ["four"]);
    }

    #[tokio::test]
    async fn only_the_sources_that_a_case_names_wait_for_a_rotation() {
        let sources = Sources::new([source("a"), source("b")]);
        let rotated = sources.rotate(&source("a")).await.unwrap();
        let kept = source("b");
        let shared = sources.share(&[&kept].into()).await;
        assert!(shared.values(&kept).is_some() && shared.values(&source("a")).is_none());
        drop(rotated);
        assert!(sources.rotate(&source("a")).await.is_some());
    }
}
