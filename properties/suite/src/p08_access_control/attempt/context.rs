//! The tenant and the cluster that a case's requests are made of.

use std::path::Path;

use credence_core::labels::Labels;
use credence_model::model::Model;
use serde_json::{Value, json};

use crate::p08_access_control::call::{Call, EXTERNAL_SECRETS, collection};
use crate::p08_access_control::cluster_rights::ClusterRights;
use crate::p08_access_control::objects::{self, OWN, VALUE};
use crate::testbed::tenant::Rights;

/// Subjects of a case's requests.
pub(crate) struct AttackContext<'a> {
    pub(crate) model: &'a Model,
    /// The run that all of it belongs to.
    pub(crate) run: &'a str,
    /// Begins the name of all that the tenant makes.
    pub(crate) tag: String,
    /// The tenant's namespace.
    pub(crate) mine: &'a str,
    /// Labels of the tenant's namespace.
    pub(crate) labels: &'a Labels,
    /// The namespace as it is, for requests that write it as a whole.
    pub(crate) namespace: Value,
    /// The namespace of another tenant.
    pub(crate) neighbour: &'a str,
    /// Name of the tenant's ServiceAccount.
    pub(crate) account: &'a str,
    /// Rights of the tenant in its namespace.
    pub(crate) rights: Rights,
    /// Its rights in the whole cluster.
    pub(crate) further: ClusterRights,
    /// True if the tenant may use External Secrets Operator at all.
    pub(crate) writes: bool,
    /// URL of the API server.
    pub(crate) server: &'a str,
    /// Path of the operator's own token.
    pub(crate) operator_token: &'a Path,
    /// A server of the tenant's own.
    pub(crate) receiver: String,
}

impl<'a> AttackContext<'a> {
    /// A context of no case, for what only depends on the model.
    pub(super) fn example(model: &'a Model, rights: Rights, labels: &'a Labels) -> Self {
        Self {
            model,
            run: "example",
            tag: "example".to_owned(),
            mine: "tenant",
            labels,
            namespace: json!({ "metadata": { "labels": {} } }),
            neighbour: "neighbour",
            account: "tenant",
            rights,
            further: ClusterRights::None,
            writes: true,
            server: "https://example.invalid",
            operator_token: Path::new("token"),
            receiver: "http://example.invalid".to_owned(),
        }
    }
}

impl AttackContext<'_> {
    /// The tenant's own Secret; the neighbour has one of the same name.
    pub(crate) fn private(&self) -> String {
        format!("{}-private", self.tag)
    }

    /// The tenant's own store, which reads its own Secret.
    pub(crate) fn own_store(&self) -> String {
        format!("{}-own", self.tag)
    }

    /// Name of a ConfigMap of the neighbour's with the cluster's authority.
    pub(crate) fn authority(&self) -> String {
        format!("{}-authority", self.tag)
    }

    pub(super) fn of_mine(&self, api: &str, resource: &str) -> String {
        collection(api, Some(self.mine), resource)
    }

    pub(super) fn external_secrets(&self) -> String {
        self.of_mine(EXTERNAL_SECRETS, "externalsecrets")
    }

    /// A specification that reads the tenant's own Secret through its own store.
    pub(crate) fn own_reading(&self) -> Value {
        objects::reading(OWN, &self.own_store(), &self.private(), VALUE)
    }

    /// The provider of the tenant's own store.
    pub(crate) fn own_provider(&self) -> Value {
        objects::kubernetes(self.server, self.mine, self.account)
    }

    /// The creation of an ExternalSecret in the tenant's namespace.
    pub(crate) fn create_external_secret(&self, name: &str, spec: Value) -> Call {
        Call::create(self.external_secrets(), objects::external_secret(name, spec))
    }

    /// The same, as what must be allowed; `None` if the tenant may not write any.
    pub(super) fn harmless_external_secret(&self, name: &str, spec: Value) -> Option<Call> {
        self.writes.then(|| self.create_external_secret(name, spec).dry_run())
    }

    /// The creation of the tenant's own store under another name, as what must be allowed.
    pub(super) fn harmless_store(&self, name: &str) -> Option<Call> {
        let store = objects::store(OWN, name, self.own_provider());
        self.writes.then(|| Call::create(self.of_mine(EXTERNAL_SECRETS, "secretstores"), store).dry_run())
    }
}
