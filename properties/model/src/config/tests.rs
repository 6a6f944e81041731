use std::error::Error;
use std::path::Path;
use std::time::Duration;

use credence_core::manifest::parse_documents;
use rstest::rstest;

use super::*;
use crate::selector::effective_labels;

fn config(text: &str) -> Result<Config, ConfigError> {
    Config::from_manifests(manifests(text))
}

fn manifests(text: &str) -> Vec<Manifest> {
    parse_documents(Path::new("config/all.yaml"), text).unwrap()
}

fn refusal(text: &str) -> String {
    let error = config(text).unwrap_err();
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

const STORE: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: github}
spec:
  provider:
    kubernetes:
      remoteNamespace: central
      auth: {serviceAccount: {name: reader, namespace: central}}
---
";

/// A ClusterExternalSecret that starts on line 10 behind [`STORE`].
fn distributed(spec: &str) -> String {
    format!(
        "{STORE}apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\n\
         metadata: {{name: docker}}\nspec:\n{spec}"
    )
}

const EXTERNAL_SECRET: &str = "  externalSecretSpec:\n    secretStoreRef: {kind: ClusterSecretStore, name: github}\n";

/// The store of an entry that names a missing one.
const OTHER_STORE: &str = "sourceRef: {storeRef: {kind: ClusterSecretStore, name: gihtub}}";

/// A configuration whose store has conditions.
fn with_conditions(conditions: &str) -> String {
    distributed(EXTERNAL_SECRET).replacen("spec:", &format!("spec:\n  conditions: {conditions}"), 1)
}

#[rstest]
#[case("ClusterExternalSecret", "")]
#[case("ClusterSecretStore", "spec: null\n")]
#[case("ExternalSecret", "")]
fn an_object_without_a_spec_is_refused_in_words_of_the_manifest(#[case] kind: &str, #[case] spec: &str) {
    let head = format!("apiVersion: external-secrets.io/v1\nkind: {kind}\nmetadata: {{name: empty}}\n{spec}---\n");
    let refusal = refusal(&format!("{head}{}", distributed(EXTERNAL_SECRET)));
    assert_eq!(refusal, format!("{kind} empty at config/all.yaml:1 has no spec; add it, or leave the object out"));
}

#[test]
fn distribution_is_typed_and_everything_is_kept() {
    let config = config(&format!(
        "{}{}",
        distributed(
            "  externalSecretName: es
  externalSecretMetadata: {labels: {team: a}}
  namespaceSelector: {matchLabels: {old: 'true'}}
  namespaceSelectors: [{matchLabels: {new: 'true'}}]
  namespaces: [argocd]
  refreshTime: 1m
  externalSecretSpec:
    refreshInterval: 1h30m
    refreshPolicy: OnChange
    secretStoreRef: {kind: ClusterSecretStore, name: github}
    target:
      name: pull
      creationPolicy: Orphan
      deletionPolicy: Delete
      immutable: true
      template:
        type: kubernetes.io/dockerconfigjson
        metadata: {labels: {x: z}}
        mergePolicy: Merge
        data: {.dockerconfigjson: '{{ .token }}'}
    data: [{secretKey: token, remoteRef: {key: github-pat, property: token}}]
"
        ),
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: central}\n"
    ))
    .unwrap();
    let one = &config.cluster_external_secrets[0];
    assert_eq!(one.place.to_string(), "ClusterExternalSecret docker at config/all.yaml:10");
    let selection = one.spec.selection();
    assert_eq!((selection.selectors.len(), &*selection.names), (2, &["argocd".to_owned()][..]));
    assert_eq!(one.spec.external_secret_labels()["team"], "a");
    let spec = &one.spec.external_secret_spec;
    assert_eq!(spec.refresh_interval(), Duration::from_mins(90));
    assert_eq!(spec.refresh_policy, RefreshPolicy::OnChange);
    assert_eq!(spec.target.creation_policy, CreationPolicy::Orphan);
    assert_eq!(spec.target.deletion_policy, DeletionPolicy::Delete);
    let template = spec.target.template.as_ref().unwrap();
    assert_eq!(template.merge_policy, MergePolicy::Merge);
    assert!(template.data.contains_key(".dockerconfigjson"));
    let provider = config.stores["github"].kubernetes.as_ref().unwrap();
    assert_eq!(provider.remote_namespace, "central");
    assert_eq!(provider.service_account().unwrap().name, "reader");
    assert_eq!(config.manifests.len(), 3);
    assert_eq!(config.of_kind("rbac.authorization.k8s.io", "Role").count(), 1);
}

