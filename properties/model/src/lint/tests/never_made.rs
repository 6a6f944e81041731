//! Copies that are never made: what is written is taken, and only the cluster refuses what follows from it.

use rstest::rstest;

use super::configurations::{BY_LABEL, and, registry, store, with_registry};
use super::*;

/// The rules that fail a configuration, and the message of the first finding.
fn failing(text: &str) -> (Vec<&'static str>, String) {
    let mut findings = findings_of(text);
    findings.retain(Finding::fails);
    let first = findings.first().map(|finding| finding.message.clone()).unwrap_or_default();
    let mut rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
    rules.dedup();
    (rules, first)
}

const SOURCE: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: registry, namespace: central}\n\
                      stringData: {username: a, password: b, config: '{}'}\n";

/// The registry and its source, in which something is replaced.
fn replaced(what: &str, by: &str) -> String {
    let text = and(&with_registry(""), SOURCE);
    assert!(text.contains(what), "{what} is not in the configuration");
    text.replace(what, by)
}

/// The registry through its store, with an entry of `dataFrom` in place of its values.
fn taken_over(target: &str, entry: &str) -> String {
    let distribution = registry(target);
    let (before, _) = distribution.split_once("    data:\n").unwrap();
    format!("{}{before}    dataFrom: [{entry}]\n", store("registry", BY_LABEL))
}

#[test]
fn a_store_that_admits_by_name_what_is_selected_by_label_is_no_fault() {
    let text = format!("{}{}", store("registry", "{namespaceRegexes: [^team-]}"), registry(""));
    assert_eq!(findings_of(&text), []);
}

#[rstest]
#[case::one_of_two_names("namespaces: [team-a, shop]", "{namespaceRegexes: [^team-]}", "shop")]
#[case::one_of_two_selectors(
    "namespaceSelectors: [{matchLabels: {env: prod}}, {matchLabels: {env: dev}}]",
    "{namespaceSelector: {matchLabels: {env: dev}}}",
    "that-asks"
)]
#[case::one_that_is_made("namespaces: [blog]", "{namespaceSelector: {matchLabels: {tier: web}}}", "blog")]
fn whoever_is_selected_has_to_be_admitted(#[case] selection: &str, #[case] condition: &str, #[case] namespace: &str) {
    let made = "apiVersion: v1\nkind: Namespace\nmetadata: {name: blog, labels: {team: blog}}\n";
    let selected =
        registry("").replace("namespaceSelectors: [{matchLabels: {example.org/registry: 'true'}}]", selection);
    let (rules, message) = failing(&and(&(store("registry", condition) + &selected), made));
    assert_eq!(rules, ["conditions-narrower-than-selector"]);
    assert_eq!(message, format!("selects namespace {namespace}, which store registry does not admit"));
}

#[rstest]
#[case::by_a_name("namespaces: [shop]", "{namespaces: [shop]}")]
#[case::by_a_label_that_nobody_wrote_down("namespaces: [shop]", BY_LABEL)]
#[case::each_of_its_selectors(
    "namespaceSelectors: [{matchLabels: {env: prod}}, {matchLabels: {env: dev}}]",
    "{namespaceSelector: {matchExpressions: [{key: env, operator: In, values: [dev, prod]}]}}"
)]
fn whoever_is_admitted_is_no_fault(#[case] selection: &str, #[case] condition: &str) {
    let selected =
        registry("").replace("namespaceSelectors: [{matchLabels: {example.org/registry: 'true'}}]", selection);
    assert_eq!(findings_of(&(store("registry", condition) + &selected)), []);
}

#[test]
fn an_external_secret_has_to_be_admitted_where_it_is() {
    let own = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: pull, namespace: shop}\n\
               spec:\n  secretStoreRef: {kind: ClusterSecretStore, name: registry}\n\
               \x20 data: [{secretKey: username, remoteRef: {key: registry, property: username}}]\n";
    let (rules, message) = failing(&(store("registry", "{namespaces: [blog]}") + own));
    assert_eq!(rules, ["conditions-narrower-than-selector"]);
    assert_eq!(message, "is in namespace shop, which store registry does not admit");
    assert_eq!(failing(&(store("registry", "{namespaces: [shop]}") + own)).0, [""; 0]);
}

