//! Registry credentials whose parts contradict each other.

use credence_core::id::Requirement;

use std::sync::LazyLock;

use regex::Regex;

use crate::lint::templates;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "auth-from-other-fields",
    requirement: Requirement::new(4, 1),
    severity: Severity::Warning,
    summary: "auth of a dockerconfigjson is made of other values than username and password",
    help: "Make auth of username and password, in this order: the kubelet reads it before the two.",
    check,
};

/// An entry of a registry as the documentation has it, with the values that it is made of.
static ENTRY: LazyLock<Regex> = LazyLock::new(|| {
    let entry = r#""username"\s+(\.\w+)\s+"password"\s+(\.\w+)\s+"auth"\s+\(\s*printf\s+"%s:%s(?:\\n)?"\s+(\.\w+)\s+(\.\w+)\s*\|\s*b64enc\s*\)"#;
    Regex::new(entry).expect("a constant")
});

fn check(context: &Context<'_>) -> Vec<Finding> {
    let all = context.config.declared_distributions();
    all.flat_map(|distributed| {
        let registries = templates::of(&distributed).filter(|(key, _)| *key == ".dockerconfigjson");
        registries.filter_map(|(_, text)| {
            let entry = ENTRY.captures_iter(text).find(|entry| entry[1] != entry[3] || entry[2] != entry[4])?;
            let [username, password, first, second] = [1, 2, 3, 4].map(|part| &entry[part]);
            let message = format!("auth is {first}:{second}, and username and password are {username} and {password}");
            Some(RULE.at(distributed.place, message))
        })
    })
    .collect()
}
