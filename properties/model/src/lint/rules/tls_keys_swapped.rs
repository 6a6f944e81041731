//! Certificates and private keys under the key of each other.

use credence_core::id::Requirement;

use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "tls-keys-swapped",
    requirement: Requirement::new(4, 4),
    severity: Severity::Warning,
    summary: "certificate and private key stand under the key of each other",
    help: "Swap the two: Kubernetes looks only whether both keys are there, and a server cannot start with them.",
    check,
};

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

fn check(context: &Context<'_>) -> Vec<Finding> {
    let swapped = context.model.distributions.iter().filter(|distribution| {
        let reads = |key: &str, of: &str| distribution.verbatim.get(key).is_some_and(|(_, property)| property == of);
        reads(CERTIFICATE, KEY) && reads(KEY, CERTIFICATE)
    });
    swapped
        .map(|distribution| {
            RULE.at(
                context.place(distribution),
                format!("{CERTIFICATE} holds {KEY} of its source, and {KEY} {CERTIFICATE}"),
            )
        })
        .collect()
}
