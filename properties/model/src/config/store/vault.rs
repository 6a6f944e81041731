//! Logins of stores at Vault, and the places of their values.

use serde_json::Value;

use super::{ClusterSecretStore, STANDS_IN_FOR};

/// The mount of the Kubernetes auth method where a store names none.
///
/// Source: External Secrets Operator, `VaultKubernetesAuth` (apis/externalsecrets/v1/secretstore_vault_types.go).
pub(crate) const DEFAULT_VAULT_MOUNT: &str = "kubernetes";

/// The login of a store by the Kubernetes auth method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VaultLogin<'a> {
    /// Mount path of the auth method, without slashes around.
    pub mount_path: &'a str,
    /// Role of the auth method that it logs in with.
    pub role: &'a str,
    /// The namespace of the store's ServiceAccount; none if it takes that of each copy.
    pub namespace: Option<&'a str>,
}

impl ClusterSecretStore {
    /// Its login at Vault by the Kubernetes auth method, if it has one.
    pub fn vault_login(&self) -> Option<VaultLogin<'_>> {
        let auth = self.object.pointer("/spec/provider/vault/auth/kubernetes")?;
        let account = &auth["serviceAccountRef"];
        Some(VaultLogin {
            mount_path: auth["mountPath"].as_str().unwrap_or(DEFAULT_VAULT_MOUNT).trim_matches('/'),
            role: auth["role"].as_str()?,
            namespace: self.namespace().or_else(|| account["namespace"].as_str()),
        })
    }

    /// True if it logs in at Vault by this field of its `auth`.
    pub(crate) fn vault_logs_in_by(&self, method: &str) -> bool {
        self.object.pointer("/spec/provider/vault/auth").is_some_and(|auth| auth.get(method).is_some())
    }

    /// The mount of the KV engine of version 2 that it reads at Vault, if it names one.
    pub(crate) fn vault_mount(&self) -> Option<&str> {
        let provider = self.object.pointer("/spec/provider/vault").filter(|provider| provider["version"] != "v1")?;
        provider.get("path").and_then(Value::as_str).map(|path| path.trim_matches('/'))
    }
}

/// Source of the secrets that a login of the cluster reads: a key of a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VaultSecretKey<'a> {
    /// Namespace of the Secret.
    pub namespace: &'a str,
    /// Name of the Secret.
    pub name: &'a str,
    /// Key of the Secret that holds the value.
    pub key: &'a str,
}

/// Logins of a store at a Vault that is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultAuth<'a> {
    /// The Kubernetes auth method, as the ServiceAccount of this name in the namespace of the login.
    Kubernetes(VaultLogin<'a>, &'a str),
    /// The AppRole auth method.
    AppRole {
        /// Mount path of the auth method, without slashes around.
        mount_path: &'a str,
        /// The role's id, if the store has it.
        role_id: Option<&'a str>,
        /// Place of the role's id, if the store has it not.
        role_ref: Option<VaultSecretKey<'a>>,
        /// Place of the secret id.
        secret_ref: VaultSecretKey<'a>,
    },
    /// A token, which is the value of this key.
    Token(VaultSecretKey<'a>),
}

/// Place of a document in Vault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VaultPlace {
    /// The mount of the key-value engine.
    pub mount: String,
    /// Path below the mount, without the `data/` of engines that keep versions.
    pub path: String,
    /// True if the engine keeps versions.
    pub is_versioned: bool,
}

impl VaultPlace {
    /// The path at which it is read and written.
    pub fn data(&self) -> String {
        self.beneath("data")
    }

    /// The path at which all of it is deleted.
    pub fn whole(&self) -> String {
        self.beneath("metadata")
    }

    /// The same place, with another name beside it.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        let path = match self.path.rsplit_once('/') {
            Some((above, _)) => format!("{above}/{name}"),
            None => name.to_owned(),
        };
        Self { path, ..self.clone() }
    }

    fn beneath(&self, part: &str) -> String {
        let Self { mount, path, is_versioned } = self;
        if *is_versioned { format!("{mount}/{part}/{path}") } else { format!("{mount}/{path}") }
    }
}

impl ClusterSecretStore {
    /// True if it reads from a Vault that is here: its provider is the one that is written, while credence knows it by its own name.
    pub fn is_served_by_vault(&self) -> bool {
        let known = self.object.pointer("/metadata/annotations").and_then(|all| all.get(STANDS_IN_FOR));
        known.is_some() && self.object.pointer("/spec/provider/vault").is_some()
    }

    /// Place in Vault of what is read as `key`.
    ///
    /// Source: External Secrets Operator, `client.buildPath` (pkg/provider/vault/client_get.go).
    pub fn vault_place(&self, key: &str) -> Option<VaultPlace> {
        let provider = self.object.pointer("/spec/provider/vault")?;
        let is_versioned = provider["version"] != "v1";
        let (mount, path) = match provider["path"].as_str() {
            Some(mount) => {
                let path = key.strip_prefix(&format!("{mount}/"));
                let in_data = path.filter(|_| is_versioned).and_then(|path| path.strip_prefix("data/"));
                (mount, in_data.or(path).unwrap_or(key))
            }
            None => match key.split_once("/data/").filter(|_| is_versioned) {
                Some(parts) => parts,
                None => key.split_once('/')?,
            },
        };
        let mount = mount.trim_matches('/').to_owned();
        Some(VaultPlace { mount, path: path.to_owned(), is_versioned })
    }

