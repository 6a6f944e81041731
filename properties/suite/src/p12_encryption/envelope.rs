//! Promise of the encryption configuration about the bytes of Secrets in etcd. Pure.
//!
//! Source: Kubernetes documentation, "Encrypting Confidential Data at Rest"; prefixes as in
//! `k8s.io/apiserver/pkg/server/options/encryptionconfig`.

use credence_core::text::Reason;
use serde::Deserialize;

/// Beginning of every encrypted value.
const ENCRYPTED: &str = "k8s:enc:";

/// An EncryptionConfiguration, as far as it decides the envelope of Secrets.
#[derive(Debug, Deserialize)]
struct Configuration {
    #[serde(default)]
    resources: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    providers: Vec<Provider>,
}

#[derive(Debug, Default, Deserialize)]
struct Provider {
    secretbox: Option<Keys>,
    aescbc: Option<Keys>,
    aesgcm: Option<Keys>,
    kms: Option<Plugin>,
}

#[derive(Debug, Deserialize)]
struct Keys {
    #[serde(default)]
    keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
struct Key {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Plugin {
    #[serde(default = "first_version")]
    api_version: String,
    name: String,
}

fn first_version() -> String {
    "v1".to_owned()
}

/// The bytes that the raw value of a Secret has to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope(String);

impl Envelope {
    /// Promise on Secrets that are written under the configuration in `text`. A configuration that writes plain text, and one
    /// that is absent, promise what they should: some encryption.
    ///
    /// # Errors
    /// When the text is no such configuration. What is quoted of it holds no keys.
    pub(super) fn of_secrets(text: Option<&str>) -> Result<Self, Reason> {
        let some = Self(ENCRYPTED.to_owned());
        let Some(text) = text else { return Ok(some) };
        let configuration: Configuration = serde_yaml::from_str(text)
            .map_err(|error| format!("the encryption configuration cannot be read: {:?}", error.location()))?;
        let about_secrets =
            |rule: &&Rule| rule.resources.iter().any(|resource| ["secrets", "*.", "*.*"].contains(&resource.as_str()));
        // The first rule that names a resource decides, and of it the first provider writes.
        let rule = configuration.resources.iter().find(about_secrets);
        let prefix = rule.and_then(|rule| rule.providers.first()).and_then(Provider::prefix);
        Ok(prefix.map_or(some, |prefix| Self(format!("{ENCRYPTED}{prefix}"))))
    }

    /// True if it names a key of the cluster's own.
    pub(super) fn has_key(&self) -> bool {
        self.0.ends_with(':') && self.0 != ENCRYPTED && !self.0.contains(":kms:")
    }

    /// True if a raw value has it.
    pub(super) fn is_of(&self, raw: &[u8]) -> bool {
        raw.starts_with(self.0.as_bytes())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Provider {
    fn prefix(&self) -> Option<String> {
        let local = [("secretbox", &self.secretbox), ("aescbc", &self.aescbc), ("aesgcm", &self.aesgcm)];
        let keys = local.into_iter().find_map(|(provider, keys)| {
            let first = keys.as_ref()?.keys.first()?;
            Some(format!("{provider}:v1:{}:", first.name))
        });
        keys.or_else(|| self.kms.as_ref().map(|plugin| format!("kms:{}:{}:", plugin.api_version, plugin.name)))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn configuration(resources: &str, providers: &str) -> String {
        format!("kind: EncryptionConfiguration\nresources:\n- resources: [{resources}]\n  providers: [{providers}]\n")
    }

    #[rstest]
    #[case::secretbox("secrets", "{secretbox: {keys: [{name: a, secret: x}]}}", "k8s:enc:secretbox:v1:a:")]
    #[case::first_key_writes(
        "configmaps, secrets",
        "{aescbc: {keys: [{name: b, secret: x}, {name: a, secret: y}]}}, {identity: {}}",
        "k8s:enc:aescbc:v1:b:"
    )]
    #[case::wildcard("'*.*'", "{kms: {apiVersion: v2, name: vault}}", "k8s:enc:kms:v2:vault:")]
    #[case::identity_first("secrets", "{identity: {}}, {secretbox: {keys: [{name: a, secret: x}]}}", "k8s:enc:")]
    #[case::other_resources("configmaps", "{secretbox: {keys: [{name: a, secret: x}]}}", "k8s:enc:")]
    fn the_first_provider_of_the_first_rule_writes(
        #[case] resources: &str,
        #[case] providers: &str,
        #[case] expected: &str,
    ) {
        let envelope = Envelope::of_secrets(Some(&configuration(resources, providers))).unwrap();
        assert_eq!(envelope.as_str(), expected);
    }

    #[test]
    fn no_configuration_promises_encryption_all_the_same() {
        let envelope = Envelope::of_secrets(None).unwrap();
        assert!(!envelope.is_of(b"k8s\0plain") && envelope.is_of(b"k8s:enc:aesgcm:v1:a:..."));
    }

    #[test]
    fn a_plugin_and_plain_text_have_no_key_to_rotate() {
        let has_key = |text: &str| Envelope(text.to_owned()).has_key();
        assert!(has_key("k8s:enc:secretbox:v1:a:"));
        assert!(!has_key("k8s:enc:kms:v2:vault:") && !has_key(ENCRYPTED));
    }
}
