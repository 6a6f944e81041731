use std::path::{Path, PathBuf};

use credence_core::manifest::{Manifest, parse_documents};

use super::*;
use crate::intent::Intent;

mod configurations;
mod never_made;
mod twins;

/// A configuration with one fault that is found first, and a store that admits everybody.
pub(super) const EXAMPLE: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: s}
spec: {provider: {kubernetes: {remoteNamespace: central, server: {caBundle: Y2E=}}}, conditions: [{namespaceSelector: {matchLabels: {a: b}}}]}
---
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: c}
spec:
  namespaceSelectors: [{matchLabels: {a: b}}]
  externalSecretSpec:
    refreshInterval: 0s
    secretStoreRef: {kind: ClusterSecretStore, name: s}
    target: {creationPolicy: Orphan}
    data: [{secretKey: t, remoteRef: {key: pat, property: token}}]
";

/// The findings of all rules on one file, most severe first and by rule.
pub(super) fn findings_of(text: &str) -> Vec<Finding> {
    let file = Path::new("a.yaml");
    let mut findings = check_all(parse_documents(file, text).unwrap(), &[], None);
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), std::cmp::Reverse(finding.rule)));
    findings
}

fn check_all(manifests: Vec<Manifest>, control_plane: &[Manifest], intent: Option<&Intent>) -> Vec<Finding> {
    let config = Config::from_manifests(manifests).unwrap();
    let model = Model::derive(&config);
    let intended = intent.map(|intent| intent.resolve(&config, &model).unwrap());
    let model = model.intending(intended.unwrap_or_default());
    check(&Context { config: &config, model: &model, control_plane })
}

/// The names of the rules that found something.
fn rules(findings: &[Finding]) -> Vec<&str> {
    let mut rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

#[test]
fn rules_are_in_order_and_have_names_of_their_own() {
    assert!(RULES.is_sorted_by(|one, other| one.id < other.id));
}

#[test]
fn the_documentation_has_a_row_for_each_rule() {
    let rows: String = RULES
        .iter()
        .map(|rule| format!("| `{}` | {} | {} | {} |\n", rule.id, rule.severity, rule.summary, rule.requirement))
        .collect();
    let documentation = include_str!("../../../docs/lint.md");
    assert!(documentation.contains(&rows), "the table in docs/lint.md should be:\n{rows}");
}
