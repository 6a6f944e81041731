//! Secrets that a store logs in with at its provider.

use std::collections::BTreeSet;

use serde_json::Value;

use super::ClusterSecretStore;

impl ClusterSecretStore {
    /// Secrets of which it takes what it logs in with, each by namespace and name: of a store of the whole cluster alone, and
    /// none that is in the namespace of each copy. Whoever reads one may do at the provider what the store may.
    ///
    /// A SecretStore has its Secrets beside it, in the namespace of those whom it serves.
    pub fn login_secrets(&self) -> BTreeSet<(&str, &str)> {
        let mut found = BTreeSet::new();
        if self.namespace().is_none() {
            let provider = self.object.pointer("/spec/provider");
            provider.into_iter().for_each(|provider| collect(provider, &mut found));
        }
        found
    }
}

/// Finds every selector of a key of a Secret: all providers write them alike (`SecretKeySelector`,
/// apis/meta/v1/types.go), and what has a type besides is the place of a certificate authority (`CAProvider`).
fn collect<'a>(value: &'a Value, found: &mut BTreeSet<(&'a str, &'a str)>) {
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    match value {
        Value::Object(fields) => {
            let selector = (text("namespace"), text("name"), text("key"));
            if let (Some(namespace), Some(name), Some(_), None) = (selector.0, selector.1, selector.2, text("type")) {
                found.insert((namespace, name));
            }
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use rstest::rstest;

    #[rstest]
    #[case::token_of_vault(
        "ClusterSecretStore",
        "vault: { auth: { tokenSecretRef: { name: t, namespace: ns, key: k } } }",
        &[("ns", "t")]
    )]
    #[case::two_parts(
        "ClusterSecretStore",
        "aws: { auth: { secretRef: { accessKeyIDSecretRef: { name: a, namespace: one, key: k }, \
         secretAccessKeySecretRef: { name: b, namespace: other, key: k } } } }",
        &[("one", "a"), ("other", "b")]
    )]
    #[case::list("ClusterSecretStore", "webhook: { secrets: [{ name: auth, secretRef: { name: t, namespace: ns, key: k } }] }", &[("ns", "t")])]
    #[case::of_each_copy("ClusterSecretStore", "vault: { auth: { tokenSecretRef: { name: t, key: k } } }", &[])]
    #[case::authority(
        "ClusterSecretStore",
        "vault: { caProvider: { type: Secret, name: ca, namespace: ns, key: k } }",
        &[]
    )]
    #[case::beside_those_it_serves(
        "SecretStore",
        "vault: { auth: { tokenSecretRef: { name: t, namespace: ns, key: k } } }",
        &[]
    )]
    fn secrets_that_open_a_provider_are_those_of_stores_for_many(
        #[case] kind: &str,
        #[case] provider: &str,
        #[case] expected: &[(&str, &str)],
    ) {
        let text = format!(
            "apiVersion: external-secrets.io/v1\nkind: {kind}\nmetadata: {{ name: s, namespace: ns }}\n\
             spec: {{ provider: {{ {provider} }} }}\n"
        );
        let text =
            if kind == "ClusterSecretStore" { text.replace(", namespace: ns }\nspec", " }\nspec") } else { text };
        let store = super::super::read(&parse_documents(Path::new("a.yaml"), &text).unwrap()[0]).unwrap();
        assert_eq!(Vec::from_iter(store.login_secrets()), expected);
    }
}
