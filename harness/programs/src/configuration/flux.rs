//! Values that a Kustomization of Flux gives to variables: its own, and those of ConfigMaps of the same tree.
//!
//! Source: Flux, `LoadVariables` (github.com/fluxcd/pkg, kustomize/kustomize_varsub.go): of `substituteFrom` a later object wins over an
//! earlier one, and `substitute` over all of them; an object that is not there fails the Kustomization, unless it is optional.

use std::collections::BTreeMap;

use credence_core::manifest::{Location, Manifest};
use serde_json::Value;

use super::error::ConfigurationError;
use super::variables;

/// Variables of a Kustomization of Flux (`spec.postBuild`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PostBuild {
    /// Kind, namespace and name of the Kustomization.
    by: String,
    /// Its namespace, in which the objects are; `None` if it says none.
    namespace: Option<String>,
    substitute: BTreeMap<String, String>,
    from: Vec<From>,
}

/// An object that has values of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
struct From {
    at: Location,
    kind: String,
    name: String,
    is_optional: bool,
}

impl PostBuild {
    /// The `postBuild` of a Kustomization; none if it replaces nothing.
    pub(super) fn of(manifest: &Manifest) -> Option<Self> {
        let spec = manifest.object.pointer("/spec/postBuild")?;
        let own = spec.get("substitute").and_then(Value::as_object).into_iter().flatten();
        let others = spec.get("substituteFrom").and_then(Value::as_array).into_iter().flatten().enumerate();
        let from = others.map(|(index, other)| {
            let text = |field: &str| other.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            From {
                at: manifest.location(&format!("/spec/postBuild/substituteFrom/{index}")),
                kind: text("kind"),
                name: text("name"),
                is_optional: other.get("optional").and_then(Value::as_bool) == Some(true),
            }
        });
        let post_build = Self {
            by: manifest.object_name(),
            namespace: manifest.namespace().map(str::to_owned),
            substitute: own.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect(),
            from: from.collect(),
        };
        (!post_build.substitute.is_empty() || !post_build.from.is_empty()).then_some(post_build)
    }

    /// True if each ConfigMap that it takes values of is among those that have been read.
    pub(super) fn is_complete<'m>(&self, manifests: impl Iterator<Item = &'m Manifest> + Clone) -> bool {
        let mut maps = self.from.iter().filter(|from| from.kind == "ConfigMap");
        maps.all(|from| self.config_map(from, manifests.clone()).is_some())
    }

    /// The values, and a line on each object of which none are taken.
    ///
    /// # Errors
    /// A ConfigMap with something else than variables.
    pub(super) fn values<'m>(
        &self,
        manifests: impl Iterator<Item = &'m Manifest> + Clone,
    ) -> Result<(BTreeMap<String, String>, Vec<String>), ConfigurationError> {
        let (mut values, mut notes) = (BTreeMap::new(), Vec::new());
        for from in &self.from {
            let why = match self.config_map(from, manifests.clone()) {
                Some(map) => {
                    values.extend(variables::of_document(map)?);
                    continue;
                }
                None if from.kind == "Secret" => "is not read, as values of Secrets never are",
                None if from.is_optional => "is optional and not in the tree, so that nothing is taken from it",
                None => "is not in the tree",
            };
            let next = "pass what it has with --substitute";
            let From { at, kind, name, .. } = from;
            notes.push(format!("not followed: {} at {at}: {kind} {name} {why}; {next}", self.by));
        }
        values.extend(self.substitute.clone());
        Ok((values, notes))
    }

    fn config_map<'m>(&self, from: &From, manifests: impl Iterator<Item = &'m Manifest>) -> Option<&'m Manifest> {
        config_map(self.namespace.as_deref(), &from.name, manifests).filter(|_| from.kind == "ConfigMap")
    }
}

/// The ConfigMap of this name that an object of Flux in `namespace` takes values from.
pub(super) fn config_map<'m>(
    namespace: Option<&str>,
    name: &str,
    mut manifests: impl Iterator<Item = &'m Manifest>,
) -> Option<&'m Manifest> {
    // What names no namespace gets one from whoever applies it.
    let is_near = |manifest: &Manifest| match (namespace, manifest.namespace()) {
        (Some(own), Some(other)) => own == other,
        _ => true,
    };
    manifests.find(|one| one.group().is_empty() && one.kind() == "ConfigMap" && one.name() == name && is_near(one))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use rstest::rstest;

    use super::*;

    const MAPS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: flux-system}\ndata: {A: of one, B: of one, C: of \
                        one}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\ndata: {B: of two, C: of two}\n---\napiVersion: \
                        v1\nkind: ConfigMap\nmetadata: {name: far, namespace: shop}\ndata: {A: far}\n---\napiVersion: v1\nkind: \
                        Secret\nmetadata: {name: keys, namespace: flux-system}\nstringData: {A: hunter2}\n";

    fn post_build(text: &str) -> PostBuild {
        let text = format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: a, namespace: \
             flux-system}}\nspec:\n  postBuild: {text}\n"
        );
        PostBuild::of(&parse_documents(Path::new("ks.yaml"), &text).unwrap()[0]).unwrap()
    }

    fn maps() -> Vec<Manifest> {
        parse_documents(Path::new("maps.yaml"), MAPS).unwrap()
    }

    #[test]
    fn later_objects_win_over_earlier_ones_and_own_values_over_all() {
        let post_build = post_build(
            "{substitute: {C: own}, substituteFrom: [{kind: ConfigMap, name: one}, {kind: ConfigMap, name: two}]}",
        );
        let (values, notes) = post_build.values(maps().iter()).unwrap();
        let expected = [("A", "of one"), ("B", "of two"), ("C", "own")];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert!(notes.is_empty() && post_build.is_complete(maps().iter()), "{notes:?}");
    }

    #[rstest]
    #[case::a_secret(
        "{kind: Secret, name: keys}",
        true,
        "Secret keys is not read, as values of Secrets never are; pass"
    )]
    #[case::not_there("{kind: ConfigMap, name: none}", false, "ConfigMap none is not in the tree; pass")]
    #[case::optional("{kind: ConfigMap, name: none, optional: true}", false, "none is optional and not in the tree")]
    #[case::in_another_namespace("{kind: ConfigMap, name: far}", false, "ConfigMap far is not in the tree")]
    fn what_gives_no_values_is_named_with_its_place(
        #[case] from: &str,
        #[case] is_complete: bool,
        #[case] expected: &str,
    ) {
        let post_build = post_build(&format!("{{substituteFrom: [{from}]}}"));
        let (values, notes) = post_build.values(maps().iter()).unwrap();
        assert!(values.is_empty() && post_build.is_complete(maps().iter()) == is_complete);
        assert!(notes[0].starts_with("not followed: Kustomization flux-system/a at ks.yaml:5:"), "{notes:?}");
        assert!(notes[0].contains(expected), "{notes:?}");
    }
}
