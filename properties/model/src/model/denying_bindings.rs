//! Admission policies that judge who creates Secrets.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::Config;

const GROUP: &str = "admissionregistration.k8s.io";

/// The ValidatingAdmissionPolicyBindings that deny, of policies that judge the creation of Secrets.
pub(super) fn denying_bindings(config: &Config) -> BTreeSet<String> {
    let judges = |name: &str| {
        let policies = config.of_kind(GROUP, "ValidatingAdmissionPolicy");
        policies.filter(|policy| policy.name() == name).any(|policy| judges_secrets(&policy.object))
    };
    config
        .of_kind(GROUP, "ValidatingAdmissionPolicyBinding")
        .filter(|binding| lists(&binding.object["spec"], "validationActions", &["Deny"]))
        .filter(|binding| binding.object.pointer("/spec/policyName").and_then(Value::as_str).is_some_and(judges))
        .map(|binding| binding.name().to_owned())
        .collect()
}

fn judges_secrets(policy: &Value) -> bool {
    let rules = policy.pointer("/spec/matchConstraints/resourceRules").and_then(Value::as_array);
    rules.into_iter().flatten().any(|rule| {
        lists(rule, "apiGroups", &["", "*"])
            && lists(rule, "resources", &["secrets", "*", "*/*"])
            && lists(rule, "operations", &["CREATE", "*"])
    })
}

/// True if a list has one of the words.
fn lists(object: &Value, field: &str, words: &[&str]) -> bool {
    let listed = object.get(field).and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(Value::as_str).any(|word| words.contains(&word))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use rstest::rstest;

    use super::*;

    fn configuration(action: &str, resources: &str) -> Config {
        let text = format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: s}}\n\
             spec: {{provider: {{kubernetes: {{}}}}}}\n---\n\
             apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: c}}\n\
             spec: {{externalSecretSpec: {{secretStoreRef: {{kind: ClusterSecretStore, name: s}}}}}}\n---\n\
             apiVersion: {GROUP}/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: p}}\n\
             spec: {{matchConstraints: {{resourceRules: \
             [{{apiGroups: [''], operations: [CREATE], resources: [{resources}]}}]}}}}\n---\n\
             apiVersion: {GROUP}/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {{name: b}}\n\
             spec: {{policyName: p, validationActions: [{action}]}}\n"
        );
        Config::from_manifests(parse_documents(Path::new("all.yaml"), &text).unwrap()).unwrap()
    }

    #[rstest]
    #[case::denies("Deny", "secrets", 1)]
    #[case::only_tells("Audit", "secrets", 0)]
    #[case::of_something_else("Deny", "namespaces", 0)]
    fn a_guard_denies_and_judges_secrets(#[case] action: &str, #[case] resources: &str, #[case] count: usize) {
        assert_eq!(denying_bindings(&configuration(action, resources)).len(), count);
    }
}
