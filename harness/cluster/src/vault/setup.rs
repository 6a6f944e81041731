//! Expected contents of Vault by a configuration: engines, auth methods, policies and roles.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use credence_core::credential::Credential;
use credence_watch::wait::{self, Progress};
use http::StatusCode;
use serde_json::{Value, json};

use super::{RequestError, Vault, VaultError};

/// Time that an engine with versions may take until it can be used.
const ENGINE: Duration = Duration::from_secs(30);
const PROBE: Duration = Duration::from_millis(20);

/// The paths of a policy, each with what it allows there.
pub type Policy = BTreeMap<String, BTreeSet<String>>;

/// Objects that are made in Vault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Mounts of the key-value engine, each with whether it keeps versions.
    pub engines: BTreeMap<String, bool>,
    /// Policies by name, each with its paths and what it allows there.
    pub policies: BTreeMap<String, Policy>,
    /// Roles of the Kubernetes auth method, by mount and name.
    pub kubernetes: BTreeMap<(String, String), KubernetesRole>,
    /// Roles of the AppRole auth method, by mount and name, each with its policies.
    pub app_roles: BTreeMap<(String, String), BTreeSet<String>>,
}

/// A role of the Kubernetes auth method, in Vault's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubernetesRole {
    /// The names of the ServiceAccounts that may log in.
    pub service_accounts: BTreeSet<String>,
    /// The namespaces whose ServiceAccounts may.
    pub namespaces: BTreeSet<String>,
    /// The policies of those who do.
    pub policies: BTreeSet<String>,
}

/// The API server that is asked whose a token is.
pub struct TokenReviewer<'a> {
    /// URL of the API server that is asked.
    pub url: &'a str,
    /// The certificate of its authority, PEM.
    pub authority: &'a str,
    /// The token with which it is asked.
    pub token: &'a Credential,
}

impl Vault {
    /// Makes what is expected.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn set_up(&self, expected: &Expected, reviewer: &TokenReviewer<'_>) -> Result<(), VaultError> {
        for (mount, is_versioned) in &expected.engines {
            let version = if *is_versioned { "2" } else { "1" };
            let engine = json!({ "type": "kv", "options": { "version": version } });
            self.write(&format!("sys/mounts/{mount}"), &engine).await?;
            if *is_versioned {
                self.until_usable(mount).await?;
            }
        }
        for (name, paths) in &expected.policies {
            self.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": text(paths) })).await?;
        }
        let mounts: BTreeSet<&String> = expected.kubernetes.keys().map(|(mount, _)| mount).collect();
        for mount in mounts {
            self.write(&format!("sys/auth/{mount}"), &json!({ "type": "kubernetes" })).await?;
            let config = json!({
                "kubernetes_host": reviewer.url,
                "kubernetes_ca_cert": reviewer.authority,
                "token_reviewer_jwt": reviewer.token.expose_str(),
                "disable_local_ca_jwt": true,
            });
            self.write(&format!("auth/{mount}/config"), &config).await?;
        }
        for ((mount, name), role) in &expected.kubernetes {
            let role = json!({
                "bound_service_account_names": role.service_accounts,
                "bound_service_account_namespaces": role.namespaces,
                "token_policies": role.policies,
            });
            self.write(&format!("auth/{mount}/role/{name}"), &role).await?;
        }
        let mounts: BTreeSet<&String> = expected.app_roles.keys().map(|(mount, _)| mount).collect();
        for mount in mounts {
            self.write(&format!("sys/auth/{mount}"), &json!({ "type": "approle" })).await?;
        }
        for ((mount, name), policies) in &expected.app_roles {
            self.write(&format!("auth/{mount}/role/{name}"), &json!({ "token_policies": policies })).await?;
        }
        Ok(())
    }

    /// Waits until an engine has made its place for versions, until when it refuses everything (Vault, `upgradeCheck` of the
    /// key-value engine).
    async fn until_usable(&self, mount: &str) -> Result<(), VaultError> {
        let what = format!("Vault's engine {mount} usable");
        let usable = wait::poll(&what, ENGINE, PROBE, || async {
            match self.write(&format!("{mount}/config"), &json!({})).await {
                Ok(()) => Progress::Done(Ok(())),
                Err(error @ RequestError::Refused { status: StatusCode::BAD_REQUEST, .. }) => {
                    Progress::NotYet(error.to_string())
                }
                Err(error) => Progress::Done(Err(error)),
            }
        });
        Ok(usable.await??)
    }

    /// Gives an AppRole this id.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn identify(&self, (mount, name): (&str, &str), role_id: &Credential) -> Result<(), RequestError> {
        let id = json!({ "role_id": role_id.expose_str() });
        self.write(&format!("auth/{mount}/role/{name}/role-id"), &id).await
    }

    /// Makes this secret id of an AppRole.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn add_secret_id(&self, role: (&str, &str), secret_id: &Credential) -> Result<(), RequestError> {
        self.secret_id(role, "custom-secret-id", secret_id).await
    }

    /// Ends a secret id of an AppRole, as its time to live does.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn end_secret_id(&self, role: (&str, &str), secret_id: &Credential) -> Result<(), RequestError> {
        self.secret_id(role, "secret-id/destroy", secret_id).await
    }

    async fn secret_id(
        &self,
        (mount, name): (&str, &str),
        act: &str,
        secret_id: &Credential,
    ) -> Result<(), RequestError> {
        let body = json!({ "secret_id": secret_id.expose_str() });
        self.write(&format!("auth/{mount}/role/{name}/{act}"), &body).await
    }

    /// Makes a token with this id and these policies, as a team does for a store that logs in with nothing else.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn make_token(&self, id: &Credential, policies: &BTreeSet<String>) -> Result<(), RequestError> {
        let token = json!({ "id": id.expose_str(), "policies": policies, "no_parent": true });
        self.write("auth/token/create", &token).await
    }

    /// Ends a token, as its time to live does.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn end_token(&self, id: &Credential) -> Result<(), RequestError> {
        self.write("auth/token/revoke", &json!({ "token": id.expose_str() })).await
    }
}

/// A policy as Vault reads it, which may be JSON.
fn text(policy: &Policy) -> String {
    let paths: BTreeMap<&String, Value> =
        policy.iter().map(|(path, capabilities)| (path, json!({ "capabilities": capabilities }))).collect();
    json!({ "path": paths }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_text_that_vault_reads() {
        let capabilities = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let policy = Policy::from([
            ("secret/data/a".to_owned(), capabilities(&["read"])),
            ("secret/metadata/*".to_owned(), capabilities(&["list", "read"])),
        ]);
        let expected = r#"{"path":{"secret/data/a":{"capabilities":["read"]},"secret/metadata/*":{"capabilities":["list","read"]}}}"#;
        assert_eq!(text(&policy), expected);
    }
}