#[test]
fn an_external_secret_may_have_the_name_that_is_made_there() {
    let shop = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {example.org/registry: 'true'}}\n";
    let own = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: registry, namespace: shop}\n\
               spec:\n  secretStoreRef: {kind: ClusterSecretStore, name: registry}\n  target: {name: other}\n\
               \x20 data: [{secretKey: username, remoteRef: {key: registry, property: username}}]\n";
    let (rules, message) = failing(&and(&and(&with_registry(""), shop), own));
    assert_eq!(rules, ["same-external-secret"]);
    assert_eq!(message, "selects namespace shop, which has an ExternalSecret registry already");
    let elsewhere = and(&and(&with_registry(""), shop), &own.replace("namespace: shop", "namespace: blog"));
    assert_eq!(failing(&elsewhere).0, [""; 0]);
}

#[rstest]
#[case::a_space("data: {'my key': '{{ .username }}'}", "no Secret can have the key \"my key\"")]
#[case::two_dots("data: {..: '{{ .username }}'}", "no Secret can have the key \"..\"")]
#[case::pull(
    "type: kubernetes.io/dockerconfigjson",
    "type kubernetes.io/dockerconfigjson needs .dockerconfigjson, and"
)]
#[case::key_pair("type: kubernetes.io/tls", "type kubernetes.io/tls needs tls.crt and tls.key, and it is not there")]
#[case::ssh("type: kubernetes.io/ssh-auth", "type kubernetes.io/ssh-auth needs ssh-privatekey, and it is not there")]
#[case::login(
    "type: kubernetes.io/basic-auth, data: {user: '{{ .username }}'}",
    "type kubernetes.io/basic-auth needs username or password, and there is neither"
)]
#[case::account(
    "type: kubernetes.io/service-account-token",
    "type kubernetes.io/service-account-token needs annotation kubernetes.io/service-account.name"
)]
fn a_copy_that_the_api_server_refuses_is_never_made(#[case] template: &str, #[case] expected: &str) {
    let (rules, message) = failing(&with_registry(&format!("template: {{{template}}}")));
    assert_eq!(rules, ["copy-refused"]);
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_copy_whose_keys_the_controller_refuses_is_never_made() {
    let entry = "{extract: {key: registry}, rewrite: [{regexp: {source: e, target: ' '}}]}";
    let (rules, message) = failing(&and(&taken_over("", entry), SOURCE));
    assert_eq!(rules, ["copy-refused"]);
    assert!(
        message.ends_with(
            "dataFrom[0].rewrite: \"us rnam \" is not a valid key of a Secret, so the controller refuses it"
        ),
        "{message}"
    );
}

#[rstest]
#[case::login("type: kubernetes.io/basic-auth")]
#[case::a_half_of_a_login("type: kubernetes.io/basic-auth, data: {password: '{{ .password }}'}")]
#[case::a_type_of_ones_own("type: example.org/login")]
#[case::signs("data: {Any-Key_1.json: '{{ .username }}'}")]
fn a_copy_that_the_api_server_takes_is_no_fault(#[case] template: &str) {
    assert_eq!(findings_of(&with_registry(&format!("template: {{{template}}}"))), []);
}

#[rstest]
#[case::misspelt(
    "property: passwrod",
    "data[1] reads passwrod of central/registry, which does not have it; did you mean password?"
)]
#[case::another("property: token", "data[1] reads token of central/registry, which does not have it")]
#[case::path_of_a_key_with_a_dot("property: config.json.a", "")]
#[case::path("property: config.a", "")]
fn a_key_that_is_read_is_in_its_source(#[case] property: &str, #[case] expected: &str) {
    let (rules, message) = failing(&replaced("property: password", property));
    assert_eq!(rules, if expected.is_empty() { &[""; 0][..] } else { &["source-lacks-key"] });
    assert_eq!(message, expected);
}

