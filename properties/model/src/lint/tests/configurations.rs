//! Configurations as people have them: what is right in them stays unsaid, and what is wrong is told.

use rstest::rstest;

use super::*;

/// A source with everything that lets one store read it, for namespaces that a condition admits.
pub(super) fn store(name: &str, condition: &str) -> String {
    format!(
        "\
apiVersion: v1
kind: Namespace
metadata: {{name: central}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}-reader, namespace: central}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: {name}-reader, namespace: central}}
rules: [{{apiGroups: [''], resources: [secrets], resourceNames: [{name}], verbs: [get]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {name}-reader, namespace: central}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}-reader}}
subjects: [{{kind: ServiceAccount, name: {name}-reader, namespace: central}}]
---
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {{name: {name}}}
spec:
  provider:
    kubernetes:
      remoteNamespace: central
      server: {{caProvider: {{type: ConfigMap, name: kube-root-ca.crt, key: ca.crt, namespace: central}}}}
      auth: {{serviceAccount: {{name: {name}-reader, namespace: central}}}}
  conditions: [{condition}]
---
"
    )
}

pub(super) const BY_LABEL: &str = "{namespaceSelector: {matchLabels: {example.org/registry: 'true'}}}";

/// A ClusterExternalSecret that reads user name and password of a source called registry, with more of its spec.
pub(super) fn registry(target: &str) -> String {
    format!(
        "\
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {{name: registry}}
spec:
  namespaceSelectors: [{{matchLabels: {{example.org/registry: 'true'}}}}]
  externalSecretSpec:
    refreshInterval: 5m
    secretStoreRef: {{kind: ClusterSecretStore, name: registry}}
    target: {{{target}}}
    data:
    - {{secretKey: username, remoteRef: {{key: registry, property: username}}}}
    - {{secretKey: password, remoteRef: {{key: registry, property: password}}}}
"
    )
}

pub(super) fn with_registry(distribution: &str) -> String {
    store("registry", BY_LABEL) + &registry(distribution)
}

/// Adds a document.
pub(super) fn and(configuration: &str, document: &str) -> String {
    format!("{configuration}---\n{document}")
}

const DOCKER_CONFIG: &str = r#"template: {type: kubernetes.io/dockerconfigjson, data: {.dockerconfigjson: '{{ dict
      "auths" (dict "harbor.example.org" (dict "username" .username "password" .password
      "auth" (printf "%s:%s" .username .password | b64enc))) | toJson }}'}}"#;

#[test]
fn a_source_that_another_controller_makes_is_no_fault() {
    let sealed = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: registry, namespace: central}\n\
                  spec: {encryptedData: {username: AgB=, password: AgC=}}\n";
    assert_eq!(findings_of(&and(&with_registry(DOCKER_CONFIG), sealed)), []);
}

#[test]
fn a_source_that_is_a_pull_secret_may_be_copied_as_it_is() {
    let distribution = "\
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: pull-creds}
spec:
  namespaceSelectors: [{matchLabels: {example.org/registry: 'true'}}]
  externalSecretSpec:
    refreshInterval: 30m
    secretStoreRef: {kind: ClusterSecretStore, name: registry}
    target:
      creationPolicy: Owner
      template: {type: kubernetes.io/dockerconfigjson, metadata: {annotations: {example.org/attach-to: default}}}
    data: [{secretKey: .dockerconfigjson, remoteRef: {key: registry, property: .dockerconfigjson}}]
";
    let source = "apiVersion: v1\nkind: Secret\nmetadata: {name: registry, namespace: central}\n\
                  type: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: |\n    {\"auths\":{}}\n";
    assert_eq!(findings_of(&and(&(store("registry", BY_LABEL) + distribution), source)), []);
}

#[rstest]
#[case::with_a_template("{data: {AUTH_GITHUB_ID: '{{ .id }}', AUTH_GITHUB_SECRET: '{{ .secret }}'}}")]
#[case::without_one("")]
fn keys_may_have_any_name(#[case] template: &str) {
    let distribution = format!(
        "\
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {{name: oauth}}
spec:
  namespaceSelectors: [{{matchLabels: {{example.org/registry: 'true'}}}}]
  externalSecretSpec:
    secretStoreRef: {{kind: ClusterSecretStore, name: oauth}}
    target: {{template: {template}}}
    data:
    - {{secretKey: id, remoteRef: {{key: oauth, property: client-id}}}}
    - {{secretKey: secret, remoteRef: {{key: oauth, property: client-secret}}}}
    - {{secretKey: SENTRY_DSN, remoteRef: {{key: oauth, property: dsn}}}}
"
    );
    assert_eq!(findings_of(&(store("oauth", BY_LABEL) + &distribution)), []);
}

