//! Logins and reads that Vault allows, tried at a Vault of this machine: a ServiceAccount of another namespace than the
//! store's, and paths that no copy names. The store's own login, and what it reads of its sources, is the control of each. Who
//! may read the Secret that a store logs in with is asked in the review, as of the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::RUN_LABEL;
use credence_cluster::vault::{Document, RequestError, Vault};
use credence_core::credential::Credential;
use credence_model::config::{ClusterSecretStore, VaultAuth, VaultLogin, VaultPlace};
use credence_model::model::VaultRole;
use credence_report::claim::SkippedCheck;
use credence_report::unknown::{Cause, Unknown};
use credence_report::verdict::{CheckRecord, Outcome, violated};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{DeleteParams, PostParams};

use super::CLAIMS;
use super::objective::sources_of;
use crate::observation;
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, NamespaceError};
use crate::testbed::tenant::token;
use crate::testbed::vault_login::{self, VaultLoginError};

/// Text that a pattern of namespaces or of ServiceAccounts has in the place of its `*`, and what a secret is called that
/// no copy names.
const NOBODY: &str = "credence-nobody";

/// The logins that Vault lets in could not be determined.
#[derive(Debug, thiserror::Error)]
enum VaultCheckError {
    #[error(transparent)]
    Vault(#[from] RequestError),
    /// The API server refused an account or its token.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The store cannot log in with what is in its Secret.
    #[error(transparent)]
    Login(#[from] VaultLoginError),
    /// A namespace could not be made or removed.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
}

/// A store that logs in as a ServiceAccount of its own or with a Secret, and where its sources are.
struct Subject<'a> {
    store: &'a ClusterSecretStore,
    /// The login in words.
    name: String,
    /// The ServiceAccount as which it logs in; none if it does so with a Secret.
    account: Option<Account<'a>>,
    places: Vec<VaultPlace>,
}

/// A ServiceAccount of a store, and the role that it logs in with.
struct Account<'a> {
    login: VaultLogin<'a>,
    name: &'a str,
    role: Option<&'a VaultRole>,
}

/// The stores that a Vault of this machine serves.
fn served(env: &TestBed) -> impl Iterator<Item = &ClusterSecretStore> {
    env.model.stores.values().filter(|store| store.is_served_by_vault())
}

/// Checks that are not made of stores of whose login nobody wrote down what it may.
pub(super) fn skipped(env: &TestBed) -> Vec<SkippedCheck> {
    let is_by_secret =
        |store: &&ClusterSecretStore| matches!(store.vault_auth(), Ok(VaultAuth::AppRole { .. } | VaultAuth::Token(_)));
    let unknown = served(env).filter(is_by_secret);
    unknown
        .filter(|store| env.model.intended.vault_secret_login(&store.name).is_none())
        .map(|store| {
            let what = format!("what else the login of store {} may do at Vault", store.name);
            let why = "it logs in with a Secret, and the intent does not say what Vault allows it; the run gives it its sources alone";
            SkippedCheck::new(what, why).weakens(&CLAIMS[1..])
        })
        .collect()
}

/// Tries each store's login and policies once.
pub(super) async fn checks(env: &Arc<TestBed>, vault: &Vault) -> Vec<CheckRecord> {
    let mut records = Vec::new();
    for subject in served(env).filter_map(|store| Subject::of(env, store)) {
        let (store, name) = (&subject.store.name, &subject.name);
        let what = match subject.account {
            Some(_) => format!("who logs in at Vault with {name} of store {store}, and what that lets be read"),
            None => format!("what Vault lets be read with {name} of store {store}"),
        };
        records.push(match subject.try_all(env, vault).await {
            Ok(outcome) => CheckRecord { what, outcome, times: BTreeMap::new() },
            Err(error) => CheckRecord::unknown(&what, observation::unknown(&error)),
        });
    }
    records
}

impl<'a> Subject<'a> {
    fn of(env: &'a TestBed, store: &'a ClusterSecretStore) -> Option<Self> {
        let (name, account) = match store.vault_auth().ok()? {
            VaultAuth::Kubernetes(login, name) => {
                let role = env.model.intended.vault_role(&login);
                (format!("role {}", login.role), Some(Account { login, name, role }))
            }
            VaultAuth::AppRole { .. } | VaultAuth::Token(_) => {
                (env.model.intended.vault_secret_login(&store.name)?.name(), None)
            }
        };
        let sources = sources_of(&env.model, &store.name).into_iter();
        let places = sources.filter_map(|source| store.vault_place(&source.name)).collect();
        Some(Self { store, name, account, places })
    }

    async fn try_all(&self, env: &Arc<TestBed>, vault: &Vault) -> Result<Outcome, VaultCheckError> {
        let control = |why: &str| Ok(Outcome::Unknown(Unknown::new(Cause::ControlFailed, why)));
        let token = match &self.account {
            Some(account) => account.log_in_at_home(env, vault).await?,
            None => vault_login::log_in(&env.cluster.client, vault, self.store).await?,
        };
        let Some(token) = token else { return control("Vault does not let the store itself log in") };
        for place in &self.places {
            if vault.read(&token, &place.data(), place.is_versioned).await?.is_none() {
                return control("Vault does not let the store's own login read what its copies name");
            }
        }
        let mut found = match (&self.account, self.places.first()) {
            (Some(account), Some(place)) => account.foreign_logins(env, vault, place).await?,
            _ => Vec::new(),
        };
        found.extend(self.unnamed_paths(vault, &token).await?);
        Ok(if found.is_empty() { Outcome::Held } else { violated(found.join("; ")) })
    }