#[rstest]
#[case::nobody_wrote_it_down("stringData: {username: a, password: b, config: '{}'}", "type: Opaque")]
#[case::a_controller_adds_it(
    "metadata: {name: registry, namespace: central}\nstringData",
    "metadata: {name: registry, namespace: central, annotations: {example.org/generate: token}}\nstringData"
)]
#[case::kubernetes_fills_it("stringData", "type: kubernetes.io/service-account-token\nstringData")]
fn a_key_that_a_source_may_get_is_no_fault(#[case] what: &str, #[case] by: &str) {
    let text = replaced(what, by).replace("property: password", "property: token");
    assert_eq!(failing(&text).0, [""; 0]);
}

#[rstest]
#[case::all("{secretKey: password,", "", "")]
#[case::another("{secretKey: pass,", "", "data[1] reads password of central/registry, which does not have it")]
#[case::by_its_template("{secretKey: pass,", "template: {data: {username: a, password: '{{ .pass }}'}}", "")]
#[case::not_in_its_template(
    "{secretKey: password,",
    "template: {data: {login: '{{ .password }}'}}",
    "data[0] reads username of central/registry, which does not have it"
)]
fn a_source_that_an_external_secret_makes_has_its_keys(
    #[case] entry: &str,
    #[case] target: &str,
    #[case] expected: &str,
) {
    let maker = format!(
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: registry, namespace: central}}\nspec:\n\
         \x20 secretStoreRef: {{kind: ClusterSecretStore, name: vault}}\n  target: {{{target}}}\n  data:\n\
         \x20 - {{secretKey: username, remoteRef: {{key: a, property: b}}}}\n  - {entry} remoteRef: {{key: a, property: c}}}}\n"
    );
    let (rules, message) = failing(&and(&with_registry(""), &maker));
    assert_eq!(rules, if expected.is_empty() { &[""; 0][..] } else { &["source-lacks-key"] });
    assert_eq!(message, expected);
}

#[test]
fn keys_that_a_sealed_secret_has_in_plain_text_are_its_own() {
    let sealed = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: registry, namespace: central}\n\
                  spec: {encryptedData: {password: AgC=}, template: {data: {username: bot}}}\n";
    assert_eq!(findings_of(&and(&with_registry(""), sealed)), []);
}

#[test]
fn a_sealed_secret_that_adds_to_another_does_not_say_all_keys() {
    let sealed = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\n\
                  metadata: {name: registry, namespace: central, annotations: {sealedsecrets.bitnami.com/patch: 'true'}}\n\
                  spec: {encryptedData: {password: AgC=}}\n";
    assert_eq!(failing(&and(&with_registry(""), sealed)).0, [""; 0]);
}

#[test]
fn what_is_written_into_another_secret_may_find_the_keys_of_its_consumer_there() {
    let target = "creationPolicy: Merge, template: {metadata: {labels: {argocd.argoproj.io/secret-type: repository}}, \
                  data: {password: '{{ .password }}'}}";
    assert!(!failing(&with_registry(target)).0.contains(&"key-missing-for-consumer"));
}

#[rstest]
#[case::another_name(
    "resourceNames: [registry]",
    "resourceNames: [registri]",
    "its account may not get central/registry, but registri"
)]
#[case::another_verb("verbs: [get]", "verbs: [list, watch]", "its account may not get central/registry")]
#[case::another_resource("resources: [secrets]", "resources: [configmaps]", "its account may not get central/registry")]
#[case::all_names("resourceNames: [registry], ", "", "")]
#[case::another_rule("rules: [", "rules: [{apiGroups: [apps], resources: [deployments], verbs: [get]}, ", "")]
#[case::a_role_of_the_platform("kind: Role, name: registry-reader", "kind: ClusterRole, name: view", "")]
#[case::another_account(
    "subjects: [{kind: ServiceAccount, name: registry",
    "subjects: [{kind: ServiceAccount, name: other",
    ""
)]
fn a_store_may_read_what_is_distributed_through_it(#[case] what: &str, #[case] by: &str, #[case] expected: &str) {
    let (rules, message) = failing(&replaced(what, by));
    assert_eq!(rules, if expected.is_empty() { &[""; 0][..] } else { &["role-names-other-source"] });
    assert_eq!(message, expected);
}

