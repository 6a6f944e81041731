//! A write of our own that the shared watches must show, so that what they do not show is not there.
//!
//! A watch that is cut off or whose server hangs looks like a cluster in which nothing happens. So an absence counts only once
//! a write that was made at the end of its time has come through every watch.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use credence_core::operator_api::{EXTERNAL_SECRETS_GROUP, EXTERNAL_SECRETS_VERSION};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// The version of each kind's object.
pub(crate) type Versions = BTreeMap<&'static str, u64>;

/// The name of the objects that are written; the namespace has a name of its own.
pub(super) const NAME: &str = "credence-fence";
/// Time that a write may take to come through. A window in which the API server answered nobody for longer shows nothing: nobody
/// could have done anything in it.
const WITHIN: Duration = if cfg!(test) { Duration::from_millis(400) } else { Duration::from_secs(4) };
/// The annotation that is written. No label: External Secrets Operator looks at every namespace again when a label changes
/// (`clusterexternalsecret_controller.go`, `namespacePredicate`).
const ANNOTATION: &str = "credence.dev/fence";

/// Why there is nothing to write to.
#[derive(Debug, thiserror::Error)]
#[error("failed to make {kind} {namespace}/{NAME}, which proves that the watches are up to date")]
pub struct FenceError {
    kind: &'static str,
    namespace: String,
    #[source]
    source: Box<kube::Error>,
}

/// The objects that are written, one for each watched kind.
#[derive(Debug)]
pub(crate) struct Fence {
    namespaces: Api<Namespace>,
    namespace: String,
    secrets: Api<Secret>,
    /// ExternalSecrets; none where the configuration lets nobody create one.
    external_secrets: Option<Api<DynamicObject>>,
    /// Number of writes that have begun.
    begun: AtomicU64,
    /// The last write that came through.
    through: Mutex<u64>,
}

impl Fence {
    /// Makes the objects, in a namespace of their own with these labels.
    pub(super) async fn make(
        client: &Client,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<Self, FenceError> {
        let failed =
            |kind| move |source| FenceError { kind, namespace: namespace.to_owned(), source: Box::new(source) };
        let namespaces = Api::<Namespace>::all(client.clone());
        let mut space = Namespace::default();
        (space.metadata.name, space.metadata.labels) = (Some(namespace.to_owned()), Some(labels.clone()));
        create(&namespaces, &space).await.map_err(failed("Namespace"))?;
        let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
        let mut secret = Secret::default();
        secret.metadata.name = Some(NAME.to_owned());
        create(&secrets, &secret).await.map_err(failed("Secret"))?;
        let external_secrets = external_secret(client, namespace).await.map_err(failed("ExternalSecret"))?;
        let (begun, through) = (AtomicU64::new(0), Mutex::new(0));
        Ok(Self { namespaces, namespace: namespace.to_owned(), secrets, external_secrets, begun, through })
    }

    /// Writes, unless a write that began after this call has come through by then, and lets `show` wait until the watches show
    /// the versions. Those who call at the same time share a write. `stale` makes an error of a reason.
    ///
    /// # Errors
    /// That of `show`, and when the write does not come about in time.
    pub(crate) async fn pass<E, Show: Future<Output = Result<(), E>>>(
        &self,
        show: impl FnOnce(Versions, Duration) -> Show,
        stale: impl Fn(String) -> E,
    ) -> Result<(), E> {
        let wanted = self.begun.load(Ordering::SeqCst) + 1;
        let mut through = self.through.lock().await;
        if *through >= wanted {
            return Ok(());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let versions = match timeout(WITHIN, self.write(number)).await {
            Ok(Ok(versions)) => versions,
            Ok(Err(error)) => return Err(stale(format!("a write was refused: {error}"))),
            Err(_) => return Err(stale(format!("the API server took no write for {WITHIN:?}"))),
        };
        show(versions, WITHIN).await?;
        *through = number;
        Ok(())
    }

    /// Writes to each object, and gives the version that it has now.
    async fn write(&self, number: u64) -> Result<Versions, kube::Error> {
        let patch = json!({ "metadata": { "annotations": { ANNOTATION: number.to_string() } } });
        let (namespaces, secrets) =
            tokio::try_join!(version(&self.namespaces, &self.namespace, &patch), version(&self.secrets, NAME, &patch))?;
        let mut versions = BTreeMap::from([("Namespaces", namespaces), ("Secrets", secrets)]);
        if let Some(api) = &self.external_secrets {
            versions.insert("ExternalSecrets", version(api, NAME, &patch).await?);
        }
        Ok(versions)
    }
}

/// Makes an ExternalSecret that the operator passes over: its store is of another class (`Spec.Controller`, looked at by
/// `shouldProcessStore`). Gives none where the configuration's policies refuse it.
async fn external_secret(client: &Client, namespace: &str) -> Result<Option<Api<DynamicObject>>, kube::Error> {
    let objects = [
        ("SecretStore", json!({ "controller": NAME, "provider": { "fake": { "data": [] } } })),
        (
            "ExternalSecret",
            json!({
                "refreshInterval": "0s",
                "secretStoreRef": { "kind": "SecretStore", "name": NAME },
                "target": { "name": NAME, "creationPolicy": "None" },
                "data": [{ "secretKey": "none", "remoteRef": { "key": "none" } }],
            }),
        ),
    ];
    let mut made = None;
    for (kind, spec) in objects {
        let resource =
            ApiResource::from_gvk(&GroupVersionKind::gvk(EXTERNAL_SECRETS_GROUP, EXTERNAL_SECRETS_VERSION, kind));
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
        let object = DynamicObject::new(NAME, &resource).data(json!({ "spec": spec }));
        match create(&api, &object).await {
            Ok(()) => made = Some(api),
            Err(kube::Error::Api(status)) if status.code == 403 || status.code == 422 => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(made)
}

async fn create<K>(api: &Api<K>, object: &K) -> Result<(), kube::Error>
where
    K: Resource + Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    match api.create(&PostParams::default(), object).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        outcome => outcome.map(drop),
    }
}

async fn version<K>(api: &Api<K>, name: &str, patch: &Value) -> Result<u64, kube::Error>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let written = api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(resource_version(&written))
}

/// The version of an object as a number: since Kubernetes 1.35 versions of one kind may be compared in this way (KEP-5504).
pub(super) fn resource_version(object: &impl ResourceExt) -> u64 {
    object.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default()
}
