//! Chains: an ExternalSecret that makes the source of others, as where a platform takes a credential out of a Vault into one namespace, and
//! hands it on from there. A run gives sources values of its own, which the operator would replace by those of the other end.

use credence_core::manifest::Manifest;
use serde_json::Value;

use crate::config::{EXTERNAL_SECRETS_GROUP, spec_in};

/// What in `manifests` reads the Secret that an ExternalSecret makes; none if nothing does.
pub(crate) fn reader_of(manifests: &[Manifest], maker: &Manifest) -> Option<String> {
    if maker.group() != EXTERNAL_SECRETS_GROUP || maker.kind() != "ExternalSecret" {
        return None;
    }
    let target = &spec_in(&maker.object)["target"];
    if target["creationPolicy"] == "None" {
        return None;
    }
    let secret = target["name"].as_str().unwrap_or(maker.name());
    let is_other = |one: &&Manifest| {
        let key = |one: &Manifest| (one.kind().to_owned(), one.namespace().map(str::to_owned), one.name().to_owned());
        key(one) != key(maker)
    };
    let distributions = manifests.iter().filter(|one| {
        one.group() == EXTERNAL_SECRETS_GROUP && ["ClusterExternalSecret", "ExternalSecret"].contains(&one.kind())
    });
    let namespace = maker.namespace().unwrap_or("default");
    let mut readers = distributions.filter(is_other).filter(|one| reads(manifests, one, namespace, secret));
    readers.next().map(Manifest::object_name)
}

/// True if a distribution reads this Secret through a store of the configuration.
fn reads(manifests: &[Manifest], reader: &Manifest, namespace: &str, secret: &str) -> bool {
    let spec = spec_in(&reader.object);
    let entries = |name: &str| spec[name].as_array().into_iter().flatten();
    let single = entries("data").map(|entry| (entry, &entry["remoteRef"]["key"]));
    let whole = entries("dataFrom").map(|entry| (entry, &entry["extract"]["key"]));
    single.chain(whole).filter(|(_, key)| key.as_str() == Some(secret)).any(|(entry, _)| {
        let own = &entry["sourceRef"]["storeRef"];
        let store = if own.is_object() { own } else { &spec["secretStoreRef"] };
        sources_of(manifests, store, reader.namespace()).is_some_and(|sources| sources == namespace)
    })
}

/// The namespace that a store reads, if it is one of Kubernetes.
fn sources_of<'m>(manifests: &'m [Manifest], store: &Value, namespace: Option<&str>) -> Option<&'m str> {
    let kind = store["kind"].as_str().unwrap_or("SecretStore");
    let name = store["name"].as_str()?;
    let is_meant = |one: &&Manifest| {
        let is_near = kind == "ClusterSecretStore" || one.namespace() == namespace;
        one.group() == EXTERNAL_SECRETS_GROUP && one.kind() == kind && one.name() == name && is_near
    };
    let provider = manifests.iter().find(is_meant)?.object.pointer("/spec/provider/kubernetes")?;
    // The CRD's default.
    provider.is_object().then(|| provider["remoteNamespace"].as_str().unwrap_or("default"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use rstest::rstest;

    use super::*;

    fn read_by(target: &str, reader: &str) -> Option<String> {
        let text = format!(
            "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: pull, namespace: central}}\nspec: {{secretStoreRef: \
             {{kind: ClusterSecretStore, name: vault}}, target: {target}, data: [{{secretKey: a, remoteRef: {{key: pull}}}}]}}\n---\n\
             apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: near}}\nspec: {{provider: {{kubernetes: \
             {{remoteNamespace: central}}}}}}\n---\napiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: \
             vault}}\nspec: {{provider: {{vault: {{server: a}}}}}}\n---\n{reader}"
        );
        let manifests = parse_documents(Path::new("a.yaml"), &text).unwrap();
        reader_of(&manifests, &manifests[0])
    }

    fn reader(spec: &str) -> String {
        format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: all}}\nspec: {{externalSecretSpec: \
             {spec}}}\n"
        )
    }

    const NEAR: &str = "secretStoreRef: {kind: ClusterSecretStore, name: near}";

    #[rstest]
    #[case::one_value("{}", "data: [{secretKey: a, remoteRef: {key: pull, property: a}}]", true)]
    #[case::all_of_it("{}", "dataFrom: [{extract: {key: pull}}]", true)]
    #[case::by_another_name("{name: other}", "dataFrom: [{extract: {key: pull}}]", false)]
    #[case::another("{}", "dataFrom: [{extract: {key: other}}]", false)]
    #[case::made_by_nobody("{creationPolicy: None}", "dataFrom: [{extract: {key: pull}}]", false)]
    #[case::at_a_provider(
        "{}",
        "dataFrom: [{extract: {key: pull}, sourceRef: {storeRef: {kind: ClusterSecretStore, name: vault}}}]",
        false
    )]
    fn a_chain_is_of_what_is_made_and_what_is_read(#[case] target: &str, #[case] reads: &str, #[case] is_chain: bool) {
        let found = read_by(target, &reader(&format!("{{{NEAR}, {reads}}}")));
        assert_eq!(found.as_deref(), is_chain.then_some("ClusterExternalSecret all"));
    }
}
