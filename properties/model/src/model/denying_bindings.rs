//! Admission policies that judge who makes what credentials are read or made with.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::operator_api::EXTERNAL_SECRETS_GROUP;
use serde_json::Value;

use crate::config::Config;

const GROUP: &str = "admissionregistration.k8s.io";

/// The ValidatingAdmissionPolicyBindings that deny, of policies that judge Secrets, namespaces, ExternalSecrets or SecretStores.
pub(super) fn denying_bindings(config: &Config) -> BTreeSet<String> {
    let judges = |name: &str| {
        let policies = config.of_kind(GROUP, "ValidatingAdmissionPolicy");
        policies.filter(|policy| policy.name() == name).any(|policy| judges_distribution(&policy.object))
    };
    config
        .of_kind(GROUP, "ValidatingAdmissionPolicyBinding")
        .filter(|binding| lists(&binding.object["spec"], "validationActions", &["Deny"]))
        .filter(|binding| binding.object.pointer("/spec/policyName").and_then(Value::as_str).is_some_and(judges))
        .map(|binding| binding.name().to_owned())
        .collect()
}

fn judges_distribution(policy: &Value) -> bool {
    let rules = policy.pointer("/spec/matchConstraints/resourceRules").and_then(Value::as_array);
    let kinds = ["secrets", "namespaces", "externalsecrets", "secretstores", "*", "*/*"];
    rules
        .into_iter()
        .flatten()
        .any(|rule| lists(rule, "apiGroups", &["", EXTERNAL_SECRETS_GROUP, "*"]) && lists(rule, "resources", &kinds))
}

/// Those of the `labels` that a policy on namespaces has as a literal, and not as one of all that begin alike.
pub(super) fn listed_labels<'a>(config: &Config, labels: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let policies: Vec<(&str, String)> = config
        .of_kind(GROUP, "ValidatingAdmissionPolicy")
        .filter(|policy| judges_namespaces(&policy.object))
        .map(|policy| (policy.name(), policy.object["spec"].to_string()))
        .collect();
    let has = |text: &str, literal: &str| {
        // JSON escapes the double quotes of the expression.
        [format!("\\\"{literal}\\\""), format!("'{literal}'")].iter().any(|quoted| text.contains(quoted.as_str()))
    };
    let lists = |label: &str| {
        let prefix = label.split_once('/').map(|(prefix, _)| format!("{prefix}/"));
        let listing =
            |(_, text): &&(&str, String)| has(text, label) && !prefix.as_ref().is_some_and(|prefix| has(text, prefix));
        policies.iter().find(listing).map(|(name, _)| (label.to_owned(), (*name).to_owned()))
    };
    labels.filter_map(lists).collect()
}

fn judges_namespaces(policy: &Value) -> bool {
    let rules = policy.pointer("/spec/matchConstraints/resourceRules").and_then(Value::as_array);
    rules.into_iter().flatten().any(|rule| lists(rule, "resources", &["namespaces", "*", "*/*"]))
}

/// True if a list has one of the words.
fn lists(object: &Value, field: &str, words: &[&str]) -> bool {
    let listed = object.get(field).and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(Value::as_str).any(|word| words.contains(&word))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::{Manifest, parse_documents};
    use rstest::rstest;

    use super::*;

    fn configuration(action: &str, resources: &str) -> Config {
        Config::from_manifests(configuration_manifests(action, resources)).unwrap()
    }

    fn configuration_manifests(action: &str, resources: &str) -> Vec<Manifest> {
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
        parse_documents(Path::new("all.yaml"), &text).unwrap()
    }

    #[rstest]
    #[case::secrets("Deny", "secrets", 1)]
    #[case::namespaces("Deny", "namespaces", 1)]
    #[case::only_tells("Audit", "namespaces", 0)]
    #[case::of_something_else("Deny", "pods", 0)]
    #[case::external_secrets("Deny", "externalsecrets", 1)]
    #[case::stores_of_one_namespace("Deny", "secretstores", 1)]
    #[case::everything("Deny", "'*'", 1)]
    #[case::everything_below("Deny", "'*/*'", 1)]
    fn a_guard_denies_and_judges_what_credentials_are_made_with(
        #[case] action: &str,
        #[case] resources: &str,
        #[case] count: usize,
    ) {
        assert_eq!(denying_bindings(&configuration(action, resources)).len(), count);
    }

    #[rstest]
    #[case::one_by_one(r#"!("secrets/a" in labels)"#, true)]
    #[case::in_single_quotes(r"!('secrets/a' in labels)", true)]
    #[case::by_what_they_begin_with(r#"labels.all(k, !k.startsWith("secrets/"))"#, false)]
    #[case::both(r#"labels.all(k, k == "secrets/a" || !k.startsWith("secrets/"))"#, false)]
    #[case::another_that_begins_alike(r#"!("secrets/ab" in labels)"#, false)]
    fn a_label_is_listed_if_a_policy_names_it_and_not_what_it_begins_with(
        #[case] expression: &str,
        #[case] is_listed: bool,
    ) {
        let mut manifests = configuration_manifests("Deny", "namespaces");
        for manifest in &mut manifests {
            if manifest.kind() == "ValidatingAdmissionPolicy" {
                manifest.object["spec"]["validations"] = serde_json::json!([{ "expression": expression }]);
            }
        }
        let config = Config::from_manifests(manifests).unwrap();
        let listed = listed_labels(&config, ["secrets/a"].into_iter());
        assert_eq!(listed.get("secrets/a").map(String::as_str), is_listed.then_some("p"));
    }

    #[rstest]
    #[case::the_groups_of_credentials("", 1)]
    #[case::of_the_operator("external-secrets.io", 1)]
    #[case::any_group("*", 1)]
    #[case::another_group("apps", 0)]
    fn a_guard_judges_the_groups_that_credentials_are_in(#[case] group: &str, #[case] count: usize) {
        let mut manifests = configuration_manifests("Deny", "secrets");
        let policy = manifests.iter_mut().find(|manifest| manifest.kind() == "ValidatingAdmissionPolicy").unwrap();
        policy.object["spec"]["matchConstraints"]["resourceRules"][0]["apiGroups"] = serde_json::json!([group]);
        assert_eq!(denying_bindings(&Config::from_manifests(manifests).unwrap()).len(), count);
    }

    #[test]
    fn a_binding_of_another_policy_is_no_guard() {
        let mut manifests = configuration_manifests("Deny", "secrets");
        manifests.last_mut().unwrap().object["spec"]["policyName"] = "other".into();
        assert_eq!(denying_bindings(&Config::from_manifests(manifests).unwrap()), BTreeSet::new());
    }

    #[test]
    fn a_label_is_listed_by_policies_on_namespaces_alone() {
        let listed = |resources| {
            let mut manifests = configuration_manifests("Deny", resources);
            let policy = manifests.iter_mut().find(|manifest| manifest.kind() == "ValidatingAdmissionPolicy").unwrap();
            policy.object["spec"]["validations"] = serde_json::json!([{ "expression": "'secrets/a' in labels" }]);
            listed_labels(&Config::from_manifests(manifests).unwrap(), ["secrets/a"].into_iter()).len()
        };
        assert_eq!(["namespaces", "'*'", "'*/*'", "secrets"].map(listed), [1, 1, 1, 0]);
    }
}