#[test]
fn what_is_not_written_has_the_defaults_of_the_crds() {
    let text = distributed(&format!("{EXTERNAL_SECRET}    target: {{template: null, name: null}}\n    data:\n"))
        .replace("remoteNamespace: central", "server: {}");
    let config = config(&text).unwrap();
    let spec = &config.cluster_external_secrets[0].spec.external_secret_spec;
    assert_eq!(spec.refresh_interval(), Duration::from_hours(1));
    assert_eq!(spec.refresh_policy, RefreshPolicy::Periodic);
    assert_eq!(spec.target.creation_policy, CreationPolicy::Owner);
    assert_eq!(spec.target.deletion_policy, DeletionPolicy::Retain);
    let provider = config.stores["github"].kubernetes.as_ref().unwrap();
    assert_eq!(provider.remote_namespace, "default");
}

#[test]
fn values_of_secrets_are_decoded_and_never_shown() {
    let config = config(&format!(
        "{}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: github-pat, namespace: central}}\n\
         data: {{token: aHVudGVy, other: \"aHVu\\ndGVy\"}}\nstringData: {{token: hunter2}}\n",
        distributed(EXTERNAL_SECRET)
    ))
    .unwrap();
    let source = SourceRef::secret("central", "github-pat");
    let secret = &config.secrets[&source];
    assert_eq!(secret.secret_type, "Opaque");
    assert_eq!(secret.data["token"].expose(), b"hunter2");
    assert_eq!(secret.data["other"].expose(), b"hunter");
    assert!(!format!("{config:?}").contains("hunter"));
    assert!(!format!("{config:?}").contains("aHVu"));
}

#[test]
fn namespaces_keep_their_labels() {
    let text = distributed(EXTERNAL_SECRET)
        + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {x: 'true'}}\n\
           ---\napiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n";
    let config = config(&text).unwrap();
    assert_eq!(config.namespaces["a"]["x"], "true");
    assert!(config.namespaces["b"].is_empty());
}

#[test]
fn a_store_may_be_elsewhere_beside_those_that_are_here() {
    let upstream = "---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: e, namespace: central}\n\
                    spec:\n  secretStoreRef: {kind: ClusterSecretStore, name: vault}\n\
                    \x20 data: [{secretKey: a, remoteRef: {key: k}}]\n";
    assert_eq!(config(&(distributed(EXTERNAL_SECRET) + upstream)).unwrap().external_secrets.len(), 1);
}

#[rstest]
#[case::missing_store(
    distributed("  externalSecretSpec:\n    secretStoreRef: {kind: ClusterSecretStore, name: gitlab}\n"),
    "ClusterExternalSecret docker at config/all.yaml:10 names ClusterSecretStore \"gitlab\" in secretStoreRef, \
     and the configuration has only github"
)]
#[case::missing_store_of_one_value(
    distributed(&format!("{EXTERNAL_SECRET}    data: [{{secretKey: a, remoteRef: {{key: k}}, {OTHER_STORE}}}]\n")),
    r#"names ClusterSecretStore "gihtub" in data[0].sourceRef.storeRef"#
)]
#[case::missing_store_of_a_set(
    distributed(&format!("{EXTERNAL_SECRET}    dataFrom: [{{extract: {{key: k}}, {OTHER_STORE}}}]\n")),
    r#"names ClusterSecretStore "gihtub" in dataFrom[0].sourceRef.storeRef"#
)]
#[case::missing_store_of_an_external_secret(
    distributed(EXTERNAL_SECRET)
        + "---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: e, namespace: o}\n\
           spec: {secretStoreRef: {kind: ClusterSecretStore, name: github-pat}}\n",
    r#"ExternalSecret o/e at config/all.yaml:17 names ClusterSecretStore "github-pat""#
)]
#[case::store_of_each_namespace(
    distributed("  externalSecretSpec:\n    secretStoreRef: {name: github}\n"),
    r#"names SecretStore "github" in secretStoreRef, which each namespace would have to have, and the configuration has a ClusterSecretStore"#
)]
#[case::no_store(
    distributed("  externalSecretSpec:\n    data: [{secretKey: a, remoteRef: {key: k}}]\n"),
    "ClusterExternalSecret docker at config/all.yaml:10 names no store: secretStoreRef is missing"
)]
#[case::illegal_operator(
    distributed(&format!(
        "{EXTERNAL_SECRET}  namespaceSelectors: [{{matchExpressions: [{{key: team, operator: Equals, values: [a]}}]}}]\n"
    )),
    "failed to read ClusterExternalSecret docker at config/all.yaml:16:44: \
     operator \"Equals\" on label \"team\" is not one of In, NotIn, Exists, DoesNotExist"
)]
#[case::illegal_operator_of_the_deprecated_selector(
    distributed(&format!(
        "{EXTERNAL_SECRET}  namespaceSelector: {{matchExpressions: [{{key: team, operator: In}}]}}\n"
    )),
    r#"operator In on label "team" needs values"#
)]
#[case::illegal_selector_of_a_store(
    with_conditions("[{namespaceSelector: {matchLabels: {a b: c}}}]"),
    r#"failed to read ClusterSecretStore github at config/all.yaml:5:17: label key "a b" is not valid"#
)]
#[case::illegal_expression_of_a_store(
    with_conditions("[{namespaceRegexes: ['[']}]"),
    r#"ClusterSecretStore github at config/all.yaml:5:36 has an invalid namespace expression "[""#
)]
#[case::illegal_duration(
    distributed(&format!("{EXTERNAL_SECRET}    refreshInterval: 1d\n")),
    r#"ClusterExternalSecret docker at config/all.yaml:16:5: "1d" is no duration"#
)]
#[case::illegal_duration_of_all(
    distributed(&format!("{EXTERNAL_SECRET}  refreshTime: 1d\n")),
    r#"ClusterExternalSecret docker at config/all.yaml:16:3: "1d" is no duration"#
)]
#[case::illegal_policy(
    distributed(&format!("{EXTERNAL_SECRET}    refreshPolicy: Sometimes\n")),
    "config/all.yaml:16:5: ClusterExternalSecret docker: spec.externalSecretSpec.refreshPolicy is none of CreatedOnce, Periodic, \
     OnChange"
)]
#[case::no_spec(
    format!("{STORE}apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: docker}}\n"),
    "ClusterExternalSecret docker at config/all.yaml:10 has no spec"
)]
#[case::unknown_version(
    STORE.replace("/v1\n", "/v1alpha1\n"),
    "config/all.yaml:1:1: ClusterSecretStore github: apiVersion is external-secrets.io/v1alpha1, which External Secrets Operator \
     0.20.4 does not serve; write apiVersion: external-secrets.io/v1"
)]
#[case::nothing_to_distribute(STORE.to_owned(), "the configuration holds no ClusterExternalSecret")]
fn bad_configuration_is_refused_with_its_place(#[case] text: String, #[case] reason: &str) {
    let shown = refusal(&text);
    assert!(shown.contains(reason), "{shown}");
}

