//! Formats in which each key is one value.

use std::collections::BTreeMap;

use super::{Decoded, FormatError, FormatKind, Role, optional, unambiguous_roles};
use crate::credential::Credential;

/// `kubernetes.io/basic-auth`, of which the API server wants a username or a password.
pub(super) fn basic_auth(data: &BTreeMap<String, Credential>) -> Result<Decoded, FormatError> {
    let roles = [("username", Role::Username), ("password", Role::Secret)];
    let parts: BTreeMap<Role, Credential> =
        roles.into_iter().filter_map(|(key, role)| Some((role, optional(data, key)?.clone()))).collect();
    if parts.is_empty() {
        return Err(FormatError::NoCredential);
    }
    Ok(decoded(FormatKind::BasicAuth, parts))
}

/// Keys that the application chose: an OAuth client if two of them are called that, else plain values.
pub(super) fn by_key_names(data: &BTreeMap<String, Credential>) -> Decoded {
    let parts: BTreeMap<Role, Credential> = unambiguous_roles(data.keys().map(String::as_str))
        .into_iter()
        .filter_map(|(role, key)| Some((role, data.get(key)?.clone())))
        .collect();
    let is_client = parts.contains_key(&Role::ClientId) && parts.contains_key(&Role::ClientSecret);
    let kind = if is_client { FormatKind::OAuth } else { FormatKind::Opaque };
    decoded(kind, parts)
}

/// Values that are read without any word on where they are used.
pub(super) fn decoded(kind: FormatKind, parts: BTreeMap<Role, Credential>) -> Decoded {
    Decoded { kind, parts, endpoints: Vec::new() }
}