    /// Paths that no copy names and that the login of the store reads: beside each source, and at the root of its engine.
    async fn unnamed_paths(&self, vault: &Vault, token: &Credential) -> Result<Vec<String>, VaultCheckError> {
        let mut tried = BTreeSet::new();
        for place in &self.places {
            let root = VaultPlace { path: NOBODY.to_owned(), ..place.clone() };
            tried.extend([place.beside(NOBODY), root]);
        }
        let mut found = Vec::new();
        for place in tried {
            let path = place.data();
            let decoy = Document::from([("value".to_owned(), Credential::random())]);
            vault.put(&path, place.is_versioned, &decoy).await?;
            let read = vault.read(token, &path, place.is_versioned).await;
            vault.delete(&place.whole()).await?;
            if read? == Some(decoy) {
                let name = &self.name;
                found.push(format!(
                    "the policies of {name} in Vault let the login of the store read {path}, which no copy names"
                ));
            }
        }
        Ok(found)
    }
}

impl Account<'_> {
    /// Logs in as the store does.
    async fn log_in_at_home(&self, env: &TestBed, vault: &Vault) -> Result<Option<Credential>, VaultCheckError> {
        self.log_in(env, vault, self.login.namespace.unwrap_or_default(), self.name).await
    }

    /// Logs in as a ServiceAccount; none if Vault does not let it.
    async fn log_in(
        &self,
        env: &TestBed,
        vault: &Vault,
        namespace: &str,
        account: &str,
    ) -> Result<Option<Credential>, VaultCheckError> {
        let accounts: Api<ServiceAccount> = Api::namespaced(env.cluster.client.clone(), namespace);
        let refused = ApiError::of::<ApiError>("get a token of", &format!("ServiceAccount {namespace}/{account}"));
        let jwt = token(&accounts, account).await.map_err(refused)?;
        Ok(vault.log_in(self.login.mount_path, self.login.role, &jwt).await?)
    }

    /// Logins of ServiceAccounts of other namespaces that read a source, which is at `place`.
    async fn foreign_logins(
        &self,
        env: &Arc<TestBed>,
        vault: &Vault,
        place: &VaultPlace,
    ) -> Result<Vec<String>, VaultCheckError> {
        let client = &env.cluster.client;
        let lease = env.namespaces.lease(client).await?;
        let mut namespaces = BTreeSet::from([lease.name.clone()]);
        let patterns = self.role.into_iter().flat_map(VaultRole::wide_namespaces).filter(|pattern| *pattern != "*");
        let mut made = Vec::new();
        for name in patterns.map(|pattern| pattern.replace('*', NOBODY)) {
            env.namespaces.create_named(client, &name, &BTreeMap::new()).await?;
            made.push(name.clone());
            namespaces.insert(name);
        }
        let mut found = Vec::new();
        let mut outcome = Ok(());
        for namespace in &namespaces {
            match self.foreign_login(env, vault, namespace, place).await {
                Ok(true) => found.push(format!(
                    "ServiceAccount {} of namespace {namespace}, which is not the store's, logs in at Vault with role {} and \
                     reads {}",
                    self.admitted_name(),
                    self.login.role,
                    place.data()
                )),
                Ok(false) => {}
                Err(error) => outcome = Err(error),
            }
        }
        for name in &made {
            namespaces::delete(client, name).await?;
        }
        env.namespaces.give_back(env, lease, BTreeSet::new());
        outcome.map(|()| found)
    }

    /// True if an account of this namespace, of a name that the role admits, logs in and reads a source.
    async fn foreign_login(
        &self,
        env: &TestBed,
        vault: &Vault,
        namespace: &str,
        place: &VaultPlace,
    ) -> Result<bool, VaultCheckError> {
        let accounts: Api<ServiceAccount> = Api::namespaced(env.cluster.client.clone(), namespace);
        let name = self.admitted_name();
        let labels = BTreeMap::from([(RUN_LABEL.to_owned(), env.namespaces.run().to_owned())]);
        let metadata = ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..ObjectMeta::default() };
        let account = ServiceAccount { metadata, ..ServiceAccount::default() };
        let object = format!("ServiceAccount {namespace}/{name}");
        let made = accounts.create(&PostParams::default(), &account).await;
        made.map_err(ApiError::of::<ApiError>("make", &object))?;
        let read = match self.log_in(env, vault, namespace, &name).await {
            Ok(Some(token)) => vault.read(&token, &place.data(), place.is_versioned).await.map_err(Into::into),
            other => other.map(|_| None),
        };
        let deleted = accounts.delete(&name, &DeleteParams::default()).await;
        deleted.map_err(ApiError::of::<ApiError>("delete", &object))?;
        Ok(read?.is_some())
    }

    /// The name of a ServiceAccount that the role admits.
    fn admitted_name(&self) -> String {
        let named = self.role.and_then(|role| role.service_accounts.first());
        named.map_or_else(|| self.name.to_owned(), |pattern| pattern.replace('*', NOBODY))
    }
}
