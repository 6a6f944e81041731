//! Vault, for the stores of a configuration that read from it: which it can serve, its program, and what is made in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use credence_cluster::api_error::ApiError;
use credence_cluster::cluster::{Cluster, ClusterError};
use credence_cluster::vault::setup::{Expected, Policy, TokenReviewer};
use credence_cluster::vault::{RequestError, Vault, VaultError};
use credence_core::file_error::FileError;
use credence_core::manifest::Manifest;
use credence_core::text::{Reason, chain};
use credence_model::config::{ClusterSecretStore, SourceRef, VaultAuth, VaultPlace, is_found};
use credence_model::model::{Distribution, Model, VaultPath};
use credence_programs::supply::{self, ComponentError, Part, Programs, Progress};
use credence_watch::wait::WaitError;
use serde_json::{Value, json};

use crate::testbed::vault_login::{self, Login, own_name};
use reviewer::reviewer;

mod reviewer;

pub(super) use reviewer::leave;

/// Why there is no Vault for the stores of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum VaultStoresError {
    /// It does not come up, or refuses what is expected of it.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It refuses what a store logs in with.
    #[error("failed to make the login of a store at Vault")]
    Login(#[from] RequestError),
    /// Its directory cannot be made.
    #[error(transparent)]
    Directory(#[from] FileError),
    /// It cannot be written down for a later sweep.
    #[error(transparent)]
    Recorded(#[from] ClusterError),
    /// The API server refuses its right to ask.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The API server's authority is not published.
    #[error("failed to find the authority of the API server for Vault")]
    Authority(#[source] WaitError),
}

/// The stores of a configuration that read from Vault.
#[derive(Default)]
pub(super) struct VaultStores {
    /// The configuration as it is written.
    model: Model,
    /// Stores that a local Vault can serve, by name.
    served: BTreeSet<String>,
    /// Stores that it cannot serve, each with the reason.
    others: BTreeMap<String, String>,
    /// The program of the Vault that serves them.
    programs: Option<Programs>,
}

impl VaultStores {
    /// The Vault stores of a configuration as it is written.
    pub(super) fn of(model: Model) -> Self {
        let (mut stores, mut taken) = (Self::default(), BTreeMap::new());
        let at_vault = |store: &&ClusterSecretStore| store.object.pointer("/spec/provider/vault").is_some();
        for store in model.stores.values().filter(at_vault) {
            match places(&model, store, &taken) {
                Ok(places) => {
                    taken.extend(places.into_iter().map(|place| (place, store.name.clone())));
                    stores.served.insert(store.name.clone());
                }
                Err(why) => drop(stores.others.insert(store.name.clone(), why.into())),
            }
        }
        Self { model, ..stores }
    }

    /// Obtains the program, if one is needed. Where none can be had, all stores are among the others.
    ///
    /// # Errors
    /// When the user gives one that cannot be used.
    pub(super) async fn obtain(
        &mut self,
        options: &supply::Options,
        progress: &dyn Progress,
    ) -> Result<(), ComponentError> {
        if self.served.is_empty() && !options.overrides.contains_key(&Part::Vault) {
            return Ok(());
        }
        match supply::obtain(options, &Part::STORES, progress).await {
            Ok(programs) => self.programs = Some(programs).filter(|_| !self.served.is_empty()),
            Err(error) if error.is_usage() => return Err(error),
            Err(error) => {
                let why = format!("the program of Vault cannot be had: {}", chain(&error));
                self.others.extend(std::mem::take(&mut self.served).into_iter().map(|store| (store, why.clone())));
            }
        }
        Ok(())
    }

    /// Notes of a report on those that it cannot serve.
    pub(super) fn notes(&self) -> Vec<String> {
        let note = |(store, why): (&String, &String)| format!("no Vault serves store {store}: {why}");
        self.others.iter().map(note).collect()
    }
}

/// The places of the sources of a store that a Vault of this machine can serve.
fn places(
    model: &Model,
    store: &ClusterSecretStore,
    taken: &BTreeMap<VaultPlace, String>,
) -> Result<Vec<VaultPlace>, Reason> {
    let logs_in_with = match store.vault_auth()? {
        VaultAuth::Kubernetes(..) => Vec::new(),
        VaultAuth::AppRole { role_ref, secret_ref, .. } => role_ref.into_iter().chain([secret_ref]).collect(),
        VaultAuth::Token(secret_ref) => vec![secret_ref],
    };
    for secret in logs_in_with {
        let makes_it = |made: &&Distribution| {
            made.secret == secret.name && made.namespace().is_none_or(|namespace| namespace == secret.namespace)
        };
        if let Some(maker) = model.distributions.iter().find(makes_it) {
            let why = format!("it logs in with what {} makes, which has a generated value here", maker.name);
            return Err(why.into());
        }
    }
    let mut places = Vec::new();
    for source in sources_of(model, store) {
        if is_found(source) {
            return Err("nothing says which secrets a search of it finds".into());
        }
        if source.at.as_ref().is_some_and(|at| at.version.is_some()) {
            return Err(format!("nothing says which versions {} has", source.name).into());
        }
        let place = store.vault_place(&source.name).ok_or_else(|| format!("{} has no mount", source.name))?;
        if let Some(other) = taken.get(&place) {
            return Err(format!(
                "store {other} reads {} as well, and each store has values of its own here",
                source.name
            )
            .into());
        }
        places.push(place);
    }
    Ok(places)
}

fn sources_of<'a>(model: &'a Model, store: &'a ClusterSecretStore) -> impl Iterator<Item = &'a SourceRef> {
    model.sources.keys().filter(move |source| source.at.as_ref().is_some_and(|at| at.store == store.name))
}

/// Expected contents of Vault, and which of them nobody wrote down.
fn expected(model: &Model, served: &BTreeSet<String>) -> (Expected, Vec<String>) {
    let (mut expected, mut derived) = (Expected::default(), Vec::new());
    for store in model.stores.values().filter(|store| served.contains(&store.name)) {
        let places: Vec<VaultPlace> =
            sources_of(model, store).filter_map(|source| store.vault_place(&source.name)).collect();
        expected.engines.extend(places.iter().map(|place| (place.mount.clone(), place.is_versioned)));
        let narrow: Policy = places.iter().map(|place| (place.data(), BTreeSet::from(["read".to_owned()]))).collect();
        if let Some(login) = log_in(model, store, &mut expected) {
            let paths: Vec<&str> = narrow.keys().map(String::as_str).collect();
            derived.push(format!(
                "{login} reads {} in the Vault of the test, as nothing says what it may",
                paths.join(", ")
            ));
            expected.policies.insert(own_name(store), narrow);
        }
    }
    (expected, derived)
}

/// Adds the login of a store. Gives it in words if nobody wrote down what it may.
fn log_in(model: &Model, store: &ClusterSecretStore, expected: &mut Expected) -> Option<String> {
    match store.vault_auth() {
        Ok(VaultAuth::Kubernetes(login, account)) => {
            let name = (login.mount_path.to_owned(), login.role.to_owned());
            let role = expected.kubernetes.entry(name).or_default();
            let Some(known) = model.intended.vault_role(&login) else {
                role.service_accounts.insert(account.to_owned());
                role.namespaces.extend(login.namespace.map(str::to_owned));
                role.policies.insert(own_name(store));
                return Some(format!("role {} of store {}", login.role, store.name));
            };
            role.service_accounts.extend(known.service_accounts.iter().cloned());
            role.namespaces.extend(known.namespaces.iter().cloned());
            role.policies.extend(known.paths.iter().map(|path| path.policy.clone()));
            allow(&known.paths, expected);
            None
        }
        Ok(VaultAuth::AppRole { mount_path, .. }) => {
            let role = (mount_path.to_owned(), own_name(store));
            expected.app_roles.insert(role, vault_login::policies(model, store));
            by_secret(model, store, "AppRole", expected)
        }
        Ok(VaultAuth::Token(_)) => by_secret(model, store, "token", expected),
        // It would not be served.
        Err(_) => None,
    }
}

fn by_secret(model: &Model, store: &ClusterSecretStore, what: &str, expected: &mut Expected) -> Option<String> {
    let Some(known) = model.intended.vault_secret_login(&store.name) else {
        return Some(format!("the {what} of store {}", store.name));
    };
    allow(&known.paths, expected);
    None
}

fn allow(paths: &[VaultPath], expected: &mut Expected) {
    for path in paths {
        let policy = expected.policies.entry(path.policy.clone()).or_default();
        policy.entry(path.path.clone()).or_default().extend(path.capabilities.iter().cloned());
    }
}

/// A Vault that has what the stores expect.
pub(super) struct Served {
    pub(super) vault: Arc<Vault>,
    /// Names of the stores that it serves.
    pub(super) stores: BTreeSet<String>,
    /// Parts of it that nobody wrote down.
    pub(super) derived: Vec<String>,
    /// Credentials that the stores log in with.
    pub(super) logins: Vec<Login>,
}

impl VaultStores {
    /// Starts Vault for a `run` and makes in it what the stores expect; none if it serves none.
    pub(super) async fn serve(
        &self,
        cluster: &mut Cluster,
        run: &str,
        directory: &Path,
    ) -> Result<Option<Served>, VaultStoresError> {
        let Some(programs) = &self.programs else { return Ok(None) };
        let (name, version) = (Part::Vault.name().to_owned(), programs.version(Part::Vault).to_owned());
        cluster.description.versions.insert(name, version);
        let directory = directory.join("vault");
        fs::create_dir_all(&directory).map_err(FileError::of::<VaultStoresError>("make", &directory))?;
        let start = Vault::start(programs.path(Part::Vault), &directory, cluster.description.host);
        let (vault, reviewer) = tokio::join!(start, reviewer(cluster, run));
        let (vault, (authority, token)) = (vault?, reviewer?);
        cluster.record(vault.process())?;
        let (expected, derived) = expected(&self.model, &self.served);
        let url = &cluster.description.url;
        vault.set_up(&expected, &TokenReviewer { url, authority: &authority, token: &token }).await?;
        let mut logins = Vec::new();
        for store in self.model.stores.values().filter(|store| self.served.contains(&store.name)) {
            logins.extend(vault_login::make(&vault, &self.model, store).await?);
        }
        Ok(Some(Served { vault: Arc::new(vault), stores: self.served.clone(), derived, logins }))
    }
}

/// Puts what stores log in with into the Secrets where they look for it, which are made if the configuration has them not.
pub(super) fn put(manifests: &mut Vec<Manifest>, logins: &[Login]) {
    for Login { namespace, name, key, value } in logins {
        let is_it = |manifest: &Manifest| {
            manifest.kind() == "Secret" && manifest.name() == name && manifest.namespace() == Some(namespace)
        };
        let position = manifests.iter().position(is_it).unwrap_or_else(|| {
            let metadata = json!({ "name": name, "namespace": namespace });
            let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata });
            manifests.push(Manifest::made(PathBuf::from("credence"), 1, secret));
            manifests.len() - 1
        });
        let object = &mut manifests[position].object;
        if object["stringData"].is_null() {
            object["stringData"] = json!({});
        }
        object["stringData"][key] = Value::from(value.expose_str());
    }
}

#[cfg(test)]
mod tests;
