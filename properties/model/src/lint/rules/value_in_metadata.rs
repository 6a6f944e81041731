//! Values of sources in labels and annotations of copies.

use std::collections::BTreeSet;

use credence_core::formats::{Role, source_roles};
use credence_core::id::Requirement;
use serde_json::Value;

use crate::config::spec_in;
use crate::lint::templates;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "value-in-metadata",
    requirement: Requirement::new(5, 4),
    severity: Severity::Warning,
    summary: "a password, token or key is in a label or an annotation of the copy",
    help: "Write values under data only: labels and annotations are shown, logged, copied to other objects and exported as metrics.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distributed in context.config.declared_distributions() {
        // A name or an address is often a label on purpose.
        let names = distributed.spec.data.iter().map(|entry| entry.secret_key.as_str());
        let values: BTreeSet<&str> = names.filter(|name| is_secret(name)).collect();
        for part in ["labels", "annotations"] {
            let texts = spec_in(distributed.object).pointer(&format!("/target/template/metadata/{part}"));
            let texts = texts.and_then(Value::as_object).into_iter().flatten();
            let texts = texts.filter_map(|(key, text)| Some((key, text.as_str()?)));
            for (key, text) in texts {
                if let Some(value) = templates::plain_actions(text).iter().find_map(|action| read(action, &values)) {
                    let message = format!("{part} {key} has the value {value}");
                    findings.push(RULE.at(distributed.place, message));
                }
            }
        }
    }
    findings
}

/// True if a value of this name is the secret part of a credential.
fn is_secret(name: &str) -> bool {
    let secret = [Role::Secret, Role::ClientSecret, Role::PrivateKey];
    source_roles([name]).into_keys().any(|role| secret.contains(&role))
}

/// The first of these values that an action writes, whatever it makes of it.
fn read<'a>(action: &'a str, values: &BTreeSet<&str>) -> Option<&'a str> {
    // A condition writes nothing.
    if action.starts_with("if ") || action.starts_with("else if ") {
        return None;
    }
    let words = action.split(|c: char| c.is_whitespace() || "()|\"".contains(c));
    let mut names = words.map(|word| word.strip_prefix('.').unwrap_or(word));
    names.find(|name| values.contains(name))
}
