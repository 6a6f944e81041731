//! Values that are decoded where they look as if they were encoded.

use credence_core::id::Requirement;

use crate::config::{DecodingStrategy, RemoteRef};
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "decoding-strategy-auto",
    requirement: Requirement::new(3, 4),
    severity: Severity::Note,
    summary: "values that happen to be base64 are decoded",
    help: "Set decodingStrategy to None, unless every value of the source is encoded: a 40-character GitHub token is valid base64.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let is_auto = |remote: &RemoteRef| remote.decoding_strategy == DecodingStrategy::Auto;
    let mut findings = Vec::new();
    for distributed in context.config.declared_distributions() {
        let spec = distributed.spec;
        let single = spec.data.iter().map(|entry| &entry.remote_ref);
        let whole = spec.data_from.iter().filter_map(|entry| entry.extract.as_ref());
        for remote in single.chain(whole).filter(|remote| is_auto(remote)) {
            let key = remote.property.as_deref().map_or_else(String::new, |property| format!(" key {property} of"));
            let message = format!("decodingStrategy Auto decodes{key} {} whenever it is valid base64", remote.key);
            findings.push(RULE.at(distributed.place, message));
        }
    }
    findings
}
