//! Searches, where the providers of External Secrets Operator differ in what they make of them.
//!
//! Source: External Secrets Operator 0.20.4, `GetAllSecrets` of each provider in pkg/provider, and 2.9.0, in providers/v1.

use crate::config::Find;

/// Providers that know no search.
const NONE: [&str; 21] = [
    "alibaba",
    "beyondtrust",
    "chef",
    "delinea",
    "device42",
    "dvls",
    "fortanix",
    "github",
    "ibm",
    "nebiusmysterybox",
    "ngrok",
    "onepasswordSDK",
    "passworddepot",
    "previder",
    "pulumi",
    "secretserver",
    "senhasegura",
    "volcengine",
    "webhook",
    "yandexcertificatemanager",
    "yandexlockbox",
];
/// Providers that refuse tags.
const NO_TAGS: [&str; 5] = ["fake", "infisical", "keepersecurity", "onboardbase", "openBao"];
/// Providers that refuse a path.
const NO_PATH: [&str; 2] = ["gitlab", "keepersecurity"];
/// Providers that search by name alone.
const BY_NAME: [&str; 6] = ["barbican", "fake", "gitlab", "keepersecurity", "openBao", "passbolt"];
/// Providers that find all that there is if neither name nor path is asked for.
const ALL: [&str; 5] = ["bitwardensecretsmanager", "doppler", "infisical", "onboardbase", "ovh"];
/// Providers that replace the characters of names before keys are rewritten; all others leave that to the controller, which does
/// it where nothing is rewritten.
const CONVERT_FIRST: [&str; 3] = ["cloudrusm", "fake", "gcpsm"];
/// Providers that are only written.
const WRITE_ONLY: [&str; 2] = ["github", "ngrok"];

/// Why a provider refuses a search, if it does.
pub(super) fn refused(provider: &str, find: &Find) -> Option<&'static str> {
    let has_name = find.name.as_ref().is_some_and(|name| name.regexp.is_some());
    let has_tags = find.tags.is_some();
    if NONE.contains(&provider) {
        Some("the provider knows no search")
    } else if NO_TAGS.contains(&provider) && has_tags && !(provider == "fake" && has_name) {
        Some("the provider refuses a search by tags")
    } else if NO_PATH.contains(&provider) && find.path.is_some() {
        Some("the provider refuses a search below a path")
    } else if BY_NAME.contains(&provider) && !has_name {
        Some("the provider searches by name alone")
    } else if !has_name && !has_tags && !ALL.contains(&provider) && find.path.is_none() {
        Some("it says nothing of what it searches for")
    } else {
        None
    }
}

/// True if a search finds all that there is.
pub(super) fn finds_all(provider: &str) -> bool {
    ALL.contains(&provider)
}

/// True if the provider replaces the characters of names before keys are rewritten.
pub(super) fn converts_first(provider: &str) -> bool {
    CONVERT_FIRST.contains(&provider)
}

/// True if nothing can be read of a provider.
pub(super) fn is_write_only(provider: &str) -> bool {
    WRITE_ONLY.contains(&provider)
}
