//! A parsed configuration: its manifests as they are, and those that decide distribution as typed values.
//!
//! Pure: derives nothing (see [`crate::model`]) and contacts nothing, but refuses what cannot be distributed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use credence_core::labels::Labels;
use credence_core::manifest::Manifest;
use serde::de::DeserializeOwned;
use serde_json::Value;

mod error;
mod external_secret;
mod go_duration;
mod references;
mod secret;
mod store;
#[cfg(test)]
mod tests;

pub use error::BundleError;
pub(crate) use external_secret::EntrySource;
pub use external_secret::{
    ClusterExternalSecretSpec, ConflictPolicy, CreationPolicy, DataEntry, DataFrom, DataTemplate, DecodingStrategy,
    DeletionPolicy, ExternalSecretSpec, Find, FindName, MergePolicy, MergeStrategy, MetadataPolicy, PriorityPolicy,
    RefreshPolicy, RemoteRef, Rewrite, RewriteMerge, RewriteRegexp, RewriteTransform, SecretTarget, SecretTemplate,
    StoreRef, TemplateFrom, TemplateItem, TemplateObject, TemplateScope, TemplateTarget,
};
pub use go_duration::{GoDurationError, parse_go_duration};
pub use secret::OPAQUE;
pub use secret::{SecretManifest, SourceRef};
pub use store::{ClusterSecretStore, KubernetesProvider, ServiceAccountRef, StoreCondition};

/// The API group of External Secrets Operator.
pub const EXTERNAL_SECRETS_GROUP: &str = "external-secrets.io";

/// The versions of that group whose fields this module knows; they agree in all that it reads.
const KNOWN_VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// The object that a typed value or an error is about, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Kind, namespace and name.
    pub object: String,
    /// The file; for rendered manifests, the directory that was rendered.
    pub file: PathBuf,
    /// The 1-based line where the object starts.
    pub line: usize,
}

impl Place {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self { object: manifest.object_name(), file: manifest.file.clone(), line: manifest.line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.object, self.file.display(), self.line)
    }
}

/// A ClusterExternalSecret.
#[derive(Debug, Clone)]
pub struct ClusterExternalSecret {
    /// The name.
    pub name: String,
    /// Where it is written.
    pub place: Place,
    /// The object as it is written.
    pub object: Value,
    /// What it distributes, and where to.
    pub spec: ClusterExternalSecretSpec,
}

/// A parsed configuration directory, with every reference to a store resolved.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Every object as written, in order, for applying and for what this module does not type.
    pub manifests: Vec<Manifest>,
    /// At least one, by name.
    pub cluster_external_secrets: Vec<ClusterExternalSecret>,
    /// By name.
    pub stores: BTreeMap<String, ClusterSecretStore>,
    /// Secrets of the core group, among them the sources' placeholders, and those that SealedSecrets become.
    pub secrets: BTreeMap<SourceRef, SecretManifest>,
    /// The labels of each namespace that the configuration creates.
    pub namespaces: BTreeMap<String, Labels>,
}

impl Bundle {
    /// Reads what decides distribution out of a configuration's manifests.
    ///
    /// # Errors
    /// An object that the API server or the controller would refuse, a store reference that leads nowhere, a store
    /// whose sources are no Kubernetes Secrets, and a configuration without any ClusterExternalSecret.
    pub fn from_manifests(manifests: Vec<Manifest>) -> Result<Self, BundleError> {
        let mut bundle = Self {
            manifests: Vec::new(),
            cluster_external_secrets: Vec::new(),
            stores: BTreeMap::new(),
            secrets: BTreeMap::new(),
            namespaces: BTreeMap::new(),
        };
        for manifest in &manifests {
            bundle.add(manifest)?;
        }
        if bundle.cluster_external_secrets.is_empty() {
            return Err(BundleError::NoClusterExternalSecret);
        }
        bundle.cluster_external_secrets.sort_by(|one, other| one.name.cmp(&other.name));
        bundle.manifests = manifests;
        references::check(&bundle)?;
        Ok(bundle)
    }

    /// The objects of one kind, in order.
    pub fn of_kind<'a>(&'a self, group: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Manifest> {
        self.manifests.iter().filter(move |manifest| manifest.group() == group && manifest.kind() == kind)
    }

    fn add(&mut self, manifest: &Manifest) -> Result<(), BundleError> {
        let name = manifest.name().to_owned();
        match (manifest.group(), manifest.kind()) {
            (EXTERNAL_SECRETS_GROUP, "ClusterExternalSecret") => {
                self.cluster_external_secrets.push(ClusterExternalSecret {
                    name,
                    place: Place::of(manifest),
                    object: manifest.object.clone(),
                    spec: read_spec(manifest)?,
                });
            }
            (EXTERNAL_SECRETS_GROUP, "ClusterSecretStore") => {
                self.stores.insert(name, store::read(manifest)?);
            }
            ("", "Secret") => {
                let source = SourceRef {
                    // kubectl applies an object without a namespace to this one.
                    namespace: manifest.namespace().unwrap_or("default").to_owned(),
                    name,
                };
                self.secrets.insert(source, secret::read(manifest)?);
            }
            (secret::SEALED_SECRETS_GROUP, "SealedSecret") => {
                let namespace = manifest.namespace().unwrap_or("default").to_owned();
                self.secrets.insert(SourceRef { namespace, name }, secret::sealed(manifest)?);
            }
            ("", "Namespace") => {
                let labels = manifest.object.pointer("/metadata/labels").cloned();
                let labels: Option<Labels> = typed(manifest, labels.unwrap_or_default())?;
                self.namespaces.insert(name, labels.unwrap_or_default());
            }
            _ => {}
        }
        Ok(())
    }
}

/// The `spec` of an object of External Secrets Operator.
fn read_spec<T: DeserializeOwned>(manifest: &Manifest) -> Result<T, BundleError> {
    if !KNOWN_VERSIONS.contains(&manifest.version()) {
        return Err(BundleError::UnknownVersion {
            place: Box::new(Place::of(manifest)),
            version: manifest.version().to_owned(),
        });
    }
    typed(manifest, manifest.object["spec"].clone())
}

fn typed<T: DeserializeOwned>(manifest: &Manifest, value: Value) -> Result<T, BundleError> {
    // Only fields that never hold credentials are typed, so the cause may show the value that it is about.
    serde_json::from_value(without_nulls(value))
        .map_err(|source| BundleError::Invalid { place: Box::new(Place::of(manifest)), source })
}

/// A field that is null counts as absent, as in the API server.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