#[test]
fn an_account_may_have_the_rights_of_its_group() {
    let group = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: all, namespace: central}\n\
                 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view-secrets}\n\
                 subjects: [{kind: Group, name: 'system:serviceaccounts:central', apiGroup: rbac.authorization.k8s.io}]\n";
    let text = and(&replaced("resourceNames: [registry]", "resourceNames: [registri]"), group);
    assert_eq!(failing(&text).0, [""; 0]);
}

#[rstest]
#[case::of_no_namespace(
    "key: ca.crt, namespace: central}",
    "key: ca.crt}",
    "server.caProvider names no namespace, which a"
)]
#[case::of_another_key(
    "key: ca.crt,",
    "key: ca.pem,",
    "server.caProvider reads ca.pem of ConfigMap kube-root-ca.crt, which has"
)]
#[case::of_none(
    "server: {caProvider: {type: ConfigMap, name: kube-root-ca.crt, key: ca.crt, namespace: central}}",
    "server: {}",
    "server has neither caProvider nor caBundle"
)]
#[case::of_a_key_that_is_not_there(
    "type: ConfigMap, name: kube-root-ca.crt",
    "type: Secret, name: registry",
    "server.caProvider reads ca.crt of Secret central/registry, which"
)]
#[case::of_somebody_else("name: kube-root-ca.crt, key: ca.crt", "name: trust-bundle, key: bundle.pem", "")]
#[case::written_down(
    "caProvider: {type: ConfigMap, name: kube-root-ca.crt, key: ca.crt, namespace: central}",
    "caBundle: Y2E=",
    ""
)]
fn a_store_finds_the_certificate_of_the_server(#[case] what: &str, #[case] by: &str, #[case] expected: &str) {
    let (rules, message) = failing(&replaced(what, by));
    assert_eq!(rules, if expected.is_empty() { &[""; 0][..] } else { &["store-trusts-no-authority"] });
    assert!(message.starts_with(expected) && message.is_empty() == expected.is_empty(), "{message}");
}

#[rstest]
#[case::of_extract("{{ .pasword }}", "template of x reads .pasword, which nothing provides; did you mean password?")]
#[case::in_a_condition("{{ if .token }}a{{ end }}", "template of x reads .token, which nothing provides")]
#[case::by_index(
    "{{ index . \"user-name\" }}",
    "template of x reads \"user-name\", which nothing provides, so that it is empty; did"
)]
#[case::part_of_a_text("{{ .config.a }}", "template of x reads a of config, which is a text and has no parts")]
#[case::in_another_scope("{{ with .config }}{{ .a }}{{ end }}", "template of x reads a of config, which is a text")]
#[case::with_a_default("{{ index . \"port\" | default \"80\" }}", "")]
#[case::part_of_json("{{ (.config | fromJson).a }}{{ with .config | fromJson }}{{ .b }}{{ $.username }}{{ end }}", "")]
#[case::each("{{ range $k, $v := . }}{{ $k }}{{ end }}", "")]
fn a_template_reads_what_a_source_has(#[case] template: &str, #[case] expected: &str) {
    let target = format!("template: {{data: {{x: '{template}'}}}}");
    let extracted = taken_over(&target, "{extract: {key: registry}}");
    let (rules, message) = failing(&and(&extracted, SOURCE));
    assert_eq!(rules, if expected.is_empty() { &[""; 0][..] } else { &["template-reads-unknown-key"] });
    assert!(message.starts_with(expected), "{message}");
    // Without its manifest, a source may have anything; and yet, a text has no parts.
    let (rules, _) = failing(&extracted);
    assert_eq!(rules.is_empty(), !expected.contains("is a text"), "{rules:?}");
}

#[test]
fn a_name_with_a_dot_is_read_by_index() {
    let target = |template: &str| format!("template: {{data: {{a: '{template}'}}}}");
    let text = |template: &str| with_registry(&target(template)).replace("secretKey: password", "secretKey: tls.key");
    let (rules, message) = failing(&text("{{ .tls.key }}"));
    assert_eq!(rules, ["template-reads-unknown-key"]);
    assert_eq!(message, "template of a reads .tls.key as a part of tls; write index . \"tls.key\"");
    assert_eq!(failing(&text("{{ index . \"tls.key\" }}")).0, [""; 0]);
}

