//! Templates that read what the ExternalSecret does not.

use credence_core::id::Requirement;

use std::collections::BTreeSet;

use crate::lint::templates;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "template-reads-unknown-key",
    requirement: Requirement::new(3, 3),
    severity: Severity::Error,
    summary: "a template reads a value that nothing provides",
    help: "Name a secretKey of data: the controller fails on a key that is missing, and the copy is never made.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    // What dataFrom reads, only the controller knows.
    let known = context.config.declared_distributions();
    for distributed in known.filter(|distributed| distributed.spec.data_from.is_empty()) {
        let data = distributed.spec.data.iter();
        let provided: BTreeSet<&str> = data.map(|entry| entry.secret_key.as_str()).collect();
        for (key, text) in templates::of(&distributed) {
            let fields = templates::plain_actions(text).into_iter().filter_map(templates::field);
            for field in fields.filter(|field| !provided.contains(field)) {
                let message = format!("template of {key} reads .{field}, which is no secretKey of data");
                findings.push(RULE.at(distributed.place, message));
            }
        }
    }
    findings
}
