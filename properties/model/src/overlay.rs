//! Changes to a configuration to run it here: named fields only, each printed in the report.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::adjustments::OverlayField;
use credence_core::manifest::Manifest;
use serde_json::{Value, json};

use crate::config::{parse_go_duration, spec_field};

mod export;
mod finds;
mod generators;
mod identities;
mod stores;

pub use generators::apply as apply_generators;
pub use identities::apply as apply_identities;

pub use crate::model::COMPRESSED_SECONDS;

/// Treatment of time in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// Refresh intervals stay as the configuration has them.
    AsIs,
    /// Refresh intervals longer than [`COMPRESSED_SECONDS`] become that long, and stores are looked at as often. An interval of
    /// zero, which means never, stays what it is.
    Compressed,
}

/// Addresses at which stores find what they read.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// URL for processes that do not run in pods, for which `kubernetes.default` does not resolve; none for pods.
    pub url: Option<String>,
    /// URLs in its place for stores that have a proxy in front of it, by the store's name in the model (see [`store_key`]).
    pub proxies: BTreeMap<String, String>,
    /// Stand-in for other providers; without it their stores are left as they are.
    pub stand_in: Option<StandInServer>,
    /// Vault, for the stores that it serves.
    pub vault: Option<VaultServer>,
}

/// A Vault that is here.
#[derive(Debug, Clone)]
pub struct VaultServer {
    /// URL and authority of the Vault.
    pub server: StandInServer,
    /// The stores that it serves, by their names in the model.
    pub stores: BTreeSet<String>,
}

/// The server that answers in the place of all providers beside Kubernetes.
#[derive(Debug, Clone)]
pub struct StandInServer {
    /// URL that the stores are pointed to.
    pub url: String,
    /// The certificate of its authority, PEM.
    pub certificate: String,
}

/// A new value of a field, by its path from the object's root; null takes the field away.
#[derive(Debug, Clone, PartialEq)]
struct FieldPatch {
    field: String,
    value: Value,
}

/// Applies the overlay to `manifests` in place and says what was changed.
pub fn apply(manifests: &mut [Manifest], server: &Server, time: Time) -> Vec<OverlayField> {
    let mut changed = Vec::new();
    if server.stand_in.is_some() {
        changed.extend(finds::replace(manifests));
    }
    for manifest in manifests {
        let object = format!("{} {}", manifest.kind(), manifest.name());
        if export::remove_state(&mut manifest.object) {
            let (field, value) = ("metadata".to_owned(), "without what a cluster wrote into it".to_owned());
            changed.push(OverlayField { object: object.clone(), field, value });
        }
        let mut set = |root: &mut Value, field: &str, value: Value| {
            let pointer = format!("/{}", field.replace('.', "/"));
            let Some((parent, key)) = pointer.rsplit_once('/') else { return };
            let Some(Value::Object(parent)) = root.pointer_mut(parent) else { return };
            if parent.get(key).unwrap_or(&Value::Null) == &value {
                return;
            }
            let shown = stores::shown(&value);
            // The API server refuses null where a field is not nullable.
            match value {
                Value::Null => parent.remove(key),
                value => parent.insert(key.to_owned(), value),
            };
            changed.push(OverlayField { object: object.clone(), field: field.to_owned(), value: shown });
        };
        let kind = manifest.kind().to_owned();
        let patches = stores::patches(manifest, server);
        let root = &mut manifest.object;
        for FieldPatch { field, value } in patches {
            set(root, &field, value);
        }
        if matches!(kind.as_str(), "ClusterExternalSecret" | "ExternalSecret") {
            // They go by the time of day, and a test is at any.
            let windows = format!("{}.syncWindows", spec_field(root));
            set(root, &windows, Value::Null);
        }
        match kind.as_str() {
            "ClusterExternalSecret" | "ExternalSecret" if time == Time::Compressed => {
                let spec = spec_field(root);
                compress(root, spec, &mut set);
            }
            "ClusterSecretStore" | "SecretStore" if time == Time::Compressed => {
                let often = root.pointer("/spec/refreshInterval").and_then(Value::as_u64);
                // Zero stands for the operator's own interval, which is five minutes (`--store-requeue-interval`).
                if often.is_none_or(|seconds| seconds == 0 || seconds > COMPRESSED_SECONDS) {
                    set(root, "spec.refreshInterval", json!(COMPRESSED_SECONDS));
                }
            }
            _ => {}
        }
    }
    changed
}

