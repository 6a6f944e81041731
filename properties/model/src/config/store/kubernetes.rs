//! Stores that read Kubernetes Secrets.

use serde::Deserialize;
use serde_json::Value;

use super::StoreSemantics;
use crate::config::{RemoteRef, SourceRef};

/// Settings of a store that reads Kubernetes Secrets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesProvider {
    /// The namespace of the sources.
    #[serde(default = "default_namespace")]
    pub remote_namespace: String,
    #[serde(default)]
    auth: Auth,
    #[serde(default)]
    auth_ref: Option<Value>,
}

impl KubernetesProvider {
    /// The ServiceAccount that the store reads as, if it authenticates as one.
    pub fn service_account(&self) -> Option<&ServiceAccountRef> {
        self.auth.service_account.as_ref()
    }

    /// The same, to be placed in a namespace.
    pub(super) fn service_account_mut(&mut self) -> Option<&mut ServiceAccountRef> {
        self.auth.service_account.as_mut()
    }

    /// The field with a credential of one API server, if it authenticates by that.
    pub(super) fn foreign_authentication(&self) -> Option<&'static str> {
        let fields = [("authRef", &self.auth_ref), ("auth.cert", &self.auth.cert), ("auth.token", &self.auth.token)];
        fields.into_iter().find(|(_, value)| value.is_some()).map(|(field, _)| field)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Auth {
    service_account: Option<ServiceAccountRef>,
    cert: Option<Value>,
    token: Option<Value>,
}

/// The ServiceAccount of a store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServiceAccountRef {
    /// Name of the ServiceAccount.
    pub name: String,
    /// Its namespace; without one, the store takes the account of this name in each distribution namespace.
    pub namespace: Option<String>,
}

/// The CRD's default for `remoteNamespace`.
fn default_namespace() -> String {
    "default".to_owned()
}

impl StoreSemantics for KubernetesProvider {
    fn locate(&self, remote: &RemoteRef) -> SourceRef {
        SourceRef::secret(&self.remote_namespace, &remote.key)
    }

    fn account(&self) -> Option<&ServiceAccountRef> {
        self.service_account()
    }

    fn unjudged(&self) -> Option<(String, String)> {
        None
    }
}
