//! A parsed configuration: its manifests as they are, and those that decide distribution as typed values.
//!
//! Pure: derives nothing (see [`crate::model`]) and contacts nothing, but refuses what cannot be distributed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use credence_core::labels::Labels;
use credence_core::manifest::{Location, Manifest};
use credence_core::operator_api::EXTERNAL_SECRETS_GROUP;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

mod distribution;
mod error;
mod external_secret;
mod generator;
mod go_duration;
mod references;
mod schema;
mod secret;
mod source;
mod store;
#[cfg(test)]
mod tests;

pub use distribution::{DeclaredDistribution, ExternalSecret};
pub use error::ConfigError;
pub(crate) use external_secret::GeneratorRef;
pub use external_secret::spec_in;
pub use external_secret::{
    ClusterExternalSecretSpec, Composition, ConflictPolicy, ConversionStrategy, CreationPolicy, DataEntry, DataFrom,
    DataTemplate, DecodingStrategy, DeletionPolicy, ExternalSecretSpec, Find, FindName, MergePolicy, MergeStrategy,
    MetadataPolicy, PriorityPolicy, RefreshPolicy, RemoteRef, Rewrite, RewriteMerge, RewriteRegexp, RewriteTransform,
    SecretTarget, SecretTemplate, StoreRef, TemplateFrom, TemplateItem, TemplateObject, TemplateScope, TemplateTarget,
};
pub(crate) use external_secret::{name_in, spec_field};
pub(crate) use generator::{CLUSTER_GENERATOR, Generator, LOCAL_GENERATORS, asks_a_service, makes_tokens};
pub use go_duration::GoDurationError;
pub(crate) use go_duration::parse_go_duration;
pub use schema::{Fault, Schema};
pub use secret::OPAQUE;
pub use secret::SecretManifest;
pub use source::{RemotePlace, SourceRef};
pub use store::{
    ClusterSecretStore, KubernetesProvider, STANDS_IN_FOR, ServiceAccountRef, StandIn, StoreCondition, StoreSemantics,
    VaultAuth, VaultLogin, VaultPlace, VaultSecretKey, WRITTEN, is_found, is_store, stood_in_provider, store_key,
};
pub(crate) use store::{DEFAULT_VAULT_MOUNT, found_key, written_keys};

/// The versions of [`EXTERNAL_SECRETS_GROUP`] whose fields this module knows; they agree in all that it reads.
const KNOWN_VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// The object that a typed value or an error is about, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePosition {
    /// Kind, namespace and name as messages show them: `Secret central/github-pat`.
    pub object: String,
    /// The file; for rendered manifests, the directory that was rendered.
    pub file: PathBuf,
    /// The 1-based line where the object starts, or where the field is.
    pub line: usize,
    /// The 1-based column of the field; `None` for the object as a whole.
    pub column: Option<usize>,
}

impl SourcePosition {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self { object: manifest.object_name(), file: manifest.file.clone(), line: manifest.line, column: None }
    }

    /// The place of a field, by its JSON pointer, or of the nearest field around it that is written.
    pub(crate) fn field(manifest: &Manifest, pointer: &str) -> Self {
        let Location { file, line, column } = manifest.location(pointer);
        Self { object: manifest.object_name(), file, line, column: Some(column) }
    }
}

impl fmt::Display for SourcePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.object, self.file.display(), self.line)?;
        self.column.map_or(Ok(()), |column| write!(f, ":{column}"))
    }
}

/// A ClusterExternalSecret of the configuration, as far as it decides about copies.
#[derive(Debug, Clone)]
pub struct ClusterExternalSecret {
    /// Its `metadata.name`, which its ExternalSecrets have as well unless `externalSecretName` is set.
    pub name: String,
    /// Its place in the files.
    pub place: SourcePosition,
    /// The object as it is written.
    pub object: Value,
    /// Its contents, and its recipients.
    pub spec: ClusterExternalSecretSpec,
}