    /// Login at a Vault that is here.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn vault_auth(&self) -> Result<VaultAuth<'_>, &'static str> {
        let provider = self.object.pointer("/spec/provider/vault").ok_or("it is no store of Vault")?;
        if provider.get("namespace").is_some() || provider.pointer("/auth/namespace").is_some() {
            return Err("it names a namespace of Vault Enterprise");
        }
        if provider.get("tls").is_some() {
            return Err("it shows a certificate of its own");
        }
        let auth = &provider["auth"];
        let of_each = "it logs in with what is in the namespace of each copy";
        if let Some(token) = auth.get("tokenSecretRef") {
            return Ok(VaultAuth::Token(self.secret_key(token).ok_or(of_each)?));
        }
        if let Some(role) = auth.get("appRole") {
            let mount_path = role["path"].as_str().unwrap_or("approle").trim_matches('/');
            let role_id = role["roleId"].as_str().filter(|id| !id.is_empty());
            let role_ref = match role.get("roleRef").filter(|_| role_id.is_none()) {
                Some(reference) => Some(self.secret_key(reference).ok_or(of_each)?),
                None => None,
            };
            let secret_ref = self.secret_key(&role["secretRef"]).ok_or(of_each)?;
            return Ok(VaultAuth::AppRole { mount_path, role_id, role_ref, secret_ref });
        }
        let login = self.vault_login().ok_or("it logs in by a method that the Vault of the test has not")?;
        let account = auth.pointer("/kubernetes/serviceAccountRef/name").and_then(Value::as_str);
        let account =
            account.ok_or("it logs in with a token that is in a Secret, or with that of the operator's pod")?;
        login.namespace.ok_or(of_each)?;
        Ok(VaultAuth::Kubernetes(login, account))
    }

    /// The key of a Secret that is referred to; none if it is in the namespace of each copy.
    fn secret_key<'a>(&'a self, reference: &'a Value) -> Option<VaultSecretKey<'a>> {
        let namespace = self.namespace().or_else(|| reference["namespace"].as_str())?;
        Some(VaultSecretKey { namespace, name: reference["name"].as_str()?, key: reference["key"].as_str()? })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use rstest::rstest;

    use super::*;

    fn store(provider: &str) -> ClusterSecretStore {
        let text = format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{ name: s }}\n\
             spec: {{ provider: {{ vault: {{ server: 'https://vault.test', {provider} }} }} }}\n"
        );
        super::super::read(&parse_documents(Path::new("a.yaml"), &text).unwrap()[0]).unwrap()
    }

    /// Paths that `TestVaultBuildPath` of External Secrets Operator expects (pkg/provider/vault/client_get_test.go), and those of
    /// engines without versions.
    #[rstest]
    #[case::mount("path: secret", "path", "secret/data/path")]
    #[case::mount_in_key("path: secret", "secret/path", "secret/data/path")]
    #[case::mount_and_data_in_key("path: secret", "secret/data/path", "secret/data/path")]
    #[case::long_mount("path: secret/test", "path", "secret/test/data/path")]
    #[case::no_mount("version: v2", "secret/test/path", "secret/data/test/path")]
    #[case::no_mount_and_data_in_key("version: v2", "secret/test/data/path", "secret/test/data/path")]
    #[case::no_versions("path: secret, version: v1", "test/path", "secret/test/path")]
    #[case::no_versions_and_no_mount("version: v1", "secret/data/path", "secret/data/path")]
    fn a_key_is_where_the_operator_looks_for_it(#[case] provider: &str, #[case] key: &str, #[case] path: &str) {
        assert_eq!(store(provider).vault_place(key).unwrap().data(), path);
    }

    #[rstest]
    #[case::kubernetes("auth: { kubernetes: { role: r, serviceAccountRef: { name: a, namespace: ns } } }", None)]
    #[case::of_each(
        "auth: { kubernetes: { role: r, serviceAccountRef: { name: a } } }",
        Some("namespace of each copy")
    )]
    #[case::token_of_an_account("auth: { kubernetes: { role: r, secretRef: { name: a } } }", Some("in a Secret"))]
    #[case::app_role("auth: { appRole: { roleId: i, secretRef: { name: a, namespace: ns, key: k } } }", None)]
    #[case::app_role_of_each("auth: { appRole: { roleId: i, secretRef: { name: a, key: k } } }", Some("of each copy"))]
    #[case::token("auth: { tokenSecretRef: { name: a, namespace: ns, key: k } }", None)]
    #[case::other("auth: { jwt: { role: r } }", Some("has not"))]
    #[case::enterprise(
        "namespace: team, auth: { tokenSecretRef: { name: a, namespace: ns, key: k } }",
        Some("Enterprise")
    )]
    fn a_vault_that_is_here_is_logged_in_to_or_there_is_a_reason(
        #[case] provider: &str,
        #[case] why_not: Option<&str>,
    ) {
        match (store(provider).vault_auth(), why_not) {
            (Ok(_), None) => {}
            (Err(why), Some(expected)) => assert!(why.contains(expected), "{why}"),
            (found, _) => panic!("{found:?}"),
        }
    }

    #[test]
    fn a_store_is_served_by_vault_if_the_vault_that_is_written_is_here() {
        let written = store("path: kv");
        assert!(!written.is_served_by_vault());
        let standing_in = |provider: serde_json::Value| {
            let mut here = written.clone();
            here.object["metadata"]["annotations"] = serde_json::json!({ STANDS_IN_FOR: "aws" });
            here.object["spec"]["provider"] = provider;
            here.is_served_by_vault()
        };
        assert!(standing_in(serde_json::json!({ "vault": {} })));
        assert!(!standing_in(serde_json::json!({ "fake": {} })), "another provider");
    }
}
