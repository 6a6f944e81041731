//! Copies without a key by which Argo CD or Kargo finds or uses them.

use std::collections::BTreeSet;

use credence_core::formats::{ARGO_CD_LABEL, KARGO_LABEL};
use credence_core::id::Requirement;
use credence_core::text::nearest;

use crate::lint::{Context, Finding, Rule, Severity};
use crate::model::{Distribution, ExpectedKeys};

pub(super) const RULE: Rule = Rule {
    id: "key-missing-for-consumer",
    requirement: Requirement::new(4, 2),
    severity: Severity::Error,
    summary: "a key is missing without which the consumer does not use the copy",
    help: "Add the key to the copy, spelt as its consumer reads it: url for Argo CD, and repoURL, username and password for Kargo.",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distribution in &context.model.distributions {
        let ExpectedKeys::Exactly(keys) = &distribution.keys else { continue };
        // What is written into another Secret may find the key there.
        if !distribution.creation_policy.makes_all() {
            continue;
        }
        let Some((consumer, missing)) = missing(distribution, keys) else { continue };
        let meant = nearest(missing, keys.iter().map(String::as_str));
        let next = meant.map(|meant| format!("; {meant} is another")).unwrap_or_default();
        let message = format!("has no key {missing}, without which {consumer} does not use it{next}");
        findings.push(RULE.at(context.place(distribution), message));
    }
    findings
}

/// The consumer whose label a copy has, and the first key of those that it cannot do without that is not there.
///
/// Source: argo-cd util/db/repository_secrets.go, and kargo pkg/credentials/kubernetes/database.go and pkg/credentials/basic/basic.go.
fn missing(distribution: &Distribution, keys: &BTreeSet<String>) -> Option<(&'static str, &'static str)> {
    let label = |key: &str| distribution.labels.get(key).map(String::as_str);
    let is_absent = |key: &&&str| !keys.contains(**key);
    if let Some("repo-creds" | "repo-write-creds" | "repository" | "repository-write") = label(ARGO_CD_LABEL) {
        return ["url"].iter().find(is_absent).map(|key| ("Argo CD", *key));
    }
    let Some("git" | "helm" | "image") = label(KARGO_LABEL) else { return None };
    let has_other_login = keys.iter().any(|key| key != "password" && key != "username" && !key.starts_with("repoURL"));
    let needed: &[&str] = if has_other_login { &["repoURL"] } else { &["repoURL", "username", "password"] };
    needed.iter().find(is_absent).map(|key| ("Kargo", *key))
}
