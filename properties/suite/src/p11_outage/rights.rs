//! Takes the ServiceAccounts of stores out of the bindings that give them their rights, and puts them back.

use std::collections::{BTreeMap, BTreeSet};

use credence_cluster::api_error::ApiError;
use credence_model::config::ServiceAccountRef;
use k8s_openapi::api::rbac::v1::Subject;

use super::scope::Scope;
use crate::testbed::TestBed;
use crate::testbed::bindings::{Binding, is_account};

/// Rights could not be taken or given back.
#[derive(Debug, thiserror::Error)]
pub(super) enum RightsError {
    /// A binding could not be read or changed.
    #[error("failed to revoke or restore rights")]
    Binding(#[from] ApiError),
    /// There is nothing to take away.
    #[error("failed to find a binding that names ServiceAccount {account}")]
    NoBinding {
        /// `namespace/name` of the ServiceAccount.
        account: String,
    },
}

/// Bindings that lost a subject, as they were before.
pub(super) struct Revoked(Vec<Binding>);

impl Revoked {
    /// Takes the ServiceAccounts of a scope's stores out of every binding that names them.
    pub(super) async fn revoke(env: &TestBed, scope: &Scope) -> Result<Self, RightsError> {
        let client = &env.cluster.client;
        let stores = scope.distributions(&env.model).into_iter().flat_map(|distribution| &distribution.stores);
        let (mut bindings, mut accounts) = (BTreeMap::new(), BTreeSet::new());
        for provider in stores.filter_map(|store| store.kubernetes.as_ref()) {
            // Without a namespace, the account would be one of each distribution namespace.
            if let Some(ServiceAccountRef { name, namespace: Some(namespace) }) = provider.service_account() {
                let found = Binding::effective(client, &provider.remote_namespace).await?;
                if !found.iter().any(|binding| binding.names(namespace, name)) {
                    return Err(RightsError::NoBinding { account: format!("{namespace}/{name}") });
                }
                bindings.extend(found.into_iter().map(|it| ((it.namespace.clone(), it.name.clone()), it)));
                accounts.insert((namespace, name));
            }
        }
        let is_lost = |subject: &Subject| accounts.iter().any(|(namespace, name)| is_account(subject, namespace, name));
        let mut revoked = Self(Vec::new());
        for binding in bindings.into_values().filter(|binding| binding.subjects.iter().any(is_lost)) {
            let left: Vec<&Subject> = binding.subjects.iter().filter(|subject| !is_lost(subject)).collect();
            if let Err(error) = binding.set(client, &left).await {
                revoked.restore(env).await?;
                return Err(error.into());
            }
            revoked.0.push(binding);
        }
        Ok(revoked)
    }

    /// Gives each binding the subjects back that it had before.
    pub(super) async fn restore(self, env: &TestBed) -> Result<(), RightsError> {
        for binding in self.0 {
            binding.set(&env.cluster.client, &binding.subjects.iter().collect::<Vec<_>>()).await?;
        }
        Ok(())
    }
}
