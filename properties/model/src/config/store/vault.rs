//! How a store of Vault logs in, and where its values are.

use serde_json::Value;

use super::ClusterSecretStore;

/// The mount of the Kubernetes auth method where a store names none.
///
/// Source: External Secrets Operator, `VaultKubernetesAuth` (apis/externalsecrets/v1/secretstore_vault_types.go).
pub(crate) const DEFAULT_VAULT_MOUNT: &str = "kubernetes";

/// The login of a store by the Kubernetes auth method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VaultLogin<'a> {
    /// Where the auth method is mounted, without slashes around.
    pub mount_path: &'a str,
    /// The role.
    pub role: &'a str,
    /// The namespace of the store's ServiceAccount; none if it takes that of each copy.
    pub namespace: Option<&'a str>,
}

impl ClusterSecretStore {
    /// How it logs in at Vault by the Kubernetes auth method, if it does.
    pub fn vault_login(&self) -> Option<VaultLogin<'_>> {
        let auth = self.object.pointer("/spec/provider/vault/auth/kubernetes")?;
        let account = &auth["serviceAccountRef"];
        Some(VaultLogin {
            mount_path: auth["mountPath"].as_str().unwrap_or(DEFAULT_VAULT_MOUNT).trim_matches('/'),
            role: auth["role"].as_str()?,
            namespace: self.namespace().or_else(|| account["namespace"].as_str()),
        })
    }

    /// The mount of the KV engine of version 2 that it reads at Vault, if it names one.
    pub fn vault_mount(&self) -> Option<&str> {
        let provider = self.object.pointer("/spec/provider/vault").filter(|provider| provider["version"] != "v1")?;
        provider.get("path").and_then(Value::as_str).map(|path| path.trim_matches('/'))
    }
}