fn compress(root: &mut Value, spec: &str, set: &mut impl FnMut(&mut Value, &str, Value)) {
    let field = format!("{spec}.refreshInterval");
    let current = root.pointer(&format!("/{}", field.replace('.', "/"))).and_then(Value::as_str);
    // ESO's own default is an hour.
    let longer = match current {
        Some(text) => parse_go_duration(text).is_ok_and(|interval| interval.as_secs() > COMPRESSED_SECONDS),
        None => true,
    };
    if longer {
        set(root, &field, json!(format!("{COMPRESSED_SECONDS}s")));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use rstest::rstest;

    use super::*;

    fn external(interval: &str) -> Vec<Manifest> {
        let text = format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{ name: a }}\n\
             spec: {{ externalSecretSpec: {{ {interval} target: {{ name: b }} }} }}\n"
        );
        parse_documents(Path::new("a.yaml"), &text).unwrap()
    }

    fn server() -> Server {
        Server { url: Some("https://127.0.0.1:1".into()), ..Server::default() }
    }

    #[test]
    fn a_store_with_a_proxy_gets_the_url_of_the_proxy() {
        let text = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: { name: a }\n\
                    spec: { provider: { kubernetes: {} } }\n";
        let mut manifests = parse_documents(Path::new("a.yaml"), text).unwrap();
        let proxies = BTreeMap::from([("a".to_owned(), "https://127.0.0.1:2".to_owned())]);
        apply(&mut manifests, &Server { proxies, ..server() }, Time::AsIs);
        assert_eq!(manifests[0].object["spec"]["provider"]["kubernetes"]["server"]["url"], "https://127.0.0.1:2");
    }

    #[rstest]
    #[case::long("refreshInterval: 1h,", Some("2s"))]
    #[case::default("", Some("2s"))]
    #[case::zero_means_never_and_stays("refreshInterval: 0s,", None)]
    #[case::short_stays("refreshInterval: 1s,", None)]
    fn compressed_time_shortens_what_is_long(#[case] interval: &str, #[case] expected: Option<&str>) {
        let mut manifests = external(interval);
        let changed = apply(&mut manifests, &server(), Time::Compressed);
        assert_eq!(changed.first().map(|field| field.value.as_str()), expected);
    }

    #[test]
    fn an_object_that_was_taken_out_of_a_cluster_is_applied_without_its_state() {
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: { name: a, labels: { b: c }, uid: d, resourceVersion: '1', \
                    managedFields: [{ manager: e }], creationTimestamp: '2026-01-01T00:00:00Z', finalizers: [f], \
                    ownerReferences: [{ uid: g }], annotations: { kubectl.kubernetes.io/last-applied-configuration: hunter2, \
                    h: i } }\nstatus: { phase: Active }\n";
        let mut manifests = parse_documents(Path::new("a.yaml"), text).unwrap();
        let changed = apply(&mut manifests, &server(), Time::AsIs);
        let expected = json!({ "apiVersion": "v1", "kind": "Namespace",
                    "metadata": { "name": "a", "labels": { "b": "c" }, "annotations": { "h": "i" } } });
        assert_eq!(manifests[0].object, expected);
        assert_eq!(changed.len(), 1);
    }

    #[test]
    fn time_as_is_changes_no_interval() {
        let mut manifests = external("refreshInterval: 1h,");
        let before = manifests[0].object.clone();
        assert_eq!(apply(&mut manifests, &server(), Time::AsIs), vec![]);
        assert_eq!(manifests[0].object, before);
    }

    #[test]
    fn windows_of_the_time_of_day_are_taken_away() {
        let mut manifests = external("refreshInterval: 1s, syncWindows: { kind: deny, windows: [] },");
        let changed = apply(&mut manifests, &server(), Time::AsIs);
        assert!(manifests[0].object["spec"]["externalSecretSpec"].get("syncWindows").is_none(), "null is no object");
        let fields: Vec<&str> = changed.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["spec.externalSecretSpec.syncWindows"]);
    }

    #[test]
    fn a_store_gets_the_url_of_the_api_server_and_keeps_the_rest() {
        let text = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: { name: a }\n\
                    spec: { provider: { kubernetes: { remoteNamespace: b } } }\n";
        let mut manifests = parse_documents(Path::new("a.yaml"), text).unwrap();
        apply(&mut manifests, &server(), Time::AsIs);
        let expected = json!({ "remoteNamespace": "b", "server": { "url": "https://127.0.0.1:1" } });
        assert_eq!(manifests[0].object["spec"]["provider"]["kubernetes"], expected);
    }

    /// A configuration with a store of AWS, applied with a server that stands in for it.
    fn stood_in(name: &str, entry: &str) -> (Vec<Manifest>, Vec<OverlayField>) {
        let text = format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{ name: far, annotations: {{ a: b }} }}\n\
             spec: {{ provider: {{ aws: {{ service: SecretsManager, region: r }} }}, conditions: [{{ namespaces: [shop] }}] }}\n---\n\
             apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{ name: a }}\nspec: {{ namespaces: [shop], \
             externalSecretSpec: {{ secretStoreRef: {{ kind: ClusterSecretStore, name: {name} }}, dataFrom: [{entry}] }} }}\n"
        );
        let mut manifests = parse_documents(Path::new("a.yaml"), &text).unwrap();
        let stand_in = StandInServer { url: "https://127.0.0.1:3".into(), certificate: "PEM".into() };
        let changed = apply(&mut manifests, &Server { stand_in: Some(stand_in), ..Server::default() }, Time::AsIs);
        (manifests, changed)
    }

    #[test]
    fn a_store_of_another_provider_keeps_all_but_the_provider() {
        let (manifests, changed) = stood_in("far", "");
        let store = &manifests[0].object;
        assert_eq!(store["metadata"]["annotations"], json!({ "a": "b", "credence.dev/stands-in-for": "aws/far" }));
        assert_eq!(store["spec"]["conditions"], json!([{ "namespaces": ["shop"] }]));
        let provider = store["spec"]["provider"].as_object().unwrap();
        assert_eq!(Vec::from_iter(provider.keys()), ["webhook"]);
        let expected = "https://127.0.0.1:3/far?key={{ .remoteRef.key }}&version={{ .remoteRef.version }}&property={{ \
             .remoteRef.property }}";
        assert_eq!(provider["webhook"]["url"], expected);
        assert!(changed.iter().any(|one| one.field == "spec.provider" && one.value == format!("webhook: {expected}")));
    }

    #[rstest]
    #[case::find("far", "{ find: { name: { regexp: x }, conversionStrategy: Unicode } }", true)]
    #[case::extract("far", "{ extract: { key: x } }", false)]
    #[case::of_another_store("near", "{ find: { name: { regexp: x } } }", false)]
    fn a_search_at_a_provider_becomes_a_key_that_says_what_it_searches(
        #[case] store: &str,
        #[case] entry: &str,
        #[case] is_replaced: bool,
    ) {
        let (manifests, changed) = stood_in(store, entry);
        let entry = &manifests[1].object["spec"]["externalSecretSpec"]["dataFrom"][0];
        let expected =
            json!({ "extract": { "key": r#"found by {"name":{"regexp":"x"}}"#, "conversionStrategy": "Unicode" } });
        assert_eq!(*entry == expected, is_replaced, "{entry}");
        assert_eq!(changed.iter().any(|one| one.field.ends_with("dataFrom[0]")), is_replaced);
    }

    #[test]
    fn a_certificate_of_another_cluster_gives_way_to_that_of_this_one() {
        let text = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: { name: s }\n\
            spec: { provider: { kubernetes: { remoteNamespace: central, server: { caBundle: YQ== } } } }\n";
        let mut manifests = parse_documents(Path::new("a.yaml"), text).unwrap();
        let changed = apply(&mut manifests, &server(), Time::AsIs);
        let fields: Vec<&str> = changed.iter().filter_map(|one| one.field.rsplit('.').next()).collect();
        assert_eq!(fields, ["url", "caProvider", "caBundle"]);
        let own = &manifests[0].object["spec"]["provider"]["kubernetes"]["server"];
        assert_eq!((&own["caProvider"]["namespace"], own.get("caBundle")), (&json!("central"), None));
    }
}
