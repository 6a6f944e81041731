//! Stores of all other providers: External Secrets Operator's webhook provider in the place of theirs, towards a server of this
//! machine, and an annotation that says for what it stands in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credence_core::manifest::Manifest;
use serde_json::{Value, json};

use super::super::{FieldPatch, Server, StandInServer};
use crate::config::{STANDS_IN_FOR, WRITTEN, stood_in_provider, store_key, written_keys};

pub(super) fn patches(manifest: &Manifest, server: &Server) -> Option<Vec<FieldPatch>> {
    let (provider, name) = (stood_in_provider(&manifest.object)?, store_key(manifest));
    let StandInServer { url, certificate } = server.stand_in.as_ref()?;
    let url = server.proxies.get(&name).unwrap_or(url);
    let annotations = annotated(manifest, provider, &name);
    // The operator escapes what it puts into a URL.
    let query = ["key", "version", "property"].map(|part| format!("{part}={{{{ .remoteRef.{part} }}}}")).join("&");
    let webhook = json!({
        "url": format!("{url}/{name}?{query}"),
        "caBundle": STANDARD.encode(certificate),
        "result": {},
    });
    let patch = |field: &str, value: Value| FieldPatch { field: field.to_owned(), value };
    Some(vec![patch("metadata.annotations", annotations), patch("spec.provider", json!({ "webhook": webhook }))])
}

/// The annotations of a store, with the provider that it is written for, its name before anything makes a copy of it, and the keys
/// that it has in itself.
pub(super) fn annotated(manifest: &Manifest, provider: &str, name: &str) -> Value {
    let mut annotations = manifest.object.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({}));
    annotations[STANDS_IN_FOR] = json!(format!("{provider}/{name}"));
    let written = written_keys(manifest);
    if !written.is_empty() {
        // Names alone are in it, of which JSON can be made.
        annotations[WRITTEN] = json!(serde_json::to_string(&written).unwrap_or_default());
    }
    annotations
}

/// A provider without its certificate, which nobody reads.
pub(super) fn shown(value: &Value) -> Option<String> {
    let webhook = value.get("webhook")?.as_object()?;
    Some(format!("webhook: {}", webhook.get("url")?.as_str()?))
}
