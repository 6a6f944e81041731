//! Objects that a controller makes of other objects of the same tree, as exports of a live cluster have them: where both are applied,
//! the controller finds its own name taken.

use std::collections::BTreeSet;

use credence_core::manifest::Manifest;
use serde_json::Value;

/// Group, kind, namespace and name.
type Key = (String, String, Option<String>, String);

/// Takes them out, and gives a line on each.
pub(super) fn leave_out(manifests: &mut Vec<Manifest>) -> Vec<String> {
    let there: BTreeSet<Key> =
        manifests.iter().map(|one| key(one.group(), one.kind(), one.namespace(), one.name())).collect();
    let mut notes = Vec::new();
    manifests.retain(|manifest| match maker(manifest, &there) {
        Some(maker) => {
            let place = format!("{}:{}", manifest.file.display(), manifest.line);
            notes.push(format!("left out: {} at {place}, which {maker} makes", manifest.object_name()));
            false
        }
        None => true,
    });
    notes
}

/// The object of the tree whose controller makes another one.
///
/// Source: Kubernetes, `GetControllerOf` (k8s.io/apimachinery pkg/apis/meta/v1/controller_ref.go); an owner is in the namespace of
/// what it owns, or in none.
fn maker(manifest: &Manifest, there: &BTreeSet<Key>) -> Option<String> {
    let owners = manifest.object.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))?;
    let text = |field: &str| owner.get(field).and_then(Value::as_str);
    let group = text("apiVersion")?.split_once('/').map_or("", |(group, _)| group);
    let (kind, name) = (text("kind")?, text("name")?);
    let is_there = |namespace| there.contains(&key(group, kind, namespace, name));
    (is_there(manifest.namespace()) || is_there(None)).then(|| format!("{kind} {name}"))
}

fn key(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> Key {
    (group.to_owned(), kind.to_owned(), namespace.map(str::to_owned), name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use rstest::rstest;

    use super::*;

    const OWNER: &str =
        "apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {name: pull}\n---\n";

    fn owned(owner: &str) -> String {
        format!(
            "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: pull, namespace: shop, ownerReferences: \
             [{{apiVersion: external-secrets.io/v1, {owner}}}]}}\n"
        )
    }

    #[rstest]
    #[case::made_by_one_of_the_tree("kind: ClusterExternalSecret, name: pull, controller: true", 1)]
    #[case::made_by_one_that_is_elsewhere("kind: ClusterExternalSecret, name: other, controller: true", 0)]
    #[case::of_another_kind("kind: ClusterSecretStore, name: pull, controller: true", 0)]
    #[case::owned_and_not_made("kind: ClusterExternalSecret, name: pull", 0)]
    fn what_an_object_of_the_tree_makes_is_left_out(#[case] owner: &str, #[case] left_out: usize) {
        let mut manifests = parse_documents(Path::new("all.yaml"), &(OWNER.to_owned() + &owned(owner))).unwrap();
        let notes = leave_out(&mut manifests);
        assert_eq!((notes.len(), manifests.len()), (left_out, 2 - left_out));
        let expected = "left out: ExternalSecret shop/pull at all.yaml:5, which ClusterExternalSecret pull makes";
        assert!(notes.iter().all(|note| note == expected), "{notes:?}");
    }
}
