//! Searches at providers beside Kubernetes, which their stand-in answers like a document whose members are what is found.

use std::collections::BTreeSet;

use credence_core::adjustments::OverlayField;
use credence_core::manifest::Manifest;
use serde_json::{Map, Value, json};

use crate::config::{Find, found_key, is_store, name_in, stood_in_provider, store_key};

/// Replaces each of them by an `extract`, and says which.
pub(super) fn replace(manifests: &mut [Manifest]) -> Vec<OverlayField> {
    let stood_in = manifests
        .iter()
        .filter(|manifest| is_store(manifest))
        .filter(|store| stood_in_provider(&store.object).is_some());
    let stores: BTreeSet<String> = stood_in.map(store_key).collect();
    let mut changed = Vec::new();
    for manifest in manifests {
        let object = format!("{} {}", manifest.kind(), manifest.name());
        let namespace = manifest.namespace().unwrap_or("default").to_owned();
        let root = match manifest.kind() {
            "ClusterExternalSecret" => "spec.externalSecretSpec",
            "ExternalSecret" => "spec",
            _ => continue,
        };
        let pointer = format!("/{}", root.replace('.', "/"));
        let Some(spec) = manifest.object.pointer_mut(&pointer) else { continue };
        let own = spec["secretStoreRef"].clone();
        let entries = spec.get_mut("dataFrom").and_then(Value::as_array_mut).into_iter().flatten();
        for (index, entry) in entries.enumerate() {
            let store = entry.pointer("/sourceRef/storeRef").unwrap_or(&own);
            let name = store["name"].as_str().unwrap_or_default();
            let is_stood_in = if store["kind"] == "ClusterSecretStore" {
                stores.contains(name)
            } else {
                stores.contains(&name_in(&namespace, name))
            };
            let Some(entry) = entry.as_object_mut().filter(|_| is_stood_in) else { continue };
            if let Some(extract) = entry.get("find").and_then(extract_for) {
                let field = format!("{root}.dataFrom[{index}]");
                let value = format!("extract of {:?} in place of find", extract["key"].as_str().unwrap_or_default());
                changed.push(OverlayField { object: object.clone(), field, value });
                entry.remove("find");
                entry.insert("extract".to_owned(), Value::Object(extract));
            }
        }
    }
    changed
}

/// The reference that stands for a search.
fn extract_for(find: &Value) -> Option<Map<String, Value>> {
    let read: Find = serde_json::from_value(find.clone()).ok()?;
    let mut extract = Map::from_iter([("key".to_owned(), json!(found_key(&read)))]);
    let kept = ["conversionStrategy", "decodingStrategy"];
    extract.extend(kept.into_iter().filter_map(|field| Some((field.to_owned(), find.get(field)?.clone()))));
    Some(extract)
}
