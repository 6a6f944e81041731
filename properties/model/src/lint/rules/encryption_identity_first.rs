//! Encryption configurations that write Secrets in plain text.

use credence_core::id::Requirement;

use credence_core::manifest::Manifest;
use serde_json::Value;

use crate::config::SourcePosition;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "encryption-identity-first",
    requirement: Requirement::new(5, 3),
    severity: Severity::Warning,
    summary: "Secrets are written to etcd in plain text",
    help: "Put a provider that encrypts first for secrets, and identity last: the first provider writes.",
    check,
};

/// Names of Secrets in an entry: by their own name, as a part of the core group, or with everything else.
const SECRETS: [&str; 3] = ["secrets", "*.", "*.*"];

fn check(context: &Context<'_>) -> Vec<Finding> {
    let kind = "EncryptionConfiguration";
    let files = context.control_plane.iter().filter(|file| file.kind() == kind);
    files.filter_map(|file| Some(RULE.at(&SourcePosition::of(file), fault(file)?))).collect()
}

fn fault(file: &Manifest) -> Option<&'static str> {
    let entries = file.object.get("resources")?.as_array()?;
    let names_secrets = |entry: &&Value| {
        let names = entry["resources"].as_array();
        names.into_iter().flatten().filter_map(Value::as_str).any(|name| SECRETS.contains(&name))
    };
    let Some(entry) = entries.iter().find(names_secrets) else {
        return Some("no entry is for secrets: they are written in plain text");
    };
    let first = entry["providers"].as_array()?.first()?;
    first.get("identity").map(|_| "identity is the first provider of secrets: they are written in plain text")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_program_configuration;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::encrypts("{resources: [secrets], providers: [{secretbox: {}}, {identity: {}}]}", None)]
    #[case::everything("{resources: ['*.*'], providers: [{kms: {}}]}", None)]
    #[case::plain("{resources: [secrets], providers: [{identity: {}}]}", Some("identity is the first"))]
    #[case::others_only("{resources: [configmaps], providers: [{kms: {}}]}", Some("no entry is for secrets"))]
    #[case::not_understood("{resources: [secrets]}", None)]
    fn the_first_provider_of_secrets_decides(#[case] entry: &str, #[case] expected: Option<&str>) {
        let text =
            format!("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{entry}]\n");
        let files = parse_program_configuration(Path::new("a.yaml"), &text).unwrap();
        let found = fault(&files[0]);
        assert_eq!(found.is_some(), expected.is_some(), "{found:?}");
        assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{found:?}");
    }
}
