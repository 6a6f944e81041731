//! Stores that read as an account of each reader's namespace, where there is one beside the sources.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "store-account-without-namespace",
    requirement: Requirement::new(2, 1),
    severity: Severity::Warning,
    summary: "a store does not read as the account beside its sources, for want of its namespace",
    help: "Name the namespace in auth.serviceAccount: without it, a ClusterSecretStore reads as the account of that name in the namespace of each ExternalSecret, which has no right to the sources.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for store in context.config.stores.values().filter(|store| store.namespace().is_none()) {
        let (Some(provider), Some(name)) = (&store.kubernetes, store.referent_account()) else { continue };
        let mut homes = context
            .config
            .of_kind("", "ServiceAccount")
            .filter(|account| account.name() == name)
            .filter_map(|account| account.namespace());
        // One in the namespaces of readers shows that it is meant.
        let home = provider.remote_namespace.as_str();
        let is_beside = homes.next() == Some(home) && homes.next().is_none();
        if is_beside {
            let message =
                format!("reads as ServiceAccount {name} of each reader's namespace, and there is one in {home} alone");
            findings.push(RULE.at(&store.place, message));
        }
    }
    findings
}
