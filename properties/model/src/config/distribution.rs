//! Every ExternalSecret of a configuration, whether it is written as one or made by a ClusterExternalSecret.

use credence_core::labels::Labels;
use credence_core::manifest::Manifest;
use serde_json::Value;

use super::external_secret::{name_in, spec_field};
use super::{ClusterExternalSecret, ConfigError, DeletionPolicy, ExternalSecretSpec, SourcePosition, read_spec, typed};
use crate::selector::NamespaceSelection;

/// An ExternalSecret that the configuration itself has.
#[derive(Debug, Clone)]
pub struct ExternalSecret {
    /// Namespace and name, with a slash between them.
    pub name: String,
    /// Namespace that it is in, `default` if its manifest names none.
    pub namespace: String,
    /// Its place in the files.
    pub place: SourcePosition,
    /// The object as it is written.
    pub object: Value,
    /// Labels of the ExternalSecret itself, not those of its Secret.
    pub labels: Labels,
    /// Its reads and writes. SecretStores in it are named as [`ClusterSecretStore::name`](super::ClusterSecretStore::name) says.
    pub spec: ExternalSecretSpec,
}

impl ExternalSecret {
    pub(super) fn read(manifest: &Manifest) -> Result<Self, ConfigError> {
        // kubectl applies an object without a namespace to this one.
        let namespace = manifest.namespace().unwrap_or("default").to_owned();
        let labels = manifest.object.pointer("/metadata/labels").cloned().unwrap_or_default();
        let labels: Option<Labels> = typed(manifest, "/metadata/labels", labels)?;
        let spec: ExternalSecretSpec = read_spec(manifest)?;
        Ok(Self {
            name: name_in(&namespace, manifest.name()),
            place: SourcePosition::of(manifest),
            object: manifest.object.clone(),
            labels: labels.unwrap_or_default(),
            spec: spec.in_namespace(&namespace),
            namespace,
        })
    }
}

/// An ExternalSecret that the configuration has, or makes, with the namespaces that it is for.
#[derive(Debug, Clone)]
pub struct DeclaredDistribution<'a> {
    /// The name of what it is written as; that of a plain ExternalSecret begins with its namespace.
    pub name: &'a str,
    /// The object, as it is written.
    pub object: &'a Value,
    /// Its place in the files.
    pub place: &'a SourcePosition,
    /// Name of the ExternalSecret in each namespace.
    pub external_secret: &'a str,
    /// Labels of the ExternalSecret itself, not those of its Secret.
    pub labels: &'a Labels,
    /// Reads and writes of the ExternalSecret.
    pub spec: &'a ExternalSecretSpec,
    /// Namespaces that it selects; for a plain ExternalSecret its own, by name.
    pub selection: NamespaceSelection,
    /// The namespace of a plain ExternalSecret, whatever labels that has.
    pub namespace: Option<&'a str>,
}

impl<'a> DeclaredDistribution<'a> {
    pub(super) fn made(by: &'a ClusterExternalSecret) -> Self {
        Self {
            name: &by.name,
            object: &by.object,
            place: &by.place,
            external_secret: by.spec.external_secret_name.as_ref().unwrap_or(&by.name),
            labels: by.spec.external_secret_labels(),
            spec: &by.spec.external_secret_spec,
            selection: by.spec.selection(),
            namespace: None,
        }
    }

    pub(super) fn plain(written: &'a ExternalSecret) -> Self {
        let name = written.name.strip_prefix(&written.namespace).and_then(|rest| rest.strip_prefix('/'));
        Self {
            name: &written.name,
            object: &written.object,
            place: &written.place,
            external_secret: name.unwrap_or(&written.name),
            labels: &written.labels,
            spec: &written.spec,
            selection: NamespaceSelection { selectors: Vec::new(), names: vec![written.namespace.clone()] },
            namespace: Some(&written.namespace),
        }
    }

    /// The field of the object that has the spec.
    pub(crate) fn field(&self) -> &'static str {
        spec_field(self.object)
    }

    /// True if it reads nothing, so that no copy is made.
    ///
    /// Source: External Secrets Operator, `Reconcile` (pkg/controllers/externalsecret/externalsecret_controller.go).
    pub(crate) fn reads_nothing(&self) -> bool {
        let is_empty = self.spec.data.is_empty() && self.spec.data_from.is_empty();
        is_empty && self.spec.target.deletion_policy != DeletionPolicy::Merge
    }

    /// The name of the Secret that it makes.
    pub(crate) fn secret(&self) -> &str {
        self.spec.target.name.as_deref().unwrap_or(self.external_secret)
    }
}