#[rstest]
#[case::a_name("podium", &[])]
#[case::a_switch("'true'", &["selector-exists"])]
fn any_value_is_a_fault_only_of_a_switch(#[case] value: &str, #[case] rules_of_it: &[&str]) {
    let exists = "{matchExpressions: [{key: example.org/project, operator: Exists}]}";
    let text = with_registry("").replace("{matchLabels: {example.org/registry: 'true'}}", exists);
    let namespace = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: project-podium, labels: {{example.org/project: {value}}}}}\n"
    );
    let findings = findings_of(&and(&text, &namespace));
    assert_eq!(rules(&findings), rules_of_it);
    assert_eq!(findings.iter().any(Finding::fails), !rules_of_it.is_empty());
}

#[rstest]
#[case::nothing("", &[])]
#[case::registry(DOCKER_CONFIG, &[])]
#[case::no_copy("creationPolicy: None", &["creation-policy-none"])]
#[case::refused("creationPolicy: Merge, deletionPolicy: Delete", &["creation-policy-merge", "deletion-policy-without-owner"])]
#[case::deleted_with_its_source("creationPolicy: Owner, deletionPolicy: Delete", &["deletion-policy-delete"])]
#[case::unknown_key("template: {data: {a: '{{ .user }}'}}", &["template-reads-unknown-key"])]
#[case::another_dot("template: {data: {a: '{{ with .username | fromJson }}{{ .user }}{{ end }}'}}", &[])]
#[case::argo_cd("template: {metadata: {labels: {argocd.argoproj.io/secret-type: repo-cred}}}", &["argo-cd-secret-type"])]
#[case::one_repository(
    "template: {metadata: {labels: {argocd.argoproj.io/secret-type: repo-creds}}, data: {url: 'https://a.b/c.git'}}",
    &[]
)]
#[case::unknown_to_kargo("template: {metadata: {labels: {kargo.akuity.io/cred-type: gti}}}", &["wrong-cred-type"])]
#[case::of_git(
    r"template: {metadata: {labels: {kargo.akuity.io/cred-type: image}}, data: {repoURL: '^https://a\.b/c/', repoURLIsRegex: 'true'}}",
    &["key-missing-for-consumer", "wrong-cred-type"]
)]
#[case::fits_without_a_login(
    r"template: {metadata: {labels: {kargo.akuity.io/cred-type: git}}, data: {repoURL: '^https://a\.b/c/', repoURLIsRegex: 'true'}}",
    &["key-missing-for-consumer"]
)]
#[case::pattern_without_its_flag(
    r"template: {metadata: {labels: {kargo.akuity.io/cred-type: git}}, data: {repoURL: '^https://a\.b/c/'}}",
    &["kargo-regex-flag", "key-missing-for-consumer"]
)]
#[case::one_repository_of_kargo(
    "template: {metadata: {labels: {kargo.akuity.io/cred-type: git}}, data: {repoURL: 'https://a.b/c/d.git'}}",
    &["key-missing-for-consumer"]
)]
#[case::flag(
    "template: {metadata: {labels: {kargo.akuity.io/cred-type: git}}, data: {repoURLIsRegex: 'True'}}",
    &["kargo-regex-flag", "key-missing-for-consumer"]
)]
fn what_a_target_says_decides(#[case] distribution: &str, #[case] expected: &[&str]) {
    assert_eq!(rules(&findings_of(&with_registry(distribution))), expected);
}

#[rstest]
#[case::policy("refreshInterval: 5m", "refreshPolicy: OnChange", &["refresh-policy-without-updates"])]
#[case::default("    refreshInterval: 5m\n", "", &[])]
#[case::decoding("property: password}", "property: password, decodingStrategy: Auto}", &["decoding-strategy-auto"])]
#[case::password("property: password", "property: username", &[])]
#[case::everything("{matchLabels: {example.org/registry: 'true'}}]", "{}]", &[
    "conditions-narrower-than-selector", "selects-protected-namespaces"
])]
fn what_the_rest_says_decides(#[case] replace: &str, #[case] by: &str, #[case] expected: &[&str]) {
    let text = with_registry("");
    assert!(text.contains(replace), "{replace} is not in the configuration");
    assert_eq!(rules(&findings_of(&text.replace(replace, by))), expected);
}

