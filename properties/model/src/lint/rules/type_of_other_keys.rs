//! Copies with the key of a pull secret and the type of an ordinary one.

use credence_core::id::Requirement;

use crate::config::OPAQUE;
use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::ExpectedKeys;

pub(super) const RULE: Rule = Rule {
    id: "type-of-other-keys",
    requirement: Requirement::new(3, 1),
    severity: Severity::Warning,
    summary: "a copy has the key of a pull secret and not its type",
    help: "Give target.template.type the type of this key: the kubelet takes no other.",
    check,
};

/// Keys that are of one type alone. Those of a certificate are not: servers read them from a file, whatever the type.
const KEYS: [(&str, &str); 2] =
    [(".dockerconfigjson", "kubernetes.io/dockerconfigjson"), (".dockercfg", "kubernetes.io/dockercfg")];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distribution in &context.model.distributions {
        let ExpectedKeys::Exactly(keys) = &distribution.keys else { continue };
        // One with more keys is read by somebody who goes by keys.
        let Some((key, type_)) = KEYS.iter().find(|(key, _)| keys.iter().eq([*key])) else { continue };
        // What has another type on purpose is for somebody who knows that.
        if distribution.secret_type == OPAQUE {
            let message = format!("has {key} and type {OPAQUE} instead of {type_}");
            findings.push(RULE.at(context.place(distribution), message));
        }
    }
    findings
}
