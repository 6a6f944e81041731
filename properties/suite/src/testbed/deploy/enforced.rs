//! Waiting until admission policies that were applied are in force.
//!
//! The API server takes policies into use once a second, all of them at once (apiserver
//! `pkg/admission/plugin/policy/generic/policy_source.go`), and says nowhere when. So one more policy is applied after
//! them, and what it denies is asked for, without doing it, until it is denied.

use std::time::Duration;

use credence_cluster::apply::{Applier, ApplyError, RUN_LABEL};
use credence_watch::wait::{self, Progress, WaitError};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::testbed::denial::Denial;

/// Name of the policy, of its binding, and of the ConfigMap that it denies.
const MARKER: &str = "credence-in-force";
/// Time that the API server may take.
const ENFORCED_WITHIN: Duration = Duration::from_mins(3);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Why it is not known whether the policies are in force.
#[derive(Debug, thiserror::Error)]
pub enum EnforcementError {
    /// The policy could not be applied or removed.
    #[error("failed to apply the policy that marks the end of the admission policies")]
    Marker(#[from] ApplyError),
    /// It does not come into force.
    #[error("failed to bring the admission policies into force")]
    Never(#[from] WaitError),
}

/// Waits until all ValidatingAdmissionPolicies and bindings that were applied or removed before are in force, in the API
/// server that `client` talks to. One caller at a time.
///
/// # Errors
/// When the API server refuses, or nothing comes into force.
pub(crate) async fn until_policies_are_enforced(client: &Client) -> Result<(), EnforcementError> {
    let applier = Applier::discover(client).await?;
    let marker = marker();
    applier.apply_all(&marker).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let mut map = ConfigMap::default();
    map.metadata.name = Some(MARKER.to_owned());
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let enforced = wait::poll("admission policies in force", ENFORCED_WITHIN, POLL_INTERVAL, || async {
        match maps.create(&dry, &map).await.as_ref().map_err(Denial::of) {
            Err(Denial::Policy { policy }) if policy == MARKER => Progress::Done(()),
            Err(other) => Progress::NotYet(format!("{other:?}")),
            Ok(_) => Progress::NotYet("they are not".to_owned()),
        }
    });
    let enforced = enforced.await;
    applier.remove_all(&marker).await?;
    Ok(enforced?)
}

fn marker() -> [Value; 2] {
    let metadata = json!({ "name": MARKER, "labels": { RUN_LABEL: MARKER } });
    let rule =
        json!({ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"] });
    [
        json!({ "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": metadata,
            "spec": {
                "matchConstraints": { "resourceRules": [rule] },
                "validations": [{ "expression": format!("object.metadata.name != '{MARKER}'") }] } }),
        json!({ "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": { "policyName": MARKER, "validationActions": ["Deny"] } }),
    ]
}
