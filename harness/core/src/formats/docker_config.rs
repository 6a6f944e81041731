//! Registry credentials as the kubelet reads them.
//!
//! Source: kubernetes pkg/credentialprovider/config.go. The kubelet takes field names in any case and drops those it
//! does not know; here they must be spelt exactly and be known, because a value that breaks out of its quotes shows
//! as just such a field.

use std::collections::BTreeMap;

use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};

use super::strict_json::StrictJson;
use super::{DOCKER_CONFIG_KEY, Decoded, FormatError, FormatKind, Role, required};
use crate::credential::Credential;

pub(super) fn decode(data: &BTreeMap<String, Credential>) -> Result<Decoded, FormatError> {
    let mut endpoints = Vec::new();
    let mut logins = Vec::new();
    for (host, entry) in auths(required(data, DOCKER_CONFIG_KEY)?.expose())? {
        endpoints.push(host);
        logins.push(Login::of(entry)?);
    }
    // Entries that differ cannot all come from the one source of a copy.
    if logins.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(malformed("its entries hold different credentials"));
    }
    let login = logins.pop().ok_or(FormatError::NoCredential)?;
    Ok(Decoded {
        kind: FormatKind::DockerConfig,
        parts: [(Role::Username, login.username), (Role::Secret, login.password)].into(),
        endpoints,
    })
}

fn malformed(reason: impl Into<String>) -> FormatError {
    FormatError::DockerConfig { reason: reason.into() }
}

fn auths(json: &[u8]) -> Result<BTreeMap<String, StrictJson>, FormatError> {
    let parsed = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
    let StrictJson::Object(mut fields) = parsed else {
        return Err(malformed("it is no object"));
    };
    let Some(StrictJson::Object(auths)) = fields.remove("auths") else {
        return Err(malformed("it has no object \"auths\""));
    };
    // The kubelet reads these headers and has no use for them.
    fields.remove("HttpHeaders");
    match fields.len() {
        0 => Ok(auths),
        more => Err(malformed(format!("it has {more} fields beside \"auths\""))),
    }
}

/// A username with its password.
#[derive(PartialEq, Eq)]
struct Login {
    username: Credential,
    password: Credential,
}

impl Login {
    /// The login of one entry: what `auth` holds if it is not empty, else `username` and `password`.
    fn of(entry: StrictJson) -> Result<Self, FormatError> {
        let StrictJson::Object(mut fields) = entry else {
            return Err(malformed("an entry is no object"));
        };
        let mut take = |name: &str| match fields.remove(name) {
            Some(StrictJson::Text(text)) => Ok(text),
            Some(_) => Err(malformed(format!("\"{name}\" is no text"))),
            None => Ok(String::new()),
        };
        let written =
            Self { username: Credential::new(take("username")?), password: Credential::new(take("password")?) };
        let auth = take("auth")?;
        take("email")?;
        if !fields.is_empty() {
            return Err(malformed(format!("an entry has {} unknown fields", fields.len())));
        }
        let has = |part: &Credential| !part.expose().is_empty();
        if auth.is_empty() {
            let any = has(&written.username) || has(&written.password);
            return any.then_some(written).ok_or(FormatError::NoCredential);
        }
        let held = Self::of_auth(&auth)?;
        let differs = |one: &Credential, other: &Credential| has(one) && one != other;
        if differs(&written.username, &held.username) || differs(&written.password, &held.password) {
            return Err(malformed("\"auth\" differs from \"username\" and \"password\""));
        }
        Ok(held)
    }

    fn of_auth(auth: &str) -> Result<Self, FormatError> {
        let decoded = decode_like_go(auth).ok_or_else(|| malformed("\"auth\" is no base64"))?;
        let colon = decoded.iter().position(|byte| *byte == b':').ok_or_else(|| malformed("\"auth\" has no colon"))?;
        Ok(Self { username: Credential::new(&decoded[..colon]), password: Credential::new(&decoded[colon + 1..]) })
    }
}

/// Standard base64 by the kubelet's rules: padded if the text ends in `=`, else without any padding. Go's decoder
/// passes over line breaks and does not mind spare bits.
fn decode_like_go(text: &str) -> Option<Vec<u8>> {
    let padding =
        if text.trim().ends_with('=') { DecodePaddingMode::RequireCanonical } else { DecodePaddingMode::RequireNone };
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding).with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&alphabet::STANDARD, config).decode(text.replace(['\r', '\n'], "")).ok()
}
