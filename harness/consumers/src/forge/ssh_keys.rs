//! SSH keys that let users in.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::accounts::Call;
use super::key_pair::{SshKey, fingerprint};
use super::offer::Offered;
use super::{Forge, ForgeError};

/// A key that lets a user in.
#[derive(Debug, Clone)]
pub struct RegisteredKey {
    /// The public and the private key.
    pub key: SshKey,
    user: String,
    id: i64,
}

/// The fingerprints of the keys that were registered, by Gitea's id. They stay known when the keys are revoked.
#[derive(Debug, Default)]
pub(super) struct SshKeys(Mutex<HashMap<i64, String>>);

impl SshKeys {
    fn insert(&self, id: i64, key: &SshKey) {
        let fingerprint = fingerprint(&key.private).unwrap_or_default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, fingerprint);
    }

    /// Credential that is offered with the key of this id.
    pub(super) fn offered(&self, id: i64) -> Offered {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).map_or(Offered::Other, |fingerprint| Offered::Key { fingerprint: fingerprint.clone() })
    }
}

impl Forge {
    /// Makes a key that lets a user in, beside those that do already.
    ///
    /// # Errors
    /// When there is no such user.
    pub async fn add_ssh_key(&self, user: &str) -> Result<RegisteredKey, ForgeError> {
        #[derive(Deserialize)]
        struct Id {
            id: i64,
        }
        let key = SshKey::generate()?;
        let body = json!({ "title": self.unused_name(), "key": key.public, "read_only": true });
        let path = format!("/admin/users/{user}/keys");
        let call = Call { act: "add an SSH key of", object: user, method: Method::POST, path, body };
        let Id { id } = self.administrator.call(call).await?;
        self.ssh_keys.insert(id, &key);
        Ok(RegisteredKey { key, user: user.to_owned(), id })
    }

    /// Makes a key worthless.
    ///
    /// # Errors
    /// When it is so already.
    pub async fn revoke_ssh_key(&self, key: &RegisteredKey) -> Result<(), ForgeError> {
        let path = format!("/admin/users/{}/keys/{}", key.user, key.id);
        let (act, object, method) = ("revoke an SSH key of", key.user.as_str(), Method::DELETE);
        self.administrator.call::<IgnoredAny>(Call { act, object, method, path, body: Value::Null }).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_with_a_registered_key_is_known_by_its_id() {
        let (keys, key) = (SshKeys::default(), SshKey::generate().unwrap());
        assert_eq!(keys.offered(7), Offered::Other);
        keys.insert(7, &key);
        assert!(keys.offered(7).is(&key.private));
        assert!(!keys.offered(7).is(&SshKey::generate().unwrap().private));
    }
}
