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
use credence_programs::esoctl::RenderError;
use kube::Client;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::Instant;

use crate::oracle::{Known, WithRenderings};
use crate::testbed::renderings::Renderings;
use crate::testbed::stores::{Backends, Made, StoreBackend, Writer};
pub use crate::testbed::stores::{Part, Withdrawn};

/// A source could not be written, or its values not be relied on.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum SourceError {
    #[error("failed to {act} the source {source_ref}")]
    Refused { act: &'static str, source_ref: SourceRef, source: Box<kube::Error> },
    /// It is not known what templates make of its values.
    #[error("failed to render the templates for source {source_ref}")]
    Render { source_ref: SourceRef, source: Box<RenderError> },
}

/// All sources of a configuration.
pub struct Sources {
    all: BTreeMap<SourceRef, Source>,
    backends: Backends,
    renderings: Arc<Renderings>,
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
    backend: Arc<dyn StoreBackend>,
    renderings: Arc<Renderings>,
}

impl Sources {
    /// Starts with sources whose values are not known yet: the first slot writes them.
    pub fn new(sources: impl IntoIterator<Item = SourceRef>, backends: Backends) -> Self {
        let all = sources.into_iter().map(|source| (source, Source::default())).collect();
        Self { all, backends, renderings: Arc::default() }
    }

