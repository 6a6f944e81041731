//! AppRoles and tokens of Vault.

use super::*;

const STORES: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: by-role}
spec: {provider: {vault: {server: 'https://v.test', auth: {appRole: {path: approle, roleId: i, secretRef: {name: a, namespace: ns, key: k}}}}}}
---
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: by-token}
spec: {provider: {vault: {server: 'https://v.test', auth: {tokenSecretRef: {name: a, namespace: ns, key: k}}}}}
---
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: both}
spec:
  namespaceSelectors: [{matchLabels: {secrets: wanted}}]
  externalSecretSpec:
    secretStoreRef: {kind: ClusterSecretStore, name: by-role}
    data:
    - {secretKey: a, remoteRef: {key: kv/a, property: a}}
    - {secretKey: b, remoteRef: {key: kv/b, property: b}, sourceRef: {storeRef: {kind: ClusterSecretStore, name: by-token}}}
";

fn resolved(fields: &str) -> Result<Model, IntentError> {
    let config = config(STORES);
    let model = Model::derive(&config);
    let intended = parse(fields).and_then(|intent| intent.resolve(&config, &model))?;
    Ok(model.intending(intended))
}

#[test]
fn a_login_with_a_secret_has_the_paths_of_its_policies_and_its_end() {
    let model = resolved(
        "vault: {appRoles: [{name: r, store: by-role, tokenPolicies: [p, default], secretIdTtl: 24h, secretIdNumUses: 40}], \
         tokens: [{store: by-token, policies: [root], ttl: '0'}], policies: [{name: p, paths: [{path: kv/a, capabilities: [read]}]}]}",
    )
    .unwrap();
    let role = model.intended.vault_secret_login("by-role").unwrap();
    let paths: Vec<&str> = role.paths.iter().map(|path| path.path.as_str()).collect();
    assert_eq!((role.name(), paths, role.is_root), ("AppRole r".to_owned(), vec!["kv/a"], false));
    assert_eq!(role.ends, ["after 24h", "after 40 logins, of which each refresh is one"]);
    let token = model.intended.vault_secret_login("by-token").unwrap();
    assert_eq!((token.name(), token.is_root, token.ends.len()), ("a token".to_owned(), true, 0));
}

#[rstest]
#[case::role_that_no_store_has(
    "vault: {roles: [{name: r, boundServiceAccountNames: [a], boundServiceAccountNamespaces: [b], tokenPolicies: []}]}",
    "credence.yaml:3:18: vault.roles[0].name names no role that a store logs in with; there is none"
)]
#[case::policy_of_a_role_that_is_not_there(
    "vault: {roles: [{name: r, boundServiceAccountNames: [a], boundServiceAccountNamespaces: [b], tokenPolicies: [default, p]}]}",
    "vault.roles[0].tokenPolicies[1] names no policy of vault.policies"
)]
#[case::two_policies_of_one_name(
    "vault: {policies: [{name: p, paths: []}, {name: p, paths: []}]}",
    "vault.policies[1].name is the same"
)]
#[case::store_that_logs_in_otherwise(
    "vault: {tokens: [{store: by-role, policies: []}]}",
    "vault.tokens[0].store names no store that logs in at Vault with a token"
)]
#[case::store_that_is_not_there(
    "vault: {appRoles: [{name: r, store: other, tokenPolicies: []}]}",
    "vault.appRoles[0].store names no store that logs in at Vault with an AppRole"
)]
#[case::two_of_one_store(
    "vault: {tokens: [{store: by-token, policies: []}, {store: by-token, policies: []}]}",
    "vault.tokens[1].store is the same"
)]
#[case::policy_that_is_not_there(
    "vault: {tokens: [{store: by-token, policies: [root, p]}]}",
    "vault.tokens[0].policies[1] names no policy of vault.policies"
)]
#[case::root_of_a_role(
    "vault: {appRoles: [{name: r, store: by-role, tokenPolicies: [root]}]}",
    "vault.appRoles[0].tokenPolicies[0] is root, which Vault gives to tokens alone"
)]
#[case::no_duration(
    "vault: {appRoles: [{name: r, store: by-role, tokenPolicies: [], secretIdTtl: a month}]}",
    "vault.appRoles[0].secretIdTtl is no duration; write one such as 720h"
)]
#[case::no_number(
    "vault: {appRoles: [{name: r, store: by-role, tokenPolicies: [], secretIdNumUses: '4'}]}",
    "vault.appRoles[0].secretIdNumUses is text: a whole number is due, of 0 or more"
)]
fn a_login_that_cannot_be_meant_is_refused_with_its_place(#[case] fields: &str, #[case] expected: &str) {
    let found = resolved(fields).unwrap_err().to_string();
    assert!(found.contains(expected) && found.contains("credence.yaml:"), "{found}");
}