/// A parsed configuration directory, with every reference to a store resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// Every object as written, in order, for applying and for what this module does not type.
    pub manifests: Vec<Manifest>,
    /// ClusterExternalSecrets by name; there is at least one, or one ExternalSecret.
    pub cluster_external_secrets: Vec<ClusterExternalSecret>,
    /// ExternalSecrets that nothing makes, by namespace and name.
    pub external_secrets: Vec<ExternalSecret>,
    /// Stores by name; that of a SecretStore begins with its namespace.
    pub stores: BTreeMap<String, ClusterSecretStore>,
    /// Secrets of the core group, among them the sources' placeholders, and those that SealedSecrets become.
    pub secrets: BTreeMap<SourceRef, SecretManifest>,
    /// The labels of each namespace that the configuration creates.
    pub namespaces: BTreeMap<String, Labels>,
}

impl Config {
    /// Reads what decides distribution out of a configuration's manifests.
    ///
    /// # Errors
    /// An object that the API server or the controller would refuse, or of which they would leave out a field, a store reference
    /// that leads nowhere, and a configuration that distributes nothing.
    pub fn from_manifests(manifests: Vec<Manifest>) -> Result<Self, ConfigError> {
        Self::checked(manifests, Schema::pinned())
    }

    /// Same as [`from_manifests`](Self::from_manifests), for an operator of the version of `schema`.
    ///
    /// # Errors
    /// As [`from_manifests`](Self::from_manifests).
    pub fn checked(manifests: Vec<Manifest>, schema: &Schema) -> Result<Self, ConfigError> {
        let faults: Vec<Fault> = manifests.iter().flat_map(|manifest| schema.faults_of(manifest)).collect();
        if faults.is_empty() { Self::understand(manifests) } else { Err(ConfigError::Refused(faults)) }
    }

    /// Reads objects that were made of those of a configuration whose fields have been checked.
    ///
    /// # Errors
    /// As [`from_manifests`](Self::from_manifests), but for fields that are not known.
    pub fn of_checked(manifests: Vec<Manifest>) -> Result<Self, ConfigError> {
        Self::understand(manifests)
    }

    /// Reads a configuration of a live cluster, whose operator may be of any version. Gives what only other versions than
    /// that of `schema` take, too: their fields are read as far as they agree.
    ///
    /// # Errors
    /// As [`from_manifests`](Self::from_manifests).
    pub fn of_live_cluster(manifests: Vec<Manifest>, schema: &Schema) -> Result<(Self, Vec<Fault>), ConfigError> {
        let faults = manifests.iter().flat_map(|manifest| schema.faults_of(manifest));
        let (notes, faults): (Vec<Fault>, Vec<Fault>) = faults.partition(|fault| fault.is_of_another_version);
        if faults.is_empty() { Ok((Self::understand(manifests)?, notes)) } else { Err(ConfigError::Refused(faults)) }
    }

    fn understand(manifests: Vec<Manifest>) -> Result<Self, ConfigError> {
        let mut config = Self {
            manifests: Vec::new(),
            cluster_external_secrets: Vec::new(),
            external_secrets: Vec::new(),
            stores: BTreeMap::new(),
            secrets: BTreeMap::new(),
            namespaces: BTreeMap::new(),
        };
        for manifest in &manifests {
            config.add(manifest)?;
        }
        if config.declared_distributions().next().is_none() {
            return Err(ConfigError::NothingDistributed);
        }
        config.cluster_external_secrets.sort_by(|one, other| one.name.cmp(&other.name));
        config.external_secrets.sort_by(|one, other| one.name.cmp(&other.name));
        config.manifests = manifests;
        references::check(&config)?;
        Ok(config)
    }

    /// The objects of one kind, in order.
    pub fn of_kind<'a>(&'a self, group: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Manifest> {
        self.manifests.iter().filter(move |manifest| manifest.group() == group && manifest.kind() == kind)
    }

