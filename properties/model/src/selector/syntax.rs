//! Texts that Kubernetes accepts as label keys and values, and as names.
//!
//! Source: k8s.io/apimachinery `content.IsQualifiedName`, `content.IsLabelValue`, `content.IsDNS1123Subdomain` and
//! `content.IsDNS1123Label`.

use super::SelectorError;

/// The most characters a label value, or the name part of a key, may have.
const NAME_LIMIT: usize = 63;

/// The most characters the prefix of a key may have.
const PREFIX_LIMIT: usize = 253;

pub(super) fn check_key(key: &str) -> Result<(), SelectorError> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let reason = if prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        "its prefix is no DNS subdomain of at most 253 characters"
    } else if !is_name(name) {
        "its name is not 1 to 63 of the characters A-Z a-z 0-9 - _ . between letters or digits"
    } else {
        return Ok(());
    };
    let key = key.to_owned();
    Err(SelectorError::InvalidKey { key, reason })
}

pub(super) fn check_value(key: &str, value: &str) -> Result<(), SelectorError> {
    if value.is_empty() || is_name(value) {
        return Ok(());
    }
    Err(SelectorError::InvalidValue {
        key: key.to_owned(),
        value: value.to_owned(),
        reason: "it is neither empty nor up to 63 of the characters A-Z a-z 0-9 - _ . between letters or digits",
    })
}

fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.len() <= NAME_LIMIT && is_enclosed(name, inner, |byte| byte.is_ascii_alphanumeric())
}

/// True if a text is the prefix of a key, or the name of an object of most kinds.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= PREFIX_LIMIT && text.split('.').all(is_part)
}

/// True if a text can be the name of a namespace.
pub(crate) fn is_dns_label(text: &str) -> bool {
    text.len() <= NAME_LIMIT && is_part(text)
}

fn is_part(text: &str) -> bool {
    let outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    is_enclosed(text, |byte| outer(byte) || byte == b'-', outer)
}

/// True if all bytes are `inner` ones and the first and the last exist and are `outer` ones.
fn is_enclosed(text: &str, inner: impl Fn(u8) -> bool, outer: impl Fn(u8) -> bool) -> bool {
    let (Some(first), Some(last)) = (text.bytes().next(), text.bytes().next_back()) else {
        return false;
    };
    outer(first) && outer(last) && text.bytes().all(inner)
}
