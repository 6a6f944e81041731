//! Certificates with the private key of another source.

use credence_core::id::Requirement;

use crate::config::SourceRef;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "tls-key-of-other-certificate",
    requirement: Requirement::new(4, 4),
    severity: Severity::Warning,
    summary: "certificate and private key are of different sources",
    help: "Read tls.crt and tls.key from the same source: a server cannot use a key with the certificate of another.",
    check,
};

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

fn check(context: &Context<'_>) -> Vec<Finding> {
    let has_both = |source: &SourceRef| {
        let source = context.model.sources.get(source);
        source.is_some_and(|source| [CERTIFICATE, KEY].iter().all(|key| source.keys.contains(*key)))
    };
    let mut findings = Vec::new();
    for distribution in &context.model.distributions {
        let (Some((certificate, _)), Some((key, _))) =
            (distribution.verbatim.get(CERTIFICATE), distribution.verbatim.get(KEY))
        else {
            continue;
        };
        // A source without a key of its own may well have it in another Secret.
        if certificate != key && has_both(certificate) {
            let message = format!("{CERTIFICATE} is of {certificate}, which has a key of its own, and {KEY} of {key}");
            findings.push(RULE.at(context.place(distribution), message));
        }
    }
    findings
}
