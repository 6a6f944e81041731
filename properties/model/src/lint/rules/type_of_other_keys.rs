//! Copies whose keys are those of a type that they do not have.

use std::collections::BTreeSet;

use credence_core::id::Requirement;

use crate::config::OPAQUE;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::ExpectedKeys;

pub(super) const RULE: Rule = Rule {
    id: "type-of-other-keys",
    requirement: Requirement::new(3, 1),
    severity: Severity::Warning,
    summary: "the keys of a copy are those of a type that it does not have",
    help: "Give target.template.type the type of these keys: who uses such a Secret goes by its type, and the kubelet takes no other.",
    check,
};

/// Keys that are of one type alone.
const KEYS: [(&[&str], &str); 3] = [
    (&[".dockerconfigjson"], "kubernetes.io/dockerconfigjson"),
    (&[".dockercfg"], "kubernetes.io/dockercfg"),
    (&["tls.crt", "tls.key"], "kubernetes.io/tls"),
];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distribution in &context.model.distributions {
        let ExpectedKeys::Exactly(keys) = &distribution.keys else { continue };
        let keys: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        // One with more keys is read by somebody who goes by keys.
        let is_of = |of: &[&str]| keys.len() == of.len() && of.iter().all(|key| keys.contains(key));
        let Some((of, type_)) = KEYS.iter().find(|(of, _)| is_of(of)) else { continue };
        // What has another type on purpose is for somebody who knows that.
        if distribution.secret_type == OPAQUE {
            let message = format!("has {} and type {OPAQUE} instead of {type_}", of.join(" and "));
            findings.push(RULE.at(context.place(distribution), message));
        }
    }
    findings
}
