//! Rights of some tenants in the whole cluster, beside what they may do in their own namespace.
//!
//! Only what a policy of the configuration can still keep from being of use: who is given all Secrets, pods or tokens of a
//! cluster needs no further route, and the review of all bindings finds those who are.

use std::fmt;
use std::time::Duration;

use credence_cluster::apply::RUN_LABEL;
use credence_core::operator_api::{EXTERNAL_SECRETS_GROUP, GENERATORS_GROUP};
use credence_watch::wait::{self, Progress};
use kube::Client;
use serde_json::{Value, json};

use super::call::{Call, RBAC, RequestAnswer, collection};
use super::error::{AccessError, request};
use super::objects;
use super::review::{Power, may};

/// Time that the API server may take to know the rights.
const KNOWN: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(30);

/// Rights of a tenant in the whole cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClusterRights {
    None,
    /// Make namespaces for itself, and change them.
    Namespaces,
    /// Write all kinds of External Secrets Operator, in all namespaces and of the cluster.
    Platform,
}

impl fmt::Display for ClusterRights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::Namespaces => " and makes namespaces",
            Self::Platform => " and writes all kinds of the operator everywhere",
        })
    }
}

impl ClusterRights {
    /// The rules of its ClusterRole.
    fn rules(self) -> Value {
        match self {
            Self::None => json!([]),
            Self::Namespaces => {
                json!([{ "apiGroups": [""], "resources": ["namespaces", "namespaces/finalize", "namespaces/status"],
                "verbs": ["create", "get", "list", "patch", "update"] }])
            }
            Self::Platform => json!([{ "apiGroups": [EXTERNAL_SECRETS_GROUP, GENERATORS_GROUP],
                "resources": ["*"], "verbs": ["*"] }]),
        }
    }

    /// Something that it may do by these rules alone.
    fn telling(self) -> Option<Power> {
        match self {
            Self::None => None,
            Self::Namespaces => Some(Power::new("create", "", "namespaces")),
            Self::Platform => Some(Power::new("create", EXTERNAL_SECRETS_GROUP, "clustersecretstores")),
        }
    }

    /// Gives it to a ServiceAccount, waits until it is in force, and writes down what has to be removed.
    pub(super) async fn give(
        self,
        admin: &Client,
        run: &str,
        (namespace, account): (&str, &str),
        created: &mut Vec<String>,
    ) -> Result<(), AccessError> {
        let Some(telling) = self.telling() else { return Ok(()) };
        let act = "give a tenant rights in the cluster";
        let version = "rbac.authorization.k8s.io/v1";
        let group = "rbac.authorization.k8s.io";
        // The account is of one case.
        let name = format!("{account}-{namespace}");
        let role = objects::object(version, "ClusterRole", &name, json!({ "rules": self.rules() }));
        let binding = json!({
            "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": name },
            "subjects": [{ "kind": "ServiceAccount", "namespace": namespace, "name": account }],
        });
        let binding = objects::object(version, "ClusterRoleBinding", &name, binding);
        for (resource, object) in [("clusterroles", role), ("clusterrolebindings", binding)] {
            let call = Call::create(collection(RBAC, None, resource), object).labelled(RUN_LABEL, run);
            let answer = call.send(admin).await.map_err(request(act))?.answer;
            if answer != RequestAnswer::Admitted {
                return Err(AccessError::Refused { act, answer });
            }
            created.extend(call.created());
        }
        let user = super::review::Subject::account(namespace, account);
        wait::poll("a tenant may use its rights in the cluster", KNOWN, POLL_INTERVAL, || async {
            match may(admin, &user, &telling, None).await {
                Ok(true) => Progress::Done(()),
                Ok(false) => Progress::NotYet("it may not".to_owned()),
                Err(error) => Progress::NotYet(error.to_string()),
            }
        })
        .await?;
        Ok(())
    }
}
