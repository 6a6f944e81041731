//! Changes to the store of each provider so that it finds its sources here.

use credence_core::manifest::Manifest;
use serde_json::Value;

use super::{FieldPatch, Server};
use crate::config::is_store;

mod kubernetes;
mod stand_in;
mod vault;

/// A provider's changes of a store; none for the store of another provider.
type Overlay = fn(&Manifest, &Server) -> Option<Vec<FieldPatch>>;

const OVERLAYS: [Overlay; 3] = [kubernetes::patches, vault::patches, stand_in::patches];

/// The changes of an object; none for what is no store.
pub(super) fn patches(manifest: &Manifest, server: &Server) -> Vec<FieldPatch> {
    let mut overlays = OVERLAYS.iter().filter(|_| is_store(manifest));
    overlays.find_map(|overlay| overlay(manifest, server)).unwrap_or_default()
}

/// A value as a report shows it.
pub(super) fn shown(value: &Value) -> String {
    let whole = || value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    stand_in::shown(value).or_else(|| vault::shown(value)).unwrap_or_else(whole)
}