#[rstest]
#[case::no_base64("data: {token: 'hunter2!'}", "no base64")]
fn unreadable_values_are_refused_without_showing_them(#[case] values: &str, #[case] reason: &str) {
    let shown = refusal(&format!(
        "{}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: b}}\n{values}\n",
        distributed(EXTERNAL_SECRET)
    ));
    let expected = format!(
        "key \"token\" of Secret b/a at config/all.yaml:20:8 is {reason}; text goes to stringData, in quotes, and base64 to data"
    );
    assert_eq!(shown, expected);
}

#[test]
fn the_former_version_is_read_alike_where_a_cluster_serves_it() {
    let former = manifests(&distributed(EXTERNAL_SECRET).replace("/v1\n", "/v1beta1\n"));
    assert_eq!(Config::of_live_cluster(former, Schema::pinned()).unwrap().1.len(), 2);
}

#[test]
fn a_secret_that_sops_encrypted_has_keys_and_no_values() {
    let config = config(&format!(
        "{}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: b}}\ndata: {{token: 'ENC[x]'}}\nsops: {{}}\n",
        distributed(EXTERNAL_SECRET)
    ))
    .unwrap();
    let source = SourceRef::secret("b", "a");
    assert_eq!(config.secrets[&source].data["token"].expose(), b"");
}

#[rstest]
#[case::no_condition("[]", "any", "", true)]
#[case::by_label("[{namespaceSelector: {matchLabels: {x: 'true'}}}]", "a", "true", true)]
#[case::by_another_label("[{namespaceSelector: {matchLabels: {x: 'true'}}}]", "a", "false", false)]
#[case::by_name("[{namespaces: [a, b]}]", "b", "", true)]
#[case::by_another_name("[{namespaces: [a, b]}]", "bb", "", false)]
#[case::by_expression_anywhere("[{namespaceRegexes: ['b.']}]", "abc", "", true)]
#[case::by_anchored_expression("[{namespaceRegexes: ['^b.']}]", "abc", "", false)]
#[case::one_condition_of_two("[{namespaces: [a]}, {namespaceSelector: {matchLabels: {x: 'true'}}}]", "b", "true", true)]
#[case::one_part_of_a_condition(
    "[{namespaces: [a], namespaceSelector: {matchLabels: {x: 'true'}}}]",
    "a",
    "false",
    true
)]
#[case::empty_condition("[{}]", "a", "true", false)]
#[case::empty_selector("[{namespaceSelector: {}}]", "a", "", true)]
fn store_conditions_are_alternatives(
    #[case] conditions: &str,
    #[case] namespace: &str,
    #[case] x: &str,
    #[case] admitted: bool,
) {
    let text = with_conditions(conditions);
    let labels = effective_labels(namespace, &[("x".to_owned(), x.to_owned())].into());
    assert_eq!(config(&text).unwrap().stores["github"].admits(&labels), admitted);
}
