//! Chains: an ExternalSecret that makes the source of others, as where a platform takes a credential out of a Vault into one namespace, and
//! hands it on from there. A run gives sources values of its own, which the operator would replace by those of the other end. Of a
//! chain from one ExternalSecret the first link is left out, and the copies are judged; of one from a ClusterExternalSecret, whose
//! copies are what is judged, the second.

use credence_core::labels::Labels;
use credence_core::manifest::Manifest;
use credence_core::operator_api::EXTERNAL_SECRETS_GROUP;
use serde::Deserialize as _;
use serde_json::Value;

use crate::config::{ClusterExternalSecretSpec, spec_in};
use crate::selector::effective_labels;

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
    let mut readers = distributions
        .filter(is_other)
        .filter(|one| read_from(manifests, one, secret).any(|read_in| read_in == namespace));
    readers.next().map(Manifest::object_name)
}

/// The ClusterExternalSecret whose copy in some namespace is what a plain ExternalSecret reads, in words; none if it reads no copy.
pub(crate) fn maker_for(manifests: &[Manifest], reader: &Manifest) -> Option<String> {
    if reader.group() != EXTERNAL_SECRETS_GROUP || reader.kind() != "ExternalSecret" {
        return None;
    }
    let home = reader.namespace().unwrap_or("default");
    let mut makers =
        manifests.iter().filter(|one| one.group() == EXTERNAL_SECRETS_GROUP && one.kind() == "ClusterExternalSecret");
    makers.find_map(|maker| {
        let target = &spec_in(&maker.object)["target"];
        if target["creationPolicy"] == "None" {
            return None;
        }
        let external_secret = maker.object.pointer("/spec/externalSecretName").and_then(Value::as_str);
        let secret = target["name"].as_str().or(external_secret).unwrap_or(maker.name());
        let namespace = read_from(manifests, reader, secret).next()?;
        if !is_for(manifests, maker, namespace, home) {
            return None;
        }
        Some(format!("Secret {namespace}/{secret}, which {} makes", maker.object_name()))
    })
}

/// True if a ClusterExternalSecret selects a namespace with the labels that the configuration gives it. Of a namespace that no
/// manifest makes the labels are not known: an ExternalSecret that reads what is beside it tells that it is there.
fn is_for(manifests: &[Manifest], maker: &Manifest, namespace: &str, home: &str) -> bool {
    let made = manifests.iter().find(|one| one.kind() == "Namespace" && one.name() == namespace);
    let Some(made) = made else { return namespace == home };
    let labels = made.object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    let labels: Labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    let spec = ClusterExternalSecretSpec::deserialize(&maker.object["spec"]);
    spec.is_ok_and(|spec| spec.selection().matches(&effective_labels(namespace, &labels)))
}

/// The namespaces in which a distribution reads a Secret of this name, through stores of the configuration.
fn read_from<'m>(manifests: &'m [Manifest], reader: &'m Manifest, secret: &str) -> impl Iterator<Item = &'m str> {
    let spec = spec_in(&reader.object);
    let entries = |name: &str| spec[name].as_array().into_iter().flatten();
    let single = entries("data").map(|entry| (entry, &entry["remoteRef"]["key"]));
    let whole = entries("dataFrom").map(|entry| (entry, &entry["extract"]["key"]));
    // The store is looked for among all objects, so only where the name is the one that is asked for.
    single.chain(whole).filter(move |(_, key)| *key == secret).filter_map(move |(entry, _)| {
        let own = &entry["sourceRef"]["storeRef"];
        let store = if own.is_object() { own } else { &spec["secretStoreRef"] };
        sources_of(manifests, store, reader.namespace())
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

    /// A ClusterExternalSecret that makes a copy, and last a plain ExternalSecret that reads one of that namespace.
    fn chain(labels: Option<&str>, home: &str, target: &str) -> Vec<Manifest> {
        let namespace = labels.map_or_else(String::new, |labels| {
            format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: team, labels: {labels}}}\n---\n")
        });
        let text = format!(
            "{namespace}apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: base}}\nspec: {{namespaceSelectors: \
             [{{matchLabels: {{wants: 'yes'}}}}], externalSecretSpec: {{target: {target}, secretStoreRef: {{kind: ClusterSecretStore, \
             name: far}}, data: [{{secretKey: a, remoteRef: {{key: root}}}}]}}}}\n---\n\
             apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: near}}\nspec: {{provider: {{kubernetes: \
             {{remoteNamespace: team}}}}}}\n---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: derived, \
             namespace: {home}}}\nspec: {{{NEAR}, data: [{{secretKey: a, remoteRef: {{key: base}}}}]}}\n"
        );
        parse_documents(Path::new("a.yaml"), &text).unwrap()
    }

    #[rstest]
    #[case::beside_it(None, "team", "{}", true)]
    #[case::of_a_namespace_that_is_selected(Some("{wants: 'yes'}"), "other", "{name: base}", true)]
    #[case::of_a_namespace_that_is_not(Some("{wants: 'no'}"), "team", "{}", false)]
    #[case::elsewhere(None, "other", "{}", false)]
    #[case::by_another_name(None, "team", "{name: other}", false)]
    #[case::made_by_nobody(None, "team", "{creationPolicy: None}", false)]
    fn a_copy_that_is_read_has_its_maker(
        #[case] labels: Option<&str>,
        #[case] home: &str,
        #[case] target: &str,
        #[case] is_chain: bool,
    ) {
        let expected = "Secret team/base, which ClusterExternalSecret base makes";
        let manifests = chain(labels, home, target);
        let maker = maker_for(&manifests, manifests.last().unwrap());
        assert_eq!(maker.as_deref(), is_chain.then_some(expected));
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