#[test]
fn two_that_may_meet_in_a_namespace_need_secrets_of_their_own() {
    let narrower = registry("name: registry")
        .replace("metadata: {name: registry}", "metadata: {name: z}")
        .replace("registry: 'true'}", "registry: 'true', more: 'true'}");
    let findings = findings_of(&and(&with_registry("name: registry"), &narrower));
    assert_eq!(rules(&findings), ["same-copy"]);
    assert!(findings[0].message.contains("from registry and from z"), "{findings:?}");
    let apart =
        and(&with_registry("name: registry"), &narrower.replace("target: {name: registry}", "target: {name: z}"));
    assert_eq!(findings_of(&apart), []);
}

/// A policy on the creation of Secrets with a binding.
fn policy(fields: &str, expression: &str, action: &str) -> String {
    format!(
        "\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: p}}
spec:
  {fields}
  matchConstraints: {{resourceRules: [{{apiGroups: [''], operations: [CREATE], resources: [secrets]}}]}}
  validations: [{{expression: '{expression}'}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: p}}
spec: {{policyName: p, validationActions: [{action}]}}
"
    )
}

#[rstest]
#[case::of_the_copies("failurePolicy: Fail", r#"object.metadata.name != "registry""#, "Deny", &["policy-on-create-only"])]
#[case::that_fails_open("failurePolicy: Ignore", r#"object.metadata.name != "registry""#, "Deny", &[
    "policy-fails-open", "policy-on-create-only"
])]
#[case::that_only_warns("failurePolicy: Fail", r#"object.metadata.name != "registry""#, "Warn", &["policy-audit-only"])]
#[case::of_somebody_else("failurePolicy: Ignore", r#"has(object.metadata.labels.team)"#, "Warn", &[])]
fn a_policy_is_judged_only_if_it_guards_the_distribution(
    #[case] fields: &str,
    #[case] expression: &str,
    #[case] action: &str,
    #[case] expected: &[&str],
) {
    let findings = findings_of(&and(&with_registry(""), &policy(fields, expression, action)));
    assert_eq!(rules(&findings), expected);
}

#[test]
fn a_role_without_names_is_no_fault_where_there_is_one_source() {
    let text = with_registry("").replace("resourceNames: [registry], ", "");
    assert_eq!(findings_of(&text), []);
}

#[test]
fn what_a_team_writes_into_its_own_namespace_is_looked_at_as_well() {
    let own = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: pull, namespace: shop}\n\
               spec:\n  refreshInterval: 0s\n  secretStoreRef: {kind: ClusterSecretStore, name: registry}\n\
               \x20 target: {template: {data: {login: '{{ .absent }}'}}}\n\
               \x20 data: [{secretKey: username, remoteRef: {key: registry, property: username}}]\n";
    let store = store("registry", "{namespaces: [shop]}");
    let findings = findings_of(&(store + own));
    let of_plain = |rule: &str| findings.iter().any(|one| one.rule == rule && one.object == "ExternalSecret shop/pull");
    assert!(of_plain("template-reads-unknown-key") && of_plain("refresh-interval-zero"), "{findings:?}");
}

#[test]
fn what_a_generator_makes_once_and_for_all_follows_no_source() {
    let text = "apiVersion: generators.external-secrets.io/v1alpha1\nkind: Password\nmetadata: {name: made, namespace: shop}\n\
                spec: {length: 20, noUpper: false, allowRepeat: true}\n---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\n\
                metadata: {name: database, namespace: shop}\nspec:\n  refreshInterval: 0s\n  target: {immutable: true}\n\
                \x20 dataFrom: [{sourceRef: {generatorRef: {kind: Password, name: made}}}]\n";
    assert_eq!(findings_of(text), []);
    assert_eq!(rules(&findings_of(&text.replace("0s", "1h\n  refreshPolicy: CreatedOnce"))), [] as [&str; 0]);
}

