//! Parts of a credential, told by the names of their keys.

use std::collections::BTreeMap;
use std::fmt;

use super::Decoded;
use crate::credential::Credential;

/// The part of a credential that a value is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The name that logs in.
    Username,
    /// The password or token.
    Secret,
    /// The id of an OAuth client.
    ClientId,
    /// The secret of an OAuth client.
    ClientSecret,
    /// A certificate, with those that sign it behind it.
    Certificate,
    /// The key of a certificate, or of SSH.
    PrivateKey,
    /// A value under a key that tells no role.
    Other(String),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Username => f.write_str("username"),
            Self::Secret => f.write_str("secret"),
            Self::ClientId => f.write_str("client id"),
            Self::ClientSecret => f.write_str("client secret"),
            Self::Certificate => f.write_str("certificate"),
            Self::PrivateKey => f.write_str("private key"),
            Self::Other(key) => write!(f, "value of {key:?}"),
        }
    }
}

/// Names of keys and the roles that they tell, the more telling first.
const NAMES: [(&str, Role); 12] = [
    ("clientid", Role::ClientId),
    ("clientsecret", Role::ClientSecret),
    ("tls.crt", Role::Certificate),
    ("tls.key", Role::PrivateKey),
    ("privatekey", Role::PrivateKey),
    ("username", Role::Username),
    ("user", Role::Username),
    ("login", Role::Username),
    ("token", Role::Secret),
    ("password", Role::Secret),
    ("pat", Role::Secret),
    ("secret", Role::Secret),
];

/// The keys of a source by their role, told by how their names end: `github-token` is a [`Role::Secret`].
///
/// Of several keys that tell the same role, the more telling name has it (`token` before `secret`), then the first;
/// the rest are [`Role::Other`], as are keys that tell nothing.
pub fn source_roles<'a>(keys: impl IntoIterator<Item = &'a str>) -> BTreeMap<Role, &'a str> {
    let mut ranked: Vec<(usize, &str)> = keys.into_iter().map(|key| (rank(key).unwrap_or(NAMES.len()), key)).collect();
    ranked.sort_unstable();
    let mut roles = BTreeMap::new();
    for (rank, key) in ranked {
        let role = NAMES.get(rank).map(|(_, role)| role.clone()).filter(|role| !roles.contains_key(role));
        roles.insert(role.unwrap_or_else(|| Role::Other(key.to_owned())), key);
    }
    roles
}

/// The position in [`NAMES`] of the first name that a key has.
fn rank(key: &str) -> Option<usize> {
    let words = words(key);
    let joined = words.replace(' ', "");
    NAMES.iter().position(|(name, role)| match role {
        // Applications name these in many ways: `clientId`, `AUTH_GITHUB_CLIENT_ID`.
        Role::ClientId | Role::ClientSecret => joined.contains(name),
        _ => words.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with([' ', '.'])),
    })
}

/// A key in lower case with its words apart: `githubToken` and `GITHUB_TOKEN` are both `github token`.
fn words(key: &str) -> String {
    let mut words = String::new();
    let mut after_lower_case = false;
    for c in key.chars() {
        if c.is_ascii_uppercase() && after_lower_case {
            words.push(' ');
        }
        after_lower_case = c.is_ascii_lowercase();
        words.push(match c {
            '-' | '_' => ' ',
            c => c.to_ascii_lowercase(),
        });
    }
    words
}

/// Same as [`source_roles`], without roles that several keys have: of two passwords, nothing tells which one a copy has.
pub fn unambiguous_roles<'a>(keys: impl IntoIterator<Item = &'a str>) -> BTreeMap<Role, &'a str> {
    let keys: Vec<&str> = keys.into_iter().collect();
    let role = |key: &str| rank(key).map(|rank| &NAMES[rank].1);
    let claims = |wanted: &Role| keys.iter().filter(|key| role(key) == Some(wanted)).count();
    let mut roles = source_roles(keys.iter().copied());
    roles.retain(|role, _| claims(role) < 2);
    roles
}

/// Contradiction between a copy and its source, if there is one: the parts that both have must be the same bytes.
///
/// `source` should hold the values that the target reads and no others, since a template may well bring its own
/// username. Parts that only one of them tells are not compared: what a key is called is the application's choice.
pub fn disagreement(decoded: &Decoded, source: &BTreeMap<Role, Credential>) -> Option<String> {
    let both = source.iter().filter_map(|(role, expected)| Some((role, expected, decoded.parts.get(role)?)));
    both.into_iter()
        .find(|(_, expected, found)| found != expected)
        .map(|(role, expected, found)| format!("{role} is {found} and its source {expected}"))
}
