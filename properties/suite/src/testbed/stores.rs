//! Writing of the sources of a store: a backend for each kind of store, by what has the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use credence_cluster::stand_in::StandIn;
use credence_cluster::vault::Vault;
use credence_model::config::SourceRef;
use credence_model::model::Model;
use credence_model::values::Values;
use futures::future::BoxFuture;
use kube::Client;

mod kubernetes;
mod stand_in;
mod vault;

use kubernetes::Secrets;
use stand_in::StoodIn;
use vault::AtVault;

/// Client and name with which a source is written.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    /// The client of the cluster.
    pub client: &'a Client,
    /// The name under which it writes.
    pub manager: &'a str,
}

/// Object that a source is made with and that nothing else has made.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    /// Labels that a Secret of Kubernetes is made with.
    pub labels: &'a BTreeMap<String, String>,
    /// Type that a Secret of Kubernetes is made with, such as `Opaque`.
    pub secret_type: &'a str,
}

/// Part that is taken away of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The whole document or Secret.
    Whole,
    /// One key, with its value.
    Key(String),
    /// Labels of a Secret of Kubernetes, by their keys.
    Labels(BTreeSet<String>),
}

impl Part {
    /// The values that are left of a document once it is taken away. A document has no labels to lose.
    fn rest(&self, values: &Values) -> Values {
        let mut rest = values.clone();
        match self {
            Self::Whole => rest.clear(),
            Self::Key(key) => drop(rest.remove(key)),
            Self::Labels(_) => {}
        }
        rest
    }
}

/// A source, or a part of it, that was taken away, and what is needed to put it back: no values.
#[derive(Debug)]
pub struct Withdrawn {
    part: Part,
    secret_type: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Withdrawn {
    /// A part of a document, which has nothing beside its values.
    fn of_document(part: Part) -> Self {
        Self { part, secret_type: None, labels: None, annotations: None }
    }
}

/// The end of an act on a source.
pub type Done<'a, T> = BoxFuture<'a, Result<T, kube::Error>>;

/// Backend of the sources of a kind of store. An act is over when whoever asks gets what it left.
pub trait StoreBackend: Send + Sync {
    /// Writes new values of a source that is there.
    fn write<'a>(&'a self, by: Writer<'a>, source: &'a SourceRef, values: &'a Values) -> Done<'a, ()>;

    /// Writes the first values of a source, and makes it if nothing else has; by itself, a write makes what is not there.
    fn write_first<'a>(
        &'a self,
        by: Writer<'a>,
        source: &'a SourceRef,
        _made: Made<'a>,
        values: &'a Values,
    ) -> Done<'a, ()> {
        self.write(by, source, values)
    }

    /// Takes a source with these `values`, or a part of it, away.
    fn withdraw<'a>(
        &'a self,
        by: Writer<'a>,
        source: &'a SourceRef,
        part: Part,
        values: &'a Values,
    ) -> Done<'a, Withdrawn>;

    /// Puts back what was taken away, with new values; by itself, a write does, as for a document that has nothing else.
    fn put_back<'a>(
        &'a self,
        by: Writer<'a>,
        source: &'a SourceRef,
        _withdrawn: &'a Withdrawn,
        values: &'a Values,
    ) -> Done<'a, ()> {
        self.write(by, source, values)
    }
}

/// The backends of a run.
#[derive(Clone)]
pub struct Backends {
    secrets: Arc<dyn StoreBackend>,
    stood_in: Option<Arc<dyn StoreBackend>>,
    at_vault: Option<Arc<AtVault>>,
}

impl Default for Backends {
    fn default() -> Self {
        Self { secrets: Arc::new(Secrets), stood_in: None, at_vault: None }
    }
}

impl Backends {
    /// The same with what stands in for other providers.
    #[must_use]
    pub(crate) fn standing_in(self, server: Arc<StandIn>) -> Self {
        Self { stood_in: Some(Arc::new(StoodIn::new(server))), ..self }
    }

    /// The same with Vault, for the sources of `model` that are read through the stores that it serves.
    #[must_use]
    pub(crate) fn with_vault(self, vault: Arc<Vault>, model: &Model) -> Self {
        let place = |source: &SourceRef| {
            let store = model.stores.get(&source.at.as_ref()?.store)?;
            store.vault_place(&source.name).filter(|_| store.is_served_by_vault())
        };
        let places = model.sources.keys().filter_map(|source| Some((source.clone(), place(source)?)));
        Self { at_vault: Some(Arc::new(AtVault::new(vault, places.collect()))), ..self }
    }

    /// The backend that has a source.
    pub(super) fn of(&self, source: &SourceRef) -> Arc<dyn StoreBackend> {
        if let Some(at_vault) = self.at_vault.as_ref().filter(|at_vault| at_vault.has(source)) {
            return Arc::clone(at_vault) as _;
        }
        let stood_in = self.stood_in.as_ref().filter(|_| !source.is_secret());
        Arc::clone(stood_in.unwrap_or(&self.secrets))
    }
}
