//! Logins of stores at Vault with what is in a Secret: an AppRole or a token. They are made, put into the Secrets, and ended.

use std::collections::BTreeSet;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::FIELD_MANAGER;
use credence_cluster::vault::{RequestError, Vault};
use credence_core::credential::Credential;
use credence_model::config::{ClusterSecretStore, VaultAuth, VaultSecretKey};
use credence_model::model::Model;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

/// Vault's own policy that allows everything.
const ROOT: &str = "root";

/// A login cannot be made, read or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultLoginError {
    /// Vault refuses.
    #[error("failed to make or end the login of a store at Vault")]
    Vault(#[from] RequestError),
    /// The API server refuses the Secret.
    #[error(transparent)]
    Secret(#[from] ApiError),
    /// The Secret has no such key.
    #[error("failed to find key {key} in Secret {namespace}/{name}, with which a store logs in at Vault")]
    NoKey {
        /// The Secret's namespace.
        namespace: String,
        /// The Secret.
        name: String,
        /// The key.
        key: String,
    },
}

/// Credential that a store logs in with, and the key of a Secret where it looks for it.
pub(crate) struct Login {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) value: Credential,
}

impl Login {
    pub(crate) fn new(at: VaultSecretKey<'_>, value: &Credential) -> Self {
        let VaultSecretKey { namespace, name, key } = at;
        Self { namespace: namespace.to_owned(), name: name.to_owned(), key: key.to_owned(), value: value.clone() }
    }

    /// Puts it into its Secret.
    async fn put(&self, client: &Client) -> Result<(), ApiError> {
        let Self { namespace, name, key, value } = self;
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let patch = Patch::Merge(json!({ "stringData": { key: value.expose_str() } }));
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let put = secrets.patch(name, &params, &patch).await;
        put.map(drop).map_err(ApiError::of::<ApiError>("change", &format!("Secret {namespace}/{name}")))
    }
}

/// The name of what is made in Vault for one store alone.
pub(crate) fn own_name(store: &ClusterSecretStore) -> String {
    format!("credence-{}", store.name.replace('/', "-"))
}

/// The policies of a store's login with a Secret: those of the intent, or else the one that is made for it.
pub(crate) fn policies(model: &Model, store: &ClusterSecretStore) -> BTreeSet<String> {
    match model.intended.vault_secret_login(&store.name) {
        Some(login) if login.is_root => BTreeSet::from([ROOT.to_owned()]),
        Some(login) => login.paths.iter().map(|path| path.policy.clone()).collect(),
        None => BTreeSet::from([own_name(store)]),
    }
}

/// Makes all that a store logs in with, if it does so with Secrets.
///
/// # Errors
/// When Vault refuses.
pub(crate) async fn make(vault: &Vault, model: &Model, store: &ClusterSecretStore) -> Result<Vec<Login>, RequestError> {
    let mut made = Vec::new();
    if let Ok(VaultAuth::AppRole { mount_path, role_id, role_ref, .. }) = store.vault_auth() {
        let id = role_id.map_or_else(Credential::random, Credential::new);
        vault.identify((mount_path, &own_name(store)), &id).await?;
        made.extend(role_ref.map(|role_ref| Login::new(role_ref, &id)));
    }
    made.extend(renewed(vault, model, store).await?);
    Ok(made)
}

/// Makes the part of a login that ends, and is renewed: a secret id, or a token.
async fn renewed(vault: &Vault, model: &Model, store: &ClusterSecretStore) -> Result<Option<Login>, RequestError> {
    let value = Credential::random();
    let place = match store.vault_auth() {
        Ok(VaultAuth::AppRole { mount_path, secret_ref, .. }) => {
            vault.add_secret_id((mount_path, &own_name(store)), &value).await?;
            secret_ref
        }
        Ok(VaultAuth::Token(secret_ref)) => {
            vault.make_token(&value, &policies(model, store)).await?;
            secret_ref
        }
        Ok(VaultAuth::Kubernetes(..)) | Err(_) => return Ok(None),
    };
    Ok(Some(Login::new(place, &value)))
}

/// Ends the login of a store: Vault refuses what is in its Secret from now on.
///
/// # Errors
/// When Vault or the API server refuses, or the Secret lacks it.
pub(crate) async fn end(client: &Client, vault: &Vault, store: &ClusterSecretStore) -> Result<(), VaultLoginError> {
    match store.vault_auth() {
        Ok(VaultAuth::AppRole { mount_path, secret_ref, .. }) => {
            let secret_id = read(client, secret_ref).await?;
            vault.end_secret_id((mount_path, &own_name(store)), &secret_id).await?;
        }
        Ok(VaultAuth::Token(secret_ref)) => vault.end_token(&read(client, secret_ref).await?).await?,
        Ok(VaultAuth::Kubernetes(..)) | Err(_) => {}
    }
    Ok(())
}

/// Makes a new secret id or token for a store, and puts it into its Secret, as whoever keeps it does at home.
///
/// # Errors
/// When Vault or the API server refuses.
pub(crate) async fn renew(
    client: &Client,
    vault: &Vault,
    model: &Model,
    store: &ClusterSecretStore,
) -> Result<(), VaultLoginError> {
    if let Some(login) = renewed(vault, model, store).await? {
        login.put(client).await?;
    }
    Ok(())
}

/// Logs in as a store does with what is in its Secrets, and gives the token; none if it has another login.
///
/// # Errors
/// When Vault or the API server refuses, or a Secret lacks its part.
pub(crate) async fn log_in(
    client: &Client,
    vault: &Vault,
    store: &ClusterSecretStore,
) -> Result<Option<Credential>, VaultLoginError> {
    match store.vault_auth() {
        Ok(VaultAuth::AppRole { mount_path, role_id, role_ref, secret_ref }) => {
            let role_id = match (role_id, role_ref) {
                (None, Some(place)) => read(client, place).await?,
                (role_id, _) => Credential::new(role_id.unwrap_or_default()),
            };
            let secret_id = read(client, secret_ref).await?;
            Ok(vault.log_in_by_app_role(mount_path, &role_id, &secret_id).await?)
        }
        Ok(VaultAuth::Token(place)) => Ok(Some(read(client, place).await?)),
        Ok(VaultAuth::Kubernetes(..)) | Err(_) => Ok(None),
    }
}

async fn read(client: &Client, at: VaultSecretKey<'_>) -> Result<Credential, VaultLoginError> {
    let VaultSecretKey { namespace, name, key } = at;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = secrets.get(name).await;
    let secret = secret.map_err(ApiError::of::<ApiError>("read", &format!("Secret {namespace}/{name}")))?;
    let value = secret.data.unwrap_or_default().remove(key);
    value.map(|value| Credential::new(value.0)).ok_or_else(|| VaultLoginError::NoKey {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        key: key.to_owned(),
    })
}
