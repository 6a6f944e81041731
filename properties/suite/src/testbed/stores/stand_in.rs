//! Sources that a server of this machine has in the place of a provider.

use std::sync::Arc;

use credence_cluster::stand_in::{DocumentKey, StandIn};
use credence_model::config::{RemotePlace, SourceRef, is_found};
use credence_model::values::Values;
use futures::FutureExt;
use futures::future::ready;

use super::{Done, Part, StoreBackend, Withdrawn, Writer};

/// The server that stands in.
pub(super) struct StoodIn(Arc<StandIn>);

impl StoodIn {
    pub(super) fn new(server: Arc<StandIn>) -> Self {
        Self(server)
    }
}

impl StoreBackend for StoodIn {
    fn write<'a>(&'a self, _by: Writer<'a>, source: &'a SourceRef, values: &'a Values) -> Done<'a, ()> {
        self.0.put(place(source), values.clone());
        ready(Ok(())).boxed()
    }

    fn withdraw<'a>(
        &'a self,
        _by: Writer<'a>,
        source: &'a SourceRef,
        part: Part,
        values: &'a Values,
    ) -> Done<'a, Withdrawn> {
        let rest = part.rest(values);
        // A search that finds nothing gives nothing; a key without any value is not there.
        if rest.is_empty() && !is_found(source) {
            self.0.remove(&place(source));
        } else {
            self.0.put(place(source), rest);
        }
        ready(Ok(Withdrawn::of_document(part))).boxed()
    }
}

fn place(source: &SourceRef) -> DocumentKey {
    let (store, version) = match &source.at {
        Some(RemotePlace { store, version }) => (store.clone(), version.clone().unwrap_or_default()),
        None => Default::default(),
    };
    DocumentKey { store, key: source.name.clone(), version }
}
