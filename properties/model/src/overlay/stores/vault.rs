//! Stores of Vault, where one is here: its URL and the certificate of its authority. All else stays as it is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credence_core::manifest::Manifest;
use serde_json::{Value, json};

use super::super::{FieldPatch, Server};
use super::stand_in;
use crate::config::store_key;

pub(super) fn patches(manifest: &Manifest, server: &Server) -> Option<Vec<FieldPatch>> {
    let name = store_key(manifest);
    let vault = server.vault.as_ref().filter(|vault| vault.stores.contains(&name))?;
    let mut provider = manifest.object.pointer("/spec/provider").cloned()?;
    let own = provider.get_mut("vault")?.as_object_mut()?;
    own.insert("server".to_owned(), json!(server.proxies.get(&name).unwrap_or(&vault.server.url)));
    own.insert("caBundle".to_owned(), json!(STANDARD.encode(&vault.server.certificate)));
    own.remove("caProvider");
    let annotations = stand_in::annotated(manifest, "vault", &name);
    let patch = |field: &str, value: Value| FieldPatch { field: field.to_owned(), value };
    Some(vec![patch("metadata.annotations", annotations), patch("spec.provider", provider)])
}

/// A provider by what is changed of it, without the certificate, which nobody reads.
pub(super) fn shown(value: &Value) -> Option<String> {
    let server = value.get("vault")?.get("server")?.as_str()?;
    Some(format!("vault: {server}, with the certificate of its authority"))
}