#[rstest]
#[case::of_a_service("ECRAuthorizationToken", "{region: eu-west-1}", &[])]
#[case::of_any_signs("Password", "{length: 20, noUpper: false, allowRepeat: true}", &["raw-values-in-json"])]
fn tokens_of_a_service_break_no_json(#[case] kind: &str, #[case] spec: &str, #[case] expected: &[&str]) {
    let text = format!(
        "apiVersion: generators.external-secrets.io/v1alpha1\nkind: {kind}\nmetadata: {{name: made, namespace: shop}}\n\
         spec: {spec}\n---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\n\
         metadata: {{name: pull, namespace: shop}}\nspec:\n  refreshInterval: 1h\n\
         \x20 target: {{template: {{data: {{login.json: '{{\"password\": \"{{{{ .password }}}}\"}}'}}}}}}\n\
         \x20 dataFrom: [{{sourceRef: {{generatorRef: {{kind: {kind}, name: made}}}}}}]\n"
    );
    assert_eq!(rules(&findings_of(&text)), expected);
}

#[rstest]
#[case::no_selector("[]", "it has neither selectors nor namespaces")]
#[case::a_contradiction(
    "[{matchLabels: {team: a}, matchExpressions: [{key: team, operator: NotIn, values: [a]}]}]",
    "its selectors contradict themselves"
)]
fn what_selects_nobody_is_told(#[case] selectors: &str, #[case] expected: &str) {
    let own = "[{matchLabels: {example.org/registry: 'true'}}]";
    let findings = findings_of(&with_registry("").replace(own, selectors));
    assert_eq!(rules(&findings), ["selects-nobody"]);
    assert!(findings[0].message.starts_with(expected), "{}", findings[0].message);
}

#[test]
fn copies_that_are_not_judged_at_all_are_named_and_no_fault() {
    let plain = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: a, namespace: shop}\nspec:\n  secretStoreRef: \
                 {name: of-the-platform}\n  data: [{secretKey: a, remoteRef: {key: b, property: c}}]\n";
    let findings = findings_of(&and(&with_registry(""), plain));
    assert_eq!(rules(&findings), ["copies-not-judged"]);
    assert!(!findings[0].fails() && findings[0].message.contains("SecretStore shop/of-the-platform"), "{findings:?}");
}

#[rstest]
#[case::data(
    "template: {data: {x: '{{ .username | base64 }}'}}",
    "template of x: there is no function base64; did you mean b64enc?"
)]
#[case::label("template: {metadata: {labels: {x: '{{ if .username }}a'}}}", "template of label x: if has no end")]
#[case::annotation(
    "template: {metadata: {annotations: {x: '{{ .username '}}}",
    "template of annotation x: an action has no end"
)]
#[case::literal(
    "template: {templateFrom: [{literal: '{{ end }}'}]}",
    "template of templateFrom[0]: {{ end }} ends nothing"
)]
fn a_template_that_cannot_be_parsed_is_an_error(#[case] target: &str, #[case] expected: &str) {
    let findings = findings_of(&with_registry(target));
    assert_eq!(rules(&findings), ["template-cannot-be-parsed"]);
    assert!(findings[0].message.starts_with(expected), "{}", findings[0].message);
}

#[rstest]
#[case::of_names("resourceNames: [registry], verbs: [get, list]", &["search-without-list"])]
#[case::get_alone("verbs: [get]", &["search-without-list"])]
#[case::of_all("verbs: [get, list]", &[])]
fn a_search_needs_the_right_to_list(#[case] rule: &str, #[case] expected: &[&str]) {
    let searched = store("registry", BY_LABEL).replace("resourceNames: [registry], verbs: [get]", rule);
    let source = "apiVersion: v1\nkind: Secret\nmetadata: {name: registry, namespace: central}\nstringData: {username: a}\n---\n";
    let distribution = registry("");
    let (before, _) = distribution.split_once("    data:").unwrap();
    let found = format!("{searched}{source}{before}    dataFrom: [{{find: {{name: {{regexp: ^reg}}}}}}]\n");
    assert_eq!(rules(&findings_of(&found)), expected);
    // A role that is elsewhere may allow it.
    let elsewhere = found.replace("kind: Role, name: registry-reader", "kind: ClusterRole, name: of-the-platform");
    assert_eq!(rules(&findings_of(&elsewhere)), [""; 0]);
}

#[test]
fn a_key_that_is_read_twice_and_what_reads_nothing_are_told() {
    let twice = with_registry("").replace("{secretKey: password, ", "{secretKey: username, ");
    let findings = findings_of(&twice);
    assert_eq!(rules(&findings), ["secret-key-twice"]);
    assert_eq!(findings[0].message, "data gives username a value twice");
    let (nothing, _) = with_registry("").split_once("    data:").map(|(before, _)| (before.to_owned(), ())).unwrap();
    assert_eq!(rules(&findings_of(&nothing)), ["copies-not-judged", "reads-nothing"]);
}
