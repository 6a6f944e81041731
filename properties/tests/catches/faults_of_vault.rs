//! The faults of `fixtures/broken` in what Vault lets its stores do.

use crate::fault::{Fault, day, fault, night};

/// Every fault that a property must find in Vault's policies, roles and logins.
pub(crate) const OF_VAULT: &[Fault] = &[
    fault(
        "vault-role-admits-everyone",
        "namespaces of a role in Vault",
        &[day("p08", &["which is not the store's, logs in at Vault"])],
    )
    .in_cases(2),
    fault(
        "vault-policy-wildcard",
        "paths of a policy in Vault",
        &[day("p08", &["let the login of the store read…which no copy names"])],
    )
    .in_cases(2),
    fault(
        "vault-approle-wildcard",
        "paths of a policy in Vault",
        &[night("p08", &["policies of AppRole billing in Vault let the login of the store read…which no copy names"])],
    )
    .in_cases(2),
    fault(
        "vault-root-token",
        "policy of a token of Vault",
        &[night("p08", &["policies of a token in Vault let the login of the store read…which no copy names"])],
    )
    .in_cases(2),
    fault(
        "vault-login-for-developers",
        "binding of who may read what a store logs in with",
        &[day("p08", &["developers may in vault-login: get secrets search-token"])],
    )
    .in_cases(2),
];
