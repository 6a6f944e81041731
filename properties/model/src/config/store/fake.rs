//! Stores of a provider that keeps its values in the store's own manifest: the keys that it has, and the members of those that are
//! JSON objects. Values are looked at and never kept.
//!
//! Source: External Secrets Operator, pkg/provider/fake/fake.go: a key is taken with the version that is asked for, and the last of
//! two that are alike.

use std::collections::BTreeSet;

use credence_core::manifest::Manifest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The annotation of a store that has a stand-in: what its manifest said that it has.
pub const WRITTEN: &str = "credence.dev/written";

/// A key that a store's own manifest gives a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WrittenKey {
    pub(crate) key: String,
    /// Empty if it has none.
    pub(crate) version: String,
    /// The names of its members, if it is a JSON object; else there are none.
    pub(crate) members: BTreeSet<String>,
}

/// The keys that the manifest of a store gives values, also one that has got another provider since.
pub(crate) fn written_keys(manifest: &Manifest) -> Vec<WrittenKey> {
    let known = manifest.object["metadata"]["annotations"][WRITTEN].as_str();
    if let Some(keys) = known.and_then(|known| serde_json::from_str(known).ok()) {
        return keys;
    }
    let data = manifest.object.pointer("/spec/provider/fake/data").and_then(Value::as_array);
    let mut keys: Vec<WrittenKey> = Vec::new();
    for entry in data.into_iter().flatten() {
        let text = |field: &str| entry[field].as_str().unwrap_or_default();
        let members = serde_json::from_str::<Map<String, Value>>(text("value")).unwrap_or_default();
        let own = WrittenKey {
            key: text("key").to_owned(),
            version: text("version").to_owned(),
            members: members.into_iter().map(|(name, _)| name).collect(),
        };
        keys.retain(|other| (&other.key, &other.version) != (&own.key, &own.version));
        keys.push(own);
    }
    keys
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;

    use super::*;

    const STORE: &str = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: a}\nspec:\n  provider:\n    fake:\n      \
                         data:\n      - {key: db, value: '{\"user\": \"hunter2\"}'}\n      - {key: db, value: '{\"user\": 1, \"password\": \
                         \"hunter2\"}'}\n      - {key: db, version: v1, value: hunter2}\n      - {key: list, value: '[\"hunter2\"]'}\n";

    #[test]
    fn members_of_documents_are_known_and_no_value_is() {
        let keys = written_keys(&parse_documents(Path::new("a.yaml"), STORE).unwrap()[0]);
        let shown: Vec<_> =
            keys.iter().map(|own| (own.key.as_str(), own.version.as_str(), own.members.len())).collect();
        assert_eq!(shown, [("db", "", 2), ("db", "v1", 0), ("list", "", 0)]);
        let told = serde_json::to_string(&keys).unwrap();
        assert!(told.contains("password") && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn what_a_store_had_is_known_of_one_with_another_provider() {
        let keys = written_keys(&parse_documents(Path::new("a.yaml"), STORE).unwrap()[0]);
        let mut other = parse_documents(Path::new("a.yaml"), STORE).unwrap().remove(0);
        other.object["metadata"]["annotations"][WRITTEN] = serde_json::to_string(&keys).unwrap().into();
        other.object["spec"]["provider"] = serde_json::json!({ "webhook": {} });
        assert_eq!(written_keys(&other), keys);
    }
}
