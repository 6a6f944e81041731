//! Puts manifests into a cluster: server-side apply, in an order that needs no retries.

use std::collections::BTreeMap;
use std::time::Duration;

use credence_watch::wait::{self, Progress, WaitError};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Discovery};
use serde_json::{Value, json};

/// The field manager of everything that credence applies.
pub const FIELD_MANAGER: &str = "credence";
/// Objects applied at the same time.
const CONCURRENCY: usize = 16;
/// Time that a kind may be listed before it is served.
const DISCOVERED: Duration = Duration::from_secs(10);
/// Time that an object may take to go.
const GONE: Duration = Duration::from_secs(60);
/// Label of every namespace that credence made; its value is the run.
pub const RUN_LABEL: &str = "credence.dev/run";
/// Time that a CustomResourceDefinition may take to be served.
const ESTABLISHED: Duration = Duration::from_mins(3);

/// An object could not be applied.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ApplyError {
    /// The manifest is not a Kubernetes object.
    #[error("failed to read {object} as a Kubernetes object")]
    Malformed {
        object: String,
        #[source]
        source: serde_json::Error,
    },
    /// The cluster does not serve this kind.
    #[error("failed to apply {object}: the cluster does not serve {kind}")]
    UnknownKind {
        object: String,
        /// The kind, with its group and version.
        kind: String,
    },
    #[error("failed to apply {object}")]
    Refused {
        object: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server would not remove it.
    #[error("failed to remove {object}")]
    Remove {
        object: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// An object did not go.
    #[error("failed to remove what was deployed before")]
    NotRemoved(#[source] WaitError),
    /// The cluster's kinds could not be listed.
    #[error("failed to discover the kinds that the cluster serves")]
    Discovery(#[source] Box<kube::Error>),
    /// A kind is listed and not served.
    #[error("failed to discover the kinds that the cluster serves")]
    NotDiscovered(#[source] WaitError),
    /// A definition is not served.
    #[error("failed to establish the custom resource definitions")]
    NotEstablished(#[source] WaitError),
}

/// Applies objects to one cluster, with the kinds that it served when this was made.
pub struct Applier {
    client: Client,
    kinds: BTreeMap<(String, String, String), (ApiResource, bool)>,
}

/// Names an object in messages: `Kind namespace/name`.
pub fn describe(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match text("/metadata/namespace") {
        "" => format!("{} {}", text("/kind"), text("/metadata/name")),
        namespace => format!("{} {namespace}/{}", text("/kind"), text("/metadata/name")),
    }
}

impl Applier {
    /// Discovers what the cluster serves.
    ///
    /// # Errors
    /// When discovery fails.
    pub async fn discover(client: &Client) -> Result<Self, ApplyError> {
        // A group that somebody is just adding is listed a moment before it is served.
        let discovered =
            wait::poll("the kinds that the cluster serves", DISCOVERED, Duration::from_millis(200), || async {
                match Discovery::new(client.clone()).run().await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => Progress::NotYet(status.to_string()),
                    outcome => Progress::Done(outcome),
                }
            });
        let discovery = discovered.await.map_err(ApplyError::NotDiscovered)?;
        let discovery = discovery.map_err(|error| ApplyError::Discovery(Box::new(error)))?;
        let mut kinds = BTreeMap::new();
        for group in discovery.groups() {
            for version in group.versions() {
                for (resource, capabilities) in group.versioned_resources(version) {
                    let key = (resource.group.clone(), resource.version.clone(), resource.kind.clone());
                    let namespaced = capabilities.scope == kube::discovery::Scope::Namespaced;
                    kinds.insert(key, (resource, namespaced));
                }
            }
        }
        Ok(Self { client: client.clone(), kinds })
    }

    /// True if the cluster serves the kind of an object.
    pub fn serves(&self, object: &Value) -> bool {
        !matches!(self.resolve(object), Err(ApplyError::UnknownKind { .. }))
    }

    /// Applies one object.
    ///
    /// # Errors
    /// When the object is malformed, its kind is not served, or the API server refuses it.
    pub async fn apply(&self, object: &Value) -> Result<(), ApplyError> {
        let (api, typed) = self.resolve(object)?;
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let named = typed.metadata.name.clone().unwrap_or_default();
        api.patch(&named, &params, &Patch::Apply(&typed))
            .await
            .map(drop)
            .map_err(|source| ApplyError::Refused { object: describe(object), source: Box::new(source) })
    }

    /// Removes one object; one that is gone already is as good.
    ///
    /// # Errors
    /// When the object is malformed or the API server refuses.
    pub async fn remove(&self, object: &Value) -> Result<(), ApplyError> {
        let (api, typed) = self.resolve(object)?;
        let named = typed.metadata.name.unwrap_or_default();
        match api.delete(&named, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(ApplyError::Remove { object: describe(object), source: Box::new(source) }),
        }
    }

    /// The object as the client wants it, and the API that it belongs to.
    fn resolve(&self, object: &Value) -> Result<(Api<DynamicObject>, DynamicObject), ApplyError> {
        let name = describe(object);
        let typed: DynamicObject = serde_json::from_value(object.clone())
            .map_err(|source| ApplyError::Malformed { object: name.clone(), source })?;
        let types = typed.types.clone().unwrap_or_default();
        let Ok(gvk) = GroupVersionKind::try_from(&types) else {
            return Err(ApplyError::UnknownKind { object: name, kind: types.api_version });
        };
        let key = (gvk.group.clone(), gvk.version.clone(), gvk.kind.clone());
        let Some((resource, namespaced)) = self.kinds.get(&key) else {
            return Err(ApplyError::UnknownKind { object: name, kind: format!("{} {}", types.api_version, gvk.kind) });
        };
        let api: Api<DynamicObject> = if *namespaced {
            let namespace = typed.metadata.namespace.as_deref().unwrap_or("default");
            Api::namespaced_with(self.client.clone(), namespace, resource)
        } else {
            Api::all_with(self.client.clone(), resource)
        };
        Ok((api, typed))
    }

    /// Applies all objects, several at a time, in the order that their kinds need: what others refer to goes first, admission policies last.
    ///
    /// # Errors
    /// At the first object that cannot be applied.
    pub async fn apply_all<'a>(&self, objects: impl IntoIterator<Item = &'a Value>) -> Result<(), ApplyError> {
        let mut ranked: BTreeMap<u8, Vec<&Value>> = BTreeMap::new();
        for object in objects {
            ranked.entry(rank(object)).or_default().push(object);
        }
        for (_, objects) in ranked {
            stream::iter(objects.into_iter().map(Ok))
                .try_for_each_concurrent(CONCURRENCY, |object| self.apply(object))
                .await?;
        }
        Ok(())
    }

    /// Removes all objects in the opposite order of [`apply_all`](Self::apply_all).
    ///
    /// # Errors
    /// At the first object that cannot be removed.
    pub async fn remove_all(&self, objects: &[Value]) -> Result<(), ApplyError> {
        let mut ranked: Vec<&Value> = objects.iter().collect();
        ranked.sort_by_key(|object| std::cmp::Reverse(rank(object)));
        for object in &ranked {
            self.remove(object).await?;
        }
        for object in ranked {
            self.until_gone(object).await?;
        }
        Ok(())
    }

    /// Waits until an object is gone: one that is applied again while it still has finalizers would vanish later.
    async fn until_gone(&self, object: &Value) -> Result<(), ApplyError> {
        let (api, typed) = self.resolve(object)?;
        let name = typed.metadata.name.unwrap_or_default();
        wait::poll(&format!("{} gone", describe(object)), GONE, Duration::from_millis(100), || async {
            match api.get_metadata_opt(&name).await {
                Ok(None) => Progress::Done(()),
                Ok(Some(_)) => Progress::NotYet("it is still there".to_owned()),
                Err(error) => Progress::NotYet(error.to_string()),
            }
        })
        .await
        .map_err(ApplyError::NotRemoved)
    }
}

/// The order in which kinds are applied: what others need first, admission policies last so that they do not judge
/// the platform's own set-up.
fn rank(object: &Value) -> u8 {
    match object["kind"].as_str().unwrap_or_default() {
        "Namespace" => 0,
        "ServiceAccount" | "Role" | "ClusterRole" | "Secret" | "ConfigMap" => 1,
        "RoleBinding" | "ClusterRoleBinding" => 2,
        "ClusterSecretStore" | "SecretStore" => 4,
        "ClusterExternalSecret" | "ExternalSecret" => 5,
        "ValidatingAdmissionPolicy" => 6,
        "ValidatingAdmissionPolicyBinding" => 7,
        _ => 3,
    }
}

/// Installs what a chart renders to: its definitions, then the namespace and everything else, for which the definitions
/// must be served.
///
/// # Errors
/// When something is refused, or a definition is not served in time.
pub async fn install(
    client: &Client,
    definitions: &[Value],
    namespace: &str,
    objects: &[Value],
) -> Result<(), ApplyError> {
    apply_definitions(client, definitions).await?;
    let applier = Applier::discover(client).await?;
    applier.apply(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } })).await?;
    applier.apply_all(objects).await
}

/// Applies custom resource definitions and waits until each is served.
///
/// # Errors
/// When one is refused or is not served in time.
pub async fn apply_definitions(client: &Client, definitions: &[Value]) -> Result<(), ApplyError> {
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition"));
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    stream::iter(definitions)
        .map(Ok)
        .try_for_each_concurrent(CONCURRENCY, |definition| {
            let (api, params) = (api.clone(), params.clone());
            async move {
                let name = definition.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                api.patch(name, &params, &Patch::Apply(definition))
                    .await
                    .map_err(|source| ApplyError::Refused { object: describe(definition), source: Box::new(source) })?;
                let what = format!("CustomResourceDefinition {name} established");
                wait::poll(&what, ESTABLISHED, Duration::from_millis(100), || is_established(&api, name))
                    .await
                    .map_err(ApplyError::NotEstablished)
            }
        })
        .await
}

async fn is_established(api: &Api<DynamicObject>, name: &str) -> Progress<()> {
    let definition = match api.get(name).await {
        Ok(definition) => definition,
        Err(error) => return Progress::NotYet(error.to_string()),
    };
    let established = definition
        .data
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
    if established { Progress::Done(()) } else { Progress::NotYet("not established".to_owned()) }
}
