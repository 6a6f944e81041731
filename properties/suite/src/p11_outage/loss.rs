//! Parts that a source can lose without giving its copies other values. Pure.

use credence_model::config::{OPAQUE, SourceRef, is_found};
use credence_model::model::{Distribution, Model, Source};

/// True if a source can be taken away from all of its copies without giving any of them other values. What a search finds less
/// of, among other things, is another answer to the same question, and no outage; a search that finds nothing at all is one.
pub(super) fn can_go(model: &Model, source: &SourceRef) -> bool {
    readers_of(model, source).all(|distribution| !searches(distribution, source) || distribution.sources().len() == 1)
}

fn readers_of<'a>(model: &'a Model, source: &'a SourceRef) -> impl Iterator<Item = &'a Distribution> {
    model.distributions.iter().filter(move |distribution| distribution.sources().contains(source))
}

/// True if a distribution reads a source because a search finds it, and not by its name.
fn searches(distribution: &Distribution, source: &SourceRef) -> bool {
    is_found(source) || !distribution.keys_named().contains(&source.name.as_str())
}

/// The keys of a source that can be deleted, and that every distribution of it reads. Kubernetes insists on those of most
/// types (`ValidateSecret`, pkg/apis/core/validation).
pub(super) fn keys_to_lose<'a>(model: &'a Model, source: &SourceRef) -> Vec<&'a String> {
    // A search gives a source as a whole, so that without a key it gives something else.
    let is_lost =
        |about: &&Source| about.secret_type == OPAQUE && !readers_of(model, source).any(|by| searches(by, source));
    let Some(known) = model.sources.get(source).filter(is_lost) else {
        return Vec::new();
    };
    let reads = |distribution: &Distribution, key: &String| {
        let mut fields = distribution.fields.iter().filter(|field| field.source == *source);
        fields.any(|field| field.property.as_ref().is_none_or(|property| property == key))
    };
    let readers: Vec<&Distribution> = readers_of(model, source).collect();
    known.keys.iter().filter(|key| readers.iter().all(|distribution| reads(distribution, key))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use credence_model::config::Config;

    use super::super::tests::reference;
    use super::*;

    #[test]
    fn only_keys_that_kubernetes_does_not_insist_on_can_be_lost() {
        let model = reference();
        let keys = |name: &str| {
            let source = model.sources.keys().find(|source| source.name == name).unwrap();
            keys_to_lose(&model, source)
        };
        assert_eq!(keys("github-pat"), ["token", "username"]);
        assert!(keys("wildcard-tls").is_empty());
    }

    /// Two sources, of which a copy finds the first by a search and has further entries.
    fn searched(further: &str) -> Model {
        let text = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: vault}}\nstringData: {{one: x, two: x}}\n---\n\
             apiVersion: v1\nkind: Secret\nmetadata: {{name: b, namespace: vault}}\nstringData: {{key: x}}\n---\n\
             apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: own}}\n\
             spec: {{provider: {{kubernetes: {{remoteNamespace: vault, auth: {{serviceAccount: {{name: r, namespace: vault}}}}}}}}}}\n\
             ---\napiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: parts}}\n\
             spec: {{namespaceSelectors: [{{matchLabels: {{parts: wanted}}}}], externalSecretSpec: {{\n\
             secretStoreRef: {{kind: ClusterSecretStore, name: own}},\n\
             dataFrom: [{{find: {{name: {{regexp: ^a$}}}}}}]{further}}}}}\n"
        );
        let manifests = parse_documents(Path::new("a.yaml"), &text).unwrap();
        Model::derive(&Config::from_manifests(manifests).unwrap())
    }

    #[test]
    fn what_a_search_finds_less_of_is_no_outage_and_what_it_finds_nothing_of_is_one() {
        let found = SourceRef::secret("vault", "a");
        let whole = searched("");
        assert!(can_go(&whole, &found), "{whole:?}");
        let part = searched(", data: [{secretKey: key, remoteRef: {key: b, property: key}}]");
        assert!(!can_go(&part, &found) && can_go(&part, &SourceRef::secret("vault", "b")), "{part:?}");
        assert!(keys_to_lose(&whole, &found).is_empty(), "without a key it is another value");
        assert_eq!(keys_to_lose(&part, &SourceRef::secret("vault", "b")), ["key"]);
    }
}
