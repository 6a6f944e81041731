//! Sources that Vault has.

use std::collections::BTreeMap;
use std::sync::Arc;

use credence_cluster::vault::{RequestError, Vault};
use credence_model::config::{SourceRef, VaultPlace};
use credence_model::values::Values;
use futures::FutureExt;

use super::{Done, Part, StoreBackend, Withdrawn, Writer};

/// A server, and where it has each source.
pub(super) struct AtVault {
    vault: Arc<Vault>,
    places: BTreeMap<SourceRef, VaultPlace>,
}

impl AtVault {
    pub(super) fn new(vault: Arc<Vault>, places: BTreeMap<SourceRef, VaultPlace>) -> Self {
        Self { vault, places }
    }

    /// True if it has a source.
    pub(super) fn has(&self, source: &SourceRef) -> bool {
        self.places.contains_key(source)
    }

    fn put<'a>(&'a self, source: &'a SourceRef, values: &'a Values) -> Done<'a, ()> {
        async move {
            let Some(place) = self.places.get(source) else { return Ok(()) };
            self.vault.put(&place.data(), place.is_versioned, values).await.map_err(refused)
        }
        .boxed()
    }
}

/// An error as that of a request to the API server, which all other sources have.
fn refused(error: RequestError) -> kube::Error {
    kube::Error::Service(Box::new(error))
}

impl StoreBackend for AtVault {
    fn write<'a>(&'a self, _by: Writer<'a>, source: &'a SourceRef, values: &'a Values) -> Done<'a, ()> {
        self.put(source, values)
    }

    fn withdraw<'a>(
        &'a self,
        _by: Writer<'a>,
        source: &'a SourceRef,
        part: Part,
        values: &'a Values,
    ) -> Done<'a, Withdrawn> {
        async move {
            let rest = part.rest(values);
            match self.places.get(source).filter(|_| rest.is_empty()) {
                Some(place) => self.vault.delete(&place.whole()).await.map_err(refused)?,
                None => self.put(source, &rest).await?,
            }
            Ok(Withdrawn::of_document(part))
        }
        .boxed()
    }
}