    /// These sources under the same leases, and more whose values are not known yet.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = SourceRef>) -> Self {
        let mut all = self.all.clone();
        all.extend(more.into_iter().map(|source| (source, Source::default())));
        Self { all, backends: self.backends.clone(), renderings: Arc::clone(&self.renderings) }
    }

    /// The sources of the configuration, by namespace and name.
    pub fn names(&self) -> impl Iterator<Item = &SourceRef> {
        self.all.keys()
    }

    /// Output of templates for the values that were written or relied on.
    pub(crate) fn renderings(&self) -> &Renderings {
        &self.renderings
    }

    /// These values, with what templates make of them.
    pub(crate) fn rendered<'a, K: Known>(&'a self, known: &'a K) -> WithRenderings<'a, K> {
        WithRenderings::new(known, &*self.renderings)
    }

    /// The values of the sources that nobody is rotating.
    pub fn current(&self) -> Vec<Credential> {
        let free = self.all.values().filter_map(|source| source.values.try_read().ok());
        free.flat_map(|values| values.values().cloned().collect::<Vec<_>>()).collect()
    }

    /// This moment in the history of all sources, for [`values_since`](Self::values_since).
    pub fn mark(&self) -> Mark {
        Mark(self.all.iter().map(|(name, source)| (name.clone(), lock(&source.history).present)).collect())
    }

    /// Every value that any source had at some time since `mark`, whoever wrote it.
    pub(crate) fn values_since(&self, mark: &Mark) -> Vec<Credential> {
        let since = self.all.iter().flat_map(|(name, source)| {
            let from = mark.0.get(name).copied().unwrap_or_default();
            lock(&source.history).written.iter().skip(from).cloned().collect::<Vec<_>>()
        });
        since.flat_map(BTreeMap::into_values).collect()
    }

    /// Waits until nobody rotates any of `sources`, and keeps it so. Leases are taken in one order, so no two cases can
    /// wait for each other.
    ///
    /// # Errors
    /// When what templates make of their values cannot be rendered.
    pub async fn share(&self, sources: &BTreeSet<&SourceRef>) -> Result<SharedLease, SourceError> {
        let mut held = BTreeMap::new();
        for (name, source) in self.all.iter().filter(|(name, _)| sources.contains(name)) {
            let values = Arc::clone(&source.values).read_owned().await;
            let learnt = self.renderings.learn(name, &values).await;
            learnt.map_err(|source| SourceError::Render { source_ref: name.clone(), source: Box::new(source) })?;
            held.insert(name.clone(), values);
        }
        Ok(SharedLease { held })
    }

    /// Waits until nobody relies on `source`. `None` if there is no such source.
    pub async fn rotate(&self, source: &SourceRef) -> Option<ExclusiveLease> {
        let Source { values, history } = self.all.get(source)?;
        let held = Arc::clone(values).write_owned().await;
        let (backend, renderings) = (self.backends.of(source), Arc::clone(&self.renderings));
        Some(ExclusiveLease { source: source.clone(), held, history: Arc::clone(history), backend, renderings })
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

impl SharedLease {
    /// The present values of a source.
    pub fn values(&self, source: &SourceRef) -> Option<&Values> {
        self.held.get(source).map(|values| &**values)
    }

    /// All values, to compare with after the lease.
    pub(crate) fn to_values(&self) -> BTreeMap<SourceRef, Values> {
        self.held.iter().map(|(source, values)| (source.clone(), (**values).clone())).collect()
    }
}

impl ExclusiveLease {
    /// The values that the source has now, by key.
    pub fn values(&self) -> &Values {
        &self.held
    }

    /// Writes new values; gives the instant at which whoever is asked for them had them.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn write(&mut self, client: &Client, manager: &str, values: &Values) -> Result<Instant, SourceError> {
        self.learn(values).await?;
        lock(&self.history).begin(values);
        let by = Writer { client, manager };
        self.backend.write(by, &self.source, values).await.map_err(self.failed("write"))?;
        Ok(self.has(values))
    }

    /// Writes the first values of a source, and makes it if nothing else has: what another operator or a person would make is in
    /// no manifest.
    ///
    /// # Errors
    /// When whoever is to have them refuses.
    pub(crate) async fn write_first(
        &mut self,
        client: &Client,
        labels: &BTreeMap<String, String>,
        secret_type: &str,
        values: &Values,
    ) -> Result<(), SourceError> {
        lock(&self.history).begin(values);
        let (by, made) = (Writer { client, manager: FIELD_MANAGER }, Made { labels, secret_type });
        self.backend.write_first(by, &self.source, made, values).await.map_err(self.failed("write"))?;
        self.has(values);
        Ok(())
    }

    /// These values are there, as of now.
    fn has(&mut self, values: &Values) -> Instant {
        lock(&self.history).end();
        *self.held = values.clone();
        Instant::now()
    }

    /// Takes the source, or a part of it, away until it is [put back](Self::put_back).
    ///
    /// # Errors
    /// When that is refused.
    pub async fn withdraw(&self, client: &Client, manager: &str, part: Part) -> Result<Withdrawn, SourceError> {
        let by = Writer { client, manager };
        let taken = self.backend.withdraw(by, &self.source, part, &self.held).await;
        taken.map_err(self.failed("take away"))
    }

    /// Puts back what was taken away, with new values; gives the instant at which whoever is asked for them had them.
    ///
    /// # Errors
    /// When it refuses.
    pub(crate) async fn put_back(
        &mut self,
        client: &Client,
        manager: &str,
        withdrawn: &Withdrawn,
        values: &Values,
    ) -> Result<Instant, SourceError> {
        self.learn(values).await?;
        lock(&self.history).begin(values);
        let by = Writer { client, manager };
        let put = self.backend.put_back(by, &self.source, withdrawn, values).await;
        put.map_err(self.failed("put back"))?;
        Ok(self.has(values))
    }

    /// Renders what templates make of these values, before anybody can see it.
    async fn learn(&self, values: &Values) -> Result<(), SourceError> {
        let failed = |source| SourceError::Render { source_ref: self.source.clone(), source: Box::new(source) };
        self.renderings.learn(&self.source, values).await.map_err(failed)
    }

    fn failed(&self, act: &'static str) -> impl FnOnce(kube::Error) -> SourceError + use<> {
        let source_ref = self.source.clone();
        move |source| SourceError::Refused { act, source_ref, source: Box::new(source) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str) -> SourceRef {
        SourceRef::secret("central", name)
    }

    fn values(value: &str) -> Values {
        Values::from([("key".to_owned(), Credential::new(value))])
    }

    fn since(sources: &Sources, mark: &Mark) -> Vec<String> {
        sources.values_since(mark).iter().filter_map(|value| value.expose_str().map(str::to_owned)).collect()
    }

    #[tokio::test]
    async fn every_value_that_a_source_can_have_had_since_a_mark_is_known() {
        let sources = Sources::new([source("a"), source("b")], Backends::default());
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
        let sources = Sources::new([source("a"), source("b")], Backends::default());
        let rotated = sources.rotate(&source("a")).await.unwrap();
        let kept = source("b");
        let shared = sources.share(&[&kept].into()).await.unwrap();
        assert!(shared.values(&kept).is_some() && shared.values(&source("a")).is_none());
        drop(rotated);
        assert!(sources.rotate(&source("a")).await.is_some());
    }
}
