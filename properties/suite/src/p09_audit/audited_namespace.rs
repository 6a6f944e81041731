//! The namespace of a case, and its labels.

use std::sync::Arc;

use credence_core::id::CaseId;
use credence_core::labels::Labels;
use credence_model::model::expected_in;

use super::actions;
use crate::generate::Recipient;
use crate::observation::Observation;
use crate::testbed::TestBed;
use crate::testbed::namespaces::Lease;
use crate::testbed::sources::SharedLease;
use crate::testbed::tenant::Tenant;

/// The namespace of a case, and what nobody else may change meanwhile.
pub(super) struct AuditedNamespace {
    pub(super) lease: Lease,
    /// Its labels, once it asks for copies.
    pub(super) labels: Labels,
    /// Labels that the case sets; none in a namespace in which the configuration itself has an ExternalSecret.
    pub(super) set: Option<Labels>,
    /// Held where the case deletes copies that others look at while they write the sources.
    _sources: Option<SharedLease>,
}

impl AuditedNamespace {
    pub(super) async fn find(env: &TestBed, id: CaseId, recipient: &Recipient) -> Result<Self, Observation> {
        let name = match recipient {
            Recipient::Labelled(labels) => {
                let lease = env.namespaces.lease(&env.client_for(id)).await?;
                return Ok(Self { lease, labels: labels.clone(), set: Some(labels.clone()), _sources: None });
            }
            Recipient::Fixed(name) => name,
        };
        let lease = env.namespaces.lease_named(name, &env.observer).await;
        let labels = lease.labels().clone();
        let distributions = expected_in(&env.model, name, &labels);
        let sources = env
            .sources
            .share(&distributions.values().flat_map(|distribution| distribution.sources()).collect())
            .await?;
        Ok(Self { lease, labels, set: None, _sources: Some(sources) })
    }

    /// Takes away what people made, unless the namespace is gone with it, and gives the namespace back.
    pub(super) async fn end(self, env: &Arc<TestBed>, id: CaseId, tenant: Tenant) -> Result<(), Observation> {
        tenant.remove(env, id).await?;
        actions::clean(env, &self.lease.name).await?;
        if let Some(set) = self.set {
            env.namespaces.give_back(env, self.lease, set.into_keys().collect());
        }
        Ok(())
    }
}
