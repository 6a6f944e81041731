//! Namespaces that a run leaves to the next one in a lent cluster.
//!
//! Cases use namespaces one after the other as well, see [`Namespaces`](crate::namespaces::Namespaces). To delete one takes
//! five seconds at least, for which kube-controller-manager waits (`namespaceDeletionGracePeriod` in its
//! `pkg/controller/namespace/namespace_controller.go`), and then two requests for each kind that the cluster serves: for all
//! of a run that is more than to start a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use credence_harness::wait::{self, Progress};
use futures::{TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Event, Namespace};
use kube::api::{DeleteParams, ListParams, PartialObjectMeta};
use kube::{Api, Client, ResourceExt};

use super::inventory::{Inventory, InventoryError};
use crate::namespaces::{self, NamespaceError, RUN_LABEL};
use crate::selector::NAME_LABEL;

/// How long namespaces may take to be empty once nothing asks for copies any more.
const EMPTY: Duration = Duration::from_secs(8);
/// How often is looked.
const EVERY: Duration = Duration::from_millis(200);
/// Namespaces that are changed at a time.
const CONCURRENCY: usize = 8;

/// Why the namespaces of a run could be neither left to the next one nor removed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpareError {
    /// They could not be listed, or what was said of them could not be removed.
    #[error("failed to {act}")]
    Refused {
        /// What was tried.
        act: &'static str,
        /// The cause.
        #[source]
        source: Box<kube::Error>,
    },
    /// It was not told what is in them.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// One could not be changed.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
}

fn refused(act: &'static str) -> impl FnOnce(kube::Error) -> SpareError {
    move |source| SpareError::Refused { act, source: Box::new(source) }
}

/// Makes the namespaces that were not there `before` like new ones, without labels and empty, and gives their names. Begins
/// to delete those that something is left in.
///
/// # Errors
/// When the API server refuses.
pub(super) async fn clear(client: &Client, before: &Inventory) -> Result<BTreeSet<String>, SpareError> {
    let (inventory, found) = until_empty(client, before).await?;
    forget_events(client, &inventory).await?;
    let (spare, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| {
        let is_plain = found.finalizers().is_empty() && found.annotations().is_empty();
        found.metadata.deletion_timestamp.is_none() && is_plain && !inventory.has_objects_in(&found.name_any())
    });
    stream::iter(others.iter().map(|found| Ok(found.name_any())))
        .try_for_each_concurrent(CONCURRENCY, |name| async move {
            namespaces::delete(client, &name).await?;
            namespaces::remove_finalizers(client, &name).await
        })
        .await?;
    stream::iter(spare.iter().map(Ok))
        .try_for_each_concurrent(CONCURRENCY, |found| async move {
            let labels = found.labels().keys().filter(|key| *key != NAME_LABEL);
            namespaces::remove_labels(client, "credence", &found.name_any(), labels).await
        })
        .await?;
    Ok(spare.iter().map(ResourceExt::name_any).collect())
}

/// Makes spare namespaces those of another run.
///
/// # Errors
/// When the API server refuses.
pub(super) async fn take_over<'a>(
    client: &Client,
    run: &str,
    spare: impl Iterator<Item = &'a String>,
) -> Result<(), NamespaceError> {
    let label = &BTreeMap::from([(RUN_LABEL, run)]);
    stream::iter(spare.map(Ok))
        .try_for_each_concurrent(CONCURRENCY, |name| namespaces::set_labels(client, "credence", name, label))
        .await
}

/// Waits until nothing is in the namespaces of past runs any more; not for ever, for what stays is for others to judge.
async fn until_empty(
    client: &Client,
    before: &Inventory,
) -> Result<(Inventory, Vec<PartialObjectMeta<Namespace>>), SpareError> {
    let api: Api<Namespace> = Api::all(client.clone());
    let look = || async {
        let found = api.list_metadata(&ListParams::default()).await;
        let mut found = found.map_err(refused("list the namespaces"))?.items;
        found.retain(|found| !before.has_namespace(&found.name_any()));
        Ok::<_, SpareError>((Inventory::take(client).await?, found))
    };
    let empty = wait::poll("the namespaces of past runs empty", EMPTY, EVERY, || async {
        match look().await {
            Ok((inventory, found)) => match found.iter().find(|found| inventory.has_objects_in(&found.name_any())) {
                None => Progress::Done(Ok((inventory, found))),
                Some(found) => Progress::NotYet(found.name_any()),
            },
            Err(error) => Progress::Done(Err(error)),
        }
    });
    match empty.await {
        Ok(seen) => seen,
        Err(_) => look().await,
    }
}

/// Removes what was said of objects that are gone: it quotes them.
async fn forget_events(client: &Client, inventory: &Inventory) -> Result<(), SpareError> {
    stream::iter(inventory.namespaces_with_events().into_iter().map(Ok))
        .try_for_each_concurrent(CONCURRENCY, |namespace| async move {
            let events: Api<Event> = Api::namespaced(client.clone(), namespace);
            let gone = events.delete_collection(&DeleteParams::default(), &ListParams::default()).await;
            gone.map(drop).map_err(refused("remove the events of past runs"))
        })
        .await
}