#[test]
fn an_account_reads_what_is_taken_over_under_keys_that_nobody_knows() {
    let text = and(&taken_over("", "{extract: {key: registry, property: config}}"), SOURCE);
    assert_eq!(failing(&text).0, [""; 0]);
}

#[test]
fn tokens_of_a_generator_that_is_elsewhere_break_no_json() {
    let text = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: pull, namespace: shop}\nspec:\n\
                \x20 target: {template: {data: {a.json: '{\"password\": \"{{ .password }}\"}'}}}\n\
                \x20 dataFrom: [{sourceRef: {generatorRef: {kind: ECRAuthorizationToken, name: ecr}}}]\n";
    assert_eq!(failing(text).0, [""; 0]);
    assert_eq!(failing(&text.replace("ECRAuthorizationToken", "Password")).0, ["raw-values-in-json"]);
}

#[rstest]
#[case::no_address(
    "argocd.argoproj.io/secret-type: repo-creds",
    "password: '{{ .password }}'",
    "has no key url, without which Argo CD"
)]
#[case::another_spelling(
    "kargo.akuity.io/cred-type: git",
    "repoUrl: 'https://a.b/c.git', username: a, password: '{{ .password }}'",
    "has no key repoURL, without which Kargo does not use it; repoUrl is another"
)]
#[case::no_user(
    "kargo.akuity.io/cred-type: git",
    "repoURL: 'https://a.b/c.git', password: '{{ .password }}'",
    "has no key username"
)]
#[case::no_user_of_a_key(
    "kargo.akuity.io/cred-type: git",
    "repoURL: 'git@a.b:c.git', sshPrivateKey: '{{ .password }}'",
    ""
)]
#[case::not_of_a_repository(
    "argocd.argoproj.io/secret-type: cluster",
    "server: a, name: b, config: '{{ .password }}'",
    ""
)]
#[case::anything("kargo.akuity.io/cred-type: generic", "secret: '{{ .password }}'", "")]
fn a_copy_has_what_its_consumer_finds_it_by(#[case] label: &str, #[case] data: &str, #[case] expected: &str) {
    let (rules, message) =
        failing(&with_registry(&format!("template: {{metadata: {{labels: {{{label}}}}}, data: {{{data}}}}}")));
    assert_eq!(rules, if expected.is_empty() { &[""; 0][..] } else { &["key-missing-for-consumer"] });
    assert!(message.starts_with(expected), "{message}");
}

#[rstest]
#[case::of_a_search(
    "{find: {name: {regexp: '*reg'}}}",
    "dataFrom[0].find.name.regexp: \"*reg\" cannot be compiled: nothing stands"
)]
#[case::of_a_rewrite(
    "{extract: {key: registry}, rewrite: [{regexp: {source: '(?!a)', target: b}}]}",
    "dataFrom[0].rewrite[0].regexp.source: \"(?!a)\" cannot be compiled: there is no look-around"
)]
#[case::that_only_go_reads("{extract: {key: registry}, rewrite: [{regexp: {source: 'a{', target: b}}]}", "")]
fn an_expression_can_be_compiled(#[case] entry: &str, #[case] expected: &str) {
    let text = taken_over("", entry);
    let text = and(&text.replace("resourceNames: [registry], verbs: [get]", "verbs: [get, list]"), SOURCE);
    let (rules, message) = failing(&text);
    assert_eq!(rules, if expected.is_empty() { &[""; 0][..] } else { &["expression-refused"] });
    assert!(message.starts_with(expected), "{message}");
}

#[rstest]
#[case::with_its_namespace("central/registry", &["source-name-refused"])]
#[case::in_capitals("Registry", &["source-name-refused"])]
#[case::as_it_may_be("registry.example.org", &[])]
fn a_secret_is_read_by_a_name_that_one_can_have(#[case] name: &str, #[case] expected: &[&str]) {
    let text = with_registry("")
        .replace("resourceNames: [registry], ", "")
        .replace("key: registry,", &format!("key: {name},"));
    assert_eq!(failing(&text).0, expected);
}
