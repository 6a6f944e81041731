//! ClusterExternalSecrets whose name does not fit into the finalizer that the controller makes of it.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "name-too-long",
    requirement: Requirement::new(2, 1),
    severity: Severity::Error,
    summary: "a name with which no namespace is ever provisioned",
    help: "Shorten metadata.name: External Secrets Operator puts ces-NAME into a finalizer of each namespace, and Kubernetes allows 63 characters there.",
    check,
};

/// The most characters of a name behind `ces-`, in the 63 of a finalizer's name.
///
/// Source: External Secrets Operator `buildCESFinalizer`, and `validation.IsQualifiedName` of Kubernetes.
const LIMIT: usize = 59;

fn check(context: &Context<'_>) -> Vec<Finding> {
    let long = context.bundle.cluster_external_secrets.iter().filter(|distributed| distributed.name.len() > LIMIT);
    long.map(|distributed| {
        let length = distributed.name.len();
        let message = format!("the name has {length} characters, and with more than {LIMIT} no copy is ever made");
        RULE.at(&distributed.place, message)
    })
    .collect()
}
