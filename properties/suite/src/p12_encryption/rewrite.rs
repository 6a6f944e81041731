//! Writing every Secret again, as it is, which is how a new encryption key comes into use.

use futures::{TryStreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};

/// Secrets written at the same time.
const CONCURRENCY: usize = 8;
/// Number of attempts to write a Secret that somebody else is writing.
const ATTEMPTS: usize = 5;

/// Writes all Secrets of the cluster again (documentation, "Ensure all Secrets are encrypted"), and gives their number.
///
/// # Errors
/// When the API server refuses.
pub(super) async fn all(client: &Client) -> Result<u64, kube::Error> {
    let secrets: Api<Secret> = Api::all(client.clone());
    let found = secrets.list_metadata(&ListParams::default()).await?;
    let number = found.items.len() as u64;
    stream::iter(found.items.into_iter().map(Ok))
        .try_for_each_concurrent(CONCURRENCY, |secret| async move {
            let namespace = secret.namespace().unwrap_or_default();
            one(&Api::namespaced(client.clone(), &namespace), &secret.name_any()).await
        })
        .await?;
    Ok(number)
}

async fn one(secrets: &Api<Secret>, name: &str) -> Result<(), kube::Error> {
    let mut attempt = 1;
    loop {
        let Some(secret) = secrets.get_opt(name).await? else { return Ok(()) };
        match secrets.replace(name, &PostParams::default(), &secret).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
            // Written by somebody else in between; the next attempt writes what is there now.
            Err(kube::Error::Api(status)) if status.is_conflict() && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}