    /// Every ExternalSecret that the configuration has, or that one of its ClusterExternalSecrets makes: those first, each by name.
    pub fn declared_distributions(&self) -> impl Iterator<Item = DeclaredDistribution<'_>> {
        let made = self.cluster_external_secrets.iter().map(DeclaredDistribution::made);
        made.chain(self.external_secrets.iter().map(DeclaredDistribution::plain))
    }

    /// The ExternalSecret, or what makes some, that a distribution of this name was derived from.
    pub fn declared(&self, name: &str) -> Option<DeclaredDistribution<'_>> {
        let made = self.cluster_external_secrets.iter().find(|one| one.name == name).map(DeclaredDistribution::made);
        made.or_else(|| self.external_secrets.iter().find(|one| one.name == name).map(DeclaredDistribution::plain))
    }

    fn add(&mut self, manifest: &Manifest) -> Result<(), ConfigError> {
        let name = manifest.name().to_owned();
        match (manifest.group(), manifest.kind()) {
            (EXTERNAL_SECRETS_GROUP, "ClusterExternalSecret") => {
                self.cluster_external_secrets.push(ClusterExternalSecret {
                    name,
                    place: SourcePosition::of(manifest),
                    object: manifest.object.clone(),
                    spec: read_spec(manifest)?,
                });
            }
            (EXTERNAL_SECRETS_GROUP, "ExternalSecret") => self.external_secrets.push(ExternalSecret::read(manifest)?),
            (EXTERNAL_SECRETS_GROUP, "ClusterSecretStore" | "SecretStore") => {
                let store = store::read(manifest)?;
                self.stores.insert(store.name.clone(), store);
            }
            ("", "Secret") => {
                // kubectl applies an object without a namespace to this one.
                let source = SourceRef::secret(manifest.namespace().unwrap_or("default"), name);
                self.secrets.insert(source, secret::read(manifest)?);
            }
            (secret::SEALED_SECRETS_GROUP, "SealedSecret") => {
                let source = SourceRef::secret(manifest.namespace().unwrap_or("default"), name);
                self.secrets.insert(source, secret::sealed(manifest)?);
            }
            ("", "Namespace") => {
                let labels = manifest.object.pointer("/metadata/labels").cloned();
                let labels: Option<Labels> = typed(manifest, "/metadata/labels", labels.unwrap_or_default())?;
                self.namespaces.insert(name, labels.unwrap_or_default());
            }
            _ => {}
        }
        Ok(())
    }
}

/// The `spec` of an object of External Secrets Operator.
fn read_spec<T: DeserializeOwned>(manifest: &Manifest) -> Result<T, ConfigError> {
    if !KNOWN_VERSIONS.contains(&manifest.version()) {
        return Err(ConfigError::UnknownVersion {
            place: Box::new(SourcePosition::field(manifest, "/apiVersion")),
            version: manifest.version().to_owned(),
        });
    }
    match &manifest.object["spec"] {
        // The API server takes it, since the definitions do not require the field.
        Value::Null => Err(ConfigError::NoSpec { place: Box::new(SourcePosition::of(manifest)) }),
        spec => typed(manifest, "/spec", spec.clone()),
    }
}

/// A part of an object, which stands at this JSON pointer.
fn typed<T: DeserializeOwned>(manifest: &Manifest, pointer: &str, value: Value) -> Result<T, ConfigError> {
    // Only fields that never hold credentials are typed, so the cause may show the value that it is about.
    serde_path_to_error::deserialize(without_nulls(value)).map_err(|error| {
        let pointer = format!("{pointer}{}", pointer_of(error.path()));
        ConfigError::Invalid { place: Box::new(SourcePosition::field(manifest, &pointer)), source: error.into_inner() }
    })
}

/// The way to a value as a JSON pointer.
fn pointer_of(path: &serde_path_to_error::Path) -> String {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(format!("/{index}")),
        Segment::Map { key } => Some(format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
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
