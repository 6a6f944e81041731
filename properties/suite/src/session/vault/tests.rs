use credence_core::credential::Credential;
use credence_core::manifest::parse_documents;
use credence_model::config::{Config, VaultSecretKey};

use super::*;

/// A configuration in which each of the stores reads these keys.
fn model(stores: &[(&str, &str, &[&str])]) -> Model {
    let store = |(name, provider, keys): &(&str, &str, &[&str])| {
        let data: Vec<String> = keys
            .iter()
            .enumerate()
            .map(|(index, key)| format!("{{ secretKey: k{index}, remoteRef: {{ {key}, property: p }} }}"))
            .collect();
        format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{ name: {name} }}\n\
             spec: {{ provider: {{ vault: {{ server: 'https://vault.test', path: kv, {provider} }} }} }}\n---\n\
             apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{ name: of-{name} }}\nspec: {{ \
             namespaceSelectors: [{{ matchLabels: {{ a: b }} }}], externalSecretSpec: {{ secretStoreRef: {{ kind: \
             ClusterSecretStore, name: {name} }}, target: {{ name: of-{name} }}, data: [{}] }} }}\n---\n",
            data.join(", ")
        )
    };
    let text: String = stores.iter().map(store).collect();
    let manifests = parse_documents(Path::new("a.yaml"), text.trim_end_matches("---\n")).unwrap();
    Model::derive(&Config::from_manifests(manifests).unwrap())
}

const ACCOUNT: &str =
    "auth: { kubernetes: { mountPath: kubernetes, role: r, serviceAccountRef: { name: a, namespace: ns } } }";
const TOKEN: &str = "auth: { tokenSecretRef: { name: t, namespace: ns, key: k } }";

#[test]
fn a_store_that_vault_cannot_serve_has_its_reason() {
    let model = model(&[
        ("first", ACCOUNT, &["key: one"]),
        ("second", TOKEN, &["key: one"]),
        ("third", TOKEN, &["key: two, version: '1'"]),
        ("fourth", "auth: { cert: { secretRef: { name: c } } }", &["key: three"]),
    ]);
    let stores = VaultStores::of(model);
    assert_eq!(Vec::from_iter(&stores.served), ["first"]);
    let notes = stores.notes().join("\n");
    for reason in [
        "store second: store first reads one",
        "store third: nothing says which versions",
        "store fourth: it logs in by",
    ] {
        assert!(notes.contains(reason), "{notes}");
    }
}

#[test]
fn a_store_does_not_log_in_at_vault_with_what_a_copy_is_given() {
    // The copy of a store of this name is called so.
    let made = "auth: { tokenSecretRef: { name: of-first, namespace: ns, key: k } }";
    let stores = VaultStores::of(model(&[("first", ACCOUNT, &["key: one"]), ("second", made, &["key: two"])]));
    assert_eq!(Vec::from_iter(&stores.served), ["first"]);
    assert!(
        stores.notes().concat().contains("store second: it logs in with what of-first makes"),
        "{:?}",
        stores.notes()
    );
}

#[test]
fn a_login_that_nobody_wrote_down_reads_the_sources_of_its_store_alone() {
    let model = model(&[("first", ACCOUNT, &["key: one"]), ("second", TOKEN, &["key: two"])]);
    let (expected, derived) = expected(&model, &VaultStores::of(model.clone()).served);
    assert_eq!(expected.engines, BTreeMap::from([("kv".to_owned(), true)]));
    let paths = |policy: &str| Vec::from_iter(expected.policies[policy].keys().map(String::as_str));
    assert_eq!((paths("credence-first"), paths("credence-second")), (vec!["kv/data/one"], vec!["kv/data/two"]));
    let role = &expected.kubernetes[&("kubernetes".to_owned(), "r".to_owned())];
    assert_eq!(Vec::from_iter(&role.namespaces), ["ns"]);
    assert_eq!(derived.len(), 2);
}

#[test]
fn a_login_is_put_beside_what_a_secret_has_or_into_one_of_its_own() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: { name: t, namespace: ns }\nstringData: { other: x }\n";
    let mut manifests = parse_documents(Path::new("a.yaml"), text).unwrap();
    let login =
        |name: &str| Login::new(VaultSecretKey { namespace: "ns", name, key: "k" }, &Credential::new("generated"));
    put(&mut manifests, &[login("t"), login("u")]);
    assert_eq!(manifests[0].object["stringData"], json!({ "other": "x", "k": "generated" }));
    assert_eq!((manifests.len(), manifests[1].name()), (2, "u"));
}
